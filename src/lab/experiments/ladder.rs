//! The seed's ladder: the same batch of short jobs in six forms, each of which differs from the one before by one idea. `examples/ladder_*.rs` are
//! the same six as programs of their own.

mod forms;

use crate::bench::contender::Result;
use crate::bench::isolate::{self, isolated};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
pub use forms::registry;
use forms::{ARRAY, Batch, CHUNKS, FORMS, FUTURES, LOCK, ONE, QUEUE};
use std::time::Duration;

pub struct Ladder;

const ABOUT: About = About {
    name: "ladder",
    title: "The ladder",
    hypothesis: "More workers alone do not make short jobs faster: handing over a job costs as much as the job. What helps is to hand over less often.",
    metric: "jobs a second of the same batch, in six forms; workers are started before",
    shape: "threads with one lock, queue and workers, and futures hand over job by job and are little faster than one process, or slower; chunks and the shared array are faster than it, and than futures",
    source: "examples/ladder_1_one_process.rs to ladder_6_shared_array.rs; the cost of a message against that of the work: Culler et al., LogP, 1993",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::number("workers", "worker threads or processes", 2, 2, 16),
    Knob::number("jobs", "jobs in a batch", 1000, 20_000, 50_000),
    Knob::number("steps", "steps of work in each job, of some nanoseconds", 0, 100, 1000),
    Knob::number("chunk", "jobs in a chunk", 1, 500, 5000),
];

/// So many times as fast is faster, also on a noisy machine.
const CLEARLY: f64 = 1.2;

/// With short jobs, handing over one by one gives no more than that.
const SLIGHTLY: f64 = 1.3;

const STEPS: &[Step] = &[
    Step { says: "one process", code: "for n in 0..JOBS {\n    sum += job(n);\n}" },
    Step {
        says: "threads, and one lock for what they share",
        code: "while let Some(n) = batch.lock()?.take() {\n    let value = job(n);\n    batch.lock()?.sum += value;\n}",
    },
    Step {
        says: "processes, which share nothing but two queues",
        code: "while let Ok(n) = jobs.get() {\n    let value = job(*n);\n    results.put(value)?;\n    n.task_done();\n}",
    },
    Step {
        says: "futures: whoever asks holds the result to come",
        code: "let pool = ProcessPool::builder().build(job)?;\nfor future in pool.submit_many(0..JOBS)? {\n    sum += future.result()?;\n}",
    },
    Step {
        says: "chunks: a message for many jobs",
        code: "let pool = ProcessPool::builder().build(chunk)?;\nfor future in pool.submit_many(chunks)? {\n    sum += future.result()?.iter().sum();\n}",
    },
    Step {
        says: "a shared array: results are written where they belong",
        code: "let pool = ProcessPool::builder().build_for_slices()?;\npool.chunks_of(CHUNK).for_each_chunk(chunk, &mut values)?;\nsum = values.iter().sum();",
    },
];

/// A batch that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

impl Experiment for Ladder {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "The same batch of short jobs on each rung. Which is the first one that is clearly (1.2 times) faster than one process?",
            of: &["threads, one lock", "queue and workers", "futures", "chunks", "shared array"],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let number = |name| knobs.number(name);
        let steps = number("steps") as u32;
        let batch = Batch { workers: number("workers") as usize, jobs: number("jobs"), steps, chunk: number("chunk") };
        // Each starts its workers first.
        let time = lab.each(2 * ROUNDS * FORMS.len());
        let mut sums = vec![];
        let rates = lab.sweep(FORMS.len(), ROUNDS, |form| {
            // In a process of its own: its workers and its threads end with it.
            let ended = isolated(LIMIT, &|| lab.watcher.interrupted(), || batch.run(form, time))?;
            let told = |why: &str| format!("{}: {why}", FORMS[form]);
            match ended {
                isolate::Ended::Value((rate, sum)) => {
                    sums.push(sum);
                    Ok(rate)
                }
                isolate::Ended::Failed(why) => Err(told(&why).into()),
                isolate::Ended::Died(how) => Err(told(&format!("it died: {how}")).into()),
                isolate::Ended::Hung => Err(told("it hung").into()),
                isolate::Ended::Interrupted => Err(told("it was interrupted").into()),
            }
        })?;
        Ok(findings(batch, lab.cores, rates, &sums))
    }
}

