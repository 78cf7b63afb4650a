//! Fairness: who gets the lock, how often the same one again, how long the others wait, and what it costs to serve in order.
//!
//! Over a whole run the scheduler makes nearly all alike. What differs is the short run, so fairness is measured over few turns at a time (Koksal,
//! Kassab and Balakrishnan, "An analysis of short-term fairness in wireless media access protocols", SIGMETRICS 2000).

use crate::bench::contender::Result;
use crate::bench::statistics::median;
use crate::bench::work::Work;
use crate::lab::crew::Crew;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::models;
use crate::lab::seat::SEATS;
use crate::lock::{FutexLock, Kind, RawLock, TicketLock, Visitor};
use std::time::Duration;

pub struct Fairness;

const ABOUT: About = About {
    name: "fairness",
    title: "Fairness",
    hypothesis: "A lock that serves in order gives each worker its share and lets it wait for the others alone. A lock that whoever is quick may take is unfair, and for that reason fast.",
    metric: "Jain's index of the workers' turns, over eight turns a worker (1: all alike); the share of turns that go to whoever had the last one; the longest wait; time for a turn",
    shape: "ticket: index near 1, no turn twice; the others: many turns in a row, and far more turns a second once there are more workers than CPUs",
    source: "Jain, Chiu and Hawe, DEC-TR-301, 1984 (the index); Blasgen, Gray, Mitoma and Price, \"The convoy phenomenon\", ACM Operating Systems Review 13, 1979",
    cores: 1,
};

const KNOBS: &[Knob] = &[
    Knob::number("crowd", "workers for each CPU", 1, 2, 8),
    Knob::number("inside", "nanoseconds of work with the lock held", 100, 2000, 1_000_000),
    Knob::number("outside", "nanoseconds of work without it", 0, 0, 1_000_000),
];

/// Turns of each worker, on average, in the stretches over which the index is taken.
const STRETCH: u64 = 8;

/// Turns so many times as long are dearer, and no chance.
const DEAR: f64 = 1.2;

const STEPS: &[Step] = &[
    Step {
        says: "barging: the lock is free for a moment, and whoever runs takes it",
        code: "fn unlock() {\n    word.store(FREE, Release);\n    futex_wake(&word, 1); // it may come too late\n}",
    },
    Step {
        says: "hand-off: the lock is never free while somebody waits; it goes to the next in line",
        code: "fn unlock() {\n    serving.store(mine + 1, Release);\n    // only the next in line goes on, also if it has no CPU\n}",
    },
];

impl Experiment for Fairness {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Workers want one lock all the time. It serves in order, or lets in whoever is quick. Which does more turns a second?",
            of: &[
                "serving in order: nobody waits for long",
                "no difference, within a fifth: one at a time has it, either way",
                "whoever is quick, 1.2 times as many or more",
            ],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let workers = (knobs.number("crowd") as usize * lab.cores).clamp(2, SEATS);
        let (inside, outside) = (Work::of(knobs.number("inside")), Work::of(knobs.number("outside")));
        let time = lab.each(ROUNDS * Kind::ALL.len());
        let mut turns = vec![vec![]; Kind::ALL.len()];
        lab.sweep(Kind::ALL.len(), ROUNDS, |place| {
            let found = Kind::ALL[place].visit(Queue { lab, time, workers, inside, outside })?;
            turns[place].push(found);
            Ok(found.nanos)
        })?;
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Ok(findings(workers, lab.cores, &kinds, &turns))
    }
}

/// Workers that want a lock again and again.
struct Queue<'a> {
    lab: &'a Lab<'a>,
    time: Duration,
    workers: usize,
    inside: Work,
    outside: Work,
}

/// How turns went in one run.
#[derive(Clone, Copy, Debug)]
struct Turns {
    /// Jain's index over short stretches, on average.
    short: f64,
    /// The index over the whole run.
    whole: f64,
    /// Per cent of turns that went to whoever had the last one.
    again: f64,
    /// Milliseconds that somebody waited at most.
    longest: f64,
    /// Nanoseconds for each turn.
    nanos: f64,
    /// Per cent of all turns that the worker had who had the fewest, and the one who had the most.
    least: f64,
    most: f64,
}

/// An index is noted in so many parts, since notes are whole numbers.
const PARTS: f64 = 1e6;

