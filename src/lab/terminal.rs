//! An experiment in a terminal: what is asked before, and what was found: charts, numbers, what was seen and why, the shape, and the code.

use super::experiment::{About, Experiment, Question, Step};
use super::findings::{Chart, Findings, Origin, Series, Verdict};
use super::knobs::Range;
use super::plot::{mark, named, number, plot};
use crate::bench::report::columns::wrapped;
use crate::bench::report::numbers::count;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use std::fmt::Write;

/// With more series than so many each has a line of the table, instead of a column.
const COLUMNS: usize = 4;

/// The list of all experiments.
pub fn list(experiments: &[&dyn Experiment], width: usize) -> String {
    let mut out = String::new();
    for experiment in experiments {
        let about = experiment.about();
        let _ = writeln!(out, "{}: {}", about.name, about.title);
        out.push_str(&indented(about.hypothesis, width, 4));
        for knob in experiment.knobs() {
            let range = match knob.range {
                Range::Number { least, most, usual } => format!("{least} to {most}, usually {usual}"),
                Range::Word { of, usual } => format!("{}; usually {}", of.join(", "), of[usual]),
            };
            out.push_str(&indented(&format!("{}=  {} ({range})", knob.name, knob.says), width, 4));
        }
    }
    out
}

/// Paragraphs within a width, all of their lines moved in.
fn indented(text: &str, width: usize, indent: usize) -> String {
    let moved = " ".repeat(indent);
    wrapped(text, width.saturating_sub(indent), 0).iter().map(|line| format!("{moved}{line}\n")).collect()
}

/// What is said and asked before a run, with the code that is to be read for it.
pub fn before(about: &About, question: &Question, read_first: &[Step], width: usize) -> String {
    let mut out = format!("{}\n", about.title);
    out.push_str(&indented(&format!("Hypothesis: {}", about.hypothesis), width, 0));
    out.push_str(&indented(&format!("Measured: {}.", about.metric), width, 0));
    if !read_first.is_empty() {
        out.push('\n');
        out.push_str(&code(read_first, width));
    }
    match *question {
        Question::Draw { says, .. } => out.push_str(&indented(&format!("Predict: {says}."), width, 0)),
        Question::Choose { says, of } => {
            out.push_str(&indented(&format!("Predict: {says}"), width, 0));
            for (n, choice) in of.iter().enumerate() {
                out.push_str(&indented(&format!("{}. {choice}", n + 1), width, 2));
            }
        }
    }
    out.push_str("Write it down: the run has begun.\n\n");
    out
}

/// What a run has found.
pub fn report(
    about: &About,
    question: &Question,
    steps: &[Step],
    findings: &Findings,
    noise: &[String],
    width: usize,
) -> String {
    let mut out = disturbed(noise, width);
    let bounded = findings.charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
    if bounded.into_iter().any(|point| point.y.low < point.y.high) {
        out.push_str(&indented(
            "Medians of several rounds; in brackets their 95 % intervals, or the least and the greatest where rounds are few.",
            width,
            0,
        ));
        out.push('\n');
    }
    for chart in &findings.charts {
        out.push_str(&plot(chart, width));
        out.push_str(&table(chart, width));
        out.push('\n');
    }
    if !findings.trace.lines.is_empty() {
        let _ = writeln!(out, "{}", findings.trace.title);
        findings.trace.lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        out.push('\n');
    }
    for figure in &findings.numbers {
        let _ = writeln!(out, "  {}: {}", figure.name, format!("{} {}", number(figure.value), figure.unit).trim_end());
    }
    out.push_str("\nWhat you saw, and why\n");
    findings.doubt().iter().for_each(|doubt| out.push_str(&indented(doubt, width, 2)));
    out.push_str(&indented(&findings.saw, width, 2));
    if let (Question::Choose { of, .. }, Some(right)) = (question, findings.answer) {
        let choice = of.get(right).copied().unwrap_or_default();
        let says = if findings.doubt().is_some() { "By this run, with doubt, right was" } else { "Right was" };
        out.push_str(&indented(&format!("{says} {}. {choice}", right + 1), width, 2));
    }
    out.push_str("\nThe shape\n");
    out.push_str(&indented(&format!("Expected: {}. Source: {}.", about.shape, about.source), width, 2));
    out.push_str(&checks(findings, width));
    out.push_str("\nThe code, step by step\n");
    out.push_str(&code(steps, width));
    out
}

fn code(steps: &[Step], width: usize) -> String {
    let mut out = String::new();
    for step in steps {
        for line in wrapped(step.says, width.saturating_sub(5), 0) {
            let _ = writeln!(out, "  // {line}");
        }
        step.code.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
        out.push('\n');
    }
    out
}

/// Why the machine is not to be trusted now.
pub fn disturbed(noise: &[String], width: usize) -> String {
    noise.iter().map(|why| indented(&format!("noisy machine: {why}"), width, 0)).collect()
}

