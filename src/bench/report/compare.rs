//! Two runs: what became slower or faster.

use super::columns::wrapped;
use super::figures::{AGAIN, Figure, Row, figures};
use super::terminal::Look;
use super::words::{self, ratio};
use crate::bench::contender::Family;
use crate::bench::environment::Environment;
use crate::bench::results::{Axis, Results, Verdict as Found};
use crate::bench::statistics::{ENOUGH, Interval};
use crate::bench::value::Value;
use std::fmt::Write;

/// A difference that is smaller than this is not called a regression, however sure it is.
const SLACK: f64 = 1.05;

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The new one is worse: the interval is wholly on that side of 1.
    Slower,
    /// It is better.
    Faster,
    /// The interval covers 1.
    Same,
    /// There are too few rounds.
    Unknown,
}

/// A quantity of a contender in a figure that both runs have.
#[derive(Clone, Debug)]
pub struct Change {
    /// The contender.
    pub contender: String,
    /// Whether it is one of this crate.
    pub engine: bool,
    /// Of which figure.
    pub figure: String,
    /// What of it.
    pub value: Value,
    /// How many times the old one the new one is.
    pub ratio: Interval,
    /// See [`Verdict`].
    pub verdict: Verdict,
    /// How many times worse it may become before that is a regression.
    pub slack: f64,
}

impl Change {
    /// How many times worse it became.
    fn worse(&self) -> f64 {
        if self.value == Value::Rate { 1.0 / self.ratio.median } else { self.ratio.median }
    }

    /// Whether a run that was to show that nothing became slower shows that something did: one of our own, in its rate, its CPU or its median
    /// latency, by more than its interval and the slack. The tail of latency is told of and not judged: it hangs on few payloads.
    pub fn regression(&self) -> bool {
        self.engine && self.verdict == Verdict::Slower && self.value != Value::P99 && self.worse() > self.slack
    }
}

/// How far apart chance alone has put a contender and itself in a run; `None` if none was measured twice.
fn chance(run: &Results, value: Value) -> Option<f64> {
    let rounds = |name: &str| {
        let entry = run.entries.iter().find(|e| e.axis == Axis::Base && e.contender == name)?;
        Some(value.of_all(&entry.rounds, run.clock))
    };
    let again = run.entries.iter().find_map(|entry| entry.contender.strip_suffix(AGAIN))?;
    let ratio = Interval::of_ratio(&rounds(&format!("{again}{AGAIN}"))?, &rounds(again)?)?;
    Some(ratio.high.max(1.0 / ratio.low)).filter(|chance| chance.is_finite())
}

/// What is no regression: 5 %, or more if one of the runs shows that chance does more.
fn slack(old: &Results, new: &Results, value: Value) -> f64 {
    [old, new].into_iter().filter_map(|run| chance(run, value)).fold(SLACK, f64::max)
}

/// All that both runs have.
pub fn changes(old: &Results, new: &Results) -> Vec<Change> {
    compared(old, new).0
}

/// And how many latencies both have of which one has no p99.
fn compared(old: &Results, new: &Results) -> (Vec<Change>, usize) {
    let olds = figures(old);
    let (mut changes, mut few) = (vec![], 0);
    let (rate, cpu) = (slack(old, new, Value::Rate), slack(old, new, Value::Cpu));
    let slacks = |value| match value {
        Value::Rate => rate,
        Value::Cpu => cpu,
        // Nobody's latency is measured twice.
        _ => SLACK,
    };
    for figure in &figures(new) {
        let like = |other: &&Figure| (other.axis, other.shape, other.pace) == (figure.axis, figure.shape, figure.pace);
        let Some(before) = olds.iter().find(like) else { continue };
        for row in figure.once() {
            let Some(was) = before.once().find(|was| was.info.name == row.info.name) else { continue };
            // At a given rate the rate says nothing.
            let values = if figure.axis == Axis::Latency {
                [Value::P50, Value::P99, Value::Cpu]
            } else {
                [Value::Rate, Value::Cpu, Value::P50]
            };
            let lacks = |row: &Row, run: &Results| Value::P99.of_all(&row.entry.rounds, run.clock).is_empty();
            few += usize::from(figure.axis == Axis::Latency && (lacks(&was, old) || lacks(&row, new)));
            let change = |&value| change(value, (&was, &row), (old.clock, new.clock), figure, slacks(value));
            changes.extend(values.iter().filter_map(change));
        }
    }
    changes.sort_by(|a, b| a.verdict.cmp(&b.verdict).then(far(b).total_cmp(&far(a))));
    (changes, few)
}