impl Visitor for Queue<'_> {
    type Out = Result<Turns>;

    fn visit<L: RawLock>(self) -> Result<Turns> {
        // Who had the last turn (from 1), the turns of this stretch, and those of each worker.
        let gate = Gate::<L, (u64, u64, [u64; SEATS])>::new()?;
        let (inside, outside, of) = (self.inside, self.outside, self.workers);
        let at = format!("{of} workers, {}", L::NAME);
        let round = Crew::processes(of).work(self.lab, &at, self.time, &*gate, |worker, gate| {
            let me = worker.number as u64 + 1;
            let (mut again, mut stretches, mut sum) = (0, 0, 0);
            while worker.on() {
                gate.with_timed(worker, |(last, turns, each), _| {
                    inside.run(*turns);
                    again += u64::from(*last == me);
                    *last = me;
                    each[worker.number] += 1;
                    *turns += 1;
                    if *turns == STRETCH * of as u64 {
                        let shares: [f64; SEATS] = each.map(|turns| turns as f64);
                        sum += (models::jain(&shares[..of]) * PARTS) as u64;
                        stretches += 1;
                        (*turns, *each) = (0, [0; SEATS]);
                    }
                });
                worker.did(1);
                outside.run(me);
            }
            [again, stretches, sum].into_iter().enumerate().for_each(|(n, figure)| worker.note(n, figure));
        })?;
        let round = round.whole(&at)?;
        let [again, stretches, sum] = [0, 1, 2].map(|n| round.tallies.iter().map(|tally| tally.notes[n]).sum::<u64>() as f64);
        let shares: Vec<f64> = round.tallies.iter().map(|tally| tally.done as f64).collect();
        let (whole, done) = (models::jain(&shares), round.done().max(1) as f64);
        Ok(Turns {
            // A run too short for one stretch is one.
            short: if stretches > 0.0 { sum / stretches / PARTS } else { whole },
            whole,
            again: 100.0 * again / done,
            longest: round.tallies.iter().map(|tally| tally.longest).max().unwrap_or(0) as f64 / 1e6,
            nanos: 1e9 * round.seconds / done,
            least: 100.0 * shares.iter().copied().fold(f64::INFINITY, f64::min) / done,
            most: 100.0 * shares.iter().copied().fold(0.0, f64::max) / done,
        })
    }
}

