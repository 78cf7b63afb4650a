//! Medians, and where a curve crosses a line.

/// A median with the least and the greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

/// `None` without values.
pub fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    Some(Spread { median: (low + high) / 2.0, least, greatest })
}

/// Where a curve that rises with `x` last passes `level` from below, interpolated over the logarithm of `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// Above the level from the first point on.
    Below(f64),
    At(f64),
    /// Below the level at the last point.
    Above(f64),
}

impl Crossing {
    /// The value to compare with others: where the sweep ends, if it ends before the crossing.
    pub fn value(self) -> f64 {
        match self {
            Crossing::Below(x) | Crossing::At(x) | Crossing::Above(x) => x,
        }
    }
}

/// `points` are `(x, y)` with rising `x`. `None` without points.
pub fn crossing(points: &[(f64, f64)], level: f64) -> Option<Crossing> {
    let (first, last) = (points.first()?, points.last()?);
    if last.1 < level {
        return Some(Crossing::Above(last.0));
    }
    let Some(below) = points.iter().rposition(|point| point.1 < level) else { return Some(Crossing::Below(first.0)) };
    let ((x0, y0), (x1, y1)) = (points[below], points[below + 1]);
    let part = (level - y0) / (y1 - y0);
    Some(Crossing::At((x0.ln() + part * (x1.ln() - x0.ln())).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_does_not_depend_on_the_order_and_halves_the_middle_pair() {
        assert_eq!(spread([9.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, greatest: 9.0 }));
        assert_eq!(spread([4.0, 1.0, 9.0, 2.0]).map(|s| s.median), Some(3.0));
        assert_eq!(spread([]), None);
    }

    #[test]
    fn a_crossing_lies_between_its_neighbours_on_a_logarithmic_scale() {
        let Some(Crossing::At(x)) = crossing(&[(10.0, 0.2), (1000.0, 0.8)], 0.5) else { panic!("no crossing") };
        assert!((x - 100.0).abs() < 1e-9, "{x}");
    }

    #[test]
    fn of_several_crossings_the_last_one_counts() {
        let points = [(1.0, 0.1), (2.0, 0.6), (4.0, 0.4), (8.0, 0.6)];
        let Some(Crossing::At(x)) = crossing(&points, 0.5) else { panic!("no crossing") };
        assert!((4.0..8.0).contains(&x), "{x}");
    }

    #[test]
    fn a_curve_on_one_side_of_the_level_has_no_crossing() {
        assert_eq!(crossing(&[(1.0, 0.7), (2.0, 0.8)], 0.5), Some(Crossing::Below(1.0)));
        assert_eq!(crossing(&[(1.0, 0.1), (2.0, 0.2)], 0.5), Some(Crossing::Above(2.0)));
    }
}
