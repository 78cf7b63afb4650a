//! Tables and bars for a terminal.

use super::columns::{Columns, wrapped};
use super::figures::{Figure, figures, killed};
use super::losses::{Rivals, standing};
use super::numbers::time;
use super::words::{bounds, crossover, fates, fewer, ratio, spread, too_few, verdict, waits};
use crate::bench::contender::Family;
use crate::bench::environment::COUNTED;
use crate::bench::results::{Axis, Kill, Results, Verdict};
use crate::bench::statistics::Interval;
use crate::bench::value::Value;
use std::fmt::Write;

/// Cells of the longest bar.
const BAR: usize = 30;

/// The head of the column that says what the others do.
const KILLED: &str = "if one is killed";

/// Losses that are shown; a page has them all.
const LOSSES: usize = 8;

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether red may be used.
    pub color: bool,
    /// Its columns.
    pub width: usize,
}

/// The whole report. `page` says where one with charts is, if there is one.
pub fn report(results: &Results, look: Look, page: Option<&str>) -> String {
    let mut out = String::new();
    let mut say = |text: &str, bad: bool| {
        for line in wrapped(text, look.width, 2) {
            let _ = if bad && look.color { writeln!(out, "\x1b[31m{line}\x1b[0m") } else { writeln!(out, "{line}") };
        }
    };
    let e = &results.environment;
    let machine = if e.virtual_machine { ", a virtual machine" } else { "" };
    say(&format!("{}, {} cores{machine}; {}; {}; commit {}", e.cpu, e.cores, e.kernel, e.compiler, e.commit), false);
    let loads = format!("load {} before, {} after", e.load_before, e.load_after);
    say(&format!("seed {}; {loads}; pinning: {}", results.seed, e.pinning), false);
    if e.system_calls != COUNTED {
        say(&format!("system calls {}", e.system_calls), false);
    }
    for why in &results.noise {
        say(&format!("noisy machine: {why}"), true);
    }
    if results.partial {
        say("partial: the run was stopped before its end", true);
    }
    for test in &results.self_tests {
        let (how, bad) = (verdict(test.verdict), test.verdict != Verdict::Holds);
        say(&format!("self-test {how}: {}: {}", test.says, test.found), bad);
    }
    let figures = figures(results);
    for figure in &figures {
        say("", false);
        say(&figure.title(), false);
        let columns = if figure.axis == Axis::Latency { latencies(figure) } else { rates(figure, &results.kills) };
        columns.fitting(look.width).lines().for_each(|line| say(line, false));
        if figure.axis == Axis::Latency {
            too_few(figure).into_iter().for_each(|legend| say(&legend, false));
        }
        for row in figure.rows.iter().filter(|row| !row.entry.failures.is_empty()) {
            let (failed, of) = (row.entry.failures.len(), row.rounds() + row.entry.failures.len());
            say(&format!("{}: {failed} of {of} rounds failed: {}", row.entry.contender, row.entry.failures[0]), true);
        }
        if figure.axis == Axis::Base {
            say("bars: █ to the lower bound, ▓ to the median, ░ to the upper bound", false);
        }
    }
    losses(results, &figures, &mut say);
    if !results.kills.is_empty() {
        say("\nA consumer is killed in the middle", false);
    }
    for kill in &results.kills {
        say(&format!("  {}: {}", kill.contender, fates(&kill.fates)), false);
    }
    if !results.crossovers.is_empty() {
        let heading = "\nCrossover: up to which length of a job it matters who is chosen among processes that wait alike";
        say(&format!("{heading} (until all have 95 % of the fastest)"), false);
    }
    for one in &results.crossovers {
        say(&format!("  {}", crossover(one)), false);
    }
    if !results.skipped.is_empty() {
        say("\nNot measured", false);
    }
    for skipped in &results.skipped {
        let shape = skipped.shape.map_or(String::new(), |shape| format!(" ({shape})"));
        say(&format!("  {}{shape}: {}", skipped.contender, skipped.why), false);
    }
    say(&format!("\nAgain: {}", results.command), false);
    match page {
        Some(path) => say(&format!("Charts and all numbers: {path}"), false),
        None => say("A page with charts: add --html FILE", false),
    }
    out
}

