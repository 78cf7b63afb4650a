//! Where we lose: every figure in which a contender of this crate is not the first among those that it is to be compared with.

use super::figures::{Figure, Row};
use crate::bench::contender::{Family, Pattern};
use crate::bench::results::Axis;
use crate::bench::statistics::Interval;
use crate::bench::value::Value;

/// Whom we are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rivals {
    /// All others that cross a process boundary.
    Processes,
    /// Threads: they need not cross one.
    Threads,
}

impl Rivals {
    fn has(self, family: Family) -> bool {
        match self {
            Rivals::Processes => !matches!(family, Family::Engine | Family::Threads),
            Rivals::Threads => family == Family::Threads,
        }
    }
}

/// A figure in which another one is ahead.
#[derive(Clone, Debug)]
pub struct Loss<'a> {
    /// In which figure.
    pub figure: &'a Figure<'a>,
    /// In what.
    pub value: Value,
    /// Ours.
    pub ours: Row<'a>,
    /// The best one of the rivals.
    pub rival: Row<'a>,
    /// How many times worse ours is; `None` if the rival has nothing at all (idle without any CPU).
    pub ratio: Option<Interval>,
}

impl Loss<'_> {
    /// Whether chance alone does not explain it: the interval does not cover 1.
    pub fn certain(&self) -> bool {
        self.ratio.is_none_or(|ratio| ratio.low > 1.0)
    }

    /// The rounds of whoever has fewer.
    pub fn rounds(&self) -> usize {
        self.ours.rounds().min(self.rival.rounds())
    }

    fn by(&self) -> f64 {
        self.ratio.map_or(f64::INFINITY, |ratio| ratio.median)
    }
}

/// How we stand against some rivals.
#[derive(Clone, Debug, Default)]
pub struct Standing<'a> {
    /// The figures that are lost, the worst ones first.
    pub losses: Vec<Loss<'a>>,
    /// In how many comparisons we are first.
    pub first: usize,
    /// In how many there is no rival to be compared with.
    pub alone: usize,
}

/// The quantities that a figure is judged by. Memory and idle CPU hardly depend on the shape: the base figure is enough.
fn values(axis: Axis) -> &'static [Value] {
    match axis {
        Axis::Base => &[Value::Rate, Value::Cpu, Value::Memory, Value::Idle],
        Axis::Latency => &[Value::P50, Value::P99, Value::P999, Value::Cpu],
        _ => &[Value::Rate, Value::Cpu],
    }
}

/// Whether a value of ours is compared with those of another one. How many there are in a second is what all are for, however they wait. What that
/// costs and how late they are is what a wait policy trades for it: there only like is compared with like. Programs at the command line have no
/// policy that whoever types them would choose.
fn comparable(value: Value, figure: &Figure, ours: &Row, other: &Row) -> bool {
    value == Value::Rate || figure.shape.pattern == Pattern::Commands || ours.info.waits == other.info.waits
}

