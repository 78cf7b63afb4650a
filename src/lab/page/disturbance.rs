//! What it costs to look on: the same experiment with and without lanes being kept, compared.

use crate::bench::statistics::{Interval, median};
use crate::lab::findings::{Findings, Origin};

/// How far the first chart's values are from those without a watcher, in words that have the figure. `None` if there is nothing to compare.
pub fn disturbance(alone: &Findings, watched: &Findings) -> Option<String> {
    let (mut ratios, mut spreads) = (vec![], vec![]);
    let (one, other) = (alone.charts.first()?, watched.charts.first()?);
    for series in one.series.iter().filter(|series| series.origin == Origin::Measured) {
        let Some(same) = other.series.iter().find(|other| other.name == series.name) else { continue };
        for point in &series.points {
            let Interval { median, low, high } = point.y;
            // Near zero a ratio says nothing.
            if let Some(value) = same.at(point.x).filter(|value| *value > 1e-3 && median > 1e-3) {
                ratios.push(value / median);
                spreads.push((high - low) / median);
            }
        }
    }
    let (ratio, spread) = (median(&ratios)?, median(&spreads)?);
    let (percent, spread) = (100.0 * (ratio - 1.0).abs(), 100.0 * spread);
    let way = if ratio < 1.0 { "lower" } else { "higher" };
    let within = if percent <= spread { "no more than" } else { "more than" };
    Some(format!(
        "With the lanes kept, the values of the first chart were {percent:.1} % {way} than without (the median of {} places). The values themselves are \
         uncertain by {spread:.1} %, so that is {within} chance.",
        ratios.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::{Axis, Chart, Series};

    fn found(by: f64) -> Findings {
        let rounds = |value: f64| vec![value * by * 0.99, value * by, value * by * 1.01];
        let series = Series::measured("measured", [(1.0, rounds(10.0)), (2.0, rounds(20.0)), (3.0, vec![0.0])]);
        let model = Series::model("model", [(1.0, 5.0)]);
        let (x, y) = (Axis::linear("x"), Axis::linear("y"));
        let chart = Chart { title: "rate".into(), x, y, series: vec![series, model], names: vec![] };
        Findings { charts: vec![chart], ..Findings::default() }
    }

    #[test]
    fn it_is_said_how_much_and_whether_that_is_more_than_chance() {
        let said = disturbance(&found(1.0), &found(0.8)).unwrap();
        assert!(said.contains("20.0 % lower") && said.contains("2 places") && said.contains("is more than chance"), "{said}");
        let said = disturbance(&found(1.0), &found(1.001)).unwrap();
        assert!(said.contains("0.1 % higher") && said.contains("no more than chance"), "{said}");
        assert_eq!(disturbance(&found(1.0), &Findings::default()), None);
    }
}
