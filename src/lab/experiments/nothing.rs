//! Share nothing: one number that all count in, four ways, and what it costs to read it.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lab::crew::{Crew, Worker};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::seat::SEATS;
use crate::lock::FutexLock;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub struct Nothing;

const ABOUT: About = About {
    name: "nothing",
    title: "Share nothing",
    hypothesis: "The best lock is none: workers that count each for itself, and are added up when somebody asks, do not wait for each other at all.",
    metric: "counts a second of all workers; nanoseconds to read the total",
    shape: "one lock and one atomic are slow, counters of one's own are many times faster; reading gets dearer with each counter to add",
    source: "McKenney, \"Is Parallel Programming Hard, And, If So, What Can You Do About It?\", chapter \"Counting\"",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::number("workers", "worker processes", 2, 2, 64),
    Knob::number("shards", "counters that workers share in the third way", 2, 4, 64),
];

/// How the same number is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Lock,
    Atomic,
    Shards(usize),
    Own,
}

/// How many counters are added up by a read. Powers of two.
const COUNTERS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];

const STEPS: &[Step] = &[
    Step { says: "one counter and its lock", code: "*total.lock()? += 1;" },
    Step { says: "one counter that the CPUs pass around themselves", code: "total.fetch_add(1, Relaxed);" },
    Step {
        says: "several of them, on cache lines of their own",
        code: "total[worker % SHARDS].fetch_add(1, Relaxed);\n\n// to read it\ntotal.iter().map(|part| part.load(Relaxed)).sum()",
    },
    Step {
        says: "one for each worker: nobody else writes it",
        code: "mine += 1;\ntotal[worker].store(mine, Relaxed);\n\n// to read it\ntotal.iter().map(|part| part.load(Relaxed)).sum()",
    },
];

/// A counter on cache lines of its own.
#[repr(C, align(128))]
struct Own(AtomicU64);

#[repr(C)]
struct Counters([Own; SEATS]);

impl Counters {
    /// All zero.
    fn new() -> Result<Shared<Counters>> {
        // Zeroes are valid for atomics.
        Shared::new(|_| Ok(()))
    }

    /// The sum of the first ones. Not of one moment: others go on counting.
    fn sum(&self, of: usize) -> u64 {
        self.0[..of].iter().map(|counter| counter.0.load(Relaxed)).sum()
    }
}

/// What all count in.
struct Places {
    gate: Shared<Gate<FutexLock, u64>>,
    counters: Shared<Counters>,
}

/// Counts between two looks whether to go on.
const TURN: u64 = 100;

fn count(way: Way, worker: &Worker<'_>, places: &Places) {
    let counter = |place: usize| &places.counters.0[place].0;
    let mut mine = 0;
    while worker.on() {
        match way {
            Way::Lock => (0..TURN).for_each(|_| places.gate.with(worker, |value, _| *value += 1)),
            Way::Atomic => (0..TURN).for_each(|_| _ = counter(0).fetch_add(1, Relaxed)),
            Way::Shards(shards) => {
                let counter = counter(worker.number % shards);
                (0..TURN).for_each(|_| _ = counter.fetch_add(1, Relaxed));
            }
            Way::Own => {
                let counter = counter(worker.number);
                for _ in 0..TURN {
                    mine += 1;
                    counter.store(mine, Relaxed);
                }
            }
        }
        worker.did(TURN);
    }
}

/// The first worker adds up so many counters, again and again, in all of which the others count.
fn read(of: usize, worker: &Worker<'_>, counters: &Counters) {
    if worker.number == 0 {
        while worker.on() {
            black_box(counters.sum(of));
            worker.did(1);
        }
    } else {
        let mut next = worker.number;
        while worker.on() {
            counters.0[next & (of - 1)].0.fetch_add(1, Relaxed);
            next += 1;
        }
    }
}

impl Experiment for Nothing {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Two workers do nothing but count. How many times as fast are they with a counter each as with one counter and its lock?",
            of: &[
                "about as fast: a free lock costs next to nothing",
                "2 to 5 times: they no longer wait for each other",
                "more than 5 times",
            ],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let (workers, shards) = (knobs.number("workers") as usize, knobs.number("shards") as usize);
        let ways = ways(shards);
        let time = lab.each(ROUNDS * (ways.len() + COUNTERS.len()));
        let mut lost = 0;
        let mut rounds = lab.sweep(ways.len() + COUNTERS.len(), ROUNDS, |place| match ways.get(place) {
            Some(&way) => {
                let places = Places { gate: Gate::new()?, counters: Counters::new()? };
                let at = format!("{workers} workers count in {}", name(way));
                let crew = Crew::processes(workers);
                let round = crew.work(lab, &at, time, &places, |worker, places| count(way, worker, places))?.whole(&at)?;
                if way != Way::Lock {
                    lost += round.done().abs_diff(places.counters.sum(SEATS));
                }
                Ok(round.rate())
            }
            None => {
                let of = COUNTERS[place - ways.len()] as usize;
                let counters = Counters::new()?;
                let at = format!("one worker reads {of} counters, the others count");
                let round =
                    Crew::processes(workers).work(lab, &at, time, &*counters, |worker, counters| read(of, worker, counters))?;
                let round = round.whole(&at)?;
                Ok(1e9 * round.seconds / round.done().max(1) as f64)
            }
        })?;
        let reads = rounds.split_off(ways.len());
        Ok(findings(workers, shards, lab.cores, rounds, reads, lost))
    }
}