/// How far from 1 a ratio is.
fn far(change: &Change) -> f64 {
    change.ratio.median.ln().abs()
}

fn change(value: Value, (was, is): (&Row, &Row), clocks: (f64, f64), figure: &Figure, slack: f64) -> Option<Change> {
    let (old, new) = (value.of_all(&was.entry.rounds, clocks.0), value.of_all(&is.entry.rounds, clocks.1));
    let ratio = Interval::of_ratio(&new, &old).filter(|ratio| ratio.median.is_finite() && ratio.median > 0.0)?;
    let verdict = if old.len().min(new.len()) < ENOUGH {
        Verdict::Unknown
    } else if ratio.covers(1.0) {
        Verdict::Same
    } else if (ratio.median > 1.0) == (value == Value::Rate) {
        Verdict::Faster
    } else {
        Verdict::Slower
    };
    let (contender, engine) = (is.info.name.clone(), is.info.family == Family::Engine);
    Some(Change { contender, engine, figure: figure.title(), value, ratio, verdict, slack })
}

/// In what two machines differ, as far as figures hang on it.
pub fn differences(old: &Environment, new: &Environment) -> Vec<String> {
    let of = |e: &Environment| {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        [
            ("CPU", e.cpu.clone()),
            ("CPUs that may be used", e.cores.to_string()),
            ("topology", e.topology.clone()),
            ("caches", e.caches.join("; ")),
            ("clock rate", e.governor.clone()),
            ("kernel", e.kernel.clone()),
            ("virtual machine", yes(e.virtual_machine)),
            ("mitigations", e.mitigations.join("; ")),
            ("control group", e.cgroup.join("; ")),
            ("memory", e.memory.to_string()),
            ("pinning", e.pinning.clone()),
            ("compiler", e.compiler.clone()),
            ("optimization", yes(e.optimized)),
        ]
    };
    let pairs = of(old).into_iter().zip(of(new));
    pairs.filter(|(a, b)| a.1 != b.1).map(|(a, b)| format!("{}: {} then, {} now", a.0, a.1, b.1)).collect()
}

