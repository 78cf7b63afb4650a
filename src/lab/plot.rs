//! A chart in letters, for any terminal.

use super::findings::{Axis, Chart, Origin, Point, Series};
use crate::bench::report::numbers::count;
use std::fmt::Write;
use textplots::{Chart as Canvas, Plot, Shape};

/// Braille has two dots a column, and four a line.
const DOTS: (u32, u32) = (2, 4);

/// Lines of a chart; its quarters have a label.
const LINES: u32 = 16;

/// Room for the axis to the left.
const LEFT: usize = 10;

/// So many lines that were measured can be joined and still be told apart, if no model is among them.
const JOINED: usize = 3;

/// So wide, with its axes.
pub fn plot(chart: &Chart, width: usize) -> String {
    if chart.names.is_empty() { lines(chart, width) } else { bars(chart, width) }
}

/// What stands for a series in a chart: a letter, or a dot if there is only one.
pub fn mark(chart: &Chart, series: usize) -> char {
    if chart.series.len() == 1 { '●' } else { char::from(b'a' + (series % 26) as u8) }
}

/// The name of a series, and where it comes from.
pub fn named(series: &Series) -> String {
    match series.origin {
        Origin::Measured => series.name.clone(),
        other => format!("{}: {}", other.name(), series.name),
    }
}

/// A whole number as it is, any other with three digits.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e4 { format!("{value:.0}") } else { count(value) }
}

/// An axis of a chart, and what it reaches from and to: logarithms, if it is logarithmic.
struct Scale<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
}

impl<'a> Scale<'a> {
    /// For these values; a linear axis of values begins at 0. `None` if there is nothing to draw.
    fn of(axis: &'a Axis, values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Scale<'a>> {
        let places = values.filter_map(|value| placed(axis, value));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        let low = if from_zero && !axis.log { low.min(0.0) } else { low };
        if low > high {
            return None;
        }
        let (low, high) = match (high > low, from_zero && !axis.log) {
            (true, _) => (low, high),
            // All of it is 0: at the bottom, and no bar.
            (false, true) => (low, low + 1.0),
            (false, false) => (low - 0.5, high + 0.5),
        };
        Some(Scale { axis, low, high })
    }

    /// The same, as far as to round values on both ends.
    fn rounded(self) -> Scale<'a> {
        if self.axis.log {
            let (low, high) = (below(10f64.powf(self.low)), below(10f64.powf(self.high)));
            // Above the greatest value, if that is not round itself.
            let high = if high < 0.999 * 10f64.powf(self.high) { above(high) } else { high };
            return Scale { low: low.log10(), high: (if high > low { high } else { above(low) }).log10(), ..self };
        }
        let quarter = (self.high - self.low) / 4.0;
        let ten = 10f64.powf(quarter.log10().floor());
        let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * ten).find(|step| *step > 0.999 * quarter);
        Scale { high: self.low + 4.0 * round.unwrap_or(quarter), ..self }
    }

    /// Round values, and the rows in which they are, of so many from the highest to the lowest.
    fn labels(&self, last: usize) -> Vec<(usize, f64)> {
        if !self.axis.log {
            return (0..=4).map(|n| (n * last / 4, self.value(1.0 - n as f64 / 4.0))).collect();
        }
        let mut labels: Vec<(usize, f64)> = vec![];
        let mut value = below(10f64.powf(self.high) * 1.001);
        while let Some(share) = self.share(value).filter(|share| *share > -0.001) {
            let row = ((1.0 - share) * last as f64).round() as usize;
            if labels.last().is_none_or(|label| row > label.0 + 1) {
                labels.push((row, value));
            }
            value = below(value * 0.99);
        }
        labels
    }

    /// The share of the axis that is below a value; `None` if that cannot be drawn.
    fn share(&self, value: f64) -> Option<f64> {
        Some((placed(self.axis, value)? - self.low) / (self.high - self.low))
    }

    /// The value at a share of the axis.
    fn value(&self, share: f64) -> f64 {
        let at = self.low + share * (self.high - self.low);
        if self.axis.log { 10f64.powf(at) } else { at }
    }
}

/// The next of 1, 2, 5, 10, 20 … that is not above a value.
fn below(value: f64) -> f64 {
    let ten = 10f64.powf((value * 1.000_001).log10().floor());
    [5.0, 2.0].into_iter().map(|step| step * ten).find(|round| *round <= value * 1.000_001).unwrap_or(ten)
}

/// The next one above it.
fn above(value: f64) -> f64 {
    let round = below(value);
    // 2 follows 1, 5 follows 2, and 10 follows 5.
    if below(round * 2.0) > round * 1.5 { round * 2.0 } else { round * 2.5 }
}

/// Where on an axis a value is; `None` if it is nowhere.
fn placed(axis: &Axis, value: f64) -> Option<f64> {
    let at = if axis.log { value.log10() } else { value };
    at.is_finite().then_some(at)
}

