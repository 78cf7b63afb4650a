//! Pipe or ring: what a payload costs in each, and when that no longer matters.
//!
//! The ring is this crate's queue, so both are measured as the benchmark does: in a process of its own, with participants that it starts.

use crate::bench::contender::{Pattern, Result, Shape};
use crate::bench::contenders;
use crate::bench::isolate::{Ended, adopt_orphans, isolated};
use crate::bench::statistics::median;
use crate::bench::turn::{self, Aim, Lengths};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::Lab;
use std::cell::RefCell;
use std::time::Duration;

pub struct Pipe;

const ABOUT: About = About {
    name: "pipe",
    title: "Pipe or ring",
    hypothesis: "A ring in shared memory saves system calls and copies. That matters while jobs are short.",
    metric: "items a second of the ring over those of the pipe",
    shape: "the ring is ahead while jobs are short, more so with large payloads; with longer jobs the ratio goes to 1: then the job is all that costs",
    source: "Stevens, \"UNIX Network Programming, volume 2\", appendix A (bandwidth and latency of IPC)",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("workers", "worker processes that take what one sends", 1, 1, 16)];

/// Bytes of a payload, all without work; then nanoseconds of work on 64 bytes.
const SIZES: [f64; 4] = [64.0, 512.0, 4096.0, 16384.0];
const JOBS: [f64; 4] = [100.0, 1_000.0, 10_000.0, 100_000.0];

/// Each is two turns, which start processes: fewer than elsewhere.
const ROUNDS: usize = 4;

/// Of the benchmark's contenders.
const RING: &str = "gristmill";
const PIPE: &str = "pipe-each";

/// Whoever takes longer for a turn hangs.
const LIMIT: Duration = Duration::from_secs(30);

const STEPS: &[Step] = &[
    Step { says: "through the kernel", code: "pipe.write_all(&item)?;" },
    Step { says: "through memory that both have", code: "queue.put(item)?;" },
];

impl Experiment for Pipe {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Each job takes 100 microseconds. How much faster is a ring than a pipe?",
            of: &["not at all, within 15 %", "up to twice as fast", "twice as fast or more"],
        }
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let consumers = knobs.number("workers") as usize;
        let places: Vec<(f64, f64)> =
            SIZES.iter().map(|&size| (size, 0.0)).chain(JOBS.iter().map(|&job| (64.0, job))).collect();
        // The turns' processes start others: who outlives a turn ends with this one.
        adopt_orphans()?;
        let measured = lab.each(2 * ROUNDS * places.len());
        let lengths = Lengths { warm_up: measured / 10, measured, paced: measured, idle: Duration::ZERO };
        let rate = |name: &str, (size, job): (f64, f64)| -> Result<f64> {
            let (payload, work) = (size as usize, job as u64);
            let shape =
                Shape { pattern: Pattern::OneWay, payload, producers: 1, consumers, batch: 1, capacity: room(payload), work };
            play(lab, name, &shape, &lengths)
        };
        // What an item takes without work, in both.
        let bare = RefCell::new([vec![], vec![]]);
        // Right after each other: the ratio stands for itself.
        let ratios = lab.sweep(places.len(), ROUNDS, |n| {
            let rates = [rate(RING, places[n])?, rate(PIPE, places[n])?];
            if n == 0 {
                bare.borrow_mut().iter_mut().zip(rates).for_each(|(all, rate)| all.push(1e9 / rate));
            }
            Ok(rates[0] / rates[1])
        })?;
        Ok(findings(lab.cores, ratios, &bare.into_inner()))
    }
}

/// Payloads that there is room for: no more memory than the warm-up touches, since the first touch of a page is another experiment.
fn room(payload: usize) -> usize {
    (256 * 1024 / payload).clamp(16, 256)
}

/// Payloads a second.
fn play(lab: &Lab<'_>, name: &str, shape: &Shape, lengths: &Lengths) -> Result<f64> {
    let all = contenders::all();
    let contender = all.iter().find(|one| one.info().name == name).ok_or_else(|| format!("there is no queue '{name}'"))?;
    let interrupted = || lab.watcher.interrupted();
    match isolated(LIMIT, &interrupted, || turn::play(&**contender, shape, lengths, Aim::Throughput))? {
        Ended::Value(played) => Ok(1e9 * played.jobs as f64 / played.wall.max(1) as f64),
        Ended::Failed(why) | Ended::Died(why) => Err(format!("{name}, {shape}: {why}").into()),
        Ended::Hung => Err(format!("{name}, {shape}: it hangs").into()),
        Ended::Interrupted => Err("it was interrupted".into()),
    }
}

/// Ratios so near to 1 are called alike.
const ALIKE: f64 = 0.15;

