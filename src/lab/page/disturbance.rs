//! What it costs to look on: the same experiment with and without lanes being kept, compared.

use crate::bench::statistics::median;
use crate::lab::findings::{Findings, Origin};

/// How far the first chart's values are from those without a watcher, in words that have the figure. `None` if there is nothing to compare.
pub fn disturbance(alone: &Findings, watched: &Findings) -> Option<String> {
    let (mut ratios, mut judged, mut apart) = (vec![], 0, 0);
    let (one, other) = (alone.charts.first()?, watched.charts.first()?);
    for series in one.series.iter().filter(|series| series.origin == Origin::Measured) {
        let Some(same) = other.series.iter().find(|other| other.name == series.name) else { continue };
        for point in &series.points {
            let Some(watched) = same.points.iter().find(|other| (other.x - point.x).abs() < 1e-9) else { continue };
            let (alone, watched) = (point.y, watched.y);
            // Near zero a ratio says nothing.
            if watched.median > 1e-3 && alone.median > 1e-3 {
                ratios.push(watched.median / alone.median);
                // One value has no interval, and says nothing of chance.
                if alone.low < alone.high && watched.low < watched.high {
                    judged += 1;
                    // The one that was watched was often the shorter: its own uncertainty counts as much.
                    apart += usize::from(watched.low > alone.high || watched.high < alone.low);
                }
            }
        }
    }
    let (ratio, places) = (median(&ratios)?, ratios.len());
    let (percent, way) = (100.0 * (ratio - 1.0).abs(), if ratio < 1.0 { "lower" } else { "higher" });
    let chance = match (apart, judged) {
        (_, 0) => "These values have no intervals, so it cannot be told from chance.".to_owned(),
        (0, _) => {
            format!("The intervals of both runs meet at all {judged} places that have some: it cannot be told from chance.")
        }
        (_, _) if 2 * apart > judged => {
            format!("The intervals of both runs are apart at {apart} of {judged} places: that is more than chance.")
        }
        _ => format!("The intervals of both runs are apart at {apart} of {judged} places, some of which are so by chance."),
    };
    Some(format!(
        "With the lanes kept, the values of the first chart were {percent:.1} % {way} than without (the median of {places} places). {chance} What a browser \
         costs, which asks and draws, is in it only as far as one was looking."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::{Axis, Chart, Series};

    fn found(by: f64, spread: f64) -> Findings {
        let rounds = |value: f64| [1.0 - spread, 1.0, 1.0 + spread].map(|off| value * by * off).to_vec();
        let series = Series::measured("measured", [(1.0, rounds(10.0)), (2.0, rounds(20.0)), (3.0, vec![0.0])]);
        let model = Series::model("model", [(1.0, 5.0)]);
        let (x, y) = (Axis::linear("x"), Axis::linear("y"));
        let chart = Chart { title: "rate".into(), x, y, series: vec![series, model], names: vec![] };
        Findings { charts: vec![chart], ..Findings::default() }
    }

    #[test]
    fn it_is_said_how_much_and_whether_that_is_more_than_chance() {
        let said = disturbance(&found(1.0, 0.01), &found(0.8, 0.01)).unwrap();
        assert!(
            said.contains("20.0 % lower") && said.contains("2 places") && said.contains("that is more than chance."),
            "{said}"
        );
        let said = disturbance(&found(1.0, 0.01), &found(1.001, 0.01)).unwrap();
        assert!(said.contains("0.1 % higher") && said.contains("cannot be told from chance"), "{said}");
        assert_eq!(disturbance(&found(1.0, 0.01), &Findings::default()), None);
    }

    #[test]
    fn what_is_uncertain_while_it_is_watched_is_not_told_from_chance() {
        for (alone, watched) in [(0.01, 0.3), (0.3, 0.01)] {
            let said = disturbance(&found(1.0, alone), &found(0.8, watched)).unwrap();
            assert!(said.contains("meet at all 2 places that have some: it cannot be told from chance"), "{said}");
        }
    }

    #[test]
    fn places_that_are_apart_are_counted() {
        let mut watched = found(1.0, 0.01);
        watched.charts[0].series[0].points[1].y = found(0.5, 0.01).charts[0].series[0].points[1].y;
        let said = disturbance(&found(1.0, 0.01), &watched).unwrap();
        assert!(said.contains("apart at 1 of 2 places, some of which are so by chance."), "{said}");
    }

    #[test]
    fn of_single_values_nothing_is_said_of_chance() {
        let said = disturbance(&found(1.0, 0.0), &found(0.8, 0.0)).unwrap();
        assert!(said.contains("20.0 % lower") && said.contains("no intervals, so it cannot be told from chance"), "{said}");
    }
}