/// `turns` of each of the kinds, round by round. The ticket lock is the one that serves in order.
fn findings(workers: usize, cores: usize, kinds: &[&str], turns: &[Vec<Turns>]) -> Findings {
    let middle = |rounds: &Vec<Turns>, figure: &dyn Fn(&Turns) -> f64| {
        median(&rounds.iter().map(figure).collect::<Vec<f64>>()).unwrap_or(f64::NAN)
    };
    let of = |name: &str| {
        let rounds = kinds.iter().position(|kind| *kind == name).and_then(|place| turns.get(place));
        let value = |figure: &dyn Fn(&Turns) -> f64| rounds.map_or(f64::NAN, |rounds| middle(rounds, figure));
        Turns {
            short: value(&|t| t.short),
            whole: value(&|t| t.whole),
            again: value(&|t| t.again),
            longest: value(&|t| t.longest),
            nanos: value(&|t| t.nanos),
            least: value(&|t| t.least),
            most: value(&|t| t.most),
        }
    };
    let (ticket, futex) = (of(TicketLock::NAME), of(FutexLock::NAME));
    let others = || kinds.iter().filter(|kind| **kind != TicketLock::NAME).map(|kind| (*kind, of(kind)));
    let Some((name, unfair)) = others().min_by(|a, b| a.1.short.total_cmp(&b.1.short)) else {
        return Findings::default();
    };
    let price = ticket.nanos / unfair.nanos;
    let crowded = workers > cores;
    let why = match (crowded, price > DEAR) {
        (true, true) => "The next in line often has no CPU, and all wait until it gets one: a convoy.",
        (true, false) => "A convoy, all waiting for a next in line that has no CPU, was not to be seen this time.",
        (false, _) => "Each worker has a CPU here, so the next in line is ready; with more workers than CPUs it often is not.",
    };
    let saw = format!(
        "{workers} workers wanted one lock on {cores} CPUs. The ticket lock serves in order: {:.1} % of its turns went to whoever had the last one, and Jain's \
         index over {STRETCH} turns a worker was {:.2}. With the {name} lock {:.0} % did, and the index was {:.2}: whoever gives it back is running and has its \
         memory at hand, so it takes it again before a waiter notices. Over the whole run that index was {:.2}{}. Somebody waited {:.1} ms, with tickets \
         {:.1}. A turn took {:.0} ns with tickets, {price:.1} times as long as with the {name} lock. {why}",
        ticket.again,
        ticket.short,
        unfair.again,
        unfair.short,
        unfair.whole,
        if unfair.whole > 0.9 { ": it evens out" } else { ": it does not even out" },
        unfair.longest,
        ticket.longest,
        ticket.nanos
    );
    let calm = "workers did not all want the lock at the same time: too much work outside, or other programs need the CPUs";
    let mut checks = vec![
        Check::new(
            "with the ticket lock hardly a turn goes to whoever had the last one",
            ticket.again < 10.0,
            format!("{:.1} %", ticket.again),
            calm,
        ),
        Check::new(
            "with the ticket lock all have the same share of turns, also of a few",
            ticket.short > 0.9,
            format!("index {:.2}", ticket.short),
            calm,
        ),
        Check::new(
            "with another lock turns go to whoever had the last one, and shares of a few turns are less alike",
            unfair.again > ticket.again + 10.0 && unfair.short < ticket.short,
            format!("{name}: {:.0} %, index {:.2}", unfair.again, unfair.short),
            calm,
        ),
    ];
    if crowded {
        checks.push(Check::new(
            "with more workers than CPUs, serving in order makes a turn at least 1.2 times as long",
            price > DEAR,
            format!("{price:.1} times as with the {name} lock"),
            "the lock is held for so long that handing it on no longer counts, or other programs need the CPUs",
        ));
    }
    let bars = |title: &str, y: Axis, figure: &dyn Fn(&Turns) -> f64| Chart {
        title: title.to_owned(),
        x: Axis::linear("lock"),
        y,
        series: vec![Series::measured(
            "measured",
            (0u32..).map(f64::from).zip(turns.iter().map(|rounds| rounds.iter().map(figure).collect::<Vec<f64>>())),
        )],
        names: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    };
    let answer = if price > DEAR {
        2
    } else if price < 1.0 / DEAR {
        0
    } else {
        1
    };
    Findings {
        charts: vec![
            bars("Jain's index over a few turns", Axis::linear("1: all alike; 1/N: one has them all"), &|t| t.short),
            bars("Turns in a row", Axis::linear("per cent of turns that go to whoever had the last one"), &|t| t.again),
            bars("The share of whoever had the most", Axis::linear("per cent of all turns of the run"), &|t| t.most),
            bars("The longest wait", Axis::log("milliseconds"), &|t| t.longest),
            bars("What a turn costs", Axis::log("nanoseconds for each turn"), &|t| t.nanos),
        ],
        numbers: vec![
            Number::new("Jain's index over a few turns, ticket lock", ticket.short, ""),
            Number::new(format!("the same, {name} lock"), unfair.short, ""),
            Number::new("Jain's index over the whole run, ticket lock", ticket.whole, ""),
            Number::new(format!("the same, {name} lock"), unfair.whole, ""),
            Number::new("turns of whoever had the fewest, ticket lock", ticket.least, "%"),
            Number::new("turns of whoever had the most, ticket lock", ticket.most, "%"),
            Number::new(format!("turns of whoever had the fewest, {name} lock"), unfair.least, "%"),
            Number::new(format!("turns of whoever had the most, {name} lock"), unfair.most, "%"),
            Number::new("the longest wait, ticket lock", ticket.longest, "ms"),
            Number::new("the longest wait, futex lock", futex.longest, "ms"),
            Number::new(format!("a turn with the ticket lock takes, of one with the {name} lock"), price, "×"),
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
    use crate::lab::findings::Verdict;

    const FAIR: Turns = Turns { short: 0.99, whole: 1.0, again: 0.5, longest: 2.0, nanos: 6000.0, least: 24.0, most: 26.0 };
    const QUICK: Turns = Turns { short: 0.4, whole: 0.95, again: 90.0, longest: 12.0, nanos: 2100.0, least: 15.0, most: 40.0 };

    fn found(workers: usize, ticket: Turns, futex: Turns) -> Findings {
        findings(workers, 2, &["futex", "ticket"], &[vec![futex; 6], vec![ticket; 6]])
    }

    #[test]
    fn the_expected_shape_holds() {
        let good = found(4, FAIR, QUICK);
        assert_eq!(good.checks.len(), 4);
        assert!(good.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", good.checks);
        assert_eq!(good.answer, Some(2));
        assert!(good.saw.contains("2.9 times") && good.saw.contains("convoy"), "{}", good.saw);
        assert!(good.saw.split_whitespace().count() <= 130, "{}", good.saw);
    }

    #[test]
    fn the_other_way_round_each_check_fails_and_names_a_cause() {
        let bad = found(4, QUICK, FAIR);
        assert!(bad.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()), "{:?}", bad.checks);
        assert_eq!(bad.answer, Some(0));
    }

    #[test]
    fn without_a_crowd_nothing_is_said_of_its_price() {
        assert_eq!(found(2, FAIR, QUICK).checks.len(), 3);
    }
}