/// `bare` are nanoseconds for an item of 64 bytes without work, through the ring and through the pipe.
fn findings(cores: usize, mut ratios: Vec<Vec<f64>>, bare: &[Vec<f64>; 2]) -> Findings {
    let by_job = ratios.split_off(SIZES.len());
    let sizes = Series::measured("ring over pipe", SIZES.into_iter().zip(ratios));
    let jobs = Series::measured("ring over pipe", JOBS.into_iter().zip(by_job));
    let [ring, pipe] = bare.each_ref().map(|rounds| median(rounds).unwrap_or(f64::NAN));
    let model =
        Series::model("the job added to what an item takes without one", JOBS.map(|job| (job, (pipe + job) / (ring + job))));
    let value = |series: &Series, at| series.at(at).unwrap_or(f64::NAN);
    let (short, long) = (value(&jobs, 100.0), value(&jobs, 100_000.0));
    let (small, large) = (value(&sizes, SIZES[0]), value(&sizes, SIZES[3]));
    let alike = |job: &f64| (value(&jobs, *job) - 1.0).abs() < ALIKE;
    // From there on all are.
    let crossover = JOBS.iter().rev().take_while(|job| alike(job)).last().copied();
    let from = match crossover {
        Some(job) => format!("From {} µs on the two are within 15 %.", job / 1e3),
        None => "No job tried was so long that the two were within 15 %.".to_owned(),
    };
    let saw = format!(
        "Without work the ring moved {small:.2} times as many items of 64 bytes as the pipe, and {large:.2} times as many of 16384 bytes. With jobs of 0.1 µs it \
         was {short:.2} times, with jobs of 100 µs {long:.2}: the worker's job is then nearly all of the time, and how it got the item no longer shows. {from} \
         A pipe copies each byte into the kernel and out again, with a call for each; the ring has no call as long as both find it neither empty nor full. Who \
         waits has to sleep in both, and a wake-up costs more than any copy of a few bytes."
    );
    let busy = "other programs need the CPUs";
    let checks = vec![
        Check::new("with jobs of 100 µs the two are alike", (0.7..1.43).contains(&long), format!("{long:.2} times"), busy)
            .with_cores(2, cores),
        Check::new(
            "without work the ring is faster, with small payloads or with large ones",
            small.max(large) > 1.15,
            format!("{small:.2} and {large:.2} times"),
            "sender and receiver took turns on one CPU: then who sleeps in the kernel hands over best",
        )
        .with_cores(2, cores),
    ];
    let chart = |title: &str, x, series: Vec<Series>| Chart {
        title: title.into(),
        x,
        y: Axis::linear("ring over pipe (times as many items a second)"),
        series,
        names: vec![],
    };
    let answer = match long {
        long if long > 2.0 => Some(2),
        long if long > 1.0 + ALIKE => Some(1),
        long if long > 1.0 - ALIKE => Some(0),
        _ => None,
    };
    let mut numbers = vec![
        Number::new("ring over pipe, jobs of 0.1 µs", short, "×"),
        Number::new("ring over pipe, jobs of 100 µs", long, "×"),
    ];
    numbers.extend(crossover.map(|job| Number::new("alike from jobs of", job / 1e3, "µs")));
    Findings {
        numbers,
        charts: vec![
            chart("Ring over pipe, by the length of a job", Axis::log("nanoseconds of work for each item"), vec![jobs, model]),
            chart("Ring over pipe, by the payload", Axis::log("bytes"), vec![sizes]),
        ],
        saw,
        checks,
        answer,
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    #[test]
    fn long_jobs_hide_the_difference_or_the_check_fails_with_a_cause() {
        let of = |long: f64| {
            findings(2, [1.1, 3.0, 2.0, 1.5, 2.5, 2.0, 1.1, long].map(|one| vec![one; 3]).to_vec(), &[vec![250.0], vec![500.0]])
        };
        assert_eq!((of(1.0).checks[0].verdict, of(1.0).answer), (Verdict::Holds, Some(0)));
        assert!(of(1.0).saw.contains("From 10 µs on") && of(2.5).saw.contains("No job tried"), "{}", of(1.0).saw);
        assert!(of(1.0).saw.split_whitespace().count() <= 130);
        let model = |job| of(1.0).charts[0].series[1].at(job).unwrap();
        assert!((model(100.0) - 600.0 / 350.0).abs() < 1e-9 && model(100_000.0) < 1.01);
        assert_eq!(of(0.5).answer, None, "a ring that is far slower is none of the answers");
        assert_eq!(of(2.5).checks[0].verdict, Verdict::Fails);
        assert!(!of(2.5).checks[0].cause.is_empty());
    }

    #[test]
    fn a_ring_that_is_nowhere_ahead_is_told() {
        let of = |small: f64, large: f64| {
            findings(
                2,
                [small, 1.0, 1.0, large, 1.0, 1.0, 1.0, 1.0].map(|one| vec![one; 3]).to_vec(),
                &[vec![250.0], vec![500.0]],
            )
        };
        assert_eq!(
            [of(1.3, 0.8), of(0.8, 1.3), of(1.0, 1.0)].map(|found| found.checks[1].verdict),
            [Verdict::Holds, Verdict::Holds, Verdict::Fails]
        );
    }
}
