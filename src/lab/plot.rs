//! A chart in letters, for any terminal.

use super::findings::{Axis, Chart, Origin, Point, Series};
use crate::bench::report::numbers::count;
use std::fmt::Write;
use textplots::{Chart as Canvas, Plot, Shape};

/// Braille has two dots a column, and four a line.
const DOTS: (u32, u32) = (2, 4);

/// Lines of a chart.
const LINES: u32 = 14;

/// Room for the axis to the left.
const LEFT: usize = 10;

/// So wide, with its axes and a legend.
pub fn plot(chart: &Chart, width: usize) -> String {
    if chart.names.is_empty() { lines(chart, width) } else { bars(chart, width) }
}

fn along(axis: &Axis, value: f64) -> f64 {
    if axis.log { value.max(f64::MIN_POSITIVE).log10() } else { value }
}

fn back(axis: &Axis, place: f64) -> f64 {
    if axis.log { 10f64.powf(place) } else { place }
}

/// From the least to the greatest; a linear axis of values begins at 0.
fn range(axis: &Axis, values: impl Iterator<Item = f64>, from_zero: bool) -> (f64, f64) {
    let (low, high) = values.map(|v| along(axis, v)).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let low = if from_zero && !axis.log { low.min(0.0) } else { low };
    if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
}

fn lines(chart: &Chart, width: usize) -> String {
    let columns = width.saturating_sub(LEFT + 1).clamp(20, 100) as u32;
    let points = || chart.series.iter().flat_map(|series| &series.points);
    if points().next().is_none() {
        return format!("{}: nothing was measured\n", chart.title);
    }
    let (left, right) = range(&chart.x, points().map(|p| p.x), false);
    let (low, high) = range(&chart.y, points().flat_map(|p| [p.y.low, p.y.high]), true);
    let place = |p: &Point| (along(&chart.x, p.x) as f32, along(&chart.y, p.y.median) as f32);
    let paths: Vec<(Origin, Vec<(f32, f32)>)> =
        chart.series.iter().map(|s| (s.origin, s.points.iter().map(place).collect())).collect();
    // Each value that was measured is a small cross, wherever lines lie over it.
    let step = ((right - left) as f32 / (columns * DOTS.0) as f32, (high - low) as f32 / (LINES * DOTS.1) as f32);
    let cross = |&(x, y): &(f32, f32)| {
        [(x - step.0, y), (x, y), (x + step.0, y), (x, y - step.1), (x, y + step.1)]
    };
    let crosses: Vec<(f32, f32)> =
        paths.iter().filter(|(origin, _)| *origin == Origin::Measured).flat_map(|(_, path)| path.iter().flat_map(cross)).collect();
    let shapes: Vec<Shape<'_>> = paths.iter().map(|(_, path)| Shape::Lines(path)).chain([Shape::Points(&crosses)]).collect();
    let mut canvas = Canvas::new_with_y_range(
        columns * DOTS.0, LINES * DOTS.1, left as f32, right as f32, low as f32, high as f32,
    );
    let canvas = shapes.iter().fold(&mut canvas, |canvas, shape| canvas.lineplot(shape));
    let frame = canvas.frame();
    let mut out = format!("{}\n{}\n", chart.title, chart.y.title);
    let rows: Vec<&str> = frame.lines().collect();
    for (n, row) in rows.iter().enumerate() {
        let height = high - (high - low) * n as f64 / (rows.len() - 1).max(1) as f64;
        let label = if n % 4 == 0 || n + 1 == rows.len() { count(back(&chart.y, height)) } else { String::new() };
        let _ = writeln!(out, "{label:>LEFT$}│{}", row.trim_end());
    }
    let _ = writeln!(out, "{:>LEFT$}└{}", "", "─".repeat(columns as usize));
    let (first, last) = (count(back(&chart.x, left)), count(back(&chart.x, right)));
    let gap = (columns as usize).saturating_sub(first.chars().count() + last.chars().count());
    let _ = writeln!(out, "{:>LEFT$} {first}{}{last}", "", " ".repeat(gap));
    let _ = writeln!(out, "{:>LEFT$} {}{}", "", chart.x.title, if chart.x.log { " (logarithmic)" } else { "" });
    out
}

/// A bar for each name, of each series.
fn bars(chart: &Chart, width: usize) -> String {
    let longest = chart.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(longest + 14).clamp(10, 60);
    let values = || chart.series.iter().flat_map(|s| &s.points).map(|p| p.y.median);
    let (low, high) = range(&chart.y, values(), true);
    // A logarithmic bar begins a little under the least value, so that this one has a bar, too.
    let low = if chart.y.log { low - (high - low) * 0.1 } else { low };
    let mut out = format!("{}\n{}{}\n", chart.title, chart.y.title, if chart.y.log { " (logarithmic)" } else { "" });
    for series in &chart.series {
        if chart.series.len() > 1 {
            let _ = writeln!(out, "{}:", series.name);
        }
        for (n, name) in chart.names.iter().enumerate() {
            let Some(value) = series.at(n as f64) else { continue };
            let share = (along(&chart.y, value) - low) / (high - low).max(f64::MIN_POSITIVE);
            let bar = "█".repeat(((share * room as f64).round() as usize).min(room));
            let _ = writeln!(out, "{name:>longest$} {bar} {}", count(value));
        }
    }
    out
}

/// The name of a series, and where it comes from.
pub fn named(series: &Series) -> String {
    let origin = match series.origin {
        Origin::Measured => return series.name.clone(),
        Origin::Model => "model",
        Origin::Reference => "reference, not of this machine",
    };
    format!("{} ({origin})", series.name)
}
