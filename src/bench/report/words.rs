//! What several reports say in the same words.

use super::figures::Figure;
use super::numbers::{count, time};
use crate::bench::contender::{Family, Waits};
use crate::bench::environment::Environment;
use crate::bench::kill::Fate;
use crate::bench::results::{Axis, Crossing, Crossover, Length, Pace, Verdict};
use crate::bench::statistics::{ENOUGH, Interval};
use crate::bench::value::Value;

/// What who finds nothing does.
pub fn waits(waits: Waits) -> &'static str {
    match waits {
        Waits::Block => "blocks",
        Waits::Adaptive => "adaptive",
        Waits::Spin => "spins",
    }
}

/// A family, for the legend.
pub fn family(family: Family) -> &'static str {
    match family {
        Family::Engine => "gristmill",
        Family::Kernel => "pipes and kernel queues",
        Family::Memory => "other shared memory",
        Family::Threads => "threads (no processes)",
        Family::Peer => "other libraries and programs",
    }
}

/// What a group of figures shows.
pub fn axis(axis: Axis) -> &'static str {
    match axis {
        Axis::Base => "Payloads from producers to consumers",
        Axis::Payload => "Other payloads",
        Axis::Participants => "Other numbers of producers and consumers",
        Axis::Batch => "Several payloads in a call",
        Axis::Capacity => "Other room in the queue",
        Axis::Work => "Work on each payload",
        Axis::Calls => "Jobs and their results",
        Axis::Commands => "Numbers to factor, at the command line",
        Axis::Latency => "How late payloads are",
    }
}

/// What a self-test says.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "FAILED",
        Verdict::Undecided => "UNDECIDED",
        Verdict::NotRun => "NOT RUN",
    }
}

/// A rate at which latency was measured.
pub fn pace(pace: Pace) -> String {
    match pace {
        Pace::Share(share) => format!("at {:.0} % of its own maximum", share * 100.0),
        Pace::Common(rate) => format!("at {} payloads a second", count(rate)),
    }
}

/// What the bounds of intervals are, as the head of a column.
pub fn bounds(rounds: usize) -> String {
    if rounds < ENOUGH { format!("range of {rounds}") } else { "95 %".into() }
}

/// And as part of a sentence.
pub fn intervals(rounds: usize) -> String {
    match rounds {
        1 => "there is one round, and no interval".into(),
        _ if rounds < ENOUGH => format!("thin lines are the range of {rounds} rounds"),
        _ => "thin lines are 95 % bootstrap intervals".into(),
    }
}

/// Follows the bounds of one who has fewer rounds than a column's head says.
pub fn fewer(rounds: usize, of: usize) -> String {
    let (own, head) = (bounds(rounds), bounds(of));
    if own == head { String::new() } else { format!(" ({own})") }
}

/// The bounds of an interval.
pub fn spread(interval: Interval, show: impl Fn(f64) -> String) -> String {
    format!("{} – {}", show(interval.low), show(interval.high))
}

/// A ratio and its bounds.
pub fn ratio(ratio: Interval) -> String {
    let digits = |value: f64| if value < 99.5 { format!("{value:.2}") } else { format!("{value:.0}") };
    format!("{} ({} – {})", digits(ratio.median), digits(ratio.low), digits(ratio.high))
}

/// From which length of work on there is no difference, with its bounds.
pub fn length(length: Length, longest: u64) -> String {
    let one = |nanos: Option<f64>| match nanos {
        Some(nanos) if nanos > 0.0 => time(nanos),
        Some(_) => "none".into(),
        None => format!("more than {}", time(longest as f64)),
    };
    let [median, low, high] = [length.median, length.low, length.high].map(one);
    if low == high { median } else { format!("{median} ({low} – {high})") }
}

/// To sort by: how far off it is.
pub fn reach(one: &Crossing) -> f64 {
    one.length.median.unwrap_or(f64::INFINITY)
}

/// The answer for those who wait alike: up to which length of a job it matters who is chosen.
pub fn crossover(crossover: &Crossover) -> String {
    let of = crossover.contenders.len();
    let behind = crossover.contenders.iter().filter(|one| one.length.median.is_none()).count();
    let last = crossover.contenders.iter().max_by(|a, b| reach(a).total_cmp(&reach(b)));
    let who = match last {
        _ if behind > 0 => format!("; there {behind} of {of} are still behind"),
        Some(last) if last.length.median > Some(0.0) => format!("; the last of {of} is {}", last.contender),
        _ => format!("; all {of} are alike without work"),
    };
    format!("{}: {}{who}", waits(crossover.waits), length(crossover.length, crossover.longest))
}

