//! π from random points, folded where they are made: few numbers come back of 200 million points.
//!
//! `cargo run --release --example monte_carlo_pi`

use gristmill::{ProcessPool, tasks};
use std::time::Instant;

const JOBS: u64 = 200_000;
const POINTS: u64 = 1_000;

/// Spreads a number over all 64 bits (the last step of splitmix64).
fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How many of a job's points lie in the quarter circle; the same in every run.
fn hits(seed: u64) -> u64 {
    let mut state = mixed(seed + 1);
    let mut unit = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(state) as f64 / u64::MAX as f64
    };
    (0..POINTS).filter(|_| unit().powi(2) + unit().powi(2) <= 1.0).count() as u64
}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![hits, add]);

    let pool = ProcessPool::builder().build(hits)?;
    let start = Instant::now();
    let inside = pool.map_reduce(0..JOBS, add)?.unwrap_or(0); // workers add up what they have found
    let pi = 4.0 * inside as f64 / (JOBS * POINTS) as f64;
    println!("π is about {pi:.5}, from {} points in {:.1?} on {} workers", JOBS * POINTS, start.elapsed(), pool.workers());
    println!("{} jobs, {} results came back", JOBS, pool.stats().completed);
    assert!((pi - std::f64::consts::PI).abs() < 0.001);
    Ok(())
}
