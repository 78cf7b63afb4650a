//! How far will it scale: more and more workers, and the laws that tell where it ends.

use crate::bench::contender::Result;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Origin, Series, Verdict};
use crate::lab::jobs::Jobs;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::models;
use crate::lock::FutexLock;

pub struct Scale;

const ABOUT: About = About {
    name: "scale",
    title: "How far will it scale",
    hypothesis: "Each worker more helps less than the one before, and there is a number from which on none helps. A few measurements tell where it is.",
    metric: "speed-up: jobs a second of N workers, over those of one",
    shape: "below a straight line up to the number of CPUs, at least as good as Amdahl's law; flat from there on",
    source: "Amdahl, AFIPS 1967; Gunther, \"Guerrilla Capacity Planning\", 2007 (Universal Scalability Law)",
    cores: models::ENOUGH_FOR_USL,
};

const KNOBS: &[Knob] = &[
    Knob::number("workers", "worker processes, at most", 2, 8, 64),
    Knob::number("serial", "per cent of a job with the lock held", 0, 10, 100),
    Knob::number("job", "microseconds of work for each job", 5, 50, 10_000),
];

/// Numbers of workers that are tried, as far as the knob lets.
const PLACES: [f64; 14] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0];

const STEPS: &[Step] = &[
    Step { says: "one worker", code: "for job in jobs {\n    let value = work(job);\n    *total.lock()? += finish(value);\n}" },
    Step {
        says: "N workers: what is inside the lock is done by one at a time",
        code: "for _ in 0..N {\n    spawn(|| for job in jobs {\n        let value = work(job);\n        *total.lock()? += finish(value);\n    });\n}",
    },
    Step {
        says: "the serial part made smaller",
        code: "for _ in 0..N {\n    spawn(|| for job in jobs {\n        let value = finish(work(job));\n        *total.lock()? += value;\n    });\n}",
    },
];

impl Experiment for Scale {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Draw {
            says: "A part of each job, a tenth if nobody sets another, is done with the lock held. Draw the speed-up over one worker, from 1 to 8 workers, here",
            series: MEASURED,
            axes: ["workers", "times as fast as one worker"],
            at: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            between: (0.0, 8.0),
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let (serial, job) = (knobs.number("serial"), 1000 * knobs.number("job"));
        let places = places(knobs.number("workers"));
        let time = lab.each(ROUNDS * places.len());
        let rates = lab.sweep(places.len(), ROUNDS, |place| {
            Jobs { lab, time, workers: places[place] as usize, job, share: serial as f64 }.rate::<FutexLock>()
        })?;
        Ok(findings(&places, serial as f64 / 100.0, lab.cores, &rates))
    }
}

/// The numbers of workers up to `most`, which is one of them.
fn places(most: u64) -> Vec<f64> {
    let most = most as f64;
    let mut places: Vec<f64> = PLACES.into_iter().filter(|&place| place < most).collect();
    places.push(most);
    places
}

const MEASURED: &str = "measured";

/// What the reference curve is drawn from: 5 % contention, and a coherency that turns it down at some 30 workers.
const REFERENCE: (f64, f64) = (0.05, 0.001);

/// A law over numbers of workers.
fn curve(name: &str, origin: Origin, most: u32, law: impl Fn(f64) -> f64) -> Series {
    let points = (1..=most).map(|n| (f64::from(n), law(f64::from(n))));
    Series { origin, ..Series::model(name, points) }
}

/// How far a law is from what was measured: the root of the mean square, as a share of the measured.
fn distance(points: &[(f64, f64)], law: impl Fn(f64) -> f64) -> f64 {
    let squares: f64 = points.iter().map(|&(n, speedup)| (law(n) / speedup - 1.0).powi(2)).sum();
    (squares / points.len().max(1) as f64).sqrt()
}

