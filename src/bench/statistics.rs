//! Medians and their bootstrap intervals (Efron, "Bootstrap methods: another look at the jackknife", Ann. Statist. 7, 1979; percentile method).

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Resamples of an interval.
pub const RESAMPLES: usize = 2000;

/// With fewer values than so many an interval reaches from the least to the greatest: that is all that can be said of 95 %.
pub const ENOUGH: usize = 6;

/// A median and the bounds of its 95 % interval; of fewer values than [`ENOUGH`], their range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The median of the rounds.
    pub median: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// Of at least one value. The same values give the same bounds.
    pub fn of(values: &[f64]) -> Option<Interval> {
        let mut rng = SmallRng::seed_from_u64(values.len() as u64);
        let medians = (0..RESAMPLES).map(|_| median(&resampled(values, &mut rng)));
        Interval::between(median(values)?, medians.flatten().collect())
    }

    /// Of how many times the one the other is; both at least one value.
    pub fn of_ratio(of: &[f64], to: &[f64]) -> Option<Interval> {
        let mut rng = SmallRng::seed_from_u64((of.len() + to.len()) as u64);
        let ratios = (0..RESAMPLES).map(|_| Some(median(&resampled(of, &mut rng))? / median(&resampled(to, &mut rng))?));
        let ratios = ratios.flatten().collect();
        Interval::between(median(of)? / median(to)?, ratios)
    }

    /// From resamples; a median may be infinite.
    pub fn between(median: f64, mut resamples: Vec<f64>) -> Option<Interval> {
        resamples.sort_by(f64::total_cmp);
        let at = |share: f64| resamples.get((share * (resamples.len() - 1) as f64).round() as usize).copied();
        Some(Interval { median, low: at(0.025)?.min(median), high: at(0.975)?.max(median) })
    }

    /// Whether a value lies within the bounds.
    pub fn covers(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// As many of the values, drawn at random.
pub fn resampled(values: &[f64], rng: &mut SmallRng) -> Vec<f64> {
    (0..values.len()).map(|_| values[rng.random_range(0..values.len())]).collect()
}

/// The middle value, or the mean of the two in the middle; `None` of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(sorted[n / 2]),
        _ => Some((sorted[n / 2 - 1] + sorted[n / 2]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_interval_is_within_the_values_and_around_the_median() {
        let values = [10.0, 11.0, 9.0, 30.0, 10.5];
        let interval = Interval::of(&values).unwrap();
        assert_eq!(interval.median, 10.5);
        assert!(9.0 <= interval.low && interval.low <= 10.5 && interval.high <= 30.0, "{interval:?}");
        assert_eq!(Interval::of(&[5.0]).unwrap(), Interval { median: 5.0, low: 5.0, high: 5.0 });
        assert_eq!(Interval::of(&[]), None);
    }

    #[test]
    fn with_fewer_values_than_are_enough_it_is_their_range() {
        let values: Vec<f64> = (1..=ENOUGH).map(|n| n as f64).collect();
        for n in 1..ENOUGH {
            let interval = Interval::of(&values[..n]).unwrap();
            assert_eq!((interval.low, interval.high), (1.0, n as f64));
        }
        let interval = Interval::of(&values).unwrap();
        assert!(interval.low > 1.0 && interval.high < ENOUGH as f64, "{interval:?}");
    }

    #[test]
    fn an_interval_of_95_percent_covers_the_true_median_about_so_often() {
        let mut rng = SmallRng::seed_from_u64(1);
        let covered = (0..400).filter(|_| {
            let values: Vec<f64> = (0..15).map(|_| rng.random::<f64>()).collect();
            Interval::of(&values).unwrap().covers(0.5)
        });
        let covered = covered.count();
        assert!((350..=398).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn the_ratio_of_two_like_samples_covers_one_and_of_unlike_ones_does_not() {
        let one = [10.0, 11.0, 9.0, 10.0, 10.5];
        let two: Vec<f64> = one.iter().map(|v| v * 2.0).collect();
        assert!(Interval::of_ratio(&one, &one).unwrap().covers(1.0));
        let ratio = Interval::of_ratio(&two, &one).unwrap();
        assert!(ratio.covers(2.0) && !ratio.covers(1.0), "{ratio:?}");
    }
}
