//! The seed's ladder, 4 of 6: futures. Who asks for a job holds its result to come; queues, workers and their deaths are the pool's affair.
//!
//! `cargo run --release --example ladder_4_futures`

use gristmill::{ProcessPool, tasks};
use std::time::Instant;

const JOBS: u64 = 20_000;
const WORKERS: usize = 2;

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![job]); // in a worker: serves and never returns

    let pool = ProcessPool::builder().workers(WORKERS).build(job)?;

    let start = Instant::now();
    let mut sum = 0u64;
    for future in pool.submit_many(0..JOBS)? {
        sum = sum.wrapping_add(future.result()?);
    }
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());
    Ok(())
}
