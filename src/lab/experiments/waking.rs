//! Sleeping and waking: who spins is there at once and pays with CPU; who sleeps pays with a wake-up.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lab::crew::Crew;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::sys::{clock, futex};
use std::cell::RefCell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

pub struct Waking;

const ABOUT: About = About {
    name: "waking",
    title: "Sleeping and waking",
    hypothesis: "Who waits by looking again and again answers sooner than who sleeps, and uses a CPU for as long as nothing comes.",
    metric: "microseconds from the message to its receipt, and of the receiver's CPU for each message",
    shape: "spinning: little delay, CPU grows with the gap; sleeping: more delay, CPU does not grow",
    source: "Karlin, Li, Manasse and Owicki, \"Empirical studies of competitive spinning\", SOSP 1991",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("budget", "microseconds to look before sleeping, for the one between", 1, 50, 10_000)];

/// Microseconds between two messages.
const GAPS: [f64; 3] = [10.0, 100.0, 1000.0];

const STEPS: &[Step] = &[
    Step { says: "look again and again", code: "while word.load(Acquire) == seen {\n    spin_loop();\n}" },
    Step { says: "sleep", code: "while word.load(Acquire) == seen {\n    futex::wait(&word, seen, None);\n}" },
];

/// What both share.
#[repr(C)]
struct Post {
    word: AtomicU32,
    sent: AtomicU64,
    end: AtomicU32,
    received: AtomicU32,
}

impl Experiment for Waking {
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
            says: "A message comes every millisecond. How much more CPU does a receiver need that spins than one that sleeps?",
            of: &["about the same", "up to three times", "more than three times"],
        }
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let budgets = [0, 1000 * knobs.number("budget"), u64::MAX];
        let places = GAPS.len() * budgets.len();
        let time = lab.each(ROUNDS * places);
        let cpu = RefCell::new(vec![vec![]; places]);
        let delays = lab.sweep(places, ROUNDS, |place| {
            let (gap, budget) = ((1e3 * GAPS[place % GAPS.len()]) as u64, budgets[place / GAPS.len()]);
            let post = Shared::<Post>::new(|_| Ok(()))?;
            let at = format!("a message every {} us, {}", gap / 1000, NAMES[place / GAPS.len()]);
            let round = Crew::processes(2).work(lab, &at, time, &*post, |worker, post| {
                if worker.number == 0 {
                    send(|| worker.on(), post, gap);
                } else {
                    worker.note(0, receive(post, budget, || worker.did(1)));
                }
            })?;
            let (tally, count) = (&round.tallies[1], round.done().max(1) as f64);
            cpu.borrow_mut()[place].push(tally.cpu as f64 / count / 1e3);
            Ok(tally.notes[0] as f64 / count / 1e3)
        })?;
        Ok(findings(lab.cores, delays, cpu.into_inner()))
    }
}

const NAMES: [&str; 3] = ["sleeping at once", "looking, then sleeping", "spinning"];

fn send(on: impl Fn() -> bool, post: &Post, gap: u64) {
    let mut last = false;
    while !last {
        let due = clock::now() + gap;
        while clock::now() < due {
            std::hint::spin_loop();
        }
        // It must not overtake: a message that was not looked at yet would be lost.
        while post.received.load(Acquire) != post.word.load(Relaxed) {
            std::thread::yield_now();
        }
        last = !on();
        post.end.store(u32::from(last), Relaxed);
        post.sent.store(clock::now(), Relaxed);
        post.word.fetch_add(1, Release); // with the receiver's look
        futex::wake(&post.word, 1);
    }
}

/// The sum of all delays in nanoseconds.
fn receive(post: &Post, budget: u64, did: impl Fn()) -> u64 {
    let (mut seen, mut sum) = (0, 0);
    loop {
        let start = clock::now();
        while post.word.load(Acquire) == seen {
            if clock::now() - start >= budget {
                futex::wait(&post.word, seen, None);
            } else {
                std::hint::spin_loop();
            }
        }
        sum += clock::now().saturating_sub(post.sent.load(Relaxed));
        seen = post.word.load(Relaxed);
        let end = post.end.load(Relaxed) == 1;
        did();
        post.received.store(seen, Release); // with the sender's look
        if end {
            return sum;
        }
    }
}

fn findings(cores: usize, delays: Vec<Vec<f64>>, cpu: Vec<Vec<f64>>) -> Findings {
    let lines = |all: &[Vec<f64>]| -> Vec<Series> {
        let groups = all.chunks(GAPS.len()).zip(NAMES);
        groups.map(|(group, name)| Series::measured(name, GAPS.into_iter().zip(group.iter().cloned()))).collect()
    };
    let (delays, cpu) = (lines(&delays), lines(&cpu));
    let value = |lines: &[Series], line: usize| lines[line].at(1000.0).unwrap_or(f64::NAN);
    let (asleep, awake) = (value(&delays, 0), value(&delays, 2));
    let (little, much) = (value(&cpu, 0), value(&cpu, 2));
    let saw = format!(
        "With a message every millisecond, who slept had it after {asleep:.1} us and used {little:.0} us of CPU for it; who spun had it after {awake:.1} us and \
         used {much:.0}. The kernel needs time to wake a sleeper; a spinner is there, but pays for all of the gap. Looking for a while, about as long as a \
         wake-up costs, and then sleeping costs at most twice the better choice, whatever the gap."
    );
    let busy = "other programs need the CPUs, so who spins was not always on one";
    let checks = vec![
        Check::new(
            "spinning uses more than three times the CPU, a millisecond apart",
            much > 3.0 * little,
            format!("{:.1} times", much / little),
            busy,
        )
        .with_cores(2, cores),
        Check::new("sleeping answers later than spinning", asleep > 1.3 * awake, format!("{:.1} times", asleep / awake), busy)
            .with_cores(2, cores),
    ];
    let chart = |title: &str, series| Chart {
        title: title.into(),
        x: Axis::log("microseconds between two messages"),
        y: Axis::log("microseconds"),
        series,
        names: vec![],
    };
    let answer = if much > 3.0 * little {
        2
    } else if much > 1.3 * little {
        1
    } else {
        0
    };
    Findings {
        numbers: vec![Number::new("delay, sleeping", asleep, "us"), Number::new("delay, spinning", awake, "us")],
        charts: vec![chart("From a message to its receipt", delays), chart("CPU of the receiver for each message", cpu)],
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

    fn of(delay: [f64; 3], cpu: [f64; 3]) -> Vec<Verdict> {
        let values = |all: [f64; 3]| all.iter().flat_map(|&one| vec![vec![one; 3]; GAPS.len()]).collect();
        findings(2, values(delay), values(cpu)).checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_spinner_that_pays_and_a_sleeper_that_is_late_hold_and_their_absence_fails() {
        assert_eq!(of([30.0, 20.0, 1.0], [10.0, 60.0, 1000.0]), [Verdict::Holds; 2]);
        assert_eq!(of([5.0; 3], [10.0; 3]), [Verdict::Fails; 2]);
    }
}
