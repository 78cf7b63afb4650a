//! Charts of what was found, as SVG in the page's own colours.

use super::{bars, lines};
use crate::bench::contender::{Family, Result, Waits};
use crate::bench::report::html::svg::{Area, Ink, ink, mark, stroke, style};
use crate::lab::experiment::Question;
use crate::lab::findings::{Axis, Chart, Origin, Series};
use crate::lab::plot::named;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::Serialize;
use std::ops::Range;

/// Of all charts. The page makes them as wide as it is.
pub const WIDTH: u32 = 640;

/// Between two lines of a legend.
pub const ROW: u32 = 22;

/// The size of what is written.
/// The drawing library has a point for what is 1.24 of them in the page.
pub const TEXT: u32 = 17;

/// A chart. `id` is its own in the page. What was predicted for its places is drawn over it.
///
/// # Errors
/// If it cannot be drawn.
pub fn chart(chart: &Chart, id: &str, predicted: &[(f64, f64)]) -> Result<String> {
    if chart.names.is_empty() { lines::lines(chart, id, predicted) } else { bars::bars(chart, id) }
}

/// A chart with nothing in it, to draw on.
#[derive(Clone, Debug, Serialize)]
pub struct Canvas {
    /// The chart.
    pub svg: String,
    /// Its size.
    pub size: (u32, u32),
    /// Where its plane lies in it, from left to right.
    pub across: Range<i32>,
    /// And from top to bottom.
    pub down: Range<i32>,
}

/// What a question is answered on; `None` if it asks for no drawing.
///
/// # Errors
/// If it cannot be drawn.
pub fn canvas(question: &Question, id: &str) -> Result<Option<Canvas>> {
    match *question {
        Question::Draw { axes, at, between, .. } => lines::canvas(axes, at, between, id).map(Some),
        Question::Choose { .. } => Ok(None),
    }
}

/// Where a value stands on an axis; `None` if it cannot stand there.
pub fn along(axis: &Axis, value: f64) -> Option<f64> {
    let place = if axis.log { value.log10() } else { value };
    place.is_finite().then_some(place)
}

/// The value at a place.
pub fn back(axis: &Axis, place: f64) -> f64 {
    if axis.log { 10f64.powf(place) } else { place }
}

/// A logarithm and back is not exactly what it was.
pub fn whole(value: f64) -> f64 {
    if (value - value.round()).abs() < 1e-6 * value.abs() { value.round() } else { value }
}

/// What an axis says.
pub fn title(axis: &Axis) -> String {
    if axis.log { format!("{} (logarithmic)", axis.title) } else { axis.title.clone() }
}

const COLOURS: [Family; 5] = [Family::Engine, Family::Kernel, Family::Memory, Family::Threads, Family::Peer];
const MARKS: [Waits; 3] = [Waits::Adaptive, Waits::Block, Waits::Spin];

/// The colour of the n-th series.
pub fn colour(n: usize) -> Family {
    COLOURS[n % COLOURS.len()]
}

/// The form of its marks: another one as soon as the colours are used again.
pub fn form(n: usize) -> Waits {
    MARKS[n / COLOURS.len() % MARKS.len()]
}

/// What was measured has full lines, a model dashes, a reference dots.
pub fn line(n: usize, origin: Origin) -> RGBColor {
    match origin {
        Origin::Measured => stroke(colour(n), Waits::Adaptive),
        Origin::Model => stroke(colour(n), Waits::Block),
        Origin::Reference => stroke(colour(n), Waits::Spin),
    }
}

