//! Lost updates: several workers count together, and nobody locks.
//!
//! The counter is an atomic that is loaded and stored, relaxed: what comes out is wrong, but not undefined.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::bench::work::Work;
use crate::lab::crew::Crew;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series, Trace};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::models;
use crate::lab::tally::Round;
use crate::lock::FutexLock;
use crate::sys::clock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub struct Lost;

const ABOUT: About = About {
    name: "lost",
    title: "Lost updates",
    hypothesis: "counter += 1 is a read, an addition and a write. What another worker writes in between is overwritten, and nobody is told.",
    metric: "per cent of all updates that are missing in the end",
    shape: "none with one worker, an atomic addition or a lock; without, the more the longer the window between read and write",
    source: "Gray, Lorie, Putzolu and Traiger, \"Granularity of locks and degrees of consistency in a shared data base\", 1976; the model: writes of the others fall into the window at random",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::number("workers", "worker processes, for the second line", 3, 4, 64),
    Knob::number("turn", "nanoseconds from one update of a worker to its next", 200, 2000, 100_000),
];

/// Per cent of a turn between read and write.
const WINDOWS: [f64; 5] = [0.0, 10.0, 25.0, 50.0, 100.0];

/// One update right after the other.
const WAYS: [&str; 4] = ["one worker alone", "two, += without a lock", "two, atomic addition", "two, += with the lock"];

/// Updates that are remembered for the picture, the last ones of each worker.
const KEPT: usize = 4096;

const STEPS: &[Step] = &[
    Step {
        says: "no lock: three steps, and others in between",
        code: "let n = counter.load(Relaxed);\ncounter.store(n + 1, Relaxed);",
    },
    Step { says: "one step, which the CPU does undivided", code: "counter.fetch_add(1, Relaxed);" },
    Step { says: "any number of steps, for one worker at a time", code: "let mut counter = counter.lock()?;\n*counter += 1;" },
];

/// The last updates of two workers: when each read, what, and when it wrote.
type Tape = [[[AtomicU64; 3]; KEPT]; 2];

/// A read and the write that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Update {
    read_at: u64,
    read: u64,
    wrote_at: u64,
}

impl Experiment for Lost {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Draw {
            says: "Draw how many per cent of their updates two workers lose, as the window between read and write grows from 0 to 100 % of their time",
            series: TWO,
            axes: ["per cent of the time between read and write", "per cent of updates lost"],
            at: &WINDOWS,
            between: (0.0, 100.0),
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let (workers, turn) = (knobs.number("workers") as usize, knobs.number("turn"));
        let places = 2 * WINDOWS.len() + WAYS.len();
        let time = lab.each(places * ROUNDS + 1);
        let mut rounds = lab.sweep(places, ROUNDS, |place| match place {
            place if place < WINDOWS.len() => windowed(lab, time, 2, turn, WINDOWS[place]),
            place if place < 2 * WINDOWS.len() => windowed(lab, time, workers, turn, WINDOWS[place - WINDOWS.len()]),
            place => back_to_back(lab, time, place - 2 * WINDOWS.len()),
        })?;
        let ways = rounds.split_off(2 * WINDOWS.len());
        let many = rounds.split_off(WINDOWS.len());
        let lines = interleaving(&taped(lab, time, turn)?);
        let trace = Trace { title: "An update that was lost, as it happened".to_owned(), lines };
        Ok(Findings { trace, ..findings(workers, lab.cores, rounds, many, ways) })
    }
}

/// Per cent of what was done that is not there. All must have ended well: who is killed may have written without having counted.
fn lost(round: &Round, found: u64) -> f64 {
    let done = round.done();
    100.0 * done.saturating_sub(found) as f64 / done.max(1) as f64
}

/// A counter that nobody locks.
fn counter() -> Result<Shared<AtomicU64>> {
    // Zeroes are valid for an atomic.
    Shared::new(|_| Ok(()))
}

/// Pauses between updates that vary around their mean, so that workers do not keep step with each other.
fn pauses(mean: u64) -> [Work; 8] {
    std::array::from_fn(|n| Work::of(mean * (2 * n as u64 + 1) / 8))
}

