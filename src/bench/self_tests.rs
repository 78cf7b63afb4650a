//! Checks of the method itself, made from what a run has measured.

use super::report::figures::AGAIN;
use super::results::{Axis, Entry, SelfTest, Skipped, Verdict};
use super::statistics::Interval;
use super::value::Value;

/// An interval of a ratio that reaches farther from 1 than this decides nothing.
const WIDEST: f64 = 0.1;

/// With fewer rounds than these the ratio of two like contenders hardly ever covers 1.
const ROUNDS: usize = 3;

/// Reading the clock costs less than so many nanoseconds.
const CLOCK: f64 = 200.0;

/// All of them; one that has nothing to go by says so.
pub fn all(entries: &[Entry], skipped: &[Skipped], clock: f64) -> Vec<SelfTest> {
    let rates = |name: &str| {
        let entry = entries.iter().find(|e| e.axis == Axis::Base && e.contender == name)?;
        Some(Value::Rate.of_all(&entry.rounds, 0.0))
    };
    let alike = |says: String, one: &str, two: &str, slack: f64| {
        let (of, to) = match (rates(one), rates(two)) {
            (Some(of), Some(to)) => (of, to),
            (None, _) => return not_run(says, one, skipped),
            (_, None) => return not_run(says, two, skipped),
        };
        judged(says, &of, &to, slack)
    };
    let again = entries.iter().find_map(|entry| entry.contender.strip_suffix(AGAIN));
    let (again, name) =
        again.map_or_else(|| (String::from("the first contender"), ""), |name| (format!("{name}{AGAIN}"), name));
    let itself = if name.is_empty() { "a contender" } else { name };
    vec![
        alike(format!("A/A: {itself} is as fast as itself; the ratio's interval covers 1"), &again, name, 0.0),
        alike("a FIFO is a pipe with a name: within 5 % of one another".into(), "fifo", "pipe-atomic", 0.05),
        SelfTest {
            says: format!("reading the clock costs less than {CLOCK} ns, and is subtracted from how late payloads are"),
            found: format!("{clock:.1} ns"),
            verdict: if clock < CLOCK { Verdict::Holds } else { Verdict::Fails },
        },
    ]
}

fn judged(says: String, of: &[f64], to: &[f64], slack: f64) -> SelfTest {
    let rounds = of.len().min(to.len());
    let Some(ratio) = Interval::of_ratio(of, to) else {
        return SelfTest { says, found: "there are no rounds".into(), verdict: Verdict::NotRun };
    };
    let found = format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.low, ratio.high);
    let (found, verdict) = if rounds < ROUNDS {
        (format!("{found}; undecided: there are fewer than {ROUNDS} rounds"), Verdict::Undecided)
    } else if ratio.low > 1.0 + slack || ratio.high < 1.0 - slack {
        (found, Verdict::Fails)
    } else if ratio.low < 1.0 - WIDEST || ratio.high > 1.0 + WIDEST {
        (format!("{found}; undecided: the interval is wider than ±{:.0} %", WIDEST * 100.0), Verdict::Undecided)
    } else {
        (found, Verdict::Holds)
    };
    SelfTest { says, found, verdict }
}

fn not_run(says: String, name: &str, skipped: &[Skipped]) -> SelfTest {
    let why = skipped.iter().find(|skipped| skipped.contender == name).map_or("has no base figure in this run", |s| &s.why);
    SelfTest { says, found: format!("{name}: {why}"), verdict: Verdict::NotRun }
}

#[cfg(test)]
mod tests {
    use super::super::report::sample::Builder;
    use super::*;
    use crate::bench::contender::{Family, Waits};
    use crate::bench::results::Results;

    fn verdict(of: &[f64], slack: f64) -> Verdict {
        judged(String::new(), of, &[1.0; 7], slack).verdict
    }

    fn run(names: &[&str]) -> Results {
        let mut builder = Builder::new();
        names.iter().for_each(|name| builder.contender(name, Family::Kernel, Waits::Block, 1e6, 100.0));
        builder.base()
    }

    #[test]
    fn what_differs_fails_and_what_is_wide_decides_nothing() {
        let seven = |low: f64, high: f64| [low, low, low, (low + high) / 2.0, high, high, high];
        assert_eq!(verdict(&seven(0.98, 1.03), 0.0), Verdict::Holds);
        assert_eq!(verdict(&seven(1.02, 1.03), 0.0), Verdict::Fails);
        assert_eq!(verdict(&seven(1.02, 1.03), 0.05), Verdict::Holds, "within the slack");
        assert_eq!(verdict(&seven(0.5, 0.9), 0.05), Verdict::Fails, "wide, but surely apart");
        assert_eq!(verdict(&seven(0.5, 2.0), 0.0), Verdict::Undecided);
        assert_eq!(verdict(&seven(0.99, 1.2), 0.05), Verdict::Undecided);
        assert_eq!(verdict(&[1.3, 1.3], 0.0), Verdict::Undecided, "two rounds");
    }

    #[test]
    fn what_has_nothing_to_go_by_is_named_with_the_reason() {
        let results = run(&["pipe-atomic"]);
        let why = |why: &str| Skipped { contender: "fifo".into(), shape: None, why: why.into() };
        let tests = all(&results.entries, &[why("the disk is full")], 20.0);
        let verdicts: Vec<Verdict> = tests.iter().map(|test| test.verdict).collect();
        assert_eq!(verdicts, [Verdict::NotRun, Verdict::NotRun, Verdict::Holds]);
        assert_eq!(tests[1].found, "fifo: the disk is full");
        let tests = all(&results.entries, &[], 2_000.0);
        assert_eq!(tests[1].found, "fifo: has no base figure in this run");
        assert_eq!(tests[2].verdict, Verdict::Fails, "a slow clock");
    }

    #[test]
    fn the_contender_that_was_measured_twice_is_compared_with_itself() {
        let mut results = run(&["pipe-atomic", "fifo"]);
        let again = Entry { contender: format!("fifo{AGAIN}"), ..results.entries[1].clone() };
        results.entries.push(again);
        let tests = all(&results.entries, &[], 20.0);
        assert!(tests[0].says.starts_with("A/A: fifo is as fast as itself"), "{}", tests[0].says);
        assert!(tests.iter().all(|test| test.verdict == Verdict::Holds), "{tests:?}");
    }
}
