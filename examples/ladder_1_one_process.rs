//! The seed's ladder, 1 of 6: one process does one job after the other. All that follows has to be faster than this.
//!
//! `cargo run --release --example ladder_1_one_process`

use std::time::Instant;

const JOBS: u64 = 20_000;

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn main() {
    let start = Instant::now();
    let mut sum = 0u64;
    for n in 0..JOBS {
        sum = sum.wrapping_add(job(n));
    }
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());
}
