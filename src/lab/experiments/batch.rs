//! Batching: one call for many items, and what the first of them waits for the others.

use crate::bench::contender::Result;
use crate::bench::work::Work;
use crate::lab::crew::Members;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use crate::lab::passing::Passing;
use std::cell::RefCell;

pub struct Batch;

const ABOUT: About = About {
    name: "batch",
    title: "Batching",
    hypothesis: "Handing over many items in one call shares the cost of the call among them; but the first waits until the last is made.",
    metric: "items a second, and microseconds from the making of a batch's first item to its receipt",
    shape: "items a second grow and flatten; the delay of the first grows with the batch",
    source: "Nagle, RFC 896, 1984 (the same bargain for packets)",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::number("make", "nanoseconds to make an item", 0, 1000, 100_000)];

const SIZES: [f64; 5] = [1.0, 4.0, 16.0, 64.0, 256.0];

const STEPS: &[Step] = &[
    Step { says: "a call for each item", code: "for item in make() {\n    queue.put(item)?;\n}" },
    Step { says: "a call for many", code: "for items in make().chunks(64) {\n    queue.put_many(items)?;\n}" },
];

impl Experiment for Batch {
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
            says: "From one item a call to 256 items a call: what becomes of the first item's delay?",
            of: &["it shrinks: all is faster", "it stays", "it grows: the first waits for the others"],
        }
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let make = Work::of(knobs.number("make"));
        let time = lab.each(ROUNDS * SIZES.len());
        let delays = RefCell::new(vec![vec![]; SIZES.len()]);
        let rates = lab.sweep(SIZES.len(), ROUNDS, |place| {
            let batch = SIZES[place] as usize;
            let passing = Passing { queue: "ring-futex", payload: 16, batch, capacity: 1024, make, job: Work::of(0) };
            let round = passing.run(lab, &format!("batches of {batch}"), time, Members::Processes)?;
            let [sum, count, ..] = round.tallies[1].notes;
            delays.borrow_mut()[place].push(sum as f64 / count.max(1) as f64 / 1e3);
            Ok(round.rate())
        })?;
        Ok(findings(lab.cores, rates, delays.into_inner()))
    }
}

fn findings(cores: usize, rates: Vec<Vec<f64>>, delays: Vec<Vec<f64>>) -> Findings {
    let rate = Series::measured("items a second", SIZES.into_iter().zip(rates));
    let delay = Series::measured("delay of the first", SIZES.into_iter().zip(delays));
    let value = |series: &Series, at| series.at(at).unwrap_or(f64::NAN);
    let (slow, fast) = (value(&rate, 1.0), value(&rate, 64.0));
    let (early, late) = (value(&delay, 16.0), value(&delay, 256.0));
    let saw = format!(
        "One item a call moved {slow:.0} items a second, 64 a call {fast:.0}: {:.1} times as many, because the lock and the wake-up are paid once for \
         all. But the first of 16 came after {early:.0} us and the first of 256 after {late:.0} us: nothing is sent before the last is made. Larger \
         batches soon gain no more items a second, and still cost delay.",
        fast / slow
    );
    let busy = "other programs need the CPUs, or making an item takes so long or so short a time that the call does not matter";
    let checks = vec![
        Check::new("64 items a call move more than one", fast > 1.15 * slow, format!("{:.2} times", fast / slow), busy)
            .with_cores(2, cores),
        Check::new(
            "the first of 256 waits longer than the first of 16",
            late > 1.5 * early,
            format!("{:.1} times", late / early),
            busy,
        )
        .with_cores(2, cores),
    ];
    let chart = |title: &str, y, series| Chart {
        title: title.into(),
        x: Axis::log("items a call"),
        y,
        series: vec![series],
        names: vec![],
    };
    let one = value(&delay, 1.0);
    Findings {
        numbers: vec![
            Number::new("64 a call against one", fast / slow, "×"),
            Number::new("delay of the first of 256", late, "us"),
        ],
        charts: vec![
            chart("Items a second", Axis::log("items a second"), rate),
            chart("Delay of the first item", Axis::log("microseconds"), delay),
        ],
        saw,
        checks,
        answer: Some(if late > 1.5 * one {
            2
        } else if late > one / 1.5 {
            1
        } else {
            0
        }),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    fn of(rates: [f64; 5], delays: [f64; 5]) -> Vec<Verdict> {
        let values = |all: [f64; 5]| all.into_iter().map(|one| vec![one; 3]).collect();
        let found = findings(2, values(rates), values(delays));
        assert!(found.checks.iter().all(|check| (check.verdict == Verdict::Holds) == check.cause.is_empty()));
        found.checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn more_items_and_a_later_first_hold_and_their_absence_fails() {
        assert_eq!(of([1.0, 2.0, 3.0, 4.0, 4.0], [20.0, 20.0, 30.0, 80.0, 300.0]), [Verdict::Holds; 2]);
        assert_eq!(of([1.0; 5], [20.0; 5]), [Verdict::Fails; 2]);
    }
}
