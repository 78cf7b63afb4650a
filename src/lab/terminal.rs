//! What was found, for a terminal: a chart, the numbers, what was seen and why, and whether the shape is the expected one.

use super::experiment::{About, Experiment};
use super::findings::{Chart, Findings, Verdict};
use super::knobs::Range;
use super::plot::{named, plot};
use crate::bench::report::columns::wrapped;
use crate::bench::report::numbers::count;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use std::fmt::Write;

/// The list of all experiments.
pub fn list(experiments: &[&dyn Experiment], width: usize) -> String {
    let mut out = String::new();
    for experiment in experiments {
        let about = experiment.about();
        let _ = writeln!(out, "{}: {}", about.name, about.title);
        for line in wrapped(about.hypothesis, width.saturating_sub(4), 0) {
            let _ = writeln!(out, "    {line}");
        }
        for knob in experiment.knobs() {
            let range = match knob.range {
                Range::Number { least, most, usual } => format!("{least} to {most}, usually {usual}"),
                Range::Word { of, usual } => format!("{}; usually {}", of.join(", "), of[usual]),
            };
            let _ = writeln!(out, "    {}=  {} ({range})", knob.name, knob.says);
        }
    }
    out
}

/// All of a run.
pub fn report(about: &About, findings: &Findings, noise: &[String], width: usize) -> String {
    let mut out = String::new();
    let mut say = |text: &str| {
        for line in wrapped(text, width, 2) {
            let _ = writeln!(out, "{line}");
        }
    };
    say(about.title);
    say(&format!("Hypothesis: {}", about.hypothesis));
    say(&format!("Measured: {}. Expected: {}. Source: {}.", about.metric, about.shape, about.source));
    for why in noise {
        say(&format!("noisy machine: {why}"));
    }
    for chart in &findings.charts {
        out.push('\n');
        out.push_str(&plot(chart, width));
        out.push_str(&table(chart));
    }
    for line in &findings.trace {
        let _ = writeln!(out, "    {line}");
    }
    out.push('\n');
    for number in &findings.numbers {
        let _ = writeln!(out, "  {}: {} {}", number.name, count(number.value), number.unit);
    }
    out.push_str("\nWhat you saw, and why\n");
    for line in wrapped(&findings.saw, width, 2) {
        let _ = writeln!(out, "  {line}");
    }
    out.push('\n');
    out.push_str(&checks(findings, width));
    out
}

/// The shape, line by line.
pub fn checks(findings: &Findings, width: usize) -> String {
    let mut out = String::new();
    for check in &findings.checks {
        let verdict = match check.verdict {
            Verdict::Holds => "as expected",
            Verdict::Fails => "NOT as expected",
            Verdict::NotHere => "not to be seen here",
        };
        let cause = if check.cause.is_empty() { String::new() } else { format!("; the cause may be: {}", check.cause) };
        for line in wrapped(&format!("{verdict}: {}: {}{cause}", check.says, check.found), width, 2) {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// The values: a row for each place, a column for each series. Models have more places than are worth a line: only those that were measured are.
fn table(chart: &Chart) -> String {
    let mut places: Vec<f64> = vec![];
    let measured = chart.series.iter().filter(|series| series.origin == super::findings::Origin::Measured);
    for point in measured.flat_map(|series| &series.points) {
        if !places.iter().any(|place| (place - point.x).abs() < 1e-9) {
            places.push(point.x);
        }
    }
    places.sort_by(f64::total_cmp);
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header([chart.x.title.clone()].into_iter().chain(chart.series.iter().map(named)));
    for (n, place) in places.iter().enumerate() {
        let name = chart.names.get(n).cloned().unwrap_or_else(|| count(*place));
        let values = chart.series.iter().map(|series| {
            let point = series.points.iter().find(|point| (point.x - place).abs() < 1e-9);
            point.map_or("–".into(), |point| match point.y.low < point.y.high {
                true => format!("{} ({} – {})", count(point.y.median), count(point.y.low), count(point.y.high)),
                false => count(point.y.median),
            })
        });
        table.add_row([name].into_iter().chain(values));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    format!("{table}\n")
}
