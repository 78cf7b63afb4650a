//! What a run of an experiment has found: charts, numbers, whether the shape is the expected one, and words that use the numbers.

use crate::bench::statistics::Interval;
use serde::{Deserialize, Serialize};

/// All that one run has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The first one is what was to be predicted, if that was to be drawn.
    pub charts: Vec<Chart>,
    /// Figures worth to be named.
    pub numbers: Vec<Number>,
    /// What was seen and why, with the numbers just measured.
    pub saw: String,
    /// The shape.
    pub checks: Vec<Check>,
    /// Which answer to the question was right, if there was a choice.
    pub answer: Option<usize>,
    /// A picture in letters.
    pub trace: Trace,
}

/// A picture in letters: what happened, a line each. Empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What it shows.
    pub title: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Along.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// Its lines, or groups of bars.
    pub series: Vec<Series>,
    /// Names of the places on the axis, where these are no numbers: then bars are drawn.
    pub names: Vec<String>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it is, and its unit.
    pub title: String,
    /// Whether it is logarithmic.
    pub log: bool,
}

impl Axis {
    /// A linear one.
    pub fn linear(title: &str) -> Axis {
        Axis { title: title.to_owned(), log: false }
    }

    /// A logarithmic one.
    pub fn log(title: &str) -> Axis {
        Axis { title: title.to_owned(), log: true }
    }
}

/// Where the values of a series come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// They were measured now.
    Measured,
    /// A model says so, of what was measured.
    Model,
    /// They are of another machine, or of a textbook, and only show what could be seen.
    Reference,
}

impl Origin {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Measured => "measured",
            Origin::Model => "model",
            Origin::Reference => "reference",
        }
    }
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// A place on the axis, and the value there with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// How much: the median of the rounds and its 95 % interval, or their range where they are few.
    pub y: Interval,
}

impl Point {
    /// What was measured there, round by round; at least one value.
    pub fn of(x: f64, rounds: &[f64]) -> Option<Point> {
        Some(Point { x, y: Interval::of(rounds)? })
    }

    /// A value without bounds.
    pub fn exact(x: f64, y: f64) -> Point {
        Point { x, y: Interval { median: y, low: y, high: y } }
    }
}

impl Series {
    /// A line through what was measured: places, and their rounds. Places without any are left out.
    pub fn measured(name: &str, rounds: impl IntoIterator<Item = (f64, Vec<f64>)>) -> Series {
        let points = rounds.into_iter().filter_map(|(x, rounds)| Point::of(x, &rounds)).collect();
        Series { name: name.to_owned(), origin: Origin::Measured, points }
    }

    /// A line of a model.
    pub fn model(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        let points = points.into_iter().map(|(x, y)| Point::exact(x, y)).collect();
        Series { name: name.to_owned(), origin: Origin::Model, points }
    }

    /// The median at a place.
    pub fn at(&self, x: f64) -> Option<f64> {
        self.points.iter().find(|point| (point.x - x).abs() < 1e-9).map(|point| point.y.median)
    }
}

/// A figure with its name and unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what; empty for a plain number.
    pub unit: String,
}

impl Number {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Number {
        Number { name: name.into(), value, unit: unit.to_owned() }
    }
}

/// A part of the expected shape, and whether it is there. Never of nanoseconds: those are the machine's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What is expected.
    pub says: String,
    /// Whether it is so.
    pub verdict: Verdict,
    /// What was found, in figures.
    pub found: String,
    /// If it is not so, what the cause may be.
    pub cause: String,
}

/// Whether the shape is the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    Holds,
    /// It is not.
    Fails,
    /// It is not, and no machine can be the cause: something of this build is at fault.
    Wrong,
    /// This machine has too few CPUs to show it.
    NotHere,
}

impl Check {
    /// That something is so. `cause` is what it may be if not.
    pub fn new(says: &str, holds: bool, found: String, cause: &str) -> Check {
        let verdict = if holds { Verdict::Holds } else { Verdict::Fails };
        Check { says: says.to_owned(), verdict, found, cause: if holds { String::new() } else { cause.to_owned() } }
    }

