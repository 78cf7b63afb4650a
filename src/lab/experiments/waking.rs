//! Sleeping and waking: who spins is there at once and pays with CPU; who sleeps pays with a wake-up.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lab::crew::{Crew, Worker};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::seat::Lane;
use crate::sys::{clock, futex};
use std::cell::RefCell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

pub struct Waking;

const ABOUT: About = About {
    name: "waking",
    title: "Sleeping and waking",
    hypothesis: "Who waits by looking again and again answers sooner than who sleeps, and uses a CPU for as long as nothing comes.",
    metric: "microseconds from a message to its receipt (half of them are there sooner), and of the receiver's CPU for each message",
    shape: "spinning: little delay, CPU grows with the gap; sleeping: more delay, CPU does not grow with it",
    source: "Karlin, Li, Manasse and Owicki, \"Empirical studies of competitive spinning\", SOSP 1991",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("budget", "microseconds to look before sleeping, for the one between", 1, 50, 10_000)];

/// Microseconds between two messages.
const GAPS: [f64; 5] = [10.0, 30.0, 100.0, 300.0, 1000.0];

const STEPS: &[Step] = &[
    Step { says: "look again and again", code: "while word.load(Acquire) == seen {\n    spin_loop();\n}" },
    Step { says: "sleep", code: "while word.load(Acquire) == seen {\n    futex::wait(&word, seen, None);\n}" },
    Step {
        says: "look for a while, then sleep",
        code: "\
let start = now();
while word.load(Acquire) == seen {
    if now() - start < BUDGET {
        spin_loop();
    } else {
        futex::wait(&word, seen, None);
    }
}",
    },
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
                    send(worker, post, gap);
                } else {
                    worker.note(0, receive(worker, post, budget));
                }
            })?;
            let round = round.whole(&at)?;
            let tally = &round.tallies[1];
            cpu.borrow_mut()[place].push(tally.cpu as f64 / round.done().max(1) as f64 / 1e3);
            Ok(tally.notes[0] as f64 / 1e3)
        })?;
        Ok(findings(lab.cores, knobs.number("budget"), delays, cpu.into_inner()))
    }
}

const NAMES: [&str; 3] = ["sleeping at once", "looking, then sleeping", "spinning"];

fn send(worker: &Worker<'_>, post: &Post, gap: u64) {
    let mut last = false;
    while !last {
        let due = clock::now() + gap;
        while clock::now() < due {
            std::hint::spin_loop();
        }
        worker.goes(Lane::Waiting);
        // It must not overtake: a message that was not looked at yet would be lost. W0 ↔ W1: what the receiver has read, it has read before.
        while post.received.load(Acquire) != post.word.load(Relaxed) {
            std::thread::yield_now();
        }
        worker.goes(Lane::Working);
        last = !worker.on();
        post.end.store(u32::from(last), Relaxed);
        post.sent.store(clock::now(), Relaxed);
        post.word.fetch_add(1, Release); // W2 ↔ W3: with the word, what was stored above is seen
        futex::wake(&post.word, 1);
    }
}

/// The median of all delays in nanoseconds: when another program takes a spinner's CPU, a few messages wait for milliseconds.
fn receive(worker: &Worker<'_>, post: &Post, budget: u64) -> u64 {
    let (mut seen, mut delays) = (0, Vec::with_capacity(1 << 16));
    loop {
        worker.goes(Lane::Waiting);
        let start = clock::now();
        while post.word.load(Acquire) == seen {
            // W3 ↔ W2: the message that the new word stands for is seen below.
            if clock::now() - start >= budget {
                futex::wait(&post.word, seen, None);
            } else {
                std::hint::spin_loop();
            }
        }
        delays.push(clock::now().saturating_sub(post.sent.load(Relaxed)));
        worker.goes(Lane::Working);
        seen = post.word.load(Relaxed);
        let end = post.end.load(Relaxed) == 1;
        worker.did(1);
        post.received.store(seen, Release); // W1 ↔ W0: the sender may write the next one
        if end {
            delays.sort_unstable();
            return delays[delays.len() / 2];
        }
    }
}

/// The least that was measured in a line of [`NAMES`] at a gap: other programs only add to it.
fn least(all: &[Vec<f64>], line: usize, gap: f64) -> f64 {
    let place = GAPS.iter().position(|one| *one == gap).expect("one of the gaps");
    all[line * GAPS.len() + place].iter().copied().fold(f64::INFINITY, f64::min)
}

/// What whoever looks first and then sleeps pays more than the better of the two others, at the gap where that is most: the gap, and how many times.
fn worst(cpu: &[Vec<f64>]) -> (f64, f64) {
    let over = GAPS.map(|gap| (gap, least(cpu, 1, gap) / least(cpu, 0, gap).min(least(cpu, 2, gap))));
    over.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("gaps")
}

