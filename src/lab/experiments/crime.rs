//! Spot the crime: small pieces of code around a lock, each with something that must not be there, and the same repaired.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::bench::statistics::Interval;
use crate::bench::work::Work;
use crate::lab::crew::{Crew, Worker};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series, Trace};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::Lab;
use crate::lab::tally::{Ended, Round};
use crate::lock::FutexLock;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
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

const KNOBS: &[Knob] = &[Knob::word("crime", "which", &["all", "print", "wake", "counter", "wait", "order"])];

/// In the order of the knob's words, and of [`STEPS`], which has two for each.
const NAMES: [&str; 5] = ["print", "wake", "counter", "wait", "order"];
const PRINT: usize = 0;
const WAKE: usize = 1;
const COUNTER: usize = 2;
const WAIT: usize = 3;
const ORDER: usize = 4;

const STEPS: &[Step] = &[
    Step { says: "print: the crime", code: "let mut total = total.lock()?;\n*total += 1;\nprintln!(\"{total}\");" },
    Step {
        says: "print: repaired",
        code: "let mut total = total.lock()?;\n*total += 1;\nlet seen = *total;\ndrop(total);\nprintln!(\"{seen}\");",
    },
    Step {
        says: "wake: the crime",
        code: "let mut items = items.lock()?;\nitems.push(item);\nbell.notify_one();\ndrop(items);",
    },
    Step {
        says: "wake: repaired",
        code: "let mut items = items.lock()?;\nitems.push(item);\ndrop(items);\nbell.notify_one();",
    },
    Step { says: "counter: the crime", code: "struct Shared {\n    lock: Lock,\n    seen: AtomicU64, // others count here\n}" },
    Step {
        says: "counter: repaired",
        code: "struct Shared {\n    lock: Lock,\n    seen: Alone<AtomicU64>, // others count here\n}\n#[repr(align(128))]\nstruct Alone<T>(T);",
    },
    Step { says: "wait: the crime", code: "let mut total = total.lock()?;\nlet answer = ask()?;\n*total += answer;" },
    Step { says: "wait: repaired", code: "let answer = ask()?;\nlet mut total = total.lock()?;\n*total += answer;" },
    Step {
        says: "order: the crime",
        code: "// one\nlet a = a.lock()?;\nlet b = b.lock()?;\n// the other\nlet b = b.lock()?;\nlet a = a.lock()?;",
    },
    Step {
        says: "order: repaired",
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

/// What came of a run.
#[derive(Clone, Debug)]
struct Outcome {
    crime: usize,
    repaired: bool,
    /// Turns a second.
    rate: f64,
    /// Nanoseconds for which a turn has held the lock, if that was measured.
    held: f64,
    done: u64,
    /// So many workers were killed by the watchdog.
    hung: usize,
}

impl Experiment for Crime {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Printing inside the lock, waking inside it, a counter beside the lock's word, a lock held across a wait, two locks in two orders: \
                   what does the worst of those that you let run do?",
            of: &[
                "everything stands still: they wait for each other for ever",
                "it costs more than a third of what could be done",
                "hardly anything that could be seen here",
            ],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let chosen: Vec<usize> = match NAMES.iter().position(|name| *name == knobs.word("crime")) {
            Some(one) => vec![one],
            None => (0..NAMES.len()).collect(),
        };
        // Twice the turns: some of the time is the watchdog's.
        let time = lab.each(4 * ROUNDS * chosen.len()).min(Duration::from_secs(1));
        let mut outcomes = vec![];
        let slow: Vec<usize> = chosen.iter().copied().filter(|crime| *crime != ORDER).collect();
        let mut run = |crime: usize, place: usize| {
            let repaired = place % 2 == 1;
            let round = run(lab, time, crime, repaired)?;
            let (rate, done, hung) = (round.rate(), round.done(), round.ended(Ended::Hung));
            let held = round.tallies.iter().map(|tally| tally.notes[0]).sum::<u64>() as f64 / done.max(1) as f64;
            outcomes.push(Outcome { crime, repaired, rate, held, done, hung });
            Ok(rate)
        };
        lab.sweep(2 * slow.len(), ROUNDS, |place| run(slow[place / 2], place))?;
        if chosen.contains(&ORDER) {
            lab.sweep(2, 1, |place| run(ORDER, place))?;
        }
        Ok(findings(&chosen, &outcomes, lab.cores))
    }
}

fn run(lab: &Lab<'_>, time: Duration, crime: usize, repaired: bool) -> Result<Round> {
    let at = format!("{}, {}", NAMES[crime], if repaired { "repaired" } else { "the crime" });
    match crime {
        PRINT => {
            let null = File::options().write(true).open("/dev/null")?;
            // To nowhere: where lines go to costs more than this.
            let print = |value| (0..LINES).for_each(|line| drop(writeln!(&null, "{line}: {value}")));
            changing(lab, &at, time, repaired, None, &print)
        }
        WAKE => {
            // Zeroes are valid words.
            let bell = Shared::<AtomicU32>::new(|_| Ok(()))?;
            let ring = |_| {
                bell.fetch_add(1, Release); // with the sleeper's look
                futex::wake(&bell, 1);
            };
            changing(lab, &at, time, repaired, Some(&*bell), &ring)
        }
        COUNTER => counting(lab, &at, time, PLACES[usize::from(repaired)]),
        WAIT => changing(lab, &at, time, repaired, None, &|_| sleep(ANSWER)),
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
    act: &(dyn Fn(u64) + Sync),
) -> Result<Round> {
    let gate = Gate::<FutexLock, u64>::new()?;
    let crew = Crew::processes(2 + usize::from(bell.is_some()));
    crew.work(lab, at, time, &*gate, |worker, gate| match bell {
        Some(bell) if worker.number == 2 => {
            while worker.on() {
                let seen = bell.load(Acquire); // with the ring
                futex::wait(bell, seen, Some(Deadline::after(NAP)));
                gate.with(worker, |value, _| *value += 1);
            }
        }
        _ => change(worker, gate, repaired, act),
    })
}

fn change(worker: &Worker<'_>, gate: &Gate<FutexLock, u64>, repaired: bool, act: &dyn Fn(u64)) {
    let mut held = 0;
    while worker.on() {
        let value = gate.with(worker, |value, _| {
            let start = clock::now();
            *value += 1;
            if !repaired {
                act(*value);
            }
            held += clock::now() - start;
            *value
        });
        if repaired {
            act(value);
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

fn findings(chosen: &[usize], outcomes: &[Outcome], cores: usize) -> Findings {
    let of = |crime: usize, repaired: bool, value: fn(&Outcome) -> f64| {
        let values: Vec<f64> =
            outcomes.iter().filter(|one| one.crime == crime && one.repaired == repaired).map(value).collect();
        Interval::of(&values).map_or(f64::NAN, |interval| interval.median)
    };
    let rate = |crime, repaired| of(crime, repaired, |one| one.rate);
    let held = |crime, repaired| of(crime, repaired, |one| one.held) / 1000.0;
    let hung = |crime, repaired| of(crime, repaired, |one| one.hung as f64);
    let done = |crime, repaired| of(crime, repaired, |one| one.done as f64);
    let share = |crime| 100.0 * rate(crime, false) / rate(crime, true);
    let busy = "other programs need the CPUs";
    let (mut saw, mut checks, mut numbers, mut trace) = (vec![], vec![], vec![], vec![]);
    for &crime in chosen {
        let name = NAMES[crime];
        for (repaired, which) in [(false, "the crime"), (true, "repaired")] {
            let mut line = format!("{name}, {which}: {:.0} turns a second", rate(crime, repaired));
            if held(crime, repaired) > 0.0 {
                line += &format!(", each holds the lock for {:.2} µs", held(crime, repaired));
            }
            if hung(crime, repaired) > 0.0 {
                line = format!(
                    "{name}, {which}: DEADLOCK after {:.0} turns: one has A and waits for B, one has B and waits for A; the watchdog killed {:.0}",
                    done(crime, repaired),
                    hung(crime, repaired)
                );
            }
            trace.push(line);
        }
        numbers.push(Number::new(format!("{name}: work done, of what the repaired program does"), share(crime), "%"));
        let (bad, good) = (held(crime, false), held(crime, true));
        saw.push(match crime {
            PRINT => format!("Printing kept the lock for {bad:.1} µs instead of {good:.2}: all who want it wait for the output, which went nowhere here; a terminal is slower."),
            WAKE => format!("To wake is a call of the kernel: the lock was held for {bad:.1} µs instead of {good:.2}, while the woken one may already want it."),
            COUNTER => format!("Counting beside the lock's word took its cache line away: {:.0} % of the turns.", share(crime)),
            WAIT => format!("Whoever waited {:.0} µs with the lock made the other wait too: {:.0} % of the turns.", bad, share(crime)),
            _ if hung(crime, false) > 0.0 => format!(
                "In two orders both stopped after {:.0} turns, each with what the other wanted: a deadlock, which no time heals; the watchdog ended it. In one \
                 order {:.0} turns went well.",
                done(crime, false),
                done(crime, true)
            ),
            _ => format!("Two orders went well for {:.0} turns, this time: a deadlock needs both to meet between their two locks.", done(crime, false)),
        });
        if [PRINT, WAKE, WAIT].contains(&crime) {
            checks.push(Check::new(
                &format!("{name}: repaired, a turn holds the lock for less than half as long"),
                good < bad / 2.0,
                format!("{good:.2} of {bad:.2} µs"),
                busy,
            ));
        }
        if [PRINT, COUNTER, WAIT].contains(&crime) {
            let check = Check::new(
                &format!("{name}: the crime costs more than a sixth of the turns"),
                share(crime) < 83.0,
                format!("{:.0} % are done", share(crime)),
                busy,
            );
            // Sleepers need no CPU.
            checks.push(check.with_cores(if crime == WAIT { 1 } else { 2 }, cores));
        }
        if crime == ORDER {
            let found = |repaired| format!("{:.0} hang after {:.0} turns", hung(crime, repaired), done(crime, repaired));
            let rare = "they did not meet between their two locks in this time: give it more";
            checks.push(Check::new("order: in two orders both hang", hung(crime, false) == 2.0, found(false), rare));
            let well = hung(crime, true) == 0.0 && done(crime, true) > 0.0;
            checks.push(Check::new("order: in one order nobody hangs", well, found(true), busy));
        }
    }
    let worst = chosen.iter().map(|crime| share(*crime)).fold(f64::INFINITY, f64::min);
    let answer = if chosen.iter().any(|crime| hung(*crime, false) > 0.0) {
        0
    } else if worst < 66.7 {
        1
    } else {
        2
    };
    let shares = chosen.iter().enumerate().map(|(place, crime)| (place as f64, vec![share(*crime)]));
    Findings {
        charts: vec![Chart {
            title: "What the criminal program does, of what the repaired one does".into(),
            x: Axis::linear("crime"),
            y: Axis::linear("per cent"),
            series: vec![Series::measured("the crime", shares)],
            names: chosen.iter().map(|crime| NAMES[*crime].to_owned()).collect(),
        }],
        numbers,
        saw: saw.join(" "),
        checks,
        answer: Some(answer),
        trace: Trace { title: "What became of each (medians of the rounds)".to_owned(), lines: trace },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    const ALL: [usize; 5] = [PRINT, WAKE, COUNTER, WAIT, ORDER];

    /// Each crime, with the turns a second of both and the lock held for so long in both.
    fn outcomes(bad: (f64, f64), good: (f64, f64), hung: [usize; 2]) -> Vec<Outcome> {
        let of = |crime: usize, repaired: bool| {
            let (rate, held) = if repaired { good } else { bad };
            let hung = if crime == ORDER { hung[usize::from(repaired)] } else { 0 };
            Outcome { crime, repaired, rate, held, done: 100, hung }
        };
        ALL.iter().flat_map(|&crime| [of(crime, false), of(crime, true)]).collect()
    }

    #[test]
    fn the_expected_shape_holds_and_a_deadlock_is_told_as_one() {
        let found = findings(&ALL, &outcomes((1000.0, 5000.0), (4000.0, 50.0), [2, 0]), 2);
        assert!(
            found.checks.len() == 8 && found.checks.iter().all(|check| check.verdict == Verdict::Holds),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, Some(0));
        assert!(
            found.trace.lines[8].contains("DEADLOCK after 100 turns") && !found.trace.lines[9].contains("DEADLOCK"),
            "{:?}",
            found.trace
        );
        assert!(
            found.saw.contains("5.0 µs instead of 0.05") && found.saw.contains("a deadlock, which no time heals"),
            "{}",
            found.saw
        );
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
        assert_eq!(found.charts[0].series[0].at(0.0), Some(25.0));
    }

    #[test]
    fn another_shape_fails_and_names_a_cause() {
        let found = findings(&ALL, &outcomes((1000.0, 50.0), (1000.0, 50.0), [0, 1]), 2);
        assert!(
            found.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, Some(2));
        assert!(found.saw.contains("went well for 100 turns, this time"), "{}", found.saw);
    }

    #[test]
    fn each_crime_stands_beside_its_repair() {
        assert_eq!(STEPS.len(), 2 * NAMES.len());
        for (name, pair) in NAMES.iter().zip(STEPS.chunks(2)) {
            assert_eq!((pair[0].says, pair[1].says), (&*format!("{name}: the crime"), &*format!("{name}: repaired")));
        }
    }
}