/// For a terminal.
pub fn report(old: &Results, new: &Results, look: Look) -> String {
    let mut out = String::new();
    let mut say = |text: &str, bad: bool| {
        for line in wrapped(text, look.width, 2) {
            let _ = if bad && look.color { writeln!(out, "\x1b[31m{line}\x1b[0m") } else { writeln!(out, "{line}") };
        }
    };
    for (name, run) in [("old", old), ("new", new)] {
        say(&format!("{name}: {}, commit {}, version {}", run.environment.started, run.environment.commit, run.version), false);
        let notes = [(run.partial, "is partial"), (!run.noise.is_empty(), "is of a noisy machine")];
        for (_, note) in notes.iter().filter(|(is, _)| *is) {
            say(&format!("warning: the {name} run {note}"), true);
        }
        // One that was not run is no news: who compares has often chosen few contenders.
        for test in run.self_tests.iter().filter(|test| matches!(test.verdict, Found::Fails | Found::Undecided)) {
            say(&format!("warning: a self-test of the {name} run {}: {}", words::verdict(test.verdict), test.says), true);
        }
    }
    for difference in differences(&old.environment, &new.environment) {
        say(&format!("warning: not the same machine: {difference}"), true);
    }
    let (changes, few) = compared(old, new);
    let of = |verdict| changes.iter().filter(|change| change.verdict == verdict).collect::<Vec<_>>();
    for (verdict, title) in [(Verdict::Slower, "Slower or dearer"), (Verdict::Faster, "Faster or cheaper")] {
        let some = of(verdict);
        if !some.is_empty() {
            say(&format!("\n{title}: new / old, with 95 % bounds"), false);
            for change in some {
                let what = format!("{} {}", change.value.noun(), ratio(change.ratio));
                say(&format!("  {}: {what}; {}", change.contender, change.figure), false);
            }
        }
    }
    let (same, unknown) = (of(Verdict::Same).len(), of(Verdict::Unknown).len());
    say(&format!("\n{} compared: {same} show no difference (the interval covers 1)", changes.len()), false);
    if few > 0 {
        let needed = Value::P99.samples();
        say(&format!("{few} p99 are not compared: of fewer than {needed} payloads in a round they are no figures"), false);
    }
    if unknown > 0 {
        say(&format!("{unknown} have too few rounds to say anything: {ENOUGH} are needed in both runs"), false);
    }
    let slacks: Vec<String> = [Value::Rate, Value::Cpu]
        .into_iter()
        .filter_map(|value| {
            let slack = slack(old, new, value);
            (slack > SLACK).then(|| format!("{} by {:.0} %", value.noun(), (slack - 1.0) * 100.0))
        })
        .collect();
    if !slacks.is_empty() {
        say(
            &format!("Chance alone makes one contender differ from itself: {}. Less is no regression", slacks.join(", ")),
            false,
        );
    }
    let mut ours = changes.iter().filter(|change| change.engine).peekable();
    if ours.peek().is_some() && ours.all(|change| change.verdict == Verdict::Unknown) {
        say(&format!("gristmill: not judged: {ENOUGH} rounds are needed in each run (--rounds {ENOUGH})"), false);
        return out;
    }
    match changes.iter().filter(|change| change.regression()).count() {
        0 => say("gristmill: nothing slower by more than 5 %, chance and its interval", false),
        some => say(&format!("gristmill: {some} slower by more than 5 %, chance and its interval"), true),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Builder};
    use super::*;
    use crate::bench::contender::Waits;
    use crate::bench::results::Entry;

    fn run(rate: f64, cpu: f64) -> Results {
        let mut builder = Builder::new();
        builder.contender("gristmill", Family::Engine, Waits::Adaptive, rate, cpu);
        builder.contender("pipe", Family::Kernel, Waits::Block, 1e6, 500.0);
        builder.base()
    }

    fn verdicts(old: &Results, new: &Results) -> Vec<(String, Value, Verdict, bool)> {
        changes(old, new).into_iter().map(|c| (c.contender.clone(), c.value, c.verdict, c.regression())).collect()
    }

    #[test]
    fn the_interval_decides() {
        let found = verdicts(&run(1e6, 100.0), &run(8e5, 80.0));
        let gristmill = |value, verdict, regression| ("gristmill".to_owned(), value, verdict, regression);
        assert!(found.contains(&gristmill(Value::Rate, Verdict::Slower, true)), "{found:?}");
        assert!(found.contains(&gristmill(Value::Cpu, Verdict::Faster, false)), "{found:?}");
        assert!(found.contains(&("pipe".to_owned(), Value::Rate, Verdict::Same, false)), "{found:?}");
        assert!(verdicts(&run(1e6, 100.0), &run(1e6, 120.0)).contains(&gristmill(Value::Cpu, Verdict::Slower, true)));
    }

    #[test]
    fn others_may_become_slower_and_so_may_we_by_less_than_5_percent() {
        let mut slow = run(1e6, 100.0);
        for entry in slow.entries.iter_mut().filter(|entry| entry.contender == "pipe") {
            entry.rounds.iter_mut().for_each(|round| round.wall *= 2);
        }
        let found = verdicts(&run(1e6, 100.0), &slow);
        assert!(found.contains(&("pipe".to_owned(), Value::Rate, Verdict::Slower, false)), "{found:?}");
        let mut little = run(1e6, 100.0);
        for entry in &mut little.entries {
            entry.rounds.iter_mut().for_each(|round| round.wall = 1_040_000_000);
        }
        let mut even = little.clone();
        even.entries.iter_mut().flat_map(|entry| &mut entry.rounds).for_each(|round| round.wall = 1_000_000_000);
        let found = verdicts(&even, &little);
        assert!(found.contains(&("gristmill".to_owned(), Value::Rate, Verdict::Slower, false)), "{found:?}");
    }

    #[test]
    fn five_rounds_say_nothing_and_six_do() {
        let (old, mut new) = (run(1e6, 100.0), run(5e5, 100.0));
        let look = Look { color: false, width: 100 };
        new.entries.iter_mut().for_each(|entry| entry.rounds.truncate(6));
        assert!(verdicts(&old, &new).iter().any(|found| found.3));
        new.entries.iter_mut().for_each(|entry| entry.rounds.truncate(5));
        assert!(verdicts(&old, &new).iter().all(|found| found.2 == Verdict::Unknown && !found.3));
        let said = report(&old, &new, look);
        assert!(said.ends_with("gristmill: not judged: 6 rounds are needed in each run (--rounds 6)\n"), "{said}");
    }

    #[test]
    fn what_chance_does_to_one_that_is_measured_twice_is_no_regression() {
        let (mut old, new) = (run(1e6, 100.0), run(8e5, 120.0));
        let regressions = |old: &Results| verdicts(old, &new).iter().filter(|found| found.3).count();
        assert_eq!(regressions(&old), 2, "the rate and CPU");
        let mut again = old.entries[1].clone();
        again.contender += AGAIN;
        again.rounds.iter_mut().for_each(|round| round.wall = round.wall * 14 / 10);
        old.entries.push(again);
        assert_eq!(regressions(&old), 1, "CPU alone");
        let said = report(&old, &new, Look { color: false, width: 200 });
        assert!(said.contains("differ from itself: rate by 4"), "{said}");
    }

    #[test]
    fn only_what_both_have_is_compared_and_each_contender_once() {
        let (base, mut full) = (run(9.1e6, 160.0), sample::full());
        full.contenders.retain(|info| ["gristmill", "fifo"].contains(&info.name.as_str()));
        let found = verdicts(&base, &full);
        assert!(!found.is_empty() && found.iter().all(|found| found.0 == "gristmill"), "{found:?}");
        assert!(verdicts(&full, &full).iter().all(|found| found.2 == Verdict::Same));
        assert!(changes(&full, &full).iter().all(|change| !change.contender.ends_with(AGAIN)));
    }

    #[test]
    fn percentiles_of_too_few_are_not_compared_and_that_is_said() {
        let (old, mut new) = (sample::full(), sample::full());
        let p99s = |new: &Results| changes(&old, new).iter().filter(|change| change.value == Value::P99).count();
        let said = |new: &Results| report(&old, new, Look { color: false, width: 200 });
        assert!(p99s(&new) > 0 && !said(&new).contains("are not compared"));
        new.entries.iter_mut().flat_map(|entry| &mut entry.rounds).for_each(|round| {
            round.late.iter_mut().for_each(|late| late.samples = 999);
        });
        assert_eq!(p99s(&new), 0);
        // Who is no contender of the new run is compared in nothing.
        let gone = new.contenders.remove(0).name;
        let both = |entry: &&Entry| entry.axis == Axis::Latency && entry.contender != gone;
        let latencies = new.entries.iter().filter(both).count();
        assert!(said(&new).contains(&format!("\n{latencies} p99 are not compared: of fewer than 1000 payloads")));
    }

    #[test]
    fn another_machine_is_told_of() {
        let (old, mut new) = (run(1e6, 100.0), run(1e6, 100.0));
        let look = Look { color: false, width: 100 };
        assert!(!report(&old, &new, look).contains("not the same machine"));
        new.environment.cores = 64;
        // Neither differs from run to run on one machine by itself.
        new.environment.load_before = "9 9 9".into();
        new.environment.commit = "fffffff".into();
        let said = report(&old, &new, look);
        assert!(said.contains("not the same machine: CPUs that may be used: 4 then, 64 now"), "{said}");
        assert_eq!(said.matches("not the same machine").count(), 1, "{said}");
    }

    #[test]
    fn the_report_ends_with_what_decides() {
        let look = Look { color: false, width: 80 };
        let ends = |old: &Results, new: &Results| report(old, new, look).lines().last().unwrap().to_owned();
        assert_eq!(
            ends(&run(1e6, 100.0), &run(1e6, 100.0)),
            "gristmill: nothing slower by more than 5 %, chance and its interval"
        );
        assert_eq!(ends(&run(1e6, 100.0), &run(5e5, 100.0)), "gristmill: 1 slower by more than 5 %, chance and its interval");
    }
}
