//! Which contenders and which figures make up a chart of lines.

use super::lines::{Axis as Ticks, Line};
use crate::bench::contender::{Family, Shape};
use crate::bench::report::figures::{Figure, Row};
use crate::bench::report::numbers::{bytes, time};
use crate::bench::results::{Axis, Results};
use crate::bench::statistics::Interval;

/// Where a job without work stands on a logarithmic axis.
const NO_WORK: u64 = 100;

/// So few contenders are all picked out.
const FEW: usize = 8;

/// A chart of the rate against something.
pub struct Chart {
    /// Its heading.
    pub heading: &'static str,
    /// What is varied.
    pub ticks: Ticks,
    /// The contenders.
    pub lines: Vec<Line>,
}

/// The charts for which there are figures, besides the base shape's.
pub fn charts(results: &Results, figures: &[Figure]) -> Vec<Chart> {
    let Some(base) = figures.iter().find(|figure| figure.axis == Axis::Base) else { return vec![] };
    [
        (Axis::Payload, "Rate and payload", "bytes of a payload (logarithmic)"),
        (Axis::Batch, "Rate and batch", "payloads in a call (logarithmic)"),
        (Axis::Participants, "Rate and participants", "producers × consumers"),
        (Axis::Capacity, "Rate and room in the queue", "payloads that there is room for (logarithmic)"),
        (Axis::Work, "Rate and work", "work on each payload (logarithmic)"),
    ]
    .into_iter()
    .filter_map(|(axis, heading, title)| chart(results, figures, base, axis, heading, title))
    .collect()
}

/// A shape but for what is varied. Room is bounded by bytes, so that it follows the payload.
fn rest(axis: Axis, shape: Shape, base: Shape) -> Shape {
    match axis {
        Axis::Payload => Shape { payload: base.payload, capacity: base.capacity, ..shape },
        Axis::Batch => Shape { batch: base.batch, ..shape },
        Axis::Participants => Shape { producers: base.producers, consumers: base.consumers, ..shape },
        Axis::Capacity => Shape { capacity: base.capacity, ..shape },
        Axis::Work => Shape { work: base.work, ..shape },
        _ => shape,
    }
}

/// Where it stands among others: by what is varied.
fn key(axis: Axis, shape: Shape) -> (usize, usize) {
    match axis {
        Axis::Payload => (shape.payload, 0),
        Axis::Batch => (shape.batch, 0),
        Axis::Participants => (shape.producers + shape.consumers, shape.producers),
        Axis::Capacity => (shape.capacity, 0),
        _ => (shape.work as usize, 0),
    }
}

fn place(axis: Axis, shape: Shape, nth: usize) -> (f64, String) {
    let log = |value: usize| (value as f64).log10();
    match axis {
        Axis::Payload => (log(shape.payload), bytes(shape.payload as f64)),
        Axis::Batch => (log(shape.batch), shape.batch.to_string()),
        // A list of shapes, not a quantity.
        Axis::Participants => (nth as f64, format!("{}×{}", shape.producers, shape.consumers)),
        Axis::Capacity => (log(shape.capacity), shape.capacity.to_string()),
        _ if shape.work == 0 => (log(NO_WORK as usize), "none".into()),
        _ => (log(shape.work as usize), time(shape.work as f64)),
    }
}

