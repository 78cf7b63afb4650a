//! A bar for each name, of each series.

use super::chart::{ROW, TEXT, WIDTH, along, colour, legend, title, whole};
use crate::bench::contender::Result;
use crate::bench::report::html::scale::round;
use crate::bench::report::html::svg::{Ink, draw, ink, span, style};
use crate::lab::findings::{Axis, Chart};
use crate::lab::plot::number;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Room for names to the left, and for values to the right.
const NAMES: i32 = 190;
const VALUES: i32 = 76;

/// Height of a bar with what is around it.
const BAR: i32 = 20;

/// Between two names.
const GAP: i32 = 8;

/// Room for the axis below.
const AXIS: i32 = 48;

/// The chart.
///
/// # Errors
/// If it cannot be drawn.
pub fn bars(chart: &Chart, id: &str) -> Result<String> {
    let label =
        format!("Bar chart: {}. {} for each {}. The table below has its values.", chart.title, chart.y.title, chart.x.title);
    let text = |size, of, h| style(size, of, h, VPos::Center);
    // The length of a bar is the value: of a logarithm, twice as long would not be twice as much.
    let axis = Axis { log: false, ..chart.y.clone() };
    let values =
        || chart.series.iter().flat_map(|series| &series.points).flat_map(|point| [point.y.low, point.y.median, point.y.high]);
    let places: Vec<f64> = values().filter_map(|value| along(&axis, value)).collect();
    if places.is_empty() {
        return draw((WIDTH, 40), id, &label, |area| {
            Ok(area.draw(&Text::new("nothing was measured", (16, 20), text(TEXT, Ink::Muted, HPos::Left)))?)
        });
    }
    let least = places.iter().copied().fold(f64::INFINITY, f64::min);
    let most = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = least.min(0.0);
    let high = if most > low { most } else { low + 1.0 };
    let mut ticks = round(high);
    // The axis ends at a tick.
    let step = ticks.get(1).zip(ticks.first()).map_or(high, |(second, first)| second - first);
    let high = (high / step - 1e-9).ceil() * step;
    if ticks.last().is_some_and(|last| *last < high - 0.5 * step) {
        ticks.push(high);
    }
    let room = f64::from(WIDTH as i32 - NAMES - VALUES);
    let across = |place: f64| NAMES + ((place - low) / (high - low) * room).round() as i32;
    let each = chart.series.len() as i32 * BAR + GAP;
    let bottom = 10 + each * chart.names.len() as i32;
    let rows = if chart.series.len() > 1 { chart.series.len() as i32 * ROW as i32 } else { 0 };
    draw((WIDTH, (bottom + AXIS + rows + 4) as u32), id, &label, |area| {
        for tick in ticks {
            let x = across(tick);
            area.draw(&PathElement::new([(x, 6), (x, bottom)], ink(Ink::Grid)))?;
            area.draw(&Text::new(number(whole(tick)), (x, bottom + 14), text(TEXT, Ink::Text, HPos::Center)))?;
        }
        let middle = NAMES + room as i32 / 2;
        area.draw(&Text::new(title(&axis), (middle, bottom + 34), text(TEXT, Ink::Muted, HPos::Center)))?;
        for (at, name) in chart.names.iter().enumerate() {
            let top = 10 + each * at as i32;
            let height = top + (each - GAP) / 2;
            area.draw(&Text::new(name.clone(), (NAMES - 8, height), text(TEXT, Ink::Text, HPos::Right)))?;
            for (n, series) in chart.series.iter().enumerate() {
                let Some(point) = series.points.iter().find(|point| (point.x - at as f64).abs() < 1e-9) else { continue };
                let (top, y) = (top + n as i32 * BAR, point.y);
                let end = along(&axis, y.median).map_or(NAMES, across);
                let bar = [(NAMES, top + 3), (end, top + BAR - 3)];
                area.draw(&Rectangle::new(bar, ink(Ink::Of(colour(n))).filled()))?;
                let mut right = end;
                if let (Some(from), Some(to)) = (along(&axis, y.low), along(&axis, y.high))
                    && y.low < y.high
                {
                    right = across(to);
                    span(area, (across(from), top + BAR / 2), (right, top + BAR / 2), ink(Ink::Text))?;
                }
                area.draw(&Text::new(number(y.median), (right + 8, top + BAR / 2), text(TEXT, Ink::Text, HPos::Left)))?;
            }
        }
        if rows > 0 { legend(area, bottom + AXIS + 6, &chart.series, false) } else { Ok(()) }
    })
}
