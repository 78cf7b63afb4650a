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

impl Work {
    /// Work that takes so many nanoseconds on a CPU of its own. Measured once a process, and inherited by those that are forked from it.
    pub fn of(nanos: u64) -> Work {
        static STEP: OnceLock<f64> = OnceLock::new();
        match nanos {
            0 => Work { steps: 0 },
            _ => Work { steps: (nanos as f64 / STEP.get_or_init(nanos_a_step)).ceil() as u64 },
        }
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
fn nanos_a_step() -> f64 {
    const STEPS: u64 = 500_000;
    let once = || {
        let start = clock::now();
        black_box(steps(black_box(1), STEPS));
        (clock::now() - start) as f64 / STEPS as f64
    };
    (0..10).map(|_| once()).fold(f64::INFINITY, f64::min)
}