    /// That something is so on each machine, however busy.
    pub fn certain(says: &str, holds: bool, found: String) -> Check {
        let check = Check::new(says, holds, found, "a fault of this build: please report it");
        if holds { check } else { Check { verdict: Verdict::Wrong, ..check } }
    }

    /// The same, if there are so many CPUs; without them nothing is judged.
    pub fn with_cores(self, needs: usize, has: usize) -> Check {
        if has >= needs {
            return self;
        }
        let cause = format!("it needs {needs} CPUs, and there are {has}");
        Check { verdict: Verdict::NotHere, cause, ..self }
    }
}

impl Findings {
    /// Leaves out what is no number, as a ratio to nothing: no form of a record has it.
    pub fn keep_finite(&mut self) {
        self.numbers.retain(|number| number.value.is_finite());
        for series in self.charts.iter_mut().flat_map(|chart| &mut chart.series) {
            series.points.retain(|Point { x, y }| [*x, y.median, y.low, y.high].iter().all(|value| value.is_finite()));
        }
    }

    /// What is to be read before [`Findings::saw`] if the shape is not the expected one, of which those words speak.
    pub fn doubt(&self) -> Option<String> {
        let missing = |check: &&Check| matches!(check.verdict, Verdict::Fails | Verdict::Wrong);
        let missing: Vec<String> =
            self.checks.iter().filter(missing).map(|check| format!("{} ({})", check.says, check.found)).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "This run has not shown all that is expected. Missing: {}. So read the explanation with doubt: its numbers are of this run, its reasons \
                 of what is expected. Run it again, for longer, with nothing else running.",
                missing.join("; ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_left_out() {
        let series = vec![Series::model("m", [(1.0, f64::NAN), (2.0, 3.0)])];
        let chart = Chart { title: String::new(), x: Axis::log("x"), y: Axis::log("y"), series, names: vec![] };
        let numbers = vec![Number::new("a", f64::INFINITY, ""), Number::new("b", 1.0, "")];
        let mut found = Findings { charts: vec![chart], numbers, ..Findings::default() };
        found.keep_finite();
        assert_eq!((found.charts[0].series[0].points.len(), found.numbers.len()), (1, 1));
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), found);
    }

    #[test]
    fn who_reads_of_a_shape_that_was_not_there_is_told_first() {
        let of = |checks| Findings { checks, ..Findings::default() };
        let holds = Check::new("slow", true, "9 times".into(), "x");
        let found = of(vec![holds.clone(), Check::new("fast", false, "1.1 times".into(), "x")]);
        assert!(found.doubt().is_some_and(|doubt| doubt.contains("Missing: fast (1.1 times).")));
        let found = of(vec![holds, Check::new("x", false, String::new(), "x").with_cores(4, 2)]);
        assert!(found.doubt().is_none());
        assert_eq!(Check::certain("x", false, String::new()).verdict, Verdict::Wrong);
        assert_eq!(Check::certain("x", true, String::new()).verdict, Verdict::Holds);
    }

    #[test]
    fn a_check_that_holds_has_no_cause_and_one_that_fails_has_it() {
        let check = |holds| Check::new("two are faster than one", holds, "1.9".into(), "a busy machine");
        assert_eq!((check(true).verdict, check(true).cause.as_str()), (Verdict::Holds, ""));
        assert_eq!((check(false).verdict, check(false).cause.as_str()), (Verdict::Fails, "a busy machine"));
        let few = check(false).with_cores(4, 2);
        assert_eq!((few.verdict, few.cause.as_str()), (Verdict::NotHere, "it needs 4 CPUs, and there are 2"));
        assert_eq!(check(false).with_cores(2, 2).verdict, Verdict::Fails);
    }

    #[test]
    fn a_series_has_its_median_at_each_place_and_no_place_without_values() {
        let series = Series::measured("rate", [(1.0, vec![3.0, 1.0, 2.0]), (2.0, vec![])]);
        assert_eq!((series.at(1.0), series.at(2.0), series.points.len()), (Some(2.0), None, 1));
    }
}
