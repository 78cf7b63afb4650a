//! Pipe or ring: what a payload costs in each, and when that no longer matters.

use crate::bench::contender::Result;
use crate::bench::work::Work;
use crate::lab::crew::Members;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::passing::Passing;

pub struct Pipe;

const ABOUT: About = About {
    name: "pipe",
    title: "Pipe or ring",
    hypothesis: "A ring in shared memory saves system calls. That matters while jobs are short.",
    metric: "items a second of the ring over those of the pipe",
    shape: "with longer jobs the ratio goes to 1: then the job is all that costs",
    source: "Stevens, \"UNIX Network Programming, volume 2\", appendix A (bandwidth and latency of IPC)",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("batch", "items a call", 1, 16, 64)];

/// Bytes of a payload, all without work; then nanoseconds of work on 64 bytes.
const SIZES: [f64; 4] = [16.0, 256.0, 4096.0, 65536.0];
const JOBS: [f64; 4] = [100.0, 1_000.0, 10_000.0, 100_000.0];

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
        let batch = knobs.number("batch") as usize;
        let places: Vec<(f64, f64)> =
            SIZES.iter().map(|&size| (size, 0.0)).chain(JOBS.iter().map(|&job| (64.0, job))).collect();
        let time = lab.each(2 * ROUNDS * places.len());
        let rate = |queue: &str, (size, job): (f64, f64)| -> Result<f64> {
            let at = format!("{queue}, {size} bytes, {job} ns of work");
            let (payload, make, job) = (size as usize, Work::of(0), Work::of(job as u64));
            let passing = Passing { queue, payload, batch, capacity: 256, make, job };
            Ok(passing.run(lab, &at, time, Members::Processes)?.rate())
        };
        // Right after each other: the ratio stands for itself.
        let ratios = lab.sweep(places.len(), ROUNDS, |n| Ok(rate("ring-futex", places[n])? / rate("pipe-each", places[n])?))?;
        Ok(findings(lab.cores, ratios))
    }
}

fn findings(cores: usize, mut ratios: Vec<Vec<f64>>) -> Findings {
    let by_job = ratios.split_off(SIZES.len());
    let sizes = Series::measured("ring over pipe", SIZES.into_iter().zip(ratios));
    let jobs = Series::measured("ring over pipe", JOBS.into_iter().zip(by_job));
    let value = |series: &Series, at| series.at(at).unwrap_or(f64::NAN);
    let (short, long) = (value(&jobs, 100.0), value(&jobs, 100_000.0));
    let crossover = JOBS.into_iter().find(|&job| (value(&jobs, job) - 1.0).abs() < 0.15);
    let from = crossover.map_or("no length tried".to_owned(), |job| format!("{} us", job / 1e3));
    let saw = format!(
        "Without work the ring moved {:.2} times as many items of 16 bytes as the pipe, and {:.2} times as many of 65536 bytes. With jobs of 0.1 us it was \
         {short:.2} times, with jobs of 100 us {long:.2}: the worker's job is then nearly all of the time, and how it got the item no longer shows. From \
         {from} on the two are within 15 %. A pipe copies each byte twice and asks the kernel for each call; a ring asks it only to sleep and wake.",
        value(&sizes, 16.0),
        value(&sizes, 65536.0)
    );
    let busy = "other programs need the CPUs";
    let check =
        Check::new("with jobs of 100 us the two are alike", (0.7..1.43).contains(&long), format!("{long:.2} times"), busy);
    let chart = |title: &str, x, series| Chart {
        title: title.into(),
        x,
        y: Axis::linear("ring over pipe (times as many items a second)"),
        series: vec![series],
        names: vec![],
    };
    let answer = if long > 2.0 {
        2
    } else if long > 1.15 {
        1
    } else {
        0
    };
    let mut numbers = vec![
        Number::new("ring over pipe, jobs of 0.1 us", short, "×"),
        Number::new("ring over pipe, jobs of 100 us", long, "×"),
    ];
    numbers.extend(crossover.map(|job| Number::new("alike from jobs of", job / 1e3, "us")));
    Findings {
        numbers,
        charts: vec![
            chart("Ring over pipe, by the length of a job", Axis::log("nanoseconds of work for each item"), jobs),
            chart("Ring over pipe, by the payload", Axis::log("bytes"), sizes),
        ],
        saw,
        checks: vec![check.with_cores(2, cores)],
        answer: Some(answer),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    #[test]
    fn long_jobs_hide_the_difference_or_the_check_fails_with_a_cause() {
        let of = |long: f64| findings(2, [3.0, 3.0, 2.0, 1.0, 2.5, 2.0, 1.1, long].map(|one| vec![one; 3]).to_vec());
        assert_eq!((of(1.0).checks[0].verdict, of(1.0).answer), (Verdict::Holds, Some(0)));
        assert_eq!(of(2.5).checks[0].verdict, Verdict::Fails);
        assert!(!of(2.5).checks[0].cause.is_empty());
    }
}