fn titled(axis: &Axis) -> String {
    format!("{}{}", axis.title, if axis.log { " (logarithmic)" } else { "" })
}

fn lines(chart: &Chart, width: usize) -> String {
    // The canvas has one column and one line more than was asked for.
    let columns = width.saturating_sub(LEFT + 2).clamp(20, 100);
    let (across, down) = ((columns as u32) * DOTS.0, LINES * DOTS.1);
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let x = Scale::of(&chart.x, points().map(|point| point.x), false);
    let y = Scale::of(&chart.y, points().map(|point| point.y.median), true);
    let (Some(x), Some(y)) = (x, y.map(Scale::rounded)) else { return format!("{}: nothing was measured\n", chart.title) };
    let place = |point: &Point| {
        let (right, up) = (x.share(point.x)?, y.share(point.y.median)?);
        Some(((right * f64::from(across)) as f32, (up * f64::from(down)) as f32))
    };
    let paths: Vec<Vec<(f32, f32)>> =
        chart.series.iter().map(|series| series.points.iter().filter_map(place).collect()).collect();
    let all_measured = chart.series.len() <= JOINED && chart.series.iter().all(|series| series.origin == Origin::Measured);
    let joined = |n: usize| all_measured || chart.series[n].origin != Origin::Measured;
    let shapes: Vec<Shape<'_>> =
        paths.iter().enumerate().filter(|path| joined(path.0)).map(|path| Shape::Lines(path.1)).collect();
    let mut canvas = Canvas::new_with_y_range(across, down, 0.0, across as f32, 0.0, down as f32);
    let canvas = shapes.iter().fold(&mut canvas, |canvas, shape| canvas.lineplot(shape));
    canvas.figures();
    let mut rows: Vec<Vec<char>> = canvas.frame().lines().map(|row| row.chars().collect()).collect();
    let mut put = |&(right, up): &(f32, f32), mark: char| {
        let (column, row) = (right.round() as usize / DOTS.0 as usize, (down as usize - up.round() as usize) / DOTS.1 as usize);
        if let Some(cell) = rows.get_mut(row).and_then(|row| row.get_mut(column)) {
            *cell = mark;
        }
    };
    // A line of a model has its letter once; then what was measured, so that no line hides it.
    for (n, path) in paths.iter().enumerate().filter(|path| chart.series[path.0].origin != Origin::Measured) {
        let at = path.len() * (n + 1) / (paths.len() + 1);
        path.get(at).into_iter().for_each(|point| put(point, mark(chart, n)));
    }
    for (n, path) in paths.iter().enumerate().filter(|path| chart.series[path.0].origin == Origin::Measured) {
        path.iter().for_each(|point| put(point, mark(chart, n)));
    }
    let mut out = format!("{}\n{}\n", chart.title, titled(&chart.y));
    let last = rows.len().saturating_sub(1).max(1);
    let labels = y.labels(last);
    for (n, row) in rows.iter().enumerate() {
        let label = labels.iter().find(|label| label.0 == n).map_or(String::new(), |label| number(label.1));
        let _ = writeln!(out, "{label:>LEFT$}│{}", row.iter().collect::<String>().trim_end());
    }
    let _ = writeln!(out, "{:>LEFT$}└{}", "", "─".repeat(columns + 1));
    let _ = writeln!(out, "{:>LEFT$} {}", "", ticks(chart, &x, columns));
    let _ = writeln!(out, "{:>LEFT$} {}", "", titled(&chart.x));
    out
}

/// The places at which something was measured, or else the ends; those for which there is no room are left out.
fn ticks(chart: &Chart, x: &Scale<'_>, columns: usize) -> String {
    let measured = chart.series.iter().filter(|series| series.origin == Origin::Measured);
    let mut places: Vec<f64> = measured.flat_map(|series| &series.points).map(|point| point.x).collect();
    if places.is_empty() {
        places = vec![x.value(0.0), x.value(1.0)];
    }
    places.sort_by(f64::total_cmp);
    places.dedup();
    let mut line = String::new();
    for place in places {
        let Some(share) = x.share(place) else { continue };
        let label = number(place);
        let (wide, used) = (label.chars().count(), line.chars().count());
        // Below its place, but no further than the axis goes.
        let from = ((share * columns as f64).round() as usize).saturating_sub(wide / 2).min((columns + 1).saturating_sub(wide));
        if used == 0 || from > used {
            line.push_str(&" ".repeat(from - used));
            line.push_str(&label);
        }
    }
    line
}