fn rates(figure: &Figure, kills: &[Kill]) -> Columns {
    const SHOWN: [Value; 4] = [Value::Cpu, Value::Switches, Value::Calls, Value::Idle];
    // The last ones give way first.
    let (all, bounds) = (figure.rounds(), bounds(figure.rounds()));
    let mut columns = Columns::new(&["contender", "waits", "a second", &bounds, "CPU each"])
        .left("", figure.axis == Axis::Base)
        .more(&["switches/M", "calls/M", "idle CPU"])
        .left(KILLED, figure.axis == Axis::Base && !kills.is_empty())
        .gives_way(&["idle CPU", "calls/M", "switches/M", KILLED, &bounds, "CPU each", "", "waits"]);
    if !figure.has(Value::Idle) {
        columns.hide("idle CPU");
    }
    let most = figure.rows.iter().map(|row| row.summary.rate.high).fold(f64::MIN_POSITIVE, f64::max);
    for row in &figure.rows {
        let name = match row.info.family {
            Family::Threads => format!("{} (threads)", row.entry.contender),
            _ => row.entry.contender.clone(),
        };
        let show = |value: Value| row.median(value).map_or("–".into(), |median| value.show(median));
        let [cpu, switches, calls, idle] = SHOWN.map(show);
        let rate = row.summary.rate;
        let shown = |value| Value::Rate.show(value);
        let bar = bar(rate, most);
        columns.row([
            name,
            waits(row.info.waits).into(),
            shown(rate.median),
            spread(rate, shown) + &fewer(row.rounds(), all),
            cpu,
            bar,
            switches,
            calls,
            idle,
            killed(kills, row),
        ]);
    }
    columns
}

/// To the lower bound, the median and the upper bound.
fn bar(rate: Interval, most: f64) -> String {
    let cells = |value: f64| (value / most * BAR as f64).round() as usize;
    let (low, median, high) = (cells(rate.low), cells(rate.median).max(1), cells(rate.high));
    let low = low.min(median);
    format!("{}{}{}", "█".repeat(low), "▓".repeat(median - low), "░".repeat(high.saturating_sub(median)))
}

fn latencies(figure: &Figure) -> Columns {
    let (all, bounds) = (figure.rounds(), bounds(figure.rounds()));
    let mut columns = Columns::new(&["contender", "waits", "p50", &bounds, "p99", "p99.9", "CPU each"])
        .gives_way(&["CPU each", &bounds, "p99.9", "waits"]);
    for row in &figure.rows {
        let at = |value: Value| row.median(value).map_or("–".into(), |median| value.show(median));
        let p50 = row.summary.p50.map_or("–".into(), |p50| spread(p50, time) + &fewer(row.rounds(), all));
        let who = (row.entry.contender.clone(), waits(row.info.waits).into());
        columns.row([who.0, who.1, at(Value::P50), p50, at(Value::P99), at(Value::P999), at(Value::Cpu)]);
    }
    columns
}

