//! Processes and threads: the same lock and the same ring in both, and the first touch of memory, which only processes pay for again.

use crate::bench::contender::Result;
use crate::bench::shared::SharedBytes;
use crate::bench::work::Work;
use crate::lab::crew::{Crew, Members};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::passing::Passing;
use crate::lock::FutexLock;
use crate::sys::clock;

pub struct Threads;

const ABOUT: About = About {
    name: "threads",
    title: "Processes and threads",
    hypothesis: "In shared memory processes are as fast as threads. What differs is the first touch of each page.",
    metric: "nanoseconds for an operation, in processes and in threads",
    shape: "locks and rings cost the same; the first touch of mapped pages costs a process much more",
    source: "Drepper, \"What every programmer should know about memory\", 2007, section 4",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("pages", "pages to touch", 64, 1024, 16_384)];

const NAMES: [&str; 4] = ["a lock, alone", "a lock, two want it", "an item through a ring", "the first touch of a page"];

const STEPS: &[Step] = &[
    Step { says: "threads", code: "thread::spawn(|| work(&shared));" },
    Step { says: "processes", code: "mill.spawn_daemons(1, work, &shared)?;" },
];

impl Experiment for Threads {
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
            says: "The same lock in shared memory: how much slower is it between processes than between threads?",
            of: &["no slower, or hardly", "twice to ten times", "more than ten times"],
        }
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let pages = knobs.number("pages") as usize;
        let time = lab.each(2 * ROUNDS * NAMES.len());
        let costs = lab.sweep(2 * NAMES.len(), ROUNDS, |place| {
            let (members, which) = ([Members::Processes, Members::Threads][place / NAMES.len()], place % NAMES.len());
            let at = format!("{}: {members:?}", NAMES[which]);
            match which {
                0 | 1 => locking(lab, &at, time, Crew { members, size: 1 + which }),
                2 => {
                    let (make, job) = (Work::of(0), Work::of(0));
                    let passing = Passing { queue: "ring-futex", payload: 16, batch: 16, capacity: 1024, make, job };
                    Ok(1e9 / passing.run(lab, &at, time, members)?.rate())
                }
                _ => touching(lab, &at, time, Crew { members, size: 1 }, pages),
            }
        })?;
        Ok(findings(lab.cores, costs))
    }
}

fn locking(lab: &Lab<'_>, at: &str, time: std::time::Duration, crew: Crew) -> Result<f64> {
    let gate = Gate::<FutexLock, u64>::new()?;
    let round = crew.work(lab, at, time, &*gate, |worker, gate| {
        while worker.on() {
            gate.with(worker, |value, _| *value += 1);
            worker.did(1);
        }
    })?;
    Ok(1e9 / round.rate())
}

/// Nanoseconds for the first look at each page of memory that the parent has mapped and filled.
fn touching(lab: &Lab<'_>, at: &str, time: std::time::Duration, crew: Crew, pages: usize) -> Result<f64> {
    let memory = SharedBytes::new(pages * 4096)?;
    let base = memory.base() as usize;
    let round = crew.work(lab, at, time, &base, |worker, base| {
        let start = clock::now();
        for page in 0..pages {
            // SAFETY: within the bytes that all have mapped at the same address, and nobody writes there.
            unsafe { ((base + page * 4096) as *const u8).read_volatile() };
        }
        worker.note(0, clock::now() - start);
    })?;
    Ok(round.tallies[0].notes[0] as f64 / pages as f64)
}

fn findings(cores: usize, mut costs: Vec<Vec<f64>>) -> Findings {
    let threads = costs.split_off(NAMES.len());
    let line =
        |name, costs: Vec<Vec<f64>>| Series::measured(name, costs.into_iter().enumerate().map(|(n, all)| (n as f64, all)));
    let (processes, threads) = (line("processes", costs), line("threads", threads));
    let value = |series: &Series, n: usize| series.at(n as f64).unwrap_or(f64::NAN);
    let ratio = |n| value(&processes, n) / value(&threads, n);
    let saw = format!(
        "A lock that nobody else wants took {:.0} ns in a process and {:.0} ns in a thread; one that two wanted {:.0} and {:.0} ns; an item through a ring {:.0} and {:.0} ns. The same \
         instructions on the same memory cost the same: a CPU does not know whose it is. The first touch of a page took {:.0} ns in a process and \
         {:.0} ns in a thread: each process has page tables of its own, and the kernel fills them when a page is first touched; threads share theirs.",
        value(&processes, 0),
        value(&threads, 0),
        value(&processes, 1),
        value(&threads, 1),
        value(&processes, 2),
        value(&threads, 2),
        value(&processes, 3),
        value(&threads, 3)
    );
    let says = "a lock alone costs the same in a process and in a thread";
    let busy = "other programs need the CPUs";
    let checks = vec![
        Check::new(says, (0.6..1.67).contains(&ratio(0)), format!("{:.2} times", ratio(0)), busy),
        Check::new(
            "a lock that two want costs about the same in both (less than three times either way)",
            (0.33..3.0).contains(&ratio(1)),
            format!("{:.2} times", ratio(1)),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "an item through a ring costs about the same in both (less than three times either way)",
            (0.33..3.0).contains(&ratio(2)),
            format!("{:.2} times", ratio(2)),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "the first touch costs a process more than a thread",
            ratio(3) > 1.3,
            format!("{:.1} times", ratio(3)),
            "the kernel maps many pages at a touch, or gives a new process filled tables",
        ),
    ];
    let numbers =
        (0..NAMES.len()).map(|n| Number::new(format!("{}: processes over threads", NAMES[n]), ratio(n), "×")).collect();
    let answer = if ratio(0) > 10.0 {
        2
    } else if ratio(0) > 2.0 {
        1
    } else {
        0
    };
    Findings {
        numbers,
        charts: vec![Chart {
            title: "The same in processes and in threads".into(),
            x: Axis::linear("operation"),
            y: Axis::log("nanoseconds"),
            series: vec![processes, threads],
            names: NAMES.map(str::to_owned).to_vec(),
        }],
        saw,
        checks,
        answer: Some(answer),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    #[test]
    fn the_same_lock_and_another_first_touch_hold_and_the_contrary_fails() {
        let of = |costs: [f64; 8]| findings(2, costs.map(|one| vec![one; 3]).to_vec()).checks;
        assert!(of([20.0, 90.0, 100.0, 300.0, 20.0, 90.0, 100.0, 3.0]).iter().all(|check| check.verdict == Verdict::Holds));
        let checks = of([90.0, 900.0, 10.0, 3.0, 20.0, 90.0, 100.0, 3.0]);
        assert!(checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()));
    }
}