fn findings(batch: Batch, cores: usize, rates: Vec<Vec<f64>>, sums: &[u64]) -> Findings {
    let at_once = batch.workers.min(cores) as f64;
    let measured = Series::measured("measured", rates.into_iter().enumerate().map(|(form, rates)| (form as f64, rates)));
    let rate = |form: usize| measured.at(form as f64).unwrap_or(f64::NAN);
    let over = |form| rate(form) / rate(ONE);
    let free = (0..FORMS.len()).map(|form| (form as f64, if form == ONE { rate(ONE) } else { at_once * rate(ONE) }));
    let free = Series::model("if handing over were free", free);
    let saw = format!(
        "One process did {:.0} jobs a second: {:.1} ns each. Against it, threads with one lock were {:.2} times as fast, queue and workers {:.2}, futures \
         {:.2}. They hand over job by job: the job must be written, found, and its result brought back, and the lock on the way is taken for each. Where that \
         costs as much as the job, more workers do not pay. A chunk hands over {} jobs at once, so each pays a small part of it: {:.2} times. In the shared \
         array the results are not even brought back: {:.2} times. {at_once:.0} workers at a time can be {at_once:.0} times as fast, at most. With longer \
         jobs (more steps) all rungs come close to that.",
        rate(ONE),
        1e9 / rate(ONE),
        over(LOCK),
        over(QUEUE),
        over(FUTURES),
        batch.chunk,
        over(CHUNKS),
        over(ARRAY),
    );
    let long = "the jobs are so long (steps) that handing them over costs little beside them, or other programs need the CPUs";
    let busy = "other programs need the CPUs, or the jobs are so long (steps) that handing them over costs nothing beside them, or so short that a chunk's message costs more";
    let faster = |form: usize, than: usize| {
        let says = format!("{}: faster than {}", FORMS[form], FORMS[than]);
        let ratio = rate(form) / rate(than);
        Check::new(&says, ratio > CLEARLY, format!("{ratio:.2} times"), busy).with_cores(2, cores)
    };
    let same = !sums.is_empty() && sums.iter().all(|sum| *sum == sums[0]);
    let by_job = |form: usize| {
        let says = format!("{}: hands over job by job, and is no faster than {SLIGHTLY} times one process", FORMS[form]);
        Check::new(&says, over(form) < SLIGHTLY, format!("{:.2} times", over(form)), long)
    };
    let checks = vec![
        Check::certain("all forms give the same result", same, format!("{} runs", sums.len())),
        by_job(LOCK),
        by_job(QUEUE),
        by_job(FUTURES),
        faster(CHUNKS, ONE),
        faster(CHUNKS, FUTURES),
        faster(ARRAY, ONE),
        faster(ARRAY, FUTURES),
    ];
    let numbers =
        (LOCK..FORMS.len()).map(|form| Number::new(format!("{} over one process", FORMS[form]), over(form), "×")).collect();
    let answer = (LOCK..FORMS.len()).find(|form| over(*form) > CLEARLY).map(|form| form - LOCK);
    Findings {
        charts: vec![Chart {
            title: format!("{} jobs of {} steps, {} workers", batch.jobs, batch.steps, batch.workers),
            x: Axis::linear("rung"),
            y: Axis::linear("jobs a second"),
            series: vec![measured, free],
            names: FORMS.map(str::to_owned).to_vec(),
        }],
        numbers,
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

    const BATCH: Batch = Batch { workers: 2, jobs: 100, steps: 10, chunk: 30 };

    fn found(rates: [f64; 6], sums: &[u64]) -> Findings {
        findings(BATCH, 2, rates.map(|rate| vec![rate; ROUNDS]).to_vec(), sums)
    }

    #[test]
    fn the_expected_shape_holds_and_the_words_use_its_numbers() {
        let found = found([1e6, 0.9e6, 0.4e6, 0.5e6, 1.8e6, 1.9e6], &[7; 6]);
        assert!(found.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", found.checks);
        assert!(
            found.saw.contains("1000000 jobs a second: 1000.0 ns each") && found.saw.contains("futures 0.50."),
            "{}",
            found.saw
        );
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
        assert_eq!((found.answer, found.charts[0].series[1].at(4.0)), (Some(3), Some(2e6)));
    }

    #[test]
    fn another_shape_fails_and_names_a_cause() {
        let found = found([1e6, 1.4e6, 1.5e6, 1.6e6, 0.9e6, 0.9e6], &[7, 8]);
        assert!(
            found
                .checks
                .iter()
                .all(|check| matches!(check.verdict, Verdict::Fails | Verdict::Wrong) && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, Some(0));
    }

    #[test]
    fn if_no_rung_is_faster_no_answer_is_right() {
        assert_eq!(found([1e6; 6], &[7; 6]).answer, None);
    }
}
