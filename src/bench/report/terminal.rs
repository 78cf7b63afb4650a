//! Tables and bars for a terminal.

use super::numbers::{count, digits, time};
use crate::bench::contender::{Family, Info, Waits};
use crate::bench::kill::Fate;
use crate::bench::results::{Axis, Entry, Results, Summary};
use crate::bench::statistics::Interval;
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;

/// Cells of the longest bar.
const BAR: usize = 30;

/// The whole report. `color` says whether red may be used.
pub fn report(results: &Results, color: bool) -> String {
    let mut out = String::new();
    let red = |text: &str| if color { format!("\x1b[31m{text}\x1b[0m") } else { text.to_owned() };
    let e = &results.environment;
    let machine = if e.virtual_machine { ", a virtual machine" } else { "" };
    let _ = writeln!(out, "{}, {} cores{machine}; {}; {}; commit {}", e.cpu, e.cores, e.kernel, e.compiler, e.commit);
    let _ =
        writeln!(out, "seed {}; load {} before, {} after; pinning: {}", results.seed, e.load_before, e.load_after, e.pinning);
    for why in &results.noise {
        let _ = writeln!(out, "{}", red(&format!("noisy machine: {why}")));
    }
    if results.partial {
        let _ = writeln!(out, "{}", red("partial: the run was stopped before its end"));
    }
    for test in &results.self_tests {
        let line = format!("self-test {}: {}: {}", if test.holds { "holds" } else { "FAILED" }, test.says, test.found);
        let _ = writeln!(out, "{}", if test.holds { line } else { red(&line) });
    }
    let mut figures: Vec<&Entry> = vec![];
    for entry in &results.entries {
        if !figures.iter().any(|other| same_figure(other, entry)) {
            figures.push(entry);
        }
    }
    for figure in figures {
        let mut entries: Vec<(&Entry, &Summary)> =
            results.entries.iter().filter(|e| same_figure(e, figure)).filter_map(|e| Some((e, e.summary.as_ref()?))).collect();
        if figure.axis == Axis::Latency {
            entries.sort_by(|a, b| late(a.1).total_cmp(&late(b.1)));
            let _ = write!(out, "\nHow late at {}: {}\n{}\n", pace(figure), figure.shape, latencies(&entries, results));
        } else {
            entries.sort_by(|a, b| b.1.rate.median.total_cmp(&a.1.rate.median));
            let _ = write!(out, "\n{}: {}\n{}\n", title(figure.axis), figure.shape, rates(&entries, results));
        }
    }
    if !results.kills.is_empty() {
        let _ = write!(out, "\nA consumer is killed in the middle\n{}\n", kills(results));
    }
    if !results.crossovers.is_empty() {
        let _ = write!(
            out,
            "\nFrom which length of a job on the queue makes no difference (95 % of the fastest)\n{}\n",
            crossovers(results)
        );
    }
    if !results.skipped.is_empty() {
        let _ = writeln!(out, "\nNot measured");
        for skipped in &results.skipped {
            let shape = skipped.shape.map_or(String::new(), |shape| format!(" ({shape})"));
            let _ = writeln!(out, "  {}{shape}: {}", skipped.contender, skipped.why);
        }
    }
    let _ = writeln!(out, "\nAgain: {}", results.command);
    out
}

fn same_figure(one: &Entry, other: &Entry) -> bool {
    one.axis == other.axis && one.shape == other.shape && one.pace == other.pace
}

fn late(summary: &Summary) -> f64 {
    summary.p50.map_or(f64::INFINITY, |p50| p50.median)
}

fn title(axis: Axis) -> &'static str {
    match axis {
        Axis::Calls => "Jobs and their results",
        Axis::Commands => "Numbers to factor, at the command line",
        _ => "Payloads from producers to consumers",
    }
}

fn pace(entry: &Entry) -> String {
    use crate::bench::results::Pace;
    match entry.pace {
        Some(Pace::Share(share)) => format!("{:.0} % of its own maximum", share * 100.0),
        Some(Pace::Common(rate)) => format!("{} payloads a second", count(rate)),
        None => "full speed".into(),
    }
}

/// A table without vertical lines; the columns after the first two are numbers.
fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.to_vec());
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn waits(info: Option<&Info>) -> &'static str {
    match info.map(|info| (info.waits, info.family)) {
        Some((Waits::Block, _)) => "blocks",
        Some((Waits::Adaptive, _)) => "adaptive",
        Some((Waits::Spin, _)) => "spins",
        None => "",
    }
}

