//! Jobs of a chosen length: calibrated busy work whose results can be checked at once, however many there are.

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

/// Bits of a job that say how many steps it takes; the others are the number that it starts from.
const STEP_BITS: u32 = 24;

/// A step is that of a congruential generator, with Knuth's constants (MMIX).
const FACTOR: u64 = 6_364_136_223_846_793_005;
const SUMMAND: u64 = 1_442_695_040_888_963_407;

/// Runs a job: so many steps, each of which needs the one before it.
pub fn busy(job: u64) -> u64 {
    let mut x = job >> STEP_BITS;
    for _ in 0..job & ((1 << STEP_BITS) - 1) {
        x = x.wrapping_mul(FACTOR).wrapping_add(SUMMAND);
    }
    x
}

/// A job of `steps` steps for each start.
pub fn jobs(starts: Range<u64>, steps: u64) -> impl Iterator<Item = u64> {
    assert!(steps < 1 << STEP_BITS, "no room for {steps} steps");
    starts.map(move |start| start << STEP_BITS | steps)
}

/// The wrapping sum of the results of [`jobs`]: many steps are one multiplication and one addition as well.
pub fn sum(starts: Range<u64>, steps: u64) -> u64 {
    let (mut factor, mut summand) = (1u64, 0u64);
    for _ in 0..steps {
        factor = factor.wrapping_mul(FACTOR);
        summand = summand.wrapping_mul(FACTOR).wrapping_add(SUMMAND);
    }
    let count = starts.end - starts.start;
    let sum_of_starts = starts.fold(0u64, u64::wrapping_add);
    factor.wrapping_mul(sum_of_starts).wrapping_add(summand.wrapping_mul(count))
}

/// How many nanoseconds a step takes on this machine now, undisturbed: the least of several tries.
pub fn nanos_a_step() -> f64 {
    const STEPS: u64 = 2_000_000;
    let once = || {
        let start = Instant::now();
        black_box(busy(black_box(1 << STEP_BITS | STEPS)));
        start.elapsed().as_nanos() as f64 / STEPS as f64
    };
    (0..10).map(|_| once()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_results() {
        let results = jobs(1..100, 37).fold(0u64, |sum, job| sum.wrapping_add(busy(job)));
        assert_eq!(results, sum(1..100, 37));
    }
}