/// The next of Knuth's MMIX generator; its upper bits are used.
fn next(random: u64) -> u64 {
    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

fn windowed(lab: &Lab<'_>, time: Duration, workers: usize, turn: u64, window: f64) -> Result<f64> {
    let inside = (turn as f64 * window / 100.0) as u64;
    let (inside, pauses) = (Work::of(inside), pauses(turn - inside));
    let counter = counter()?;
    let at = format!("{workers} workers, {window:.0} % of the time between read and write");
    let round = Crew::processes(workers)
        .work(lab, &at, time, &*counter, |worker, counter| {
            let mut random = worker.number as u64;
            while worker.on() {
                random = next(random);
                pauses[(random >> 61) as usize].run(random);
                let n = counter.load(Relaxed);
                inside.run(n);
                counter.store(n + 1, Relaxed);
                worker.did(1);
            }
        })?
        .whole(&at)?;
    Ok(lost(&round, counter.load(Relaxed)))
}

/// One of [`WAYS`].
fn back_to_back(lab: &Lab<'_>, time: Duration, way: usize) -> Result<f64> {
    let crew = Crew::processes(if way == 0 { 1 } else { 2 });
    let at = WAYS[way];
    if way == 3 {
        let gate = Gate::<FutexLock, u64>::new()?;
        let round = crew
            .work(lab, at, time, &*gate, |worker, gate| {
                while worker.on() {
                    let found = gate.with(worker, |value, _| {
                        *value += 1;
                        *value
                    });
                    worker.note(0, found);
                    worker.did(1);
                }
            })?
            .whole(at)?;
        // Whoever was the last to count has seen the end.
        return Ok(lost(&round, round.tallies.iter().map(|tally| tally.notes[0]).max().unwrap_or(0)));
    }
    let counter = counter()?;
    let round = crew
        .work(lab, at, time, &*counter, |worker, counter| {
            while worker.on() {
                if way == 2 {
                    counter.fetch_add(1, Relaxed);
                } else {
                    counter.store(counter.load(Relaxed) + 1, Relaxed);
                }
                worker.did(1);
            }
        })?
        .whole(at)?;
    Ok(lost(&round, counter.load(Relaxed)))
}

/// Two workers with a window of half of their time, each of which keeps its last updates.
fn taped(lab: &Lab<'_>, time: Duration, turn: u64) -> Result<[Vec<Update>; 2]> {
    let (inside, pauses) = (Work::of(turn / 2), pauses(turn / 2));
    // Zeroes are valid for atomics.
    let shared = Shared::<(AtomicU64, Tape)>::new(|_| Ok(()))?;
    Crew::processes(2).work(lab, "two workers, recorded", time, &*shared, |worker, (counter, tape)| {
        let mut random = worker.number as u64;
        for n in (0..KEPT).cycle() {
            if !worker.on() {
                break;
            }
            random = next(random);
            pauses[(random >> 61) as usize].run(random);
            let (read_at, read) = (clock::now(), counter.load(Relaxed));
            inside.run(read);
            counter.store(read + 1, Relaxed);
            let update = [read_at, read, clock::now()];
            tape[worker.number][n].iter().zip(update).for_each(|(place, value)| place.store(value, Relaxed));
            worker.did(1);
        }
    })?;
    let updates = |worker: usize| {
        let all = shared.1[worker].iter().map(|place| [0, 1, 2].map(|n| place[n].load(Relaxed)));
        all.filter(|update| update[2] > 0).map(|[read_at, read, wrote_at]| Update { read_at, read, wrote_at }).collect()
    };
    Ok([updates(0), updates(1)])
}

/// Two updates that have read the same value while both were under way, step by step; nothing if there are none.
fn interleaving(updates: &[Vec<Update>; 2]) -> Vec<String> {
    let of_a: HashMap<u64, Update> = updates[0].iter().map(|update| (update.read, *update)).collect();
    let pairs = updates[1].iter().filter_map(|b| Some((*of_a.get(&b.read)?, *b)));
    let overlapping = pairs.filter(|(a, b)| a.read_at < b.wrote_at && b.read_at < a.wrote_at);
    // The shortest is the easiest to read, and nobody was put aside meanwhile.
    let Some((a, b)) = overlapping.min_by_key(|(a, b)| a.wrote_at.max(b.wrote_at) - a.read_at.min(b.read_at)) else {
        return vec![];
    };
    let (first, last) = (a.read_at.min(b.read_at), a.wrote_at.max(b.wrote_at));
    let mut steps = vec![(a.read_at, 0, "reads", a.read), (b.read_at, 1, "reads", b.read)];
    steps.extend([(a.wrote_at, 0, "writes", a.read + 1), (b.wrote_at, 1, "writes", b.read + 1)]);
    steps.sort_by_key(|step| step.0);
    let mut lines = vec![format!("{:>10}  {:<24}{}", "ns", "worker A", "worker B")];
    for (when, worker, does, value) in steps {
        let what = format!("{does} {value}");
        let (a, b) = if worker == 0 { (what.as_str(), "") } else { ("", what.as_str()) };
        let note = if when == last { "<- one of the two is lost" } else { "" };
        lines.push(format!("{:>10}  {a:<24}{b:<24}{note}", when - first).trim_end().to_owned());
    }
    lines
}

/// The series that is to be drawn.
const TWO: &str = "2 workers";

/// `two` and `many` by [`WINDOWS`], `ways` by [`WAYS`]; per cent, round by round.
fn findings(workers: usize, cores: usize, two: Vec<Vec<f64>>, many: Vec<Vec<f64>>, ways: Vec<Vec<f64>>) -> Findings {
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let [alone, added, locked] = [0, 2, 3].map(|way| ways.get(way).map_or(f64::NAN, |rounds| most(rounds)));
    let two = Series::measured(TWO, WINDOWS.into_iter().zip(two));
    let many = Series::measured(&format!("{workers} workers"), WINDOWS.into_iter().zip(many));
    let ways = Series::measured("lost", (0u32..).map(f64::from).zip(ways));
    let model = |workers: usize| {
        let (at_once, fine) = (workers.min(cores), (0..=20).map(|n| f64::from(n) / 20.0));
        Series::model(
            &format!("{workers} at random"),
            fine.map(move |window| (100.0 * window, 100.0 * models::lost(at_once, window))),
        )
    };
    let value = |window| two.at(window).unwrap_or(f64::NAN);
    let bare = ways.at(1.0).unwrap_or(f64::NAN);
    let (short, long) = (value(10.0), value(100.0));
    let saw = format!(
        "Two workers counted without a lock, and {bare:.1} % of their updates were gone. No worker saw an error. Each reads the counter, adds one, and writes: \
         what the other wrote in between is overwritten. The longer the window, the more falls into it: {short:.1} % were lost with a window of 10 % of the \
         time, {long:.1} % with 100 %, where each in truth counts alone. A worker that loses its CPU within the window wipes out what others did meanwhile. That it \
         often goes well is the danger: with the shortest window {:.2} % were lost, which no test may show. An atomic addition and a lock lost {added:.0} and \
         {locked:.0} %: they leave no window.",
        value(0.0)
    );
    let busy = "the workers did not run at the same time: other programs need the CPUs";
    let checks = vec![
        Check::certain("one worker alone loses nothing", alone == 0.0, format!("{alone} %")),
        Check::certain("an atomic addition loses nothing", added == 0.0, format!("{added} %")),
        Check::certain("with the lock nothing is lost", locked == 0.0, format!("{locked} %")),
        Check::new("two without a lock lose updates", bare > 1.0, format!("{bare:.2} %"), busy).with_cores(2, cores),
        Check::new(
            "a long window loses more than a short one, and a quarter of all at least",
            long > short && long > 25.0,
            format!("{short:.1} % and {long:.1} %"),
            busy,
        )
        .with_cores(2, cores),
    ];
    let models = if workers.min(cores) > 2 { vec![model(2), model(workers)] } else { vec![model(2)] };
    let windows = Chart {
        title: "Updates lost without a lock".into(),
        x: Axis::linear("per cent of a worker's time between read and write"),
        y: Axis::linear("per cent of updates lost"),
        series: [vec![two, many], models].concat(),
        names: vec![],
    };
    let one_by_one = Chart {
        title: "Updates lost, one right after the other".into(),
        x: Axis::linear("how they count"),
        y: Axis::linear("per cent of updates lost"),
        series: vec![ways],
        names: WAYS.map(str::to_owned).to_vec(),
    };
    let numbers = vec![
        Number::new("lost by two, one update right after the other", bare, "%"),
        Number::new("lost by two with a window of 10 %", short, "%"),
        Number::new("lost by two with a window of 100 %", long, "%"),
        Number::new("lost with an atomic addition", added, "%"),
        Number::new("lost with the lock", locked, "%"),
    ];
    Findings { charts: vec![windows, one_by_one], numbers, saw, checks, ..Findings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    fn found(two: [f64; 5], ways: [f64; 4]) -> Findings {
        let rounds = |values: &[f64]| values.iter().map(|value| vec![*value; 6]).collect();
        findings(4, 2, rounds(&two), rounds(&two), rounds(&ways))
    }

    #[test]
    fn the_expected_shape_holds_and_each_other_shape_fails_with_a_cause() {
        let good = found([0.5, 9.0, 20.0, 33.0, 50.0], [0.0, 40.0, 0.0, 0.0]);
        assert!(good.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", good.checks);
        assert!(good.saw.contains("40.0 %") && good.saw.split_whitespace().count() <= 130, "{}", good.saw);
        let bad = found([0.0, 9.0, 5.0, 4.0, 2.0], [0.1, 0.0, 0.1, 0.1]);
        assert!(
            bad.checks.iter().all(|check| matches!(check.verdict, Verdict::Fails | Verdict::Wrong) && !check.cause.is_empty()),
            "{:?}",
            bad.checks
        );
    }

    #[test]
    fn the_picture_is_of_two_that_read_the_same_value() {
        let update = |read_at, read, wrote_at| Update { read_at, read, wrote_at };
        let a = vec![update(0, 5, 10), update(100, 7, 160)];
        let b = vec![update(20, 6, 30), update(130, 7, 190)];
        let lines = interleaving(&[a, b]);
        let words: Vec<Vec<&str>> = lines[1..].iter().map(|line| line.split_whitespace().take(3).collect()).collect();
        assert_eq!(words, [["0", "reads", "7"], ["30", "reads", "7"], ["60", "writes", "8"], ["90", "writes", "8"]]);
        assert!(lines[4].ends_with("lost"), "{lines:?}");
    }

    #[test]
    fn there_is_no_picture_if_nothing_was_lost() {
        let updates = [vec![Update { read_at: 0, read: 1, wrote_at: 5 }], vec![Update { read_at: 6, read: 2, wrote_at: 9 }]];
        assert!(interleaving(&updates).is_empty());
    }
}
