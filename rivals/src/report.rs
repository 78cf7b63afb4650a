//! The tables, in Markdown, on standard output as they come.

use crate::figures::Figure;
use crate::race::{Outcome, Shown};
use crate::statistics::Spread;
use std::error::Error;

/// A rival is to take at least so many times the time of a race's first contender.
pub struct Goal<'a> {
    pub rival: &'a str,
    pub times: f64,
    pub says: &'static str,
}

/// What has been said so far that is said again at the end.
pub struct Report {
    /// Whether all contenders run: without, no goal can be judged.
    judges: bool,
    goals: Vec<[String; 4]>,
    failures: usize,
    figure: &'static str,
}

impl Report {
    pub fn new(judges: bool) -> Self {
        Report { judges, goals: vec![], failures: 0, figure: "" }
    }

    pub fn environment(&self, line: &str) {
        println!("{line}\n");
    }

    pub fn title(&mut self, figure: &Figure) {
        self.figure = figure.name;
        println!("## {}: {}\n", figure.name, figure.says);
    }

    pub fn failed(&mut self, figure: &str, why: &dyn Error) {
        self.failures += 1;
        eprintln!("gristmill-rivals: {figure}: {why}");
        println!("This figure failed: {why}\n");
    }

    pub fn has_failures(&self) -> bool {
        self.failures > 0
    }

    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        println!("| {} |", head.join(" | "));
        println!("|{}", "---|".repeat(head.len()));
        for row in rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }

    /// The table of a race, all compared with its first contender.
    pub fn race(&mut self, outcomes: &[Outcome], goals: &[Goal<'_>]) {
        let Some(ours) = outcomes.first() else { return };
        let mut rows = Vec::new();
        for outcome in outcomes {
            let mut row = vec![outcome.name.clone(), count(outcome.jobs)];
            match &outcome.shown {
                Shown::Nanos(_) => {
                    let spread = outcome.spread();
                    row.push(spread.map_or("–".into(), |s| time(s.median)));
                    row.push(spread.map_or("–".into(), |s| format!("{} – {}", time(s.least), time(s.greatest))));
                    row.push(spread.map_or("–".into(), |s| rate(s.median)));
                }
                Shown::Absent => row.extend(["absent".into(), "–".into(), "–".into()]),
                Shown::Failed(why) => {
                    self.failures += 1;
                    row.extend([format!("failed: {why}"), "–".into(), "–".into()]);
                }
            }
            let times = if std::ptr::eq(outcome, ours) { None } else { outcome.times(ours) };
            row.push(times.map_or("–".into(), ratio));
            row.push(times.and(outcome.least_times(ours)).map_or("–".into(), |times| format!("{} ×", digits(times))));
            let goal = goals.iter().find(|goal| goal.rival == outcome.name);
            row.push(goal.map_or(String::new(), |goal| goal.says.into()));
            row.push(match (goal, times) {
                (Some(goal), Some(times)) => {
                    let what = format!("{} against {}", ours.name, goal.rival);
                    self.goal(&what, goal.says, &ratio(times), times.median >= goal.times)
                }
                _ => String::new(),
            });
            rows.push(row);
        }
        let head = [
            "contender",
            "jobs a pass",
            "time a job",
            "least – greatest",
            "jobs/s",
            "times the first one's time",
            "by least times",
            "goal",
            "reached",
        ];
        self.table(&head, &rows);
    }

    /// Notes a goal, and gives back what to print in its table.
    pub fn goal(&mut self, what: &str, goal: &str, measured: &str, reached: bool) -> String {
        if !self.judges {
            return "–".into();
        }
        let reached = if reached { "yes" } else { "**no**" }.to_owned();
        self.goals.push([format!("{}: {what}", self.figure), goal.into(), measured.into(), reached.clone()]);
        reached
    }

    /// All goals once more.
    pub fn goals(&self) {
        if self.goals.is_empty() {
            return;
        }
        println!("## Goals\n");
        let rows: Vec<Vec<String>> = self.goals.iter().map(|goal| goal.to_vec()).collect();
        self.table(&["figure", "goal", "measured", "reached"], &rows);
    }
}

/// Nanoseconds for a reader.
pub fn time(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{} ns", digits(n)),
        n if n < 1e6 => format!("{} µs", digits(n / 1e3)),
        n if n < 1e9 => format!("{} ms", digits(n / 1e6)),
        n => format!("{} s", digits(n / 1e9)),
    }
}

/// Jobs in a second, from nanoseconds a job.
pub fn rate(nanos: f64) -> String {
    match 1e9 / nanos {
        n if n < 1e3 => digits(n),
        n if n < 1e6 => format!("{} k", digits(n / 1e3)),
        n => format!("{} M", digits(n / 1e6)),
    }
}

pub fn ratio(times: Spread) -> String {
    format!("{} × ({} – {})", digits(times.median), digits(times.least), digits(times.greatest))
}

/// Three digits that count.
pub fn digits(value: f64) -> String {
    let places = if value < 0.9995 {
        3
    } else if value < 9.995 {
        2
    } else {
        usize::from(value < 99.95)
    };
    format!("{value:.places$}")
}

/// A whole number with its thousands apart.
pub fn count(number: u64) -> String {
    let text = number.to_string();
    let mut apart = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_three_digits_and_a_unit() {
        assert_eq!(time(95.4), "95.4 ns");
        assert_eq!(time(1234.0), "1.23 µs");
        assert_eq!(time(20e6), "20.0 ms");
        assert_eq!(rate(50.0), "20.0 M");
        assert_eq!(digits(0.9996), "1.00");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(100), "100");
        assert_eq!(count(1_234_567), "1,234,567");
    }
}
