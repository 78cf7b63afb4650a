//! What a run consists of: which shapes, how long, how often.

use super::contender::{Contender, Pattern, Shape};
use super::options::Options;
use super::results::Axis;
use super::turn::Lengths;
use std::time::Duration;

/// Nobody waits much for whom: room for so many payloads unless a figure is about that. As many bytes as a pipe has at 64 bytes each.
const CAPACITY: usize = 1024;

/// More than this is in no queue at a time, whatever the capacity: large payloads would need gigabytes.
const MOST_BYTES: usize = 64 << 20;

/// Large numbers of a process, at the command line, where a program starts one for some of them.
const LINES: usize = 64;

/// Room for the longest number that all programs factor.
const LONGEST_LINE: usize = 24;

/// A figure: one shape in which all contenders are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// What is varied.
    pub axis: Axis,
    /// The shape.
    pub shape: Shape,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The figures, in order.
    pub cases: Vec<Case>,
    /// How often each is measured.
    pub rounds: usize,
    /// How long the parts of a turn take.
    pub lengths: Lengths,
    /// Shares of its own maximum at which each contender's latency is measured.
    pub shares: Vec<f64>,
    /// And a rate that is the same for all.
    pub common: f64,
    /// How often a consumer of each contender is killed.
    pub kills: usize,
}

impl Plan {
    /// What the options ask for.
    pub fn of(options: &Options) -> Plan {
        let base = bounded(Shape {
            pattern: Pattern::OneWay,
            payload: options.payload.unwrap_or(64),
            producers: 1,
            consumers: options.workers.unwrap_or(2),
            batch: 1,
            capacity: CAPACITY,
            work: 0,
        });
        let mut cases = vec![Case { axis: Axis::Base, shape: base }];
        let mut vary = |axis, shape: Shape| {
            let case = Case { axis, shape: bounded(shape) };
            if case.shape != base && !cases.iter().any(|other| other.shape == case.shape) {
                cases.push(case);
            }
        };
        let full = options.full;
        vary(Axis::Batch, Shape { batch: 64, ..base });
        vary(Axis::Calls, Shape { pattern: Pattern::Calls, ..base });
        // Small numbers take so little time that a process for few of them would be measured by its start.
        let lines = |payload: usize| {
            let batch = if payload < LONGEST_LINE { 8 * LINES } else { LINES };
            Shape { pattern: Pattern::Commands, payload, batch, ..base }
        };
        match options.payload {
            None => vary(Axis::Commands, lines(LONGEST_LINE)),
            Some(payload) => vary(Axis::Commands, lines(payload.min(LONGEST_LINE))),
        }
        if full {
            if options.payload.is_none() {
                vary(Axis::Commands, lines(8));
            }
            if options.payload.is_none() {
                [8, 512, 4096, 64 << 10, 1 << 20]
                    .into_iter()
                    .for_each(|payload| vary(Axis::Payload, Shape { payload, ..base }));
            }
            if options.workers.is_none() {
                let twice = 2 * crate::sys::limits::cpus();
                let shapes = [(1, 1), (2, 1), (2, 2), (4, 4), (1, 8), (8, 1), (twice, twice)];
                shapes
                    .into_iter()
                    .for_each(|(producers, consumers)| vary(Axis::Participants, Shape { producers, consumers, ..base }));
            }
            [8, 512].into_iter().for_each(|batch| vary(Axis::Batch, Shape { batch, ..base }));
            vary(Axis::Batch, Shape { payload: 8, batch: 64, ..base });
            vary(Axis::Calls, Shape { pattern: Pattern::Calls, batch: 64, ..base });
            [8, 16 << 10].into_iter().for_each(|capacity| vary(Axis::Capacity, Shape { capacity, ..base }));
            [1_000, 10_000, 100_000].into_iter().for_each(|work| vary(Axis::Work, Shape { work, ..base }));
        }
        let millis = Duration::from_millis;
        let lengths = match full {
            // Thirty contenders in all figures and rounds are six thousand turns, of which forty minutes have room for so much of each.
            true => Lengths { warm_up: millis(50), measured: millis(200), paced: millis(250), idle: millis(100) },
            false => Lengths { warm_up: millis(15), measured: millis(45), paced: millis(45), idle: millis(0) },
        };
        let rounds = options.rounds.unwrap_or(if full { 7 } else { 3 });
        let shares = if full { vec![0.1, 0.5, 0.8] } else { vec![] };
        // Once is to look.
        let kills = if full { 10 } else { 1 };
        Plan { cases, rounds, lengths, shares, common: 5_000.0, kills }
    }

    /// The shape in which latency is measured and consumers are killed.
    pub fn base(&self) -> Shape {
        self.cases[0].shape
    }