/// A bar for each name, of each series. Its length is the value: of a logarithm, twice as long would not be twice as much.
fn bars(chart: &Chart, width: usize) -> String {
    let names = chart.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let said = |point: &Point| match point.y.low < point.y.high {
        true => format!("{} ({} – {})", number(point.y.median), number(point.y.low), number(point.y.high)),
        false => number(point.y.median),
    };
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let figures = points().map(|point| said(point).chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(names + figures + 2).clamp(10, 60);
    let axis = Axis { log: false, ..chart.y.clone() };
    let Some(y) = Scale::of(&axis, points().map(|point| point.y.median), true) else {
        return format!("{}: nothing was measured\n", chart.title);
    };
    let mut out = format!("{}\n{}\n", chart.title, titled(&axis));
    for series in &chart.series {
        if chart.series.len() > 1 {
            let _ = writeln!(out, "{}:", named(series));
        }
        for point in &series.points {
            let name = chart.names.get(point.x as usize).map_or("", String::as_str);
            let share = y.share(point.y.median).unwrap_or(0.0);
            let bar = "█".repeat(((share * room as f64).round() as usize).min(room));
            let _ = writeln!(out, "{name:>names$} {bar} {}", said(point));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(y: Axis, series: Vec<Series>) -> Chart {
        Chart { title: "Speed-up".into(), x: Axis::linear("workers"), y, series, names: vec![] }
    }

    fn line(values: [f64; 3]) -> Series {
        Series::measured("measured", [1.0, 2.0, 4.0].into_iter().zip(values.map(|value| vec![value; 3])))
    }

    #[test]
    fn what_was_measured_stands_at_its_place_and_everything_fits() {
        let law = Series::model("law", [(1.0, 1.0), (4.0, 4.0)]);
        let text = plot(&chart(Axis::linear("times"), vec![line([1.0, 2.0, 4.0]), law]), 60);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        let rows: Vec<&str> = text.lines().skip(2).take(17).collect();
        assert_eq!(rows.iter().map(|row| row.matches('a').count()).sum::<usize>(), 3, "{text}");
        // The greatest value is at the top to the right, next to its label.
        assert!(rows[0].trim_start().starts_with("4│") && rows[0].ends_with('a'), "{text}");
        assert!(rows[16].trim_start().starts_with("0│") && !rows[16].contains('a'), "from zero: {text}");
        assert!(text.lines().any(|line| line.split_whitespace().eq(["1", "2", "4"])), "{text}");
    }

    #[test]
    fn a_logarithmic_axis_leaves_out_what_it_cannot_show() {
        let text = plot(&chart(Axis::log("ns"), vec![line([0.0, 10.0, 1000.0])]), 60);
        assert_eq!(text.matches('●').count(), 2, "{text}");
        assert!(text.contains("ns (logarithmic)") && text.contains(" 1000│") && text.contains(" 10│"), "{text}");
        let none = plot(&chart(Axis::log("ns"), vec![line([0.0, 0.0, 0.0])]), 60);
        assert_eq!(none, "Speed-up: nothing was measured\n");
    }

    #[test]
    fn axes_end_at_round_values() {
        for (value, least, most) in
            [(1.0, 1.0, 2.0), (1.9, 1.0, 2.0), (2.0, 2.0, 5.0), (4.0, 2.0, 5.0), (5.0, 5.0, 10.0), (70.0, 50.0, 100.0)]
        {
            assert!(
                (below(value) - least).abs() < 1e-9 && (above(value) - most).abs() < 1e-9,
                "{value}: {} {}",
                below(value),
                above(value)
            );
        }
        let axis = Axis::linear("times");
        let linear = Scale::of(&axis, [0.3, 1.83].into_iter(), true).unwrap().rounded();
        assert_eq!(linear.labels(16).iter().map(|label| label.1).collect::<Vec<f64>>(), [2.0, 1.5, 1.0, 0.5, 0.0]);
        let axis = Axis::log("ns");
        let log = Scale::of(&axis, [372.0, 482.0].into_iter(), true).unwrap().rounded();
        let labels: Vec<(usize, f64)> = log.labels(16).into_iter().map(|(row, value)| (row, value.round())).collect();
        assert_eq!(labels, [(0, 500.0), (16, 200.0)], "a third more does not fill the chart");
        let one = Scale::of(&axis, [100.0].into_iter(), true).unwrap().rounded();
        assert!(one.high > one.low);
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_name_them() {
        let names = vec!["spin".to_owned(), "futex".to_owned(), "none".to_owned()];
        let bars = Series::measured("measured", [(0.0, vec![10.0]), (1.0, vec![5.0]), (2.0, vec![0.0])]);
        let chart = Chart { names, ..chart(Axis::linear("ns"), vec![bars]) };
        let text = plot(&chart, 40);
        let rows: Vec<(usize, &str)> = text.lines().skip(2).map(|row| (row.matches('█').count(), row)).collect();
        assert!(rows[0].0.abs_diff(2 * rows[1].0) <= 1 && rows[2].0 == 0 && rows[0].0 > 8, "{text}");
        let none = Chart { series: vec![Series::measured("measured", [(0.0, vec![0.0])])], ..chart.clone() };
        assert!(!plot(&none, 40).contains('█'), "{}", plot(&none, 40));
        assert!(rows[1].1.starts_with("futex █") && rows[1].1.ends_with(" 5"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
}