fn info<'a>(results: &'a Results, entry: &Entry) -> Option<&'a Info> {
    let name = entry.contender.trim_end_matches(" again");
    results.contenders.iter().find(|info| info.name == name)
}

fn spread(interval: Interval, show: fn(f64) -> String) -> String {
    format!("{} – {}", show(interval.low), show(interval.high))
}

fn rates(entries: &[(&Entry, &Summary)], results: &Results) -> Table {
    let mut table = table(&["contender", "waits", "a second", "95 %", "", "CPU each", "switches/M", "calls/M", "idle CPU"]);
    let most = entries.first().map_or(1.0, |(_, summary)| summary.rate.median);
    for (entry, summary) in entries {
        let info = info(results, entry);
        let name = match info {
            Some(info) if info.family == Family::Threads => format!("{} (threads)", entry.contender),
            _ => entry.contender.clone(),
        };
        let bar = "█".repeat(((summary.rate.median / most * BAR as f64).round() as usize).max(1));
        table.add_row([
            name,
            waits(info).into(),
            count(summary.rate.median),
            spread(summary.rate, count),
            bar,
            time(summary.cpu.median),
            count(summary.switches.median),
            summary.calls.map_or("–".into(), |calls| count(calls.median)),
            summary.idle.map_or("–".into(), |idle| format!("{} %", digits(idle.median * 100.0))),
        ]);
    }
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

fn latencies(entries: &[(&Entry, &Summary)], results: &Results) -> Table {
    let mut table = table(&["contender", "waits", "p50", "95 %", "p99", "p99.9", "CPU each"]);
    for (entry, summary) in entries {
        let at = |interval: Option<Interval>| interval.map_or("–".into(), |i| time(i.median));
        table.add_row([
            entry.contender.clone(),
            waits(info(results, entry)).into(),
            at(summary.p50),
            summary.p50.map_or("–".into(), |p50| spread(p50, time)),
            at(summary.p99),
            at(summary.p999),
            time(summary.cpu.median),
        ]);
    }
    table
}

fn kills(results: &Results) -> Table {
    let mut table = table(&["contender", "what the others do"]);
    for kill in &results.kills {
        table.add_row([kill.contender.clone(), fates(&kill.fates)]);
    }
    table
}

/// What happened in all tries, in words.
pub fn fates(fates: &[Fate]) -> String {
    let tries = fates.len();
    let mut parts = vec![];
    let hung = fates.iter().filter(|fate| matches!(fate, Fate::Hangs { .. })).count();
    let broke: Vec<&str> =
        fates.iter().filter_map(|fate| if let Fate::Breaks { how } = fate { Some(how.as_str()) } else { None }).collect();
    let lost: Vec<(u64, u64)> = fates
        .iter()
        .filter_map(|fate| if let Fate::GoesOn { lost, again } = fate { Some((*lost, *again)) } else { None })
        .collect();
    if fates.contains(&Fate::NoProcess) {
        return "there is no process to kill".into();
    }
    if !lost.is_empty() {
        let most = lost.iter().map(|l| l.0).max().unwrap_or(0);
        let again = lost.iter().map(|l| l.1).max().unwrap_or(0);
        let again = if again > 0 { format!(", works on up to {again} again") } else { String::new() };
        let what = if most == 0 { "loses nothing".into() } else { format!("loses up to {most}") };
        parts.push(format!("goes on in {} of {tries}, {what}{again}", lost.len()));
    }
    if hung > 0 {
        parts.push(format!("hangs in {hung} of {tries}"));
    }
    if let Some(how) = broke.first() {
        parts.push(format!("breaks in {} of {tries} ({how})", broke.len()));
    }
    parts.join("; ")
}

fn crossovers(results: &Results) -> Table {
    let mut table = table(&["contender", "from"]);
    let mut all: Vec<_> = results.crossovers.iter().collect();
    all.sort_by(|a, b| a.work.unwrap_or(f64::INFINITY).total_cmp(&b.work.unwrap_or(f64::INFINITY)));
    for crossover in all {
        table.add_row([crossover.contender.clone(), crossover.work.map_or("not at the longest measured".into(), time)]);
    }
    table
}
