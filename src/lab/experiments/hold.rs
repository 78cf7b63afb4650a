//! How long you hold it: the same work, more and more of it with the lock held.

use crate::bench::contender::Result;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::jobs::Jobs;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::models;
use crate::lock::{FutexLock, SpinLock};
use crate::sys::limits;

pub struct Hold;

const ABOUT: About = About {
    name: "hold",
    title: "How long you hold it",
    hypothesis: "Workers that share a lock help as long as they hold it for a small part of their time. What counts is the share, not the number of workers.",
    metric: "speed-up: jobs a second of all workers, over those of one",
    shape: "min(N, 1/share), rounded off where the two meet; at 100 % two workers are no faster than one",
    source: "Denning and Buzen 1978 (the bound), Reiser and Lavenberg 1980 (mean value analysis)",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::number("workers", "worker processes", 2, 2, 64),
    Knob::number("job", "microseconds of work for each job", 5, 200, 10_000),
    Knob::word(
        "lock",
        "spin: waits awake, so the next one is there at once; futex: sleeps, and has to be woken",
        &["spin", "futex"],
    ),
];

/// Per cent of a job during which the lock is held.
const SHARES: [f64; 6] = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];

const STEPS: &[Step] = &[
    Step {
        says: "all of the work with the lock held",
        code: "\
loop {
    let job = jobs.get()?;
    let mut total = total.lock()?;
    let value = work(job);
    *total += value;
}",
    },
    Step {
        says: "the work before, the lock for the sum alone",
        code: "\
loop {
    let job = jobs.get()?;
    let value = work(job);
    let mut total = total.lock()?;
    *total += value;
}",
    },
];

impl Experiment for Hold {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Draw {
            says: "Draw the speed-up of these workers over one, as the share of time with the lock grows from 0 to 100 %",
            series: MEASURED,
            axes: ["per cent of a job with the lock held", "times as fast as one worker"],
            at: &SHARES,
            // No more workers are at work at a time than there are CPUs; with very many the usual ones would have no room.
            between: (0.0, limits::cpus().clamp(4, 8) as f64),
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let (workers, job) = (knobs.number("workers") as usize, 1000 * knobs.number("job"));
        let time = lab.each(ROUNDS * SHARES.len() * 2);
        let spins = knobs.word("lock") == "spin";
        let rate = |workers: usize, share: f64| {
            let jobs = Jobs { lab, time, workers, job, share };
            if spins { jobs.rate::<SpinLock>() } else { jobs.rate::<FutexLock>() }
        };
        // One and all right after each other: the ratio stands for itself.
        let rounds = lab.sweep(SHARES.len(), ROUNDS, |place| Ok(rate(workers, SHARES[place])? / rate(1, SHARES[place])?))?;
        Ok(findings(workers, lab.cores, rounds))
    }
}

const MEASURED: &str = "measured";

/// CPUs that workers can use at a time bound what they can do without any lock.
fn findings(workers: usize, cores: usize, rounds: Vec<Vec<f64>>) -> Findings {
    let at_once = workers.min(cores);
    let measured = Series::measured(MEASURED, SHARES.into_iter().zip(rounds));
    let fine = || (0..=20).map(|n| f64::from(n) / 20.0);
    let bound = Series::model("min(N, 1/share)", fine().map(|held| (100.0 * held, models::bound(at_once, held))));
    let queueing = Series::model("with waiting (queueing)", fine().map(|held| (100.0 * held, models::queueing(at_once, held))));
    let value = |share| measured.at(share).unwrap_or(f64::NAN);
    let (none, all) = (value(0.0), value(100.0));
    let ideal = at_once as f64;
    let saw = format!(
        "Without the lock, {workers} workers were {none:.2} times as fast as one; with the lock held all the time, {all:.2} times. While one holds it, all \
         others that want it wait: together they can hold it for no more than 100 % of the time. So workers that each need it for a share s of their time get \
         no further than 1/s, however many they are: 5 times as fast as one at 20 %, 1.67 times at 60 %. With {at_once} at work at a time, {:.2} and {:.2} were measured. More \
         workers than 1/s do not help; holding it for a shorter time does.",
        value(20.0),
        value(60.0)
    );
    let busy = "other programs need the CPUs, or two CPUs here are one core's two threads";
    let checks = vec![
        Check::new(
            "held all the time: all workers together are no faster than one",
            all < 1.25,
            format!("{all:.2} times"),
            busy,
        ),
        Check::new(
            "never held: as many times as fast as there are workers at work at a time (three quarters of it, at least)",
            none > 0.75 * ideal,
            format!("{none:.2} of {ideal:.0}"),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "held for 60 %: slower than without the lock, and at least three quarters of what the queueing model says",
            none > value(60.0) && value(60.0) > 0.75 * models::queueing(at_once, 0.6),
            format!("{:.2}, the model says {:.2}", value(60.0), models::queueing(at_once, 0.6)),
            "who waits asleep (lock=futex, short jobs) is woken when the lock is taken again; or other programs need the CPUs",
        )
        .with_cores(2, cores),
    ];
    let numbers = vec![
        Number::new("speed-up without the lock", none, "×"),
        Number::new("speed-up with the lock held for 60 %", value(60.0), "×"),
        Number::new("speed-up with the lock held all the time", all, "×"),
    ];
    let chart = Chart {
        title: format!("Speed-up of {workers} workers over one"),
        x: Axis::linear("per cent of a job with the lock held"),
        y: Axis::linear("speed-up (times as fast as one worker)"),
        series: vec![measured, bound, queueing],
        names: vec![],
    };
    Findings { charts: vec![chart], numbers, saw, checks, ..Findings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::{Origin, Verdict};

    fn found(cores: usize, speedup: impl Fn(f64) -> f64) -> Findings {
        findings(2, cores, SHARES.map(|share| vec![speedup(share / 100.0); ROUNDS]).to_vec())
    }

    fn verdicts(found: &Findings) -> Vec<Verdict> {
        found.checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn the_expected_shape_holds_and_the_words_use_its_numbers() {
        let found = found(2, |share| models::queueing(2, share));
        assert_eq!(verdicts(&found), [Verdict::Holds; 3]);
        assert!(
            found.saw.contains("2 workers were 2.00 times as fast as one") && found.saw.contains("and 1.47 were measured"),
            "{}",
            found.saw
        );
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw);
        let models = found.charts[0].series.iter().filter(|series| series.origin == Origin::Model);
        assert!(models.clone().count() == 2 && models.into_iter().all(|model| model.at(100.0) == Some(1.0)));
    }

    #[test]
    fn the_other_way_round_each_check_fails_and_names_a_cause() {
        let bad = found(2, |share| if share == 0.6 { 0.9 } else { 1.0 + share });
        assert_eq!(verdicts(&bad), [Verdict::Fails; 3]);
        assert!(bad.checks.iter().all(|check| !check.cause.is_empty()));
        assert_eq!(verdicts(&found(1, |_| 1.0)), [Verdict::Holds, Verdict::NotHere, Verdict::NotHere], "one CPU shows little");
    }
}
