//! Spot the crime: small programs around a lock, each with something that must not be there, and the same repaired.

mod outcome;

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::bench::work::Work;
use crate::lab::crew::{Crew, Worker};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::Findings;
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::Lab;
use crate::lab::seat::Lane;
use crate::lab::tally::{Ended, Round};
use crate::lock::FutexLock;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use outcome::{Outcome, findings};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread::sleep;
use std::time::Duration;

pub struct Crime;

const ABOUT: About = About {
    name: "crime",
    title: "Spot the crime",
    hypothesis: "What is slow, or waits, does not belong behind a lock; what others write does not belong beside it; and two locks need one order.",
    metric: "turns a second of the criminal program, in per cent of the repaired one",
    shape: "repaired, each does more or frees the lock sooner; two locks in two orders end in a deadlock, in one order never",
    source: "Coffman, Elphick and Shoshani, \"System deadlocks\", 1971; Drepper, \"What every programmer should know about memory\", 2007, section 6.4",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::word("program", "which of them", &["all", "a", "b", "c", "d", "e"]),
    Knob::word("state", "as it is, or repaired; both is one after the other", &["both", "criminal", "repaired"]),
];

/// In the order of the knob's words, and of [`STEPS`], which has two for each.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What each has done.
const CRIMES: [&str; 5] = [
    "prints with the lock held",
    "wakes with the lock held",
    "counts beside the lock's word",
    "waits with the lock held",
    "takes two locks in two orders",
];

const PRINT: usize = 0;
const WAKE: usize = 1;
const COUNTER: usize = 2;
const WAIT: usize = 3;
const ORDER: usize = 4;

const STEPS: &[Step] = &[
    Step { says: "program a", code: "let mut total = total.lock()?;\n*total += 1;\nprintln!(\"{total}\");" },
    Step {
        says: "program a, repaired",
        code: "let mut total = total.lock()?;\n*total += 1;\nlet seen = *total;\ndrop(total);\nprintln!(\"{seen}\");",
    },
    Step { says: "program b", code: "let mut items = items.lock()?;\nitems.push(item);\nbell.notify_one();\ndrop(items);" },
    Step {
        says: "program b, repaired",
        code: "let mut items = items.lock()?;\nitems.push(item);\ndrop(items);\nbell.notify_one();",
    },
    Step { says: "program c", code: "struct Shared {\n    lock: Lock,\n    seen: AtomicU64, // others count here\n}" },
    Step {
        says: "program c, repaired",
        code: "struct Shared {\n    lock: Lock,\n    seen: Alone<AtomicU64>, // others count here\n}\n#[repr(align(128))]\nstruct Alone<T>(T);",
    },
    Step { says: "program d", code: "let mut total = total.lock()?;\nlet answer = ask()?;\n*total += answer;" },
    Step { says: "program d, repaired", code: "let answer = ask()?;\nlet mut total = total.lock()?;\n*total += answer;" },
    Step {
        says: "program e",
        code: "// one\nlet a = a.lock()?;\nlet b = b.lock()?;\n// the other\nlet b = b.lock()?;\nlet a = a.lock()?;",
    },
    Step {
        says: "program e, repaired",
        code: "// one\nlet a = a.lock()?;\nlet b = b.lock()?;\n// the other\nlet a = a.lock()?;\nlet b = b.lock()?;",
    },
];

/// Of all but the deadlock, which takes the watchdog's time.
const ROUNDS: usize = 3;

/// Lines of a report, each of which is written at once, as `println!` does on a terminal.
const LINES: u64 = 20;

/// An answer takes so long.
const ANSWER: Duration = Duration::from_micros(200);

/// Whoever sleeps for a bell looks up after so long, whether it is time to go.
const NAP: Duration = Duration::from_millis(5);

/// Words in shared memory: the lock's is the first one.
type Words = [AtomicU32; 64];

/// Beside the lock's word, or on lines of its own.
const PLACES: [usize; 2] = [1, 32];

impl Experiment for Crime {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Each of the programs a to e holds a lock for some thousand turns, and does one thing that it must not. Read them first. Four lose time by \
                   it: which one stops, and goes on no more?",
            of: &NAMES,
        }
    }

    fn read_first(&self) -> &'static [Step] {
        const CRIMINAL: [Step; 5] = [STEPS[0], STEPS[2], STEPS[4], STEPS[6], STEPS[8]];
        &CRIMINAL
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let chosen: Vec<usize> = match NAMES.iter().position(|name| *name == knobs.word("program")) {
            Some(one) => vec![one],
            None => (0..NAMES.len()).collect(),
        };
        let states: &[bool] = match knobs.word("state") {
            "criminal" => &[false],
            "repaired" => &[true],
            _ => &[false, true],
        };
        // Twice the turns: some of the time is the watchdog's.
        let time = lab.each(4 * ROUNDS * chosen.len()).min(Duration::from_secs(1));
        let mut outcomes = vec![];
        let slow: Vec<usize> = chosen.iter().copied().filter(|crime| *crime != ORDER).collect();
        let mut run = |crime: usize, place: usize| {
            let repaired = states[place % states.len()];
            let round = run(lab, time, crime, repaired)?;
            let (rate, done, hung) = (round.rate(), round.done(), round.ended(Ended::Hung));
            let held = round.tallies.iter().map(|tally| tally.notes[0]).sum::<u64>() as f64 / done.max(1) as f64;
            outcomes.push(Outcome { crime, repaired, rate, held, done, hung });
            Ok(rate)
        };
        lab.sweep(states.len() * slow.len(), ROUNDS, |place| run(slow[place / states.len()], place))?;
        if chosen.contains(&ORDER) {
            lab.sweep(states.len(), 1, |place| run(ORDER, place))?;
        }
        Ok(findings(&chosen, states, &outcomes, lab.cores))
    }
}

