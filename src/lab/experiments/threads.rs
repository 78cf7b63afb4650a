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
use crate::lab::tally::Round;
use crate::lock::{Kind, RawLock, Visitor};
use crate::sys::clock;
use std::time::Duration;

pub struct Threads;

const ABOUT: About = About {
    name: "threads",
    title: "Processes and threads",
    hypothesis: "In shared memory processes are as fast as threads. What differs is the first touch of each page.",
    metric: "nanoseconds for an operation, in processes and in threads, with three kinds of lock",
    shape: "locks and rings cost the same; the first touch of mapped pages costs a process much more",
    source: "Drepper, \"What every programmer should know about memory\", 2007, section 4",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("pages", "pages to touch", 64, 1024, 16_384)];

/// One that sleeps, one that looks again and again, and the system's.
const LOCKS: [Kind; 3] = [Kind::Futex, Kind::Spin, Kind::Pthread];

const NAMES: [&str; 8] = [
    "futex lock, alone",
    "spin lock, alone",
    "pthread lock, alone",
    "futex lock, two want it",
    "spin lock, two want it",
    "pthread lock, two want it",
    "an item through a ring",
    "the first touch of a page",
];

/// Places in [`NAMES`].
const TWO: usize = LOCKS.len();
const RING: usize = 2 * LOCKS.len();
const TOUCH: usize = RING + 1;

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
            says: "The same lock in shared memory, and nobody else wants it: how much slower is it in a process than in a thread?",
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
                0..RING => {
                    LOCKS[which % TWO].visit(Locking { lab, at: &at, time, crew: Crew { members, size: 1 + which / TWO } })
                }
                RING => {
                    let (make, job) = (Work::of(0), Work::of(0));
                    let passing = Passing { queue: "ring-futex", payload: 16, batch: 16, capacity: 1024, make, job };
                    nanos_each(&passing.run(lab, &at, time, members)?)
                }
                _ => touching(lab, &at, time, Crew { members, size: 1 }, pages),
            }
        })?;
        Ok(findings(lab.cores, costs))
    }
}

/// Workers who take the same lock again and again. What comes of it is nanoseconds for each time.
struct Locking<'a> {
    lab: &'a Lab<'a>,
    at: &'a str,
    time: Duration,
    crew: Crew,
}

impl Visitor for Locking<'_> {
    type Out = Result<f64>;

    fn visit<L: RawLock>(self) -> Result<f64> {
        let gate = Gate::<L, u64>::new()?;
        let round = self.crew.work(self.lab, self.at, self.time, &*gate, |worker, gate| {
            while worker.on() {
                gate.with(worker, |value, _| *value += 1);
                worker.did(1);
            }
        })?;
        nanos_each(&round.whole(self.at)?)
    }
}

fn nanos_each(round: &Round) -> Result<f64> {
    match round.done() {
        0 => Err("a run was so short that nothing was done: give it more --seconds".into()),
        _ => Ok(1e9 / round.rate()),
    }
}

/// Nanoseconds for the first look at each page of memory that the parent has mapped and filled.
fn touching(lab: &Lab<'_>, at: &str, time: Duration, crew: Crew, pages: usize) -> Result<f64> {
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
    Ok(round.whole(at)?.tallies[0].notes[0] as f64 / pages as f64)
}

fn findings(cores: usize, mut costs: Vec<Vec<f64>>) -> Findings {
    let threads = costs.split_off(NAMES.len());
    let line =
        |name, costs: Vec<Vec<f64>>| Series::measured(name, costs.into_iter().enumerate().map(|(n, all)| (n as f64, all)));
    let (processes, threads) = (line("processes", costs), line("threads", threads));
    let value = |series: &Series, n: usize| series.at(n as f64).unwrap_or(f64::NAN);
    let ratio = |n| value(&processes, n) / value(&threads, n);
    let both = |n| format!("{:.0} and {:.0} ns", value(&processes, n), value(&threads, n));
    let of_locks = |first: usize, what: &dyn Fn(usize) -> String| {
        [0, 1, 2].map(|n| format!("{} {}", LOCKS[n].name(), what(first + n))).join(", ")
    };
    let saw = format!(
        "In a process and in a thread: locks that nobody else wants took, each time, {}; locks that two want, {}; an item through a ring, {}. The same \
         instructions on the same memory cost the same: a CPU does not know whose it is. (With two, chance decides who waits how often, so those figures differ \
         more, also from run to run.) The first touch of a page took {}: each process has page tables of its own, and the kernel fills them when a page is \
         first touched; threads share theirs.",
        of_locks(0, &both),
        of_locks(TWO, &both),
        both(RING),
        both(TOUCH)
    );
    let ratios = |first: usize| of_locks(first, &|n| format!("{:.2} times", ratio(n)));
    let within = |range: std::ops::Range<f64>, first: usize| (first..first + LOCKS.len()).all(|n| range.contains(&ratio(n)));
    let busy = "other programs need the CPUs";
    let checks = vec![
        Check::new("each lock alone costs the same in a process and in a thread", within(0.6..1.67, 0), ratios(0), busy),
        Check::new(
            "each lock that two want costs about the same in both (less than three times either way)",
            within(0.33..3.0, TWO),
            ratios(TWO),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "an item through a ring costs about the same in both (less than three times either way)",
            (0.33..3.0).contains(&ratio(RING)),
            format!("{:.2} times", ratio(RING)),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "the first touch costs a process more than a thread",
            ratio(TOUCH) > 1.3,
            format!("{:.1} times", ratio(TOUCH)),
            "the kernel maps many pages at a touch, or gives a new process filled tables",
        ),
    ];
    let numbers =
        (0..NAMES.len()).map(|n| Number::new(format!("{}: processes over threads", NAMES[n]), ratio(n), "×")).collect();
    let most = (0..TWO).map(ratio).fold(0.0, f64::max);
    let answer = if most > 10.0 {
        2
    } else if most > 2.0 {
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

    fn found(locks: [f64; 2], others: [f64; 2]) -> Findings {
        let processes = [[locks[0]; 3], [locks[1]; 3]].concat().into_iter().chain(others);
        let threads = [[20.0; 3], [90.0; 3]].concat().into_iter().chain([100.0, 3.0]);
        findings(2, processes.chain(threads).map(|one| vec![one; 3]).collect())
    }

    #[test]
    fn the_same_locks_and_another_first_touch_hold_and_the_contrary_fails() {
        let good = found([20.0, 90.0], [100.0, 300.0]);
        assert!(good.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", good.checks);
        assert!(
            good.saw.contains("futex 20 and 20 ns, spin 20 and 20 ns") && good.saw.contains("page took 300 and 3 ns"),
            "{}",
            good.saw
        );
        assert!(good.saw.split_whitespace().count() <= 130, "{}", good.saw.split_whitespace().count());
        let bad = found([90.0, 900.0], [10.0, 3.0]);
        assert!(bad.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()));
        assert_eq!((good.answer, bad.answer), (Some(0), Some(1)));
    }

    #[test]
    fn names_are_those_of_the_locks() {
        let named = (0..RING).all(|n| NAMES[n].starts_with(&format!("{} lock", LOCKS[n % TWO].name())));
        assert!(named && NAMES[RING].contains("ring") && NAMES[TOUCH].contains("touch"));
    }

    #[test]
    fn a_run_in_which_nothing_was_done_has_no_cost() {
        let none = nanos_each(&Round { seconds: 1.0, tallies: vec![] });
        assert!(none.unwrap_err().to_string().ends_with("give it more --seconds"));
    }
}