/// What a dash among percentiles means, if there is one in such a figure.
pub fn too_few(figure: &Figure) -> Option<String> {
    let lacks = |value: Value| figure.rows.iter().any(|row| row.median(value).is_none());
    let missing: Vec<Value> = [Value::P99, Value::P999].into_iter().filter(|value| lacks(*value)).collect();
    let needs: Vec<String> = missing.iter().map(|value| format!("{} needs {}", value.name(), value.samples())).collect();
    (!needs.is_empty()).then(|| format!("–: too few payloads in a round ({})", needs.join(", ")))
}

/// What happened in all tries.
pub fn fates(fates: &[Fate]) -> String {
    let tries = fates.len();
    let mut parts = vec![];
    let hung = fates.iter().filter(|fate| matches!(fate, Fate::Hangs { .. })).count();
    let broke: Vec<&str> =
        fates.iter().filter_map(|fate| if let Fate::Breaks { how } = fate { Some(how.as_str()) } else { None }).collect();
    let goes_on = |fate: &Fate| if let Fate::GoesOn { lost, again } = fate { Some((*lost, *again)) } else { None };
    let drops = |fate: &Fate| if let Fate::Drops { lost, again } = fate { Some((*lost, *again)) } else { None };
    let lost: Vec<(u64, u64)> = fates.iter().filter_map(goes_on).collect();
    let dropped: Vec<(u64, u64)> = fates.iter().filter_map(drops).collect();
    let skipped: Vec<&str> =
        fates.iter().filter_map(|fate| if let Fate::Skipped { why } = fate { Some(why.as_str()) } else { None }).collect();
    if fates.contains(&Fate::NoProcess) {
        return "there is no process to kill".into();
    }
    for (what, lost) in [("goes on", lost), ("gets only a part of what comes afterwards", dropped)] {
        if lost.is_empty() {
            continue;
        }
        let most = lost.iter().map(|l| l.0).max().unwrap_or(0);
        let again = lost.iter().map(|l| l.1).max().unwrap_or(0);
        let again = if again > 0 { format!(", works on up to {again} again") } else { String::new() };
        let loses = if most == 0 { "loses nothing".into() } else { format!("loses up to {most}") };
        parts.push(format!("{what} in {} of {tries}, {loses}{again}", lost.len()));
    }
    if hung > 0 {
        parts.push(format!("hangs in {hung} of {tries}"));
    }
    if let Some(how) = broke.first() {
        parts.push(format!("breaks in {} of {tries} ({how})", broke.len()));
    }
    if let Some(why) = skipped.first() {
        parts.push(format!("skipped in {} of {tries}: {why}", skipped.len()));
    }
    parts.join("; ")
}

/// The worst that happened, for a cell.
pub fn worst(fates: &[Fate]) -> String {
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    let of = |some: usize| if some < fates.len() { format!(" in {some} of {}", fates.len()) } else { String::new() };
    let lost = fates.iter().filter_map(|fate| match fate {
        Fate::GoesOn { lost, .. } | Fate::Drops { lost, .. } => Some(*lost),
        _ => None,
    });
    let kinds = [
        ("hangs", count(|fate| matches!(fate, Fate::Hangs { .. }))),
        ("breaks", count(|fate| matches!(fate, Fate::Breaks { .. }))),
        ("goes on in part", count(|fate| matches!(fate, Fate::Drops { .. }))),
    ];
    match (kinds.into_iter().find(|(_, some)| *some > 0), lost.max()) {
        (Some((how, some)), _) => format!("{how}{}", of(some)),
        (None, Some(0)) => "goes on".into(),
        (None, Some(most)) => format!("loses {most}"),
        (None, None) if fates.contains(&Fate::NoProcess) => "no process".into(),
        (None, None) => "–".into(),
    }
}