/// Looks at all figures. `clock` is the cost of reading the clock, in nanoseconds.
pub fn standing<'a>(figures: &'a [Figure<'a>], rivals: Rivals, clock: f64) -> Standing<'a> {
    let mut standing = Standing::default();
    for figure in figures {
        for &value in values(figure.axis) {
            for ours in figure.once().filter(|row| row.info.family == Family::Engine) {
                let Some(own) = ours.median(value) else { continue };
                let others = figure.once().filter(|row| rivals.has(row.info.family) && comparable(value, figure, &ours, row));
                let worse_by = |other: f64| if value == Value::Rate { other / own } else { own / other };
                let best = others
                    .filter_map(|row| Some((row, row.median(value)?)))
                    .max_by(|a, b| worse_by(a.1).total_cmp(&worse_by(b.1)));
                match best {
                    None => standing.alone += 1,
                    // Not `>`: of two zeroes no one is ahead.
                    Some((rival, other)) if worse_by(other) > 1.0 => {
                        let (ours_all, theirs) =
                            (value.of_all(&ours.entry.rounds, clock), value.of_all(&rival.entry.rounds, clock));
                        let ratio = if value == Value::Rate {
                            Interval::of_ratio(&theirs, &ours_all)
                        } else {
                            Interval::of_ratio(&ours_all, &theirs)
                        };
                        let ratio = ratio.filter(|ratio| ratio.median.is_finite() && ratio.high.is_finite());
                        standing.losses.push(Loss { figure, value, ours, rival, ratio });
                    }
                    Some(_) => standing.first += 1,
                }
            }
        }
    }
    standing.losses.sort_by(|a, b| b.certain().cmp(&a.certain()).then(b.by().total_cmp(&a.by())));
    standing
}

#[cfg(test)]
mod tests {
    use super::super::figures::figures;
    use super::super::sample::Builder;
    use super::*;
    use crate::bench::contender::{Shape, Waits};
    use crate::bench::results::Results;

    fn lost(results: &Results, rivals: Rivals) -> Vec<(Value, String, String, bool)> {
        let figures = figures(results);
        let standing = standing(&figures, rivals, 0.0);
        let named = |row: &Row| row.info.name.clone();
        // What the sample makes up of the others is chance.
        let chosen = standing.losses.iter().filter(|loss| [Value::Rate, Value::Cpu].contains(&loss.value));
        chosen.map(|l| (l.value, named(&l.ours), named(&l.rival), l.certain())).collect()
    }

    #[test]
    fn rates_are_compared_with_all_and_costs_with_those_that_wait_alike() {
        let mut builder = Builder::new();
        builder.contender("gristmill-block", Family::Engine, Waits::Block, 1e6, 500.0);
        builder.contender("pipe", Family::Kernel, Waits::Block, 2e6, 900.0);
        builder.contender("pipe-slow", Family::Kernel, Waits::Block, 1.5e6, 900.0);
        builder.contender("ring-spin", Family::Memory, Waits::Spin, 9e6, 100.0);
        builder.contender("threads", Family::Threads, Waits::Block, 9e6, 100.0);
        builder.contender("threads-spin", Family::Threads, Waits::Spin, 12e6, 50.0);
        let results = builder.base();
        let loss = |value, rival: &str| (value, "gristmill-block".to_owned(), rival.to_owned(), true);
        assert_eq!(lost(&results, Rivals::Processes), [loss(Value::Rate, "ring-spin")]);
        assert_eq!(lost(&results, Rivals::Threads), [loss(Value::Rate, "threads-spin"), loss(Value::Cpu, "threads")]);
    }

    #[test]
    fn at_the_command_line_nobody_looks_at_the_wait_policy() {
        let mut builder = Builder::new();
        builder.contender("cli-gristmill", Family::Engine, Waits::Adaptive, 1e6, 500.0);
        builder.contender("cli-factor", Family::Peer, Waits::Block, 5e5, 100.0);
        let mut results = builder.base();
        assert_eq!(lost(&results, Rivals::Processes), []);
        for entry in &mut results.entries {
            entry.shape = Shape { pattern: Pattern::Commands, ..entry.shape };
        }
        let cpu = (Value::Cpu, "cli-gristmill".to_owned(), "cli-factor".to_owned(), true);
        assert_eq!(lost(&results, Rivals::Processes), [cpu]);
    }

    #[test]
    fn the_worst_is_first_and_what_chance_explains_is_said() {
        let mut builder = Builder::new();
        builder.contender("gristmill-block", Family::Engine, Waits::Block, 1e6, 500.0);
        builder.contender("pipe", Family::Kernel, Waits::Block, 1.001e6, 100.0);
        let results = builder.base();
        let name = |text: &str| text.to_owned();
        let cpu = (Value::Cpu, name("gristmill-block"), name("pipe"), true);
        let rate = (Value::Rate, name("gristmill-block"), name("pipe"), false);
        assert_eq!(lost(&results, Rivals::Processes), [cpu, rate]);
    }

    #[test]
    fn without_a_rival_of_like_policy_no_cost_is_won() {
        let mut builder = Builder::new();
        builder.contender("gristmill-spin", Family::Engine, Waits::Spin, 1e6, 500.0);
        builder.contender("pipe", Family::Kernel, Waits::Block, 5e5, 900.0);
        let results = builder.base();
        let figures = figures(&results);
        let standing = standing(&figures, Rivals::Processes, 0.0);
        // The rate; then CPU, memory and idle CPU.
        assert_eq!((standing.first, standing.losses.len(), standing.alone), (1, 0, 3));
    }
}
