//! Work of a chosen length, the same in every contender.

use crate::sys::clock;
use std::hint::black_box;
use std::sync::OnceLock;

/// Constants of Knuth's MMIX generator: each step needs the one before it.
fn step(x: u64) -> u64 {
    x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

fn steps(x: u64, count: u64) -> u64 {
    (0..count).fold(x, |x, _| step(x))
}

/// So many steps.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    steps: u64,
}

/// Nanoseconds of a step: measured once by whoever starts all turns, before the first of them, and inherited by those that are forked from it.
/// Processes that are no copies of it are told. Participants that measured it would do so all at once, on busy CPUs.
pub fn nanos_a_step() -> f64 {
    static STEP: OnceLock<f64> = OnceLock::new();
    *STEP.get_or_init(calibrated)
}

impl Work {
    /// Work that takes so many nanoseconds on a CPU of its own.
    pub fn of(nanos: u64) -> Work {
        if nanos == 0 { Work { steps: 0 } } else { Work::at(nanos_a_step(), nanos) }
    }

    /// The same, for who was told how long a step takes.
    pub fn at(nanos_a_step: f64, nanos: u64) -> Work {
        Work { steps: (nanos as f64 / nanos_a_step).ceil() as u64 }
    }

    /// Works.
    #[inline]
    pub fn run(self, from: u64) {
        if self.steps > 0 {
            black_box(steps(black_box(from), self.steps));
        }
    }
}

/// The least of several tries: what else happens on the machine makes it longer, never shorter.
fn calibrated() -> f64 {
    const STEPS: u64 = 500_000;
    let once = || {
        let start = clock::now();
        black_box(steps(black_box(1), STEPS));
        (clock::now() - start) as f64 / STEPS as f64
    };
    (0..10).map(|_| once()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_what_was_told_of_and_no_work_is_none() {
        assert_eq!(Work::at(0.5, 1000).steps, 2000);
        assert_eq!(Work::at(3.0, 1000).steps, 334, "at least as long");
        assert_eq!(Work::of(0).steps, 0);
        assert_eq!(Work::of(10_000).steps, Work::at(nanos_a_step(), 10_000).steps, "one measurement for all");
    }
}
