//! An axis whose ticks are given.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::Ranged;
use std::ops::Range;

/// From one value to another, with ticks at chosen places.
pub struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Scale {
    /// Ticks beyond the range are left out.
    pub fn new(range: Range<f64>, ticks: impl IntoIterator<Item = f64>) -> Scale {
        let ticks = ticks.into_iter().filter(|tick| range.start <= *tick && *tick <= range.end).collect();
        Scale { range, ticks }
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Thin lines between the ticks are not wanted.
        if hint.weight().allow_light_points() { vec![] } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Ticks of a linear axis from zero: about seven round numbers.
pub fn round(most: f64) -> Vec<f64> {
    let least = most / 7.0;
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= least).unwrap_or(least);
    (0..=(most / step) as usize).map(|n| n as f64 * step).collect()
}

/// Ticks of a logarithmic axis, as powers of ten: whole ones, and what is between them if those are few.
pub fn decades(low: f64, high: f64) -> Vec<f64> {
    let between: &[f64] = if high - low < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = low.floor() as i32..=high.ceil() as i32;
    let ticks = powers.flat_map(|power| between.iter().map(move |by| f64::from(power) + by.log10()));
    ticks.filter(|tick| (low..=high).contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(decades(2.5, 6.2), [3.0, 4.0, 5.0, 6.0]);
        let rounded: Vec<f64> = decades(2.9, 4.1).iter().map(|tick| 10f64.powf(*tick).round()).collect();
        assert_eq!(rounded, [1000.0, 2000.0, 5000.0, 10000.0]);
        assert_eq!(round(14.1e6), [0.0, 5e6, 10e6]);
        assert_eq!(round(6.5), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn values_lie_where_they_belong() {
        let scale = Scale::new(0.0..10.0, [0.0, 5.0, 20.0]);
        assert_eq!([0.0, 5.0, 10.0].map(|value| scale.map(&value, (100, 200))), [100, 150, 200]);
        assert_eq!(scale.map(&2.5, (200, 100)), 175, "upside down, as heights are");
        assert_eq!(scale.ticks, [0.0, 5.0], "none beyond its end");
    }
}