/// `budget` is in microseconds.
fn findings(cores: usize, budget: u64, delays: Vec<Vec<f64>>, cpu: Vec<Vec<f64>>) -> Findings {
    let lines = |all: &[Vec<f64>]| -> Vec<Series> {
        let groups = all.chunks(GAPS.len()).zip(NAMES);
        groups.map(|(group, name)| Series::measured(name, GAPS.into_iter().zip(group.iter().cloned()))).collect()
    };
    let [asleep, between, awake] = [0, 1, 2].map(|line| least(&delays, line, 1000.0));
    let [sleeper, spinner] = [0, 2].map(|line| least(&cpu, line, 1000.0) / least(&cpu, line, 100.0));
    let (gap, times) = worst(&cpu);
    let (delays, cpu) = (lines(&delays), lines(&cpu));
    let value = |lines: &[Series], line: usize, gap| lines[line].at(gap).unwrap_or(f64::NAN);
    let [little, some, much] = [0, 1, 2].map(|line| value(&cpu, line, 1000.0));
    let late = value(&delays, 2, 1000.0);
    let disturbed = if late > value(&delays, 0, 1000.0) {
        format!(" (In most rounds the spinner was later, {late:.0} us: it shared its CPU.)")
    } else {
        String::new()
    };
    let saw = format!(
        "With a message every millisecond, who slept had it, in the best round, after {asleep:.1} us and used {little:.0} us of CPU for it; who spun had it \
         after {awake:.1} us and used {much:.0}.{disturbed} The kernel needs time to wake a sleeper; a spinner is there, but pays for the gap. Who looked \
         for {budget} us and then slept had it after {between:.1} us, for {some:.0} us of CPU. Its CPU was at most {times:.1} times that of the better other one (at gaps of {gap:.0} us, in \
         the best rounds). In theory it is at most twice, if it looks for as long as a sleep and a wake-up cost: whoever looks longer pays \
         more."
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
        Check::new(
            "sleeping answers later than spinning, in the best rounds",
            asleep > 1.3 * awake,
            format!("{:.1} times", asleep / awake),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "from 100 to 1000 us a spinner's CPU grows with the gap: more than five times",
            spinner > 5.0,
            format!("{spinner:.1} times"),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "and a sleeper's does not: less than five times",
            sleeper < 5.0,
            format!("{sleeper:.1} times"),
            "other programs need the CPUs, or a CPU sleeps so deeply in longer gaps that it is slow afterwards",
        )
        .with_cores(2, cores),
    ];
    let gaps = Series::model("a spinner's: the gap", GAPS.map(|gap| (gap, gap)));
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
        numbers: vec![
            Number::new("delay, sleeping, in the best round", asleep, "us"),
            Number::new("delay, spinning, in the best round", awake, "us"),
        ],
        charts: vec![
            chart("From a message to its receipt", delays),
            chart("CPU of the receiver for each message", [cpu, vec![gaps]].concat()),
        ],
        saw,
        checks,
        answer: Some(answer),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::crew::Members;
    use crate::lab::findings::Verdict;
    use crate::lab::laboratory::tests::lab;
    use std::time::Duration;

    /// With the same delay at each gap; CPU at each of them.
    fn found(delay: [f64; 3], cpu: [[f64; 5]; 3]) -> Findings {
        let delays = delay.iter().flat_map(|&one| vec![vec![one; 3]; GAPS.len()]).collect();
        findings(2, 50, delays, cpu.as_flattened().iter().map(|&one| vec![one; 3]).collect())
    }

    const ASLEEP: [f64; 5] = [5.0, 9.0, 10.0, 10.0, 12.0];

    #[test]
    fn a_spinner_that_pays_and_a_sleeper_that_is_late_hold_and_the_words_have_their_numbers() {
        let found = found([30.0, 20.0, 1.0], [ASLEEP, [10.0, 30.0, 55.0, 56.0, 60.0], GAPS]);
        assert!(found.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", found.checks);
        assert_eq!((found.answer, found.charts[1].series[3].at(300.0)), (Some(2), Some(300.0)));
        assert!(found.saw.contains("after 20.0 us, for 60 us of CPU."), "{}", found.saw);
        assert!(found.saw.contains("at most 5.6 times that of the better other one (at gaps of 300 us"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
    }

    #[test]
    fn a_spinner_that_pays_nothing_and_a_sleeper_that_pays_fail_with_a_cause() {
        let found = found([5.0; 3], [GAPS, GAPS, ASLEEP]);
        assert!(
            found.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, Some(0));
    }

    #[test]
    fn a_spinner_that_had_no_cpu_in_most_rounds_is_judged_by_its_best_and_the_words_say_so() {
        let spun = vec![0.2, 900.0, 1000.0, 1000.0, 1000.0, 1000.0];
        let delays = [30.0, 20.0].iter().flat_map(|&one| vec![vec![one; 6]; 5]).chain(vec![spun; 5]).collect();
        let cpu = [ASLEEP, ASLEEP, GAPS].as_flattened().iter().map(|&one| vec![one; 6]).collect();
        let found = findings(2, 50, delays, cpu);
        assert!(found.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", found.checks);
        assert!(found.saw.contains("In most rounds the spinner was later, 1000 us"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
    }

    #[test]
    fn each_message_is_received_once_and_before_the_next_is_sent() {
        let post = Shared::<Post>::new(|_| Ok(())).unwrap();
        let crew = Crew { members: Members::Threads, size: 2 };
        let round = crew.work(&lab(1), "post", Duration::from_millis(30), &*post, |worker, post| match worker.number {
            0 => send(worker, post, 1000),
            _ => worker.note(0, receive(worker, post, 0)),
        });
        let done = round.unwrap().done();
        assert!(done > 0);
        assert_eq!((u64::from(post.word.load(Relaxed)), post.received.load(Relaxed)), (done, post.word.load(Relaxed)));
    }
}
