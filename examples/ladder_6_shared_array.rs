//! The seed's ladder, 6 of 6: a shared array. Each chunk is a part of it that one worker has to itself, so results are written where they belong.
//!
//! `cargo run --release --example ladder_6_shared_array`

use gristmill::{ProcessPool, SharedVec, tasks};
use std::time::Instant;

const JOBS: u64 = 20_000;
const CHUNK: u64 = 500;
const WORKERS: usize = 2;

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn chunk(first: usize, values: &mut [u64]) {
    for (n, value) in (first as u64..).zip(values) {
        *value = job(n);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![chunk]); // in a worker: serves and never returns

    let pool = ProcessPool::builder().workers(WORKERS).build_for_slices()?;
    let mut values = SharedVec::<u64>::zeroed(JOBS as usize)?;

    let start = Instant::now();
    pool.chunks_of(CHUNK as usize).for_each_chunk(chunk, &mut values)?;
    let sum = values.iter().copied().fold(0u64, u64::wrapping_add);
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());
    Ok(())
}