fn ways(shards: usize) -> [Way; 4] {
    [Way::Lock, Way::Atomic, Way::Shards(shards), Way::Own]
}

fn name(way: Way) -> String {
    match way {
        Way::Lock => "one, with a lock".into(),
        Way::Atomic => "one atomic".into(),
        Way::Shards(shards) => format!("{shards} shards"),
        Way::Own => "one each".into(),
    }
}

/// `counts` are counts a second for each way, `reads` nanoseconds for each of [`COUNTERS`]; `lost` is what the sums lack.
fn findings(workers: usize, shards: usize, cores: usize, counts: Vec<Vec<f64>>, reads: Vec<Vec<f64>>, lost: u64) -> Findings {
    let counted = Series::measured("measured", counts.into_iter().enumerate().map(|(place, rounds)| (place as f64, rounds)));
    let read = Series::measured("measured", COUNTERS.into_iter().zip(reads));
    let [lock, atomic, sharded, own] = [0.0, 1.0, 2.0, 3.0].map(|place| counted.at(place).unwrap_or(f64::NAN));
    let (one, many) = (read.at(1.0).unwrap_or(f64::NAN), read.at(64.0).unwrap_or(f64::NAN));
    let (over_lock, over_atomic, dearer) = (own / lock, own / atomic, many / one);
    let saw = format!(
        "{workers} workers made {:.1} million counts a second with one lock, {:.1} with one atomic, {:.1} in {shards} shards, and \
         {:.0} with a counter each: {over_lock:.0} times as many as with the lock. An atomic needs no lock, but its cache line still goes from CPU to \
         CPU for each count. A counter that only one worker writes stays in that CPU's cache, and needs no locked instruction. The bill comes when \
         somebody reads: one counter took {one:.0} ns, the sum of 64 took {many:.0} ns ({dearer:.0} times), and the sum is of no single moment. So share \
         nothing that is written often and read seldom.",
        lock / 1e6,
        atomic / 1e6,
        sharded / 1e6,
        own / 1e6
    );
    let busy = "the workers did not run at the same time, or the two CPUs are one core's two threads, which share its cache";
    let checks = vec![
        Check::new(
            "a counter each is at least 3 times as fast as one lock",
            over_lock > 3.0,
            format!("{over_lock:.1} times"),
            busy,
        ),
        Check::new(
            "a counter each is at least twice as fast as one atomic",
            over_atomic > 2.0,
            format!("{over_atomic:.1} times"),
            busy,
        )
        .with_cores(2, cores),
        Check::new(
            "to read 64 counters takes at least twice as long as to read one",
            dearer > 2.0,
            format!("{dearer:.1} times"),
            busy,
        )
        .with_cores(2, cores),
        Check::certain("nothing is lost: the parts add up to all counts", lost == 0, format!("{lost} missing or too many")),
    ];
    Findings {
        numbers: vec![
            Number::new("counts, one lock", lock, "a second"),
            Number::new("counts, one atomic", atomic, "a second"),
            Number::new(format!("counts, {shards} shards"), sharded, "a second"),
            Number::new("counts, a counter each", own, "a second"),
            Number::new("a read of one counter", one, "ns"),
            Number::new("a read of 64 counters", many, "ns"),
        ],
        charts: vec![
            Chart {
                title: format!("Counts of {workers} workers"),
                x: Axis::linear("where they count"),
                y: Axis::log("counts a second"),
                series: vec![counted],
                names: ways(shards).map(name).to_vec(),
            },
            Chart {
                title: "What reading then costs, while others count".into(),
                x: Axis::log("counters that are added up"),
                y: Axis::log("nanoseconds for each read"),
                series: vec![read],
                names: vec![],
            },
        ],
        saw,
        checks,
        answer: if over_lock.is_nan() { None } else { Some([1.5, 5.0].iter().filter(|bound| over_lock > **bound).count()) },
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    fn found(counts: [f64; 4], reads: [f64; 4], lost: u64) -> Findings {
        findings(2, 4, 2, counts.map(|value| vec![1e6 * value; 3]).to_vec(), reads.map(|value| vec![value; 3]).to_vec(), lost)
    }

    #[test]
    fn the_expected_shape_holds_and_the_words_use_its_numbers() {
        let found = found([10.0, 40.0, 300.0, 2000.0], [50.0, 100.0, 300.0, 1000.0], 0);
        assert!(found.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", found.checks);
        assert!(found.saw.contains("200 times as many") && found.saw.contains("1000 ns (20 times)"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130);
        assert_eq!((found.answer, found.charts[0].names.len()), (Some(2), 4));
    }

    #[test]
    fn another_shape_fails_with_a_cause() {
        let found = found([100.0, 100.0, 100.0, 100.0], [50.0, 50.0, 50.0, 50.0], 1);
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
    fn a_sum_is_of_the_first_counters_only() {
        let counters = Counters::new().unwrap();
        for (n, counter) in counters.0.iter().enumerate() {
            counter.0.store(n as u64 + 1, Relaxed);
        }
        assert_eq!((counters.sum(1), counters.sum(4), counters.sum(SEATS)), (1, 10, 2080));
    }
}
