//! A row for each contender: how many a second, and how late.

use super::scale::{Scale, decades, round};
use super::svg::{Area, Ink, draw, ink, span, style};
use crate::bench::contender::{Family, Result};
use crate::bench::report::figures::{Figure, Row};
use crate::bench::report::numbers::{count, time};
use crate::bench::report::words::waits;
use crate::bench::results::Axis;
use crate::bench::value::Value;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 960;

/// Height of a row.
const ROW: u32 = 24;

/// Room for the axis.
const AXIS: u32 = 54;

/// Room for names to the left.
const NAMES: u32 = 270;

fn size(rows: usize) -> (u32, u32) {
    (WIDTH, rows as u32 * ROW + AXIS + 14)
}

/// How many a second: bars from zero, with their intervals.
///
/// # Errors
/// If it cannot be drawn.
pub fn rates(id: &str, label: &str, figure: &Figure) -> Result<String> {
    let rows = &figure.rows;
    draw(size(rows.len()), id, label, |area| {
        let most = rows.iter().map(|row| row.summary.rate.high).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin_top(14)
            .margin_right(90)
            .x_label_area_size(AXIS)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(Scale::new(0.0..most, round(most)), 0.0..rows.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .bold_line_style(ink(Ink::Grid))
            .axis_style(ink(Ink::Muted))
            .label_style(("sans-serif", 13).into_font().color(&ink(Ink::Text)))
            .axis_desc_style(("sans-serif", 13).into_font().color(&ink(Ink::Muted)))
            .x_label_formatter(&|x| if *x == 0.0 { "0".into() } else { count(*x) })
            .x_desc(match figure.axis {
                Axis::Calls => "jobs a second",
                Axis::Commands => "numbers a second",
                _ => "payloads a second",
            })
            .draw()?;
        for (n, row) in rows.iter().enumerate() {
            let (y, rate) = ((rows.len() - n) as f64, row.summary.rate);
            let bar = [(0.0, y - 0.2), (rate.median, y - 0.8)];
            chart.plotting_area().draw(&Rectangle::new(bar, ink(Ink::Of(row.info.family)).filled()))?;
            let [low, high] = [rate.low, rate.high].map(|rate| chart.backend_coord(&(rate, y - 0.5)));
            span(area, low, high, ink(Ink::Text))?;
            let end = chart.backend_coord(&(rate.high, y - 0.5));
            area.draw(&Text::new(count(rate.median), (end.0 + 8, end.1), style(13, Ink::Text, HPos::Left, VPos::Center)))?;
            name(area, row, end.1)?;
        }
        Ok(())
    })
}

fn name(area: &DrawingArea<SVGBackend<'_>, Shift>, row: &Row, height: i32) -> Result<()> {
    let text = format!("{} ({})", row.entry.contender, waits(row.info.waits));
    let weight = if row.info.family == Family::Engine { FontStyle::Bold } else { FontStyle::Normal };
    let font = ("sans-serif", 13).into_font().style(weight).color(&ink(Ink::Text)).pos(Pos::new(HPos::Right, VPos::Center));
    Ok(area.draw(&Text::new(text, (NAMES as i32 - 8, height), font))?)
}

/// How late: p50 with its interval, p99 and p99.9 on one line, on a logarithmic axis.
///
/// # Errors
/// If it cannot be drawn.
pub fn latencies(id: &str, label: &str, figure: &Figure) -> Result<String> {
    const SHOWN: [Value; 3] = [Value::P50, Value::P99, Value::P999];
    let rows: Vec<Row> = figure.rows.iter().filter(|row| row.summary.p50.is_some()).copied().collect();
    let at = |value: f64| value.max(1.0).log10();
    draw(size(rows.len()), id, label, |area: &Area<'_>| {
        let all = rows.iter().flat_map(|row| SHOWN.iter().filter_map(|value| value.in_summary(row.summary)));
        let low = all.clone().map(|i| at(i.low)).fold(f64::INFINITY, f64::min);
        let high = all.map(|i| at(i.high)).fold(low + 0.1, f64::max);
        let (low, high) = (low - 0.1, high + 0.1);
        let mut chart = ChartBuilder::on(area)
            .margin_top(14)
            .margin_right(30)
            .x_label_area_size(AXIS)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(Scale::new(low..high, decades(low, high)), 0.0..rows.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .bold_line_style(ink(Ink::Grid))
            .axis_style(ink(Ink::Muted))
            .label_style(("sans-serif", 13).into_font().color(&ink(Ink::Text)))
            .axis_desc_style(("sans-serif", 13).into_font().color(&ink(Ink::Muted)))
            .x_label_formatter(&|x| time(10f64.powf(*x)))
            .x_desc("how late (logarithmic)")
            .draw()?;
        for (n, row) in rows.iter().enumerate() {
            let y = (rows.len() - n) as f64 - 0.5;
            let color = ink(Ink::Of(row.info.family));
            let place = |value: Value| Some((value, chart.backend_coord(&(at(row.median(value)?), y)).0));
            let places: Vec<(Value, i32)> = SHOWN.into_iter().filter_map(place).collect();
            let height = chart.backend_coord(&(low, y)).1;
            if let Some(p50) = row.summary.p50 {
                let [low, high] = [p50.low, p50.high].map(|late| chart.backend_coord(&(at(late), y)));
                span(area, low, high, ink(Ink::Text))?;
            }
            if let (Some(first), Some(last)) = (places.first(), places.last()) {
                area.draw(&PathElement::new([(first.1, height), (last.1, height)], color))?;
            }
            for (value, x) in places {
                let y = height;
                match value {
                    Value::P50 => area.draw(&Circle::new((x, y), 5, color.filled()))?,
                    Value::P99 => area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], color.filled()))?,
                    _ => area.draw(&Polygon::new([(x, y - 5), (x + 5, y + 4), (x - 5, y + 4)], color.filled()))?,
                }
            }
            name(area, row, height)?;
        }
        Ok(())
    })
}