fn chart(
    results: &Results,
    figures: &[Figure],
    base: &Figure,
    axis: Axis,
    heading: &'static str,
    title: &'static str,
) -> Option<Chart> {
    let alike = |figure: &&Figure| {
        figure.axis == Axis::Base
            || (figure.axis == axis && rest(axis, figure.shape, base.shape) == rest(axis, base.shape, base.shape))
    };
    let mut along: Vec<&Figure> = figures.iter().filter(alike).collect();
    if along.len() < 2 {
        return None;
    }
    along.sort_by_key(|figure| key(axis, figure.shape));
    let ticks: Vec<(f64, String)> = along.iter().enumerate().map(|(nth, figure)| place(axis, figure.shape, nth)).collect();
    let mut lines: Vec<Line> = vec![];
    for (figure, tick) in along.iter().zip(&ticks) {
        for row in figure.once() {
            let at = lines.iter().position(|line| line.name == row.info.name).unwrap_or_else(|| {
                lines.push(line(&row));
                lines.len() - 1
            });
            lines[at].points.push((tick.0, row.summary.rate));
        }
    }
    pick(&mut lines);
    if axis == Axis::Work {
        for line in &mut lines {
            let mut all = results.crossovers.iter().flat_map(|crossover| &crossover.contenders);
            let crossing = all.find(|crossing| crossing.contender == line.name);
            line.ring =
                crossing.and_then(|crossing| crossing.length.median).filter(|work| *work > NO_WORK as f64).map(f64::log10);
        }
    }
    Some(Chart { heading, ticks: Ticks { title, ticks }, lines })
}

fn line(row: &Row) -> Line {
    let (family, waits) = (row.info.family, row.info.waits);
    Line { name: row.info.name.clone(), family, waits, points: vec![], ring: None, picked: false }
}

/// Picks out our own, and the best of each other family: who is in most places, and has the highest rates there.
fn pick(lines: &mut [Line]) {
    if lines.len() <= FEW {
        lines.iter_mut().for_each(|line| line.picked = true);
        return;
    }
    let rate = |line: &Line| {
        let logarithm = |point: &(f64, Interval)| point.1.median.max(1.0).ln();
        line.points.iter().map(logarithm).sum::<f64>() / line.points.len() as f64
    };
    lines.sort_by(|a, b| b.points.len().cmp(&a.points.len()).then(rate(b).total_cmp(&rate(a))));
    for (family, most) in
        [(Family::Engine, 3), (Family::Kernel, 1), (Family::Memory, 1), (Family::Threads, 1), (Family::Peer, 1)]
    {
        lines.iter_mut().filter(|line| line.family == family).take(most).for_each(|line| line.picked = true);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{figures::figures, sample};
    use super::*;

    #[test]
    fn our_own_and_the_best_of_each_family_are_picked_out() {
        let results = sample::full();
        let charts = charts(&results, &figures(&results));
        assert_eq!(charts.len(), 5);
        for chart in charts {
            assert_eq!(chart.lines.len(), 35, "{}", chart.heading);
            let picked: Vec<&Line> = chart.lines.iter().filter(|line| line.picked).collect();
            assert_eq!(picked.len(), 7, "{}", chart.heading);
            assert_eq!(picked.iter().filter(|line| line.family == Family::Engine).count(), 3);
            for line in &chart.lines {
                assert_eq!(line.points.len(), chart.ticks.ticks.len(), "{} of {}", line.name, chart.heading);
                assert!(line.points.windows(2).all(|pair| pair[0].0 < pair[1].0), "{line:?}");
            }
        }
    }

    #[test]
    fn a_batch_of_other_payloads_is_not_on_the_line_of_batches() {
        let results = sample::full();
        let all = figures(&results);
        assert!(all.iter().any(|f| f.axis == Axis::Batch && f.shape.payload == 8), "or this test says nothing");
        let batch = charts(&results, &all).into_iter().find(|chart| chart.heading == "Rate and batch").unwrap();
        assert_eq!(batch.ticks.ticks.iter().map(|tick| tick.1.as_str()).collect::<Vec<_>>(), ["1", "8", "64", "512"]);
    }

    #[test]
    fn few_are_all_picked_out_and_one_figure_is_no_chart() {
        let mut results = sample::full();
        results.contenders.truncate(4);
        let all = figures(&results);
        assert!(charts(&results, &all).iter().all(|chart| chart.lines.iter().all(|line| line.picked)));
        assert!(charts(&results, &all[..1]).is_empty());
    }
}
