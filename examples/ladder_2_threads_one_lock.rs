//! The seed's ladder, 2 of 6: threads share the next job and the sum, behind one lock. Each takes it twice for a job, but not while it works. The start
//! of the threads is timed here; `gristmill lab run ladder` starts them before.
//!
//! `cargo run --release --example ladder_2_threads_one_lock`

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

const JOBS: u64 = 20_000;
const WORKERS: usize = 2;

/// What all share.
struct Batch {
    next: u64,
    sum: u64,
}

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn worker(batch: &Mutex<Batch>) {
    let locked = || batch.lock().unwrap_or_else(PoisonError::into_inner);
    let take = || {
        let mut batch = locked();
        batch.next += 1;
        (batch.next <= JOBS).then(|| batch.next - 1)
    };
    while let Some(n) = take() {
        let value = job(n);
        let mut batch = locked();
        batch.sum = batch.sum.wrapping_add(value);
    }
}

fn main() {
    let start = Instant::now();
    let batch = Mutex::new(Batch { next: 0, sum: 0 });
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| worker(&batch));
        }
    });
    let sum = batch.into_inner().unwrap_or_else(PoisonError::into_inner).sum;
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());
}