/// A line for each series, and one for the prediction.
///
/// # Errors
/// If it cannot be drawn.
pub fn legend(area: &Area<'_>, top: i32, series: &[Series], predicted: bool) -> Result<()> {
    const LEFT: i32 = 16;
    let text = |height, text: String| {
        area.draw(&Text::new(text, (LEFT + 46, height), style(TEXT, Ink::Text, HPos::Left, VPos::Center)))
    };
    let mut height = top;
    for (n, one) in series.iter().enumerate() {
        area.draw(&PathElement::new([(LEFT, height), (LEFT + 36, height)], line(n, one.origin).stroke_width(2)))?;
        if one.origin == Origin::Measured {
            area.draw(&mark((LEFT + 18, height), colour(n), form(n)))?;
        }
        text(height, named(one))?;
        height += ROW as i32;
    }
    if predicted {
        area.draw(&PathElement::new([(LEFT, height), (LEFT + 36, height)], ink(Ink::Text).stroke_width(2)))?;
        area.draw(&Circle::new((LEFT + 18, height), 5, ink(Ink::Text).stroke_width(2)))?;
        text(height, "your prediction".into())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(origin: Origin, name: &str, points: &[(f64, Vec<f64>)]) -> Series {
        Series { origin, ..Series::measured(name, points.iter().cloned()) }
    }

    fn lines(x: Axis, y: Axis) -> Chart {
        let measured =
            series(Origin::Measured, "<measured>", &[(1.0, vec![1.0, 2.0, 3.0]), (2.0, vec![4.0]), (8.0, vec![0.0])]);
        let model = series(Origin::Model, "bound", &[(1.0, vec![2.0]), (8.0, vec![5.0]), (9.0, vec![f64::NAN])]);
        Chart { title: "Speed & <b>".into(), x, y, series: vec![measured, model], names: vec![] }
    }

    #[test]
    fn a_chart_has_each_series_its_legend_and_the_prediction_in_the_pages_colours() {
        for (x, y) in [(Axis::linear("x"), Axis::linear("y")), (Axis::log("x"), Axis::log("y"))] {
            let svg = chart(&lines(x, y), "one", &[(1.0, 2.0), (2.0, 2.0)]).unwrap();
            assert!(!svg.contains("=\"#") && !svg.contains("<b>") && !svg.contains("NaN"), "{svg}");
            assert!(
                svg.contains("&lt;measured&gt;") && svg.contains("model: bound") && svg.contains("your prediction"),
                "{svg}"
            );
            assert!(svg.contains("var(--kernel)\" stroke-dasharray=\"8 4\"") && svg.contains("var(--engine)"), "{svg}");
        }
        let svg = chart(&lines(Axis::linear("x"), Axis::linear("y")), "one", &[]).unwrap();
        assert!(!svg.contains("your prediction"), "{svg}");
    }

    #[test]
    fn names_make_bars_and_nothing_makes_an_empty_chart() {
        let names = vec!["futex".to_owned(), "ticket".to_owned()];
        let one = series(Origin::Measured, "before", &[(0.0, vec![1.0]), (1.0, vec![100.0])]);
        for y in [Axis::linear("ns"), Axis::log("ns")] {
            let bars =
                Chart { title: "Locks".into(), x: Axis::linear("lock"), y, series: vec![one.clone()], names: names.clone() };
            let svg = chart(&bars, "two", &[]).unwrap();
            assert!(svg.contains("futex") && svg.contains("ticket") && svg.contains("100"), "{svg}");
            let none = Chart { series: vec![], ..bars };
            assert!(chart(&none, "three", &[]).unwrap().contains("nothing was measured"));
        }
        let none = Chart { series: vec![], ..lines(Axis::linear("x"), Axis::log("y")) };
        assert!(chart(&none, "three", &[]).unwrap().contains("nothing was measured"));
    }

    #[test]
    fn what_is_drawn_on_has_the_places_that_are_asked_for() {
        let draw =
            Question::Draw { says: "", series: "", axes: ["share", "speed"], at: &[0.0, 50.0, 100.0], between: (0.0, 4.0) };
        let canvas = canvas(&draw, "four").unwrap().unwrap();
        assert!(canvas.svg.contains("share") && canvas.svg.contains("speed"), "{}", canvas.svg);
        assert!(canvas.svg.contains("50\n") && canvas.across.start > 0 && canvas.across.end <= WIDTH as i32, "{canvas:?}");
        assert!(canvas.down.start < canvas.down.end);
        assert!(super::canvas(&Question::Choose { says: "", of: &[] }, "five").unwrap().is_none());
    }
}