/// `rates` are jobs a second for each of `places`, whose first one is a single worker; `serial` is the share with the lock held.
fn findings(places: &[f64], serial: f64, cores: usize, rates: &[Vec<f64>]) -> Findings {
    let over_one = |rounds: &Vec<f64>| -> Vec<f64> { rounds.iter().zip(&rates[0]).map(|(rate, one)| rate / one).collect() };
    let measured = Series::measured(MEASURED, places.iter().copied().zip(rates.iter().map(over_one)));
    let cpus = cores as f64;
    let points: Vec<(f64, f64)> = measured.points.iter().map(|point| (point.x, point.y.median)).collect();
    let within: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.0 <= cpus).collect();
    // On a plateau the fewest workers count, not those that noise has put highest.
    let highest = points.iter().map(|point| point.1).fold(f64::NAN, f64::max);
    let best = points.iter().copied().find(|point| point.1 > 0.97 * highest).unwrap_or((f64::NAN, f64::NAN));
    let (amdahl, usl) = (models::fit_amdahl(&points, cores), models::fit_usl(&points, cores));

    let most = places.last().copied().unwrap_or(1.0) as u32;
    let mut along =
        vec![curve("Amdahl's law, of the share that was set", Origin::Model, most, |n| models::amdahl(n.min(cpus), serial))];
    let mut beyond = vec![];
    let mut numbers = vec![Number::new("best speed-up", best.1, "×"), Number::new("with so many workers", best.0, "")];
    if let Ok(fitted) = amdahl {
        along.push(curve("Amdahl's law, fitted", Origin::Model, most.min(cores as u32), |n| models::amdahl(n, fitted)));
        numbers.push(Number::new("serial share, fitted", 100.0 * fitted, "%"));
    }
    let fitted = match usl {
        Ok((alpha, beta)) => {
            let law = move |n| models::usl(n, alpha, beta);
            along.push(curve("USL, fitted", Origin::Model, most.min(cores as u32), law));
            beyond.push(curve("USL, fitted to what was measured", Origin::Model, 64.max(2 * cores as u32), law));
            numbers.push(Number::new("contention alpha, fitted", 100.0 * alpha, "%"));
            numbers.push(Number::new("coherency beta, fitted", 100.0 * beta, "%"));
            let peak = ((1.0 - alpha) / beta).sqrt().max(1.0);
            let end =
                if beta > 0.0 { format!("most is done with some {peak:.0} workers") } else { "it never turns down".into() };
            format!(
                "The law fitted to this says: {:.1} % contention, {:.2} % coherency, so {end}, given as many CPUs.",
                100.0 * alpha,
                100.0 * beta
            )
        }
        Err(ref why) => {
            let name = "USL with 5 % contention and 0.1 % coherency";
            beyond.push(curve(name, Origin::Reference, 64, |n| models::usl(n, REFERENCE.0, REFERENCE.1)));
            format!("No law is fitted here: {why}. The second chart shows a reference instead, computed from chosen values.")
        }
    };
    let saw = format!(
        "At {:.0} workers the jobs were done {:.2} times as fast as by one, and no number did clearly better. {:.0} % of each job is done with the \
         lock held, by one at a time: that alone allows {} times, with any number of CPUs. This machine has {cores}, and workers beyond that take turns on \
         them, which adds nothing. {fitted} A law that is drawn beyond the points it was fitted to is a guess: measure there before you buy.",
        best.0,
        best.1,
        100.0 * serial,
        if serial > 0.0 { format!("{:.1}", 1.0 / serial) } else { "any number of".into() },
    );
    let chart = |title: &str, x: Axis, series| Chart {
        title: title.into(),
        x,
        y: Axis::linear("speed-up (times as fast as one worker)"),
        series,
        names: vec![],
    };
    let checks = checks(&points, &within, serial, cores, &usl);
    along.insert(0, measured);
    let charts = vec![
        chart("Speed-up over one worker", Axis::linear("worker processes"), along),
        chart("Where it would end, with enough CPUs", Axis::log("workers, each with a CPU"), beyond),
    ];
    Findings { charts, numbers, saw, checks, ..Findings::default() }
}

