//! The entries of a run, put together to figures: what is compared within one shape.

use super::words;
use crate::bench::contender::{Info, Pattern, Shape};
use crate::bench::results::{Axis, Entry, Kill, Pace, Results, Summary};
use crate::bench::value::Value;

/// What a contender that is measured twice is called the second time.
pub const AGAIN: &str = " again";

/// A contender in a figure.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// What was measured.
    pub entry: &'a Entry,
    /// What it says.
    pub summary: &'a Summary,
    /// Who it is.
    pub info: &'a Info,
}

impl Row<'_> {
    /// Whether it is here a second time, to see what chance does.
    pub fn again(&self) -> bool {
        self.entry.contender.ends_with(AGAIN)
    }

    /// How many rounds it has.
    pub fn rounds(&self) -> usize {
        self.entry.rounds.len()
    }

    /// Payloads that there was room for.
    pub fn room(&self) -> Option<u64> {
        self.entry.rounds.first()?.room
    }

    /// The median of a quantity.
    pub fn median(&self, value: Value) -> Option<f64> {
        Some(value.in_summary(self.summary)?.median)
    }
}

/// The worst that happened when one of its consumers was killed, for a cell.
pub fn killed(kills: &[Kill], row: &Row) -> String {
    kills.iter().find(|kill| kill.contender == row.info.name).map_or("–".into(), |kill| words::worst(&kill.fates))
}

/// All contenders in one shape, the best one first.
#[derive(Clone, Debug)]
pub struct Figure<'a> {
    /// What is varied.
    pub axis: Axis,
    /// What was asked of them.
    pub shape: Shape,
    /// If it is about latency: at which rate.
    pub pace: Option<Pace>,
    /// Who took part.
    pub rows: Vec<Row<'a>>,
}

impl<'a> Figure<'a> {
    /// What it shows, in a line.
    pub fn title(&self) -> String {
        match self.pace {
            Some(pace) => format!("{} {}: {}", words::axis(self.axis), words::pace(pace), self.shape),
            None => format!("{}: {}", words::axis(self.axis), self.shape),
        }
    }

    /// What it is about: how late payloads are, or how many there are in a second.
    pub fn value(&self) -> Value {
        if self.axis == Axis::Latency { Value::P50 } else { Value::Rate }
    }

    /// The rounds of those who have all of them.
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(Row::rounds).max().unwrap_or(0)
    }

    /// Whether a quantity was measured of anybody.
    pub fn has(&self, value: Value) -> bool {
        self.rows.iter().any(|row| row.median(value).is_some())
    }

    /// Whether somebody had other room than was asked for.
    pub fn rooms_differ(&self) -> bool {
        let asked = Some(self.shape.capacity as u64);
        self.shape.pattern != Pattern::Commands && self.rows.iter().any(|row| row.room() != asked)
    }

    /// The rows without those that are here a second time.
    pub fn once(&self) -> impl Iterator<Item = Row<'a>> {
        self.rows.iter().filter(|row| !row.again()).copied()
    }
}

/// All figures, in the order in which they were measured.
pub fn figures(results: &Results) -> Vec<Figure<'_>> {
    let mut figures: Vec<Figure> = vec![];
    for entry in &results.entries {
        let name = entry.contender.trim_end_matches(AGAIN);
        let (Some(summary), Some(info)) = (&entry.summary, results.contenders.iter().find(|info| info.name == name)) else {
            continue;
        };
        let (axis, shape, pace) = (entry.axis, entry.shape, entry.pace);
        let at = figures.iter().position(|f| (f.axis, f.shape, f.pace) == (axis, shape, pace)).unwrap_or_else(|| {
            figures.push(Figure { axis, shape, pace, rows: vec![] });
            figures.len() - 1
        });
        figures[at].rows.push(Row { entry, summary, info });
    }
    for figure in &mut figures {
        match figure.value() {
            Value::Rate => figure.rows.sort_by(|a, b| b.summary.rate.median.total_cmp(&a.summary.rate.median)),
            late => figure.rows.sort_by(|a, b| {
                let late = |row: &Row| row.median(late).unwrap_or(f64::INFINITY);
                late(a).total_cmp(&late(b))
            }),
        }
    }
    figures
}
