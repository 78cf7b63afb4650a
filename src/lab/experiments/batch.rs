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

/// Usually not shorter than a call takes: else the queue is full, and what is timed is the way through it.
const KNOBS: &[Knob] = &[Knob::number("make", "nanoseconds to make an item", 0, 500, 100_000)];

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
        Ok(findings(lab.cores, knobs.number("make") as f64, rates, delays.into_inner()))
    }
}

/// So many times as many, or as late, is more than noise.
const CLEARLY: f64 = 1.15;

/// `make` is in nanoseconds.
fn findings(cores: usize, make: f64, rates: Vec<Vec<f64>>, delays: Vec<Vec<f64>>) -> Findings {
    let rate = Series::measured("items a second", SIZES.into_iter().zip(rates));
    let delay = Series::measured("delay of the first", SIZES.into_iter().zip(delays));
    let value = |series: &Series, at| series.at(at).unwrap_or(f64::NAN);
    let [slow, fast, most] = [1.0, 64.0, 256.0].map(|size| value(&rate, size));
    let (early, late) = (value(&delay, 16.0), value(&delay, 256.0));
    // What is left of the time for an item when each has a call of its own.
    let call = (1e9 / slow - make).max(0.0);
    let [gain, more] = [fast / slow, most / fast];
    let why = if gain > CLEARLY {
        "the lock and the wake-up are paid once for all of them."
    } else {
        "no gain to speak of. Making an item takes so long that the call hardly matters, or something else was the limit."
    };
    let beyond = if more > CLEARLY { "so it still gained" } else { "so there is little left to gain" };
    let first = if late > 1.5 * early {
        "later: nothing is sent before the last is made"
    } else {
        "no later, against what is expected"
    };
    let saw = format!(
        "One item a call moved {slow:.0} items a second, 64 a call {fast:.0}. That is {gain:.2} times as many: {why} 256 a call moved {more:.2} times as many \
         as 64, {beyond}. The first of 16 came after {early:.0} us and the first of 256 after {late:.0} us, {first}. The model takes {make:.0} ns for making \
         an item, and what is left at one a call for the call: {call:.0} ns. An item then takes make + call / batch, and the first waits for batch × make at \
         least."
    );
    let busy = "other programs need the CPUs, or making an item takes so long or so short a time that the call does not matter";
    let checks = vec![
        Check::new("64 items a call move more than one", gain > CLEARLY, format!("{gain:.2} times"), busy).with_cores(2, cores),
        Check::new(
            "the first of 256 waits longer than the first of 16",
            late > 1.5 * early,
            format!("{:.1} times", late / early),
            busy,
        )
        .with_cores(2, cores),
    ];
    let chart = |title: &str, y, series| Chart { title: title.into(), x: Axis::log("items a call"), y, series, names: vec![] };
    let one = value(&delay, 1.0);
    let modelled =
        Series::model("1 / (make + call / batch), call from one a call", SIZES.map(|size| (size, 1e9 / (make + call / size))));
    // There is no 0 on that axis.
    let made = SIZES.map(|size| (size, size * make / 1e3)).into_iter().filter(|(_, made)| *made > 0.0);
    let made = Series::model("batch × make", made);
    Findings {
        numbers: vec![
            Number::new("64 a call against one", gain, "×"),
            Number::new("256 a call against 64", more, "×"),
            Number::new("delay of the first of 256", late, "us"),
            Number::new("a call, for the model", call, "ns"),
        ],
        charts: vec![
            chart("Items a second", Axis::log("items a second"), vec![rate, modelled]),
            chart("Delay of the first item", Axis::log("microseconds"), vec![delay, made]),
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

    fn of(make: f64, rates: [f64; 5], delays: [f64; 5]) -> Findings {
        let values = |all: [f64; 5]| all.into_iter().map(|one| vec![one; 3]).collect();
        let found = findings(2, make, values(rates), values(delays));
        assert!(found.checks.iter().all(|check| (check.verdict == Verdict::Holds) == check.cause.is_empty()));
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
        found
    }

    fn verdicts(found: &Findings) -> Vec<Verdict> {
        found.checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn more_items_and_a_later_first_hold_and_their_absence_fails() {
        let found = of(2000.0, [1e5, 2e5, 3e5, 4e5, 4e5], [20.0, 20.0, 30.0, 80.0, 300.0]);
        assert_eq!(verdicts(&found), [Verdict::Holds; 2]);
        assert!(
            found.saw.contains("4.00 times as many: the lock") && found.saw.contains("little left to gain"),
            "{}",
            found.saw
        );
        let found = of(2000.0, [1e5; 5], [20.0; 5]);
        assert_eq!(verdicts(&found), [Verdict::Fails; 2]);
        assert!(
            found.saw.contains("1.00 times as many: no gain to speak of") && found.saw.contains("against what is expected")
        );
    }

    #[test]
    fn what_larger_batches_gain_is_said_as_it_was_measured() {
        let found = of(0.0, [1e5, 2e5, 3e5, 4e5, 8e5], [20.0; 5]);
        assert!(found.saw.contains("256 a call moved 2.00 times as many as 64, so it still gained"), "{}", found.saw);
    }

    #[test]
    fn the_model_goes_through_what_was_measured_at_one_a_call() {
        let of = |make| of(make, [1e5, 2e5, 3e5, 4e5, 4e5], [20.0; 5]).charts;
        let charts = of(2000.0);
        let modelled = |at| charts[0].series[1].at(at).unwrap();
        // 10,000 ns, of which 8000 are the call's; shared by 4, that is 2000.
        assert!((modelled(1.0) - 1e5).abs() < 1.0 && (modelled(4.0) - 2.5e5).abs() < 1.0);
        assert_eq!(charts[1].series[1].at(256.0), Some(512.0));
        assert!(of(0.0)[1].series[1].points.is_empty());
        let slow_to_make = of(20_000.0)[0].series[1].at(256.0).unwrap();
        assert!((slow_to_make - 5e4).abs() < 1.0, "a call costs nothing rather than less: {slow_to_make}");
    }
}