/// The shape, line by line.
pub fn checks(findings: &Findings, width: usize) -> String {
    let mut out = String::new();
    for check in &findings.checks {
        let verdict = match check.verdict {
            Verdict::Holds => "as expected",
            Verdict::Fails => "NOT as expected",
            Verdict::Wrong => "WRONG",
            Verdict::NotHere => "not to be seen here",
        };
        let cause = match check.verdict {
            Verdict::Holds => String::new(),
            Verdict::Fails | Verdict::Wrong => format!("; the cause may be: {}", check.cause),
            Verdict::NotHere => format!("; {}", check.cause),
        };
        for line in wrapped(&format!("{verdict}: {}: {}{cause}", check.says, check.found), width.saturating_sub(2), 2) {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// The values of a chart with lines, and which mark is whose. Models have more places than are worth a line: only those that were measured are.
fn table(chart: &Chart, width: usize) -> String {
    if !chart.names.is_empty() {
        return String::new();
    }
    let measured = chart.series.iter().filter(|series| series.origin == Origin::Measured);
    let mut places: Vec<f64> = measured.flat_map(|series| &series.points).map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    if chart.series.len() > COLUMNS {
        return lines(chart, &places, width);
    }
    let legend =
        chart.series.iter().enumerate().map(|(n, series)| indented(&format!("{} {}", mark(chart, n), named(series)), width, 2));
    // What was not measured is never shown without a word of it.
    let plain = chart.series.len() == 1 && chart.series[0].origin == Origin::Measured;
    let mut out = if plain { String::new() } else { legend.collect() };
    if places.is_empty() {
        return out;
    }
    let columns = |bounds| {
        let heads = (0..chart.series.len()).map(|n| mark(chart, n).to_string());
        let rows =
            places.iter().map(|&place| row(number(place), chart.series.iter().map(|series| value(series, place, bounds))));
        aligned(row(String::new(), heads), rows)
    };
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let with = columns(true);
    out.push_str(&if fits(&with) { with } else { columns(false) });
    out
}

/// A line for each series.
fn lines(chart: &Chart, places: &[f64], width: usize) -> String {
    let of = |names: bool| {
        let rows = chart.series.iter().enumerate().map(|(n, series)| {
            let name = if names { format!("{} {}", mark(chart, n), named(series)) } else { mark(chart, n).to_string() };
            row(name, places.iter().map(|&place| value(series, place, false)))
        });
        aligned(row(String::new(), places.iter().map(|&place| number(place))), rows)
    };
    let with = of(true);
    if with.lines().all(|line| line.chars().count() <= width) {
        return with;
    }
    let legend =
        chart.series.iter().enumerate().map(|(n, series)| indented(&format!("{} {}", mark(chart, n), named(series)), width, 2));
    format!("{}{}", legend.collect::<String>(), of(false))
}

fn row(first: String, rest: impl Iterator<Item = String>) -> Vec<String> {
    [first].into_iter().chain(rest).collect()
}

/// What a series says of a place, with the bounds if it has any.
fn value(series: &Series, place: f64, bounds: bool) -> String {
    let point = series.points.iter().find(|point| (point.x - place).abs() < 1e-9);
    point.map_or("–".into(), |point| match bounds && point.y.low < point.y.high {
        true => format!("{} ({} – {})", count(point.y.median), count(point.y.low), count(point.y.high)),
        false => count(point.y.median),
    })
}

/// A table whose first column is of words, the others of numbers.
fn aligned(heads: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(heads);
    for row in rows {
        table.add_row(row);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Trace;
    use crate::lab::findings::{Axis, Check, Number};

    fn chart(series: usize) -> Chart {
        let one = |n: usize| Series::measured(&format!("lock {n}"), [(1.0, vec![1.0, 2.0, 3.0]), (2.0, vec![4.0])]);
        let (x, y) = (Axis::linear("workers"), Axis::linear("ns"));
        Chart { title: "Locks".into(), x, y, series: (0..series).map(one).collect(), names: vec![] }
    }

    #[test]
    fn what_was_not_measured_is_named_also_if_it_is_alone() {
        let law = Series::model("law", [(1.0, 1.0), (2.0, 2.0)]);
        assert_eq!(table(&Chart { series: vec![law], ..chart(0) }, 80), "  ● model: law\n");
        assert!(!table(&chart(1), 80).contains("lock 0"), "its title says what it is");
    }

    #[test]
    fn a_table_has_the_values_and_their_bounds_if_there_is_room() {
        let wide = table(&chart(2), 80);
        assert!(wide.contains("  a lock 0\n  b lock 1\n") && wide.contains("2.00 (1.00 – 3.00)"), "{wide}");
        let narrow = table(&chart(2), 40);
        assert!(narrow.contains("2.00") && !narrow.contains('('), "{narrow}");
        let many = table(&chart(9), 80);
        assert!(many.lines().any(|line| line.split_whitespace().eq(["i", "lock", "8", "2.00", "4.00"])), "{many}");
    }

    #[test]
    fn a_report_has_the_words_the_answer_and_what_was_not_as_expected() {
        let about = About {
            name: "locks",
            title: "Which lock",
            hypothesis: "All are alike.",
            metric: "ns",
            shape: "level",
            source: "nobody",
            cores: 1,
        };
        let question = Question::Choose { says: "Which?", of: &["this", "that"] };
        let steps = [Step { says: "all at once", code: "one();\ntwo();" }];
        let asked = before(&about, &question, &steps, 80);
        assert!(asked.contains("\n  // all at once\n  one();\n  two();\n\nPredict:"), "{asked}");
        assert!(asked.contains("Predict: Which?\n  1. this\n  2. that\n") && !asked.contains("level"), "{asked}");
        let findings = Findings {
            charts: vec![chart(2)],
            numbers: vec![Number::new("a lock", 12.0, "ns")],
            saw: "That.".into(),
            checks: vec![Check::new("level", false, "steep".into(), "a slope")],
            answer: Some(1),
            trace: Trace { title: "as it happened".into(), lines: vec!["one".into()] },
        };
        let said = report(&about, &question, &steps, &findings, &["a dog barks".into()], 80);
        for part in [
            "noisy machine: a dog barks\n",
            "  a lock: 12 ns\n",
            "What you saw, and why\n  This run has not shown all that is expected. Missing: level (steep). So read",
            "\n  That.\n  By this run, with doubt, right was 2. that\n",
            "  NOT as expected: level: steep; the cause may be: a slope\n",
            "  // all at once\n  one();\n  two();\n",
            "as it happened\n  one\n",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    }
}
