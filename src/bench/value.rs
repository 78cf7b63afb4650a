//! What is read off a round: the same in summaries, reports and comparisons.

use super::report::numbers::{bytes, count, digits, time};
use super::results::Summary;
use super::statistics::Interval;
use super::turn::{Late, Played};

/// One of the quantities that a summary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Payloads a second.
    Rate,
    /// Nanoseconds of CPU for a payload.
    Cpu,
    /// Context switches for a million payloads.
    Switches,
    /// System calls for a million payloads.
    Calls,
    /// CPU of idle participants, as a share of one CPU.
    Idle,
    /// Bytes of memory.
    Memory,
    /// Nanoseconds until all participants were ready.
    StartUp,
    /// Nanoseconds by which half of the payloads were late at most.
    P50,
    /// 99 of 100.
    P99,
    /// 999 of 1000.
    P999,
}

/// Percentiles of fewer payloads than these are no figures: of a p99.9 at least ten payloads must be later.
const FOR_P99: u64 = 1_000;

/// See [`FOR_P99`].
const FOR_P999: u64 = 10_000;

impl Value {
    /// How many payloads a round must have noted for this to be a figure.
    pub fn samples(self) -> u64 {
        match self {
            Value::P99 => FOR_P99,
            Value::P999 => FOR_P999,
            _ => 0,
        }
    }

    /// What one round says. `clock` is the cost of reading the clock, in nanoseconds.
    pub fn of(self, played: &Played, clock: f64) -> Option<f64> {
        let each = |used: u64| used as f64 / played.jobs as f64;
        let late = |of: fn(&Late) -> u64| {
            let late = played.late.as_ref().filter(|late| late.samples >= self.samples())?;
            Some((of(late) as f64 - clock).max(0.0))
        };
        match self {
            Value::Rate => Some(played.jobs as f64 * 1e9 / played.wall as f64),
            Value::Cpu => Some(each(played.used.cpu)),
            Value::Switches => Some(1e6 * each(played.used.voluntary + played.used.involuntary)),
            Value::Calls => Some(1e6 * each(played.calls?)),
            Value::Idle => played.idle,
            Value::Memory => Some(played.memory as f64),
            Value::StartUp => Some(played.start_up as f64),
            Value::P50 => late(|late| late.p50),
            Value::P99 => late(|late| late.p99),
            Value::P999 => late(|late| late.p999),
        }
    }

    /// What all rounds say, one by one.
    pub fn of_all(self, rounds: &[Played], clock: f64) -> Vec<f64> {
        rounds.iter().filter_map(|played| self.of(played, clock)).collect()
    }

    /// What they say together.
    pub fn in_summary(self, summary: &Summary) -> Option<Interval> {
        match self {
            Value::Rate => Some(summary.rate),
            Value::Cpu => Some(summary.cpu),
            Value::Switches => Some(summary.switches),
            Value::Calls => summary.calls,
            Value::Idle => summary.idle,
            Value::Memory => Some(summary.memory),
            Value::StartUp => Some(summary.start_up),
            Value::P50 => summary.p50,
            Value::P99 => summary.p99,
            Value::P999 => summary.p999,
        }
    }

    /// Its name as the head of a column.
    pub fn name(self) -> &'static str {
        match self {
            Value::Rate => "a second",
            Value::Cpu => "CPU each",
            Value::Switches => "switches/M",
            Value::Calls => "calls/M",
            Value::Idle => "idle CPU",
            Value::Memory => "memory",
            Value::StartUp => "start-up",
            Value::P50 => "p50",
            Value::P99 => "p99",
            Value::P999 => "p99.9",
        }
    }

    /// Its name in a sentence.
    pub fn noun(self) -> &'static str {
        if self == Value::Rate { "rate" } else { self.name() }
    }

    /// For a reader.
    pub fn show(self, value: f64) -> String {
        match self {
            Value::Rate | Value::Switches | Value::Calls => count(value),
            Value::Idle => format!("{} %", digits(value * 100.0)),
            Value::Memory => bytes(value),
            Value::Cpu | Value::StartUp | Value::P50 | Value::P99 | Value::P999 => time(value),
        }
    }
}

impl Summary {
    /// What rounds say together; `None` without rounds.
    pub fn of(rounds: &[Played], clock: f64) -> Option<Summary> {
        Summary::by(|value| Interval::of(&value.of_all(rounds, clock)))
    }

    /// With an interval for each quantity.
    pub fn by(of: impl Fn(Value) -> Option<Interval>) -> Option<Summary> {
        Some(Summary {
            rate: of(Value::Rate)?,
            cpu: of(Value::Cpu)?,
            switches: of(Value::Switches)?,
            calls: of(Value::Calls),
            idle: of(Value::Idle),
            memory: of(Value::Memory)?,
            start_up: of(Value::StartUp)?,
            p50: of(Value::P50),
            p99: of(Value::P99),
            p999: of(Value::P999),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Used;

    fn played(samples: u64) -> Played {
        let late = Late { samples, p50: 50, p90: 90, p99: 99, p999: 999, max: 9_999 };
        let used = Used::default();
        Played { start_up: 1, room: None, jobs: 1, wall: 1, used, calls: None, memory: 1, idle: None, late: Some(late) }
    }

    #[test]
    fn a_percentile_of_too_few_is_no_figure() {
        let of = |samples: u64| [Value::P50, Value::P99, Value::P999].map(|value| value.of(&played(samples), 10.0));
        assert_eq!(of(999), [Some(40.0), None, None]);
        assert_eq!(of(1_000), [Some(40.0), Some(89.0), None]);
        assert_eq!(of(9_999)[2], None);
        assert_eq!(of(10_000), [Some(40.0), Some(89.0), Some(989.0)]);
    }
}