fn losses(results: &Results, figures: &[Figure], say: &mut dyn FnMut(&str, bool)) {
    let standing = standing(figures, Rivals::Processes, results.clock);
    let certain = standing.losses.iter().filter(|loss| loss.certain()).count();
    let within = standing.losses.len() - certain;
    if standing.first + standing.losses.len() == 0 {
        return;
    }
    say(
        "\nWhere we lose: gristmill against all that cross a process boundary, costs and latency among those that wait alike",
        false,
    );
    let count = format!("first in {}, behind in {certain}, behind by no more than chance in {within}", standing.first);
    say(&format!("  {count}; {} without a rival", standing.alone), false);
    // The certain ones are the first.
    for loss in standing.losses.iter().take(certain.min(LOSSES)) {
        let by = loss.ratio.map_or("has some, the other none".into(), |r| format!("{} times worse", ratio(r)));
        let what = format!("{} {by} than {}", loss.value.noun(), loss.rival.info.name);
        say(&format!("  {}: {what}; {}", loss.ours.info.name, loss.figure.title()), false);
    }
    if certain > LOSSES {
        say(&format!("  and {} more, in the page", certain - LOSSES), false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::bench::results::Summary;

    fn shown(width: usize, color: bool) -> String {
        report(&sample::full(), Look { color, width }, None)
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [80, 100, 132, 200] {
            for line in shown(width, false).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn narrow_ones_have_the_name_the_rate_and_the_bar_and_wide_ones_have_all() {
        let (narrow, wide) = (shown(80, false), shown(200, false));
        let row = |text: &str| text.lines().find(|line| line.contains("threads-crossbeam (threads)")).unwrap().to_owned();
        assert!(row(&narrow).contains("12.4 M"), "{}", row(&narrow));
        assert!(row(&narrow).contains('█') && !narrow.contains("idle CPU"), "{}", row(&narrow));
        assert!(wide.contains("idle CPU") && row(&wide).contains('–'));
        assert!(row(&wide).ends_with(" no process"), "{}", row(&wide));
        assert_eq!(wide.matches("if one is killed").count(), 1, "in the base figure alone");
    }

    #[test]
    fn few_rounds_are_called_a_range() {
        let mut results = sample::full();
        assert!(!shown(200, false).contains("range of"));
        results.entries.iter_mut().for_each(|entry| entry.rounds.truncate(3));
        let few = report(&results, Look { color: false, width: 200 }, None);
        let heads: Vec<&str> = few.lines().filter(|line| line.starts_with(" contender ") && line.contains("waits")).collect();
        assert!(
            !heads.is_empty() && heads.iter().all(|head| head.contains("range of 3") && !head.contains("95 %")),
            "{heads:?}"
        );
        // One whose rounds have failed has a range where others have an interval.
        let mut results = sample::full();
        results.entries[0].rounds.truncate(4);
        let mixed = report(&results, Look { color: false, width: 200 }, None);
        assert_eq!(mixed.matches("(range of 4)").count(), 1, "{mixed}");
    }

    #[test]
    fn red_is_for_what_is_wrong_and_only_where_it_may_be() {
        assert!(!shown(80, false).contains('\x1b'));
        let red: Vec<String> = shown(200, true).lines().filter(|line| line.contains('\x1b')).map(str::to_owned).collect();
        assert_eq!(red.len(), 5, "{red:?}");
        for what in ["noisy machine", "partial", "self-test FAILED", "self-test UNDECIDED", "self-test NOT RUN"] {
            assert!(red.iter().any(|line| line.starts_with(&format!("\x1b[31m{what}"))), "{red:?}");
        }
    }

    #[test]
    fn percentiles_of_too_few_are_dashes_with_a_legend() {
        let mut results = sample::full();
        let said = |results: &Results| report(results, Look { color: false, width: 200 }, None);
        assert!(!said(&results).contains("too few payloads"));
        for entry in results.entries.iter_mut().filter(|entry| entry.axis == Axis::Latency) {
            entry.rounds.iter_mut().filter_map(|round| round.late.as_mut()).for_each(|late| late.samples = 1_500);
            let one = |value: Value| Interval::of(value.of_all(&entry.rounds, results.clock).get(..1).unwrap_or_default());
            entry.summary = Summary::by(one);
        }
        let said = said(&results);
        assert_eq!(said.matches("–: too few payloads in a round (p99.9 needs 10000)\n").count(), 4, "{said}");
        let figure = said.split("How late payloads are at").nth(1).unwrap();
        let row = figure.lines().find(|line| line.starts_with(" fifo ")).unwrap();
        assert_eq!(row.matches(" – ").count(), 2, "the range's own, and p99.9: {row}");
    }

    #[test]
    fn calls_that_are_not_counted_have_a_reason() {
        let mut results = sample::full();
        let said = |results: &Results| report(results, Look { color: false, width: 200 }, None);
        assert!(said(&results).contains("\nsystem calls cannot be counted: the kernel refuses\n"));
        results.environment.system_calls = COUNTED.into();
        assert!(!said(&results).contains("system calls"));
    }

    #[test]
    fn who_fails_in_some_rounds_does_not_look_clean() {
        let mut results = sample::full();
        results.entries[0].rounds.truncate(6);
        results.entries[0].failures = vec!["hangs".into()];
        let said = report(&results, Look { color: true, width: 200 }, None);
        let name = &results.entries[0].contender;
        assert!(said.contains(&format!("\x1b[31m{name}: 1 of 7 rounds failed: hangs\x1b[0m\n")), "{said}");
    }

    #[test]
    fn the_last_line_says_where_charts_are() {
        assert!(shown(80, false).ends_with("A page with charts: add --html FILE\n"));
        let with = report(&sample::full(), Look { color: false, width: 80 }, Some("out.html"));
        assert!(with.ends_with("Charts and all numbers: out.html\n"));
    }

    #[test]
    fn a_bar_shows_the_interval() {
        let interval = Interval { median: 20.0, low: 10.0, high: 30.0 };
        assert_eq!(bar(interval, 30.0), format!("{}{}{}", "█".repeat(10), "▓".repeat(10), "░".repeat(10)));
        assert_eq!(bar(Interval { median: 0.1, low: 0.1, high: 0.1 }, 30.0), "▓", "never nothing");
    }
}