/// `within` are those of the points that have a CPU for each worker.
fn checks(
    points: &[(f64, f64)],
    within: &[(f64, f64)],
    serial: f64,
    cores: usize,
    usl: &std::result::Result<(f64, f64), String>,
) -> Vec<Check> {
    let busy = "other programs need the CPUs, or some CPUs here are one core's two threads";
    let most = within.last().copied().unwrap_or((f64::NAN, f64::NAN));
    let law = models::amdahl(most.0, serial);
    let bound = models::bound(most.0 as usize, serial);
    let mut checks = vec![
        Check::new(
            "with a CPU for each, workers reach what Amdahl's law allows (three quarters of it, at least)",
            most.1 > 0.7 * law,
            format!("{:.2} with {:.0} workers, the law says {law:.2}", most.1, most.0),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "no more than min(N, 1/share)",
            most.1 < 1.25 * bound,
            format!("{:.2} with {:.0} workers, of {bound:.2}", most.1, most.0),
            "the single worker was disturbed, to which all are compared",
        ),
    ];
    let over = points.iter().filter(|point| point.0 > cores as f64).map(|point| point.1).fold(f64::NAN, f64::max);
    if !over.is_nan() {
        checks.push(Check::new(
            "more workers than CPUs are no faster than one for each CPU",
            over < 1.3 * most.1,
            format!("{over:.2} at best, {:.2} with {:.0}", most.1, most.0),
            "other programs took CPUs: more workers got a larger part of them",
        ));
    }
    let says = "the fitted law goes through the points (within a fifth of them)";
    checks.push(match *usl {
        Ok((alpha, beta)) => {
            let far = distance(within, |n| models::usl(n, alpha, beta));
            Check::new(says, far < 0.2, format!("{:.0} % off, in the mean", 100.0 * far), busy)
        }
        Err(ref why) => {
            let (verdict, cause) = (Verdict::NotHere, why.clone());
            Check { says: says.into(), verdict, found: "nothing was fitted".into(), cause }
        }
    });
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cores: usize, most: u64, speedup: impl Fn(f64) -> f64) -> Findings {
        let places = places(most);
        let rates: Vec<Vec<f64>> = places.iter().map(|&n| vec![1000.0 * speedup(n); 3]).collect();
        findings(&places, 0.1, cores, &rates)
    }

    fn verdicts(found: &Findings) -> Vec<Verdict> {
        found.checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn all_numbers_up_to_eight_are_tried_and_then_some() {
        assert_eq!(places(2), [1.0, 2.0]);
        assert_eq!(places(20), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 16.0, 20.0]);
        assert_eq!(places(64).last(), Some(&64.0));
    }

    #[test]
    fn on_two_cpus_nothing_is_fitted_and_a_reference_is_shown_as_such() {
        let found = found(2, 8, |n| models::amdahl(n.min(2.0), 0.1));
        assert_eq!(verdicts(&found), [Verdict::Holds, Verdict::Holds, Verdict::Holds, Verdict::NotHere]);
        let origins: Vec<Origin> = found.charts[1].series.iter().map(|series| series.origin).collect();
        assert_eq!(origins, [Origin::Reference]);
        assert!(found.charts[0].series.iter().all(|series| !series.name.contains("fitted")));
        assert!(found.saw.starts_with("At 2 workers the jobs were done 1.82 times"), "{}", found.saw);
        assert!(found.saw.contains("a fit needs 6 CPUs, and there are 2"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130);
    }

    #[test]
    fn on_eight_cpus_the_law_is_found_again_and_goes_on_beyond_them() {
        let found = found(8, 16, |n| models::usl(n.min(8.0), 0.1, 0.002));
        assert_eq!(verdicts(&found), [Verdict::Holds; 4]);
        let number = |name: &str| found.numbers.iter().find(|number| number.name.starts_with(name)).map(|number| number.value);
        assert!(number("contention").is_some_and(|alpha| (alpha - 10.0).abs() < 1e-6), "{:?}", found.numbers);
        assert!(number("coherency").is_some_and(|beta| (beta - 0.2).abs() < 1e-6), "{:?}", found.numbers);
        assert_eq!(found.charts[1].series[0].origin, Origin::Model);
        assert!(found.saw.contains("some 21 workers"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130);
    }

    #[test]
    fn another_shape_fails_with_a_cause() {
        let fails = |found: &Findings, place: usize| {
            let check = &found.checks[place];
            assert!(check.verdict == Verdict::Fails && !check.cause.is_empty(), "{check:?}");
        };
        fails(&found(2, 8, |_| 1.0), 0);
        fails(&found(2, 8, |n| 2.0 * n - 1.0), 1);
        fails(&found(2, 8, |n| n), 2);
        fails(&found(8, 12, |n| if n == 5.0 { 20.0 } else { 1.0 }), 3);
    }
}