/// The card of the machine: names and what they have.
pub fn card(e: &Environment) -> Vec<(&'static str, String)> {
    let list = |all: &[String], none: &str| if all.is_empty() { none.to_owned() } else { all.join("; ") };
    let machine = if e.virtual_machine { "yes" } else { "none seen" };
    vec![
        ("Started (UTC)", e.started.clone()),
        ("CPU", e.cpu.clone()),
        ("CPUs that may be used", format!("{} ({})", e.cores, e.topology)),
        ("Caches", list(&e.caches, "not shown by this machine")),
        ("Memory", super::numbers::bytes(e.memory as f64)),
        ("Clock rate", e.governor.clone()),
        ("Virtual machine", machine.into()),
        ("Kernel", e.kernel.clone()),
        ("Mitigations", list(&e.mitigations, "none")),
        ("Control group", list(&e.cgroup, "no limits seen")),
        ("System calls", e.system_calls.clone()),
        ("Pinning", e.pinning.clone()),
        ("Load before", e.load_before.clone()),
        ("Load after", e.load_after.clone()),
        ("Compiler", e.compiler.clone()),
        ("Commit", e.commit.clone()),
        ("Optimized", if e.optimized { "yes" } else { "NO" }.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rounds_have_a_range_and_no_95_percent() {
        assert_eq!([1, 3, 5].map(bounds), ["range of 1", "range of 3", "range of 5"]);
        assert_eq!([6, 7, 100].map(bounds), ["95 %"; 3]);
        assert_eq!([fewer(4, 7), fewer(6, 7), fewer(3, 3), fewer(2, 3)], [" (range of 4)", "", "", " (range of 2)"]);
    }

    #[test]
    fn a_crossover_is_one_number_and_who_is_last() {
        let far = |median, low, high| Length { median, low, high };
        let one = |contender: &str, length| Crossing { contender: contender.into(), length };
        let (near, last) = (far(Some(0.0), Some(0.0), Some(900.0)), far(Some(2e4), Some(1e4), None));
        let contenders = vec![one("near", near), one("late", last)];
        let mut found = Crossover { waits: Waits::Block, longest: 100_000, length: last, contenders };
        assert_eq!(length(near, 100_000), "none (none – 900 ns)");
        assert_eq!(crossover(&found), "blocks: 20.0 µs (10.0 µs – more than 100 µs); the last of 2 is late");
        let never = far(None, None, None);
        (found.length, found.contenders[1].length) = (never, never);
        assert_eq!(crossover(&found), "blocks: more than 100 µs; there 1 of 2 are still behind");
    }

    #[test]
    fn fates_say_the_worst_of_each_kind_and_how_often() {
        let goes_on = |lost, again| Fate::GoesOn { lost, again };
        let all = [goes_on(0, 0), goes_on(3, 1), Fate::Hangs { missing: Some(9) }, Fate::Breaks { how: "EPIPE".into() }];
        let said = "goes on in 2 of 4, loses up to 3, works on up to 1 again; hangs in 1 of 4; breaks in 1 of 4 (EPIPE)";
        assert_eq!(fates(&all), said);
        assert_eq!(fates(&[goes_on(0, 0)]), "goes on in 1 of 1, loses nothing");
        let part = "gets only a part of what comes afterwards in 1 of 2, loses up to 32; skipped in 1 of 2: no worker";
        assert_eq!(fates(&[Fate::Drops { lost: 32, again: 0 }, Fate::Skipped { why: "no worker".into() }]), part);
        assert_eq!(fates(&[Fate::NoProcess]), "there is no process to kill");
        let (hangs, breaks) = (|| Fate::Hangs { missing: None }, Fate::Breaks { how: "EPIPE".into() });
        assert_eq!([worst(&all), worst(&[hangs(), hangs()])], ["hangs in 1 of 4", "hangs"]);
        assert_eq!(worst(&[goes_on(0, 0), breaks]), "breaks in 1 of 2");
        assert_eq!([worst(&[goes_on(0, 1)]), worst(&[goes_on(0, 0), goes_on(2, 0)])], ["goes on", "loses 2"]);
        assert_eq!(worst(&[Fate::Drops { lost: 32, again: 0 }]), "goes on in part");
        assert_eq!(
            [worst(&[Fate::NoProcess]), worst(&[]), worst(&[Fate::Skipped { why: "no".into() }])],
            ["no process", "–", "–"]
        );
    }
}