fn run(lab: &Lab<'_>, time: Duration, crime: usize, repaired: bool) -> Result<Round> {
    let at = format!("program {}{}", NAMES[crime], if repaired { ", repaired" } else { "" });
    match crime {
        PRINT => {
            let null = File::options().write(true).open("/dev/null")?;
            // To nowhere: where lines go to costs more than this.
            let print = |_: &Worker<'_>, value| (0..LINES).for_each(|line| drop(writeln!(&null, "{line}: {value}")));
            changing(lab, &at, time, repaired, None, &print)
        }
        WAKE => {
            // Zeroes are valid words.
            let bell = Shared::<AtomicU32>::new(|_| Ok(()))?;
            let ring = |_: &Worker<'_>, _| {
                bell.fetch_add(1, Release); // with the sleeper's look
                futex::wake(&bell, 1);
            };
            changing(lab, &at, time, repaired, Some(&*bell), &ring)
        }
        COUNTER => counting(lab, &at, time, PLACES[usize::from(repaired)]),
        WAIT => changing(lab, &at, time, repaired, None, &|worker: &Worker<'_>, _| {
            let before = worker.lane();
            if before == Lane::Working {
                worker.goes(Lane::Waiting);
            }
            sleep(ANSWER);
            worker.goes(before);
        }),
        _ => two_locks(lab, &at, time, repaired),
    }
}

/// Two workers change a value behind a lock and then act, with the lock still held or not. A third one sleeps for the bell, if there is one, and then
/// wants the lock too.
fn changing(
    lab: &Lab<'_>,
    at: &str,
    time: Duration,
    repaired: bool,
    bell: Option<&AtomicU32>,
    act: &(dyn Fn(&Worker<'_>, u64) + Sync),
) -> Result<Round> {
    let gate = Gate::<FutexLock, u64>::new()?;
    let crew = Crew::processes(2 + usize::from(bell.is_some()));
    crew.work(lab, at, time, &*gate, |worker, gate| match bell {
        Some(bell) if worker.number == 2 => {
            while worker.on() {
                let seen = bell.load(Acquire); // with the ring
                worker.goes(Lane::Waiting);
                futex::wait(bell, seen, Some(Deadline::after(NAP)));
                worker.goes(Lane::Working);
                gate.with(worker, |value, _| *value += 1);
            }
        }
        _ => change(worker, gate, repaired, act),
    })
}

fn change(worker: &Worker<'_>, gate: &Gate<FutexLock, u64>, repaired: bool, act: &dyn Fn(&Worker<'_>, u64)) {
    let mut held = 0;
    while worker.on() {
        let value = gate.with(worker, |value, _| {
            let start = clock::now();
            *value += 1;
            if !repaired {
                act(worker, *value);
            }
            held += clock::now() - start;
            *value
        });
        if repaired {
            act(worker, value);
        }
        worker.note(0, held);
        worker.did(1);
    }
}

/// One worker takes and gives back a lock that nobody else wants; the other one counts, at this place. Turns are those of the lock.
fn counting(lab: &Lab<'_>, at: &str, time: Duration, place: usize) -> Result<Round> {
    // Zeroes are valid words.
    let words = Shared::<Words>::new(|_| Ok(()))?;
    Crew::processes(2).work(lab, at, time, &*words, |worker, words| {
        while worker.on() {
            if worker.number == 1 {
                words[place].fetch_add(1, Relaxed);
                continue;
            }
            // A lock at its simplest; acquire ↔ the release of the turn before.
            while words[0].compare_exchange(0, 1, Acquire, Relaxed).is_err() {}
            words[0].store(0, Release);
            worker.did(1);
        }
    })
}

/// Both workers take both locks; the second one the other way round, unless it is repaired.
fn two_locks(lab: &Lab<'_>, at: &str, time: Duration, repaired: bool) -> Result<Round> {
    let gates = [Gate::<FutexLock, u64>::new()?, Gate::<FutexLock, u64>::new()?];
    // So long that they meet soon, on one CPU too.
    let inside = Work::of(20_000);
    Crew::processes(2).work(lab, at, time, &gates, |worker, [a, b]| {
        let (first, second) = if worker.number == 1 && !repaired { (b, a) } else { (a, b) };
        while worker.on() {
            first.with(worker, |from, _| {
                inside.run(*from);
                second.with(worker, |to, _| (*from, *to) = (from.wrapping_sub(1), to.wrapping_add(1)));
            });
            worker.did(1);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crime_stands_beside_its_repair() {
        assert_eq!(STEPS.len(), 2 * NAMES.len());
        for (name, pair) in NAMES.iter().zip(STEPS.chunks(2)) {
            assert_eq!((pair[0].says, pair[1].says), (&*format!("program {name}"), &*format!("program {name}, repaired")));
        }
        assert!(Crime.read_first().iter().map(|step| step.says).eq(STEPS.iter().step_by(2).map(|step| step.says)));
    }
}
