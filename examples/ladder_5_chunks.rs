//! The seed's ladder, 5 of 6: chunks. A message carries many jobs, so what a message costs is shared by all of them.
//!
//! `cargo run --release --example ladder_5_chunks`

use gristmill::{ProcessPool, tasks};
use std::ops::Range;
use std::time::Instant;

const JOBS: u64 = 20_000;
const CHUNK: u64 = 500;
const WORKERS: usize = 2;

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn chunk(numbers: Range<u64>) -> Vec<u64> {
    numbers.map(job).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![chunk]); // in a worker: serves and never returns

    let pool = ProcessPool::builder().workers(WORKERS).build(chunk)?;

    let start = Instant::now();
    let mut sum = 0u64;
    let chunks = (0..JOBS).step_by(CHUNK as usize).map(|first| first..JOBS.min(first + CHUNK));
    for future in pool.submit_many(chunks)? {
        sum = future.result()?.into_iter().fold(sum, u64::wrapping_add);
    }
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());
    Ok(())
}
