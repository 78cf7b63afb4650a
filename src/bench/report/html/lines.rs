//! Rate against what is varied: a line for each contender, the rate on a logarithmic axis. Those that are picked out have their colour, their
//! interval and their name at the end of the line; all others are grey.

use super::scale::{Scale, decades};
use super::svg::{Area, Ink, draw, ink, mark, span, stroke, style};
use crate::bench::contender::{Family, Result, Waits};
use crate::bench::report::numbers::count;
use crate::bench::report::words::waits as how;
use crate::bench::statistics::Interval;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// A contender.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its family, which gives the colour.
    pub family: Family,
    /// How it waits, which gives the dashes and the marks.
    pub waits: Waits,
    /// Where on the axis, and the rate there.
    pub points: Vec<(f64, Interval)>,
    /// Where on the axis a ring is drawn around it.
    pub ring: Option<f64>,
    /// Whether it is picked out.
    pub picked: bool,
}

impl Line {
    /// The logarithm of the rate between the points.
    fn at(&self, x: f64) -> Option<f64> {
        let height = |interval: &Interval| interval.median.log10();
        self.points.windows(2).find(|pair| pair[0].0 <= x && x <= pair[1].0).map(|pair| {
            let share = (x - pair[0].0) / (pair[1].0 - pair[0].0);
            height(&pair[0].1) + share * (height(&pair[1].1) - height(&pair[0].1))
        })
    }
}

/// What is varied.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it is, and its unit.
    pub title: &'static str,
    /// Places on it, and what they are.
    pub ticks: Vec<(f64, String)>,
}

const SIZE: (u32, u32) = (960, 440);

/// Room for names to the right.
const NAMES: u32 = 260;

/// Between two names.
const STEP: i32 = 19;

/// The chart.
///
/// # Errors
/// If it cannot be drawn.
pub fn lines(id: &str, label: &str, axis: &Axis, lines: &[Line]) -> Result<String> {
    draw(SIZE, id, label, |area| paint(area, axis, lines))
}

fn paint(area: &Area<'_>, axis: &Axis, lines: &[Line]) -> Result<()> {
    let places = axis.ticks.iter().map(|tick| tick.0);
    let (left, right) = (places.clone().fold(f64::INFINITY, f64::min), places.clone().fold(f64::NEG_INFINITY, f64::max));
    let edge = ((right - left) * 0.04).max(0.1);
    let all = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let low = all.clone().map(|i| i.low).fold(f64::INFINITY, f64::min).max(1.0).log10() - 0.1;
    let high = all.map(|i| i.high).fold(1.0, f64::max).log10() + 0.1;
    let mut chart = ChartBuilder::on(area)
        .margin_top(14)
        .margin_right(NAMES)
        .x_label_area_size(54)
        .y_label_area_size(84)
        .build_cartesian_2d(Scale::new(left - edge..right + edge, places), Scale::new(low..high, decades(low, high)))?;
    let name = |x: &f64| {
        let tick = axis.ticks.iter().find(|tick| (tick.0 - x).abs() < 1e-9);
        tick.map_or(String::new(), |tick| tick.1.clone())
    };
    chart
        .configure_mesh()
        .bold_line_style(ink(Ink::Grid))
        .axis_style(ink(Ink::Muted))
        .label_style(("sans-serif", 13).into_font().color(&ink(Ink::Text)))
        .axis_desc_style(("sans-serif", 13).into_font().color(&ink(Ink::Muted)))
        .x_label_formatter(&name)
        .y_label_formatter(&|y| count(10f64.powf(*y)))
        .x_desc(axis.title)
        .y_desc("payloads a second (logarithmic)")
        .draw()?;
    let (picked, others): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.picked);
    let path = |line: &Line| line.points.iter().map(|(x, rate)| (*x, rate.median.max(1.0).log10())).collect::<Vec<_>>();
    for line in others {
        chart.draw_series(LineSeries::new(path(line), ink(Ink::Other)))?;
    }
    let mut names = vec![];
    for line in &picked {
        let points = path(line);
        chart.draw_series(LineSeries::new(points.clone(), stroke(line.family, line.waits).stroke_width(2)))?;
        for (x, rate) in &line.points {
            let [low, high] = [rate.low, rate.high].map(|rate| chart.backend_coord(&(*x, rate.max(1.0).log10())));
            span(area, low, high, ink(Ink::Of(line.family)))?;
        }
        for point in &points {
            chart.plotting_area().draw(&mark(*point, line.family, line.waits))?;
        }
        if let Some((x, y)) = line.ring.and_then(|x| Some((x, line.at(x)?))) {
            chart.plotting_area().draw(&Circle::new((x, y), 8, ink(Ink::Text).stroke_width(2)))?;
        }
        names.extend(points.last().map(|last| (chart.backend_coord(last), *line)));
    }
    let edge = chart.plotting_area().get_pixel_range().0.end;
    write_names(area, edge, names)
}

/// At the end of each line, or as near to it as others leave room.
fn write_names(area: &Area<'_>, edge: i32, mut names: Vec<((i32, i32), &Line)>) -> Result<()> {
    names.sort_by_key(|name| name.0.1);
    let heights = apart(&names.iter().map(|name| name.0.1).collect::<Vec<_>>(), 10, SIZE.1 as i32 - 60);
    for (((x, y), line), height) in names.into_iter().zip(heights) {
        let leader = [(x + 6, y), (edge + 4, y), (edge + 16, height)];
        area.draw(&PathElement::new(leader, ink(Ink::Of(line.family))))?;
        area.draw(&mark((edge + 22, height), line.family, line.waits))?;
        let text = format!("{} ({})", line.name, how(line.waits));
        area.draw(&Text::new(text, (edge + 32, height), style(13, Ink::Text, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

/// The same heights, in order, but never nearer to each other than a line of text, and from `top` to `bottom`.
fn apart(heights: &[i32], top: i32, bottom: i32) -> Vec<i32> {
    let mut next = top;
    let mut moved: Vec<i32> = heights
        .iter()
        .map(|&height| {
            let height = height.max(next);
            next = height + STEP;
            height
        })
        .collect();
    let mut most = bottom;
    for height in moved.iter_mut().rev() {
        *height = (*height).min(most);
        most = *height - STEP;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_apart_and_within() {
        assert_eq!(apart(&[10, 50, 200], 10, 300), [10, 50, 200]);
        let moved = apart(&[100, 101, 102, 295, 299], 10, 300);
        assert!(moved.windows(2).all(|pair| pair[1] - pair[0] >= STEP), "{moved:?}");
        assert!(moved.iter().all(|height| (10..=300).contains(height)), "{moved:?}");
    }
}