    /// The first shape in which a contender takes part: the base shape, if it is for queues.
    pub fn first(&self, contender: &dyn Contender) -> Option<Shape> {
        self.cases.iter().map(|case| case.shape).find(|shape| takes(contender, shape))
    }

    /// Whether it is measured how late payloads are: each says when it was due, and which one it is.
    pub fn is_late(&self) -> bool {
        let base = self.base();
        base.payload >= 16 && base.pattern == Pattern::OneWay
    }

    /// Turns of these contenders, if nobody fails.
    pub fn turns(&self, contenders: &[Box<dyn Contender>]) -> usize {
        let taking = |shape: &Shape| contenders.iter().filter(|contender| takes(&***contender, shape)).count();
        let cases: usize = self.cases.iter().map(|case| taking(&case.shape)).sum();
        let base = taking(&self.base());
        // One of them twice in the base figure.
        let late = if self.is_late() { base * (1 + self.shares.len()) } else { 0 };
        (cases + base.min(1) + late) * self.rounds + contenders.len() * self.kills
    }
}

/// Whether a contender takes part in figures of a shape.
pub fn takes(contender: &dyn Contender, shape: &Shape) -> bool {
    contender.is_about(shape.pattern) && contender.refuses(shape).is_none()
}

/// Not more bytes in a queue than a machine has room for.
fn bounded(shape: Shape) -> Shape {
    Shape { capacity: shape.capacity.min((MOST_BYTES / shape.payload).max(4)), ..shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contenders;
    use crate::bench::kill::PATIENT;
    use crate::bench::statistics::ENOUGH;
    use crate::bench::turn::COMMANDS;

    #[test]
    fn no_shape_is_measured_twice_and_none_needs_gigabytes() {
        let plan = Plan::of(&Options { full: true, ..Options::default() });
        for (n, case) in plan.cases.iter().enumerate() {
            assert!(case.shape.capacity * case.shape.payload <= MOST_BYTES, "{case:?}");
            assert!(!plan.cases[..n].iter().any(|other| other.shape == case.shape), "{case:?}");
        }
        assert!(plan.cases.len() > 20);
    }

    #[test]
    fn a_full_run_has_rounds_to_compare_and_samples_for_p99() {
        let plan = Plan::of(&Options { full: true, ..Options::default() });
        assert!(plan.rounds >= ENOUGH);
        assert!(plan.common * plan.lengths.paced.as_secs_f64() >= 1_000.0);
    }

    #[test]
    fn a_turn_of_a_full_run_is_short_enough_for_all_of_them() {
        let plan = Plan::of(&Options { full: true, ..Options::default() });
        let contenders = contenders::all();
        let takes = |shape: &Shape| contenders.iter().filter(|contender| takes(&***contender, shape)).count() as u32;
        // What they take if nothing is wasted: a warm-up takes half as long again, and a process its start and end.
        let Lengths { warm_up, measured, paced, idle } = plan.lengths;
        let millis = Duration::from_millis;
        let around = warm_up * 3 / 2 + millis(35);
        let case = |case: &Case| match (case.axis, case.shape.pattern) {
            (Axis::Base, _) => (measured + around) * (takes(&case.shape) + 1),
            (_, Pattern::Commands) => (measured.mul_f64(COMMANDS) + around) * takes(&case.shape),
            _ => (measured + around) * takes(&case.shape),
        };
        let late = (paced + around) * takes(&plan.base()) * (1 + plan.shares.len() as u32);
        let count = contenders.len() as u32;
        let rounds = (plan.cases.iter().map(case).sum::<Duration>() + late + idle * count) * plan.rounds as u32;
        // A kill is about as far as that from the start, and what was sent takes a few times as long.
        let kills = (around + millis(100) + PATIENT.settled) * count * plan.kills as u32;
        let all = rounds + kills;
        assert!(all < Duration::from_secs(36 * 60), "{all:?}");
    }

    #[test]
    fn who_has_no_part_in_the_base_shape_is_idle_in_the_first_one_in_which_it_has() {
        let plan = Plan::of(&Options::default());
        let pattern = |name: &str| {
            let all = contenders::all();
            let contender = all.iter().find(|contender| contender.info().name == name).unwrap();
            plan.first(&**contender).unwrap().pattern
        };
        assert_eq!([pattern("pipe-each"), pattern("threads-rayon")], [Pattern::OneWay, Pattern::Calls]);
        assert_eq!(plan.first(&*contenders::all()[0]), Some(plan.base()));
    }

    #[test]
    fn what_is_given_is_not_varied() {
        let plan = Plan::of(&Options { full: true, payload: Some(8), workers: Some(3), ..Options::default() });
        assert!(plan.cases.iter().all(|case| case.shape.payload == 8 && case.shape.consumers == 3), "{plan:?}");
    }
}
