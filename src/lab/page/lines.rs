//! Lines over an axis of numbers: what was measured with its intervals, models, and the prediction.

use super::chart::{Canvas, ROW, TEXT, WIDTH, along, back, colour, form, legend, line, title, whole};
use crate::bench::contender::Result;
use crate::bench::report::html::scale::{Scale, decades, round};
use crate::bench::report::html::svg::{Area, Ink, draw, ink, mark, span, style};
use crate::lab::findings::{Axis, Chart, Origin};
use crate::lab::plot::number;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use std::cell::RefCell;

/// Without the legend.
const HEIGHT: u32 = 360;

/// With more places than so many not each has its tick.
const TICKS: usize = 9;

/// An axis with its range and ticks.
struct Ruler<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ruler<'_> {
    /// For values. A linear one for heights begins at zero.
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Ruler<'_>> {
        let (low, high) = values
            .filter_map(|value| along(axis, value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        if low > high {
            return None;
        }
        let low = if from_zero && !axis.log { low.min(0.0) } else { low };
        let edge = if high > low { (high - low) * 0.05 } else { 0.5 };
        let low = if low == 0.0 && from_zero { 0.0 } else { low - edge };
        let high = high + edge;
        let mut ticks = if axis.log { decades(low, high) } else { round(high) };
        if ticks.len() < 2 {
            ticks = round(back(axis, high)).into_iter().filter_map(|value| along(axis, value)).collect();
        }
        Some(Ruler { axis, low, high, ticks })
    }

    /// With a tick at each of these places, if they are few.
    fn at(mut self, places: impl Iterator<Item = f64>) -> Self {
        let mut places: Vec<f64> = places.filter_map(|value| along(self.axis, value)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        if (2..=TICKS).contains(&places.len()) {
            self.ticks = places;
        }
        self
    }

    fn scale(&self) -> Scale {
        Scale::new(self.low..self.high, self.ticks.iter().copied())
    }

    /// What a tick says.
    fn tick(&self, place: f64) -> String {
        number(whole(back(self.axis, place)))
    }
}

type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

fn plane<'a, 'b>(area: &'a Area<'b>, x: &Ruler<'_>, y: &Ruler<'_>) -> Result<Plane<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(36)
        .margin_right(22)
        .x_label_area_size(50)
        .y_label_area_size(64)
        .build_cartesian_2d(x.scale(), y.scale())?;
    chart
        .configure_mesh()
        .bold_line_style(ink(Ink::Grid))
        .axis_style(ink(Ink::Muted))
        .label_style(("sans-serif", TEXT).into_font().color(&ink(Ink::Text)))
        .axis_desc_style(("sans-serif", TEXT).into_font().color(&ink(Ink::Muted)))
        .x_label_formatter(&|place| x.tick(*place))
        .y_label_formatter(&|place| y.tick(*place))
        .x_desc(title(x.axis))
        .draw()?;
    // A long one has no room beside the axis.
    area.draw(&Text::new(title(y.axis), (12, 16), style(TEXT, Ink::Muted, HPos::Left, VPos::Center)))?;
    Ok(chart)
}

/// The chart.
///
/// # Errors
/// If it cannot be drawn.
pub fn lines(chart: &Chart, id: &str, predicted: &[(f64, f64)]) -> Result<String> {
    let label =
        format!("Line chart: {}. {} over {}. The table below has its values.", chart.title, chart.y.title, chart.x.title);
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let heights = points().flat_map(|point| [point.y.low, point.y.median, point.y.high]).chain(predicted.iter().map(|p| p.1));
    let rulers = Ruler::new(&chart.x, points().map(|point| point.x), false).zip(Ruler::new(&chart.y, heights, true));
    let Some((x, y)) = rulers else {
        return draw((WIDTH, 40), id, &label, |area| {
            Ok(area.draw(&Text::new("nothing was measured", (16, 20), style(TEXT, Ink::Muted, HPos::Left, VPos::Center)))?)
        });
    };
    let measured = chart.series.iter().filter(|series| series.origin == Origin::Measured);
    let x = x.at(measured.flat_map(|series| &series.points).map(|point| point.x));
    let rows = chart.series.len() as u32 + u32::from(!predicted.is_empty());
    draw((WIDTH, HEIGHT + rows * ROW + 4), id, &label, |area| {
        let (above, _) = area.split_vertically(HEIGHT);
        let mut plane = plane(&above, &x, &y)?;
        // Models lie under what was measured.
        for model in [true, false] {
            for (n, series) in
                chart.series.iter().enumerate().filter(|(_, series)| (series.origin != Origin::Measured) == model)
            {
                let place = |x: f64, y: f64| along(&chart.x, x).zip(along(&chart.y, y));
                let path: Vec<(f64, f64)> = series.points.iter().filter_map(|point| place(point.x, point.y.median)).collect();
                plane.draw_series(LineSeries::new(path.clone(), line(n, series.origin).stroke_width(2)))?;
                if model {
                    continue;
                }
                for point in &series.points {
                    if let (Some(low), Some(high)) = (place(point.x, point.y.low), place(point.x, point.y.high))
                        && point.y.low < point.y.high
                    {
                        let [low, high] = [low, high].map(|at| plane.backend_coord(&at));
                        span(&above, low, high, ink(Ink::Of(colour(n))))?;
                    }
                }
                for at in path {
                    plane.plotting_area().draw(&mark(at, colour(n), form(n)))?;
                }
            }
        }
        let path: Vec<(f64, f64)> =
            predicted.iter().filter_map(|&(px, py)| along(&chart.x, px).zip(along(&chart.y, py))).collect();
        let path: Vec<(f64, f64)> = path.into_iter().filter(|at| (x.low..=x.high).contains(&at.0)).collect();
        plane.draw_series(LineSeries::new(path.clone(), ink(Ink::Text).stroke_width(2)))?;
        for at in path {
            plane.plotting_area().draw(&Circle::new(at, 5, ink(Ink::Text).stroke_width(2)))?;
        }
        legend(area, HEIGHT as i32 + 8, &chart.series, !predicted.is_empty())
    })
}

/// An empty plane with these places along, and up what can be drawn.
///
/// # Errors
/// If it cannot be drawn.
pub fn canvas(axes: [&str; 2], at: &[f64], between: (f64, f64), id: &str) -> Result<Canvas> {
    let [along, up] = axes.map(Axis::linear);
    let (first, last) = (at.first().copied().unwrap_or(0.0), at.last().copied().unwrap_or(1.0));
    let x = Ruler { axis: &along, low: first, high: last, ticks: at.to_vec() };
    let y = Ruler { axis: &up, low: between.0, high: between.1, ticks: round(between.1) };
    let pixels = RefCell::new((0..0, 0..0));
    let size = (WIDTH, HEIGHT);
    let svg = draw(size, id, "Where the prediction is drawn", |area| {
        let plane = plane(area, &x, &y)?;
        *pixels.borrow_mut() = plane.plotting_area().get_pixel_range();
        Ok(())
    })?;
    let (across, down) = pixels.into_inner();
    Ok(Canvas { svg, size, across, down })
}
