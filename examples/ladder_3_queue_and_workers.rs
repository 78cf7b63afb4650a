//! The seed's ladder, 3 of 6: worker processes, which share nothing but two queues. Locks are the queues' own, and nobody can forget them.
//!
//! `cargo run --release --example ladder_3_queue_and_workers`

use gristmill::{JoinableQueue, Mill, Queue, tasks};
use std::time::Instant;

const JOBS: u64 = 20_000;
const WORKERS: usize = 2;

/// A job: the same steps for the same number, each of which needs the one before it.
fn job(n: u64) -> u64 {
    (0..100).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn worker(jobs: &JoinableQueue<u64>, results: &Queue<u64>) {
    // Ends when the queue is closed.
    while let Ok(n) = jobs.get() {
        if results.put(job(*n)).is_err() {
            return;
        }
        n.task_done();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![worker]); // in a worker: serves and never returns

    let mill = Mill::builder().build()?;
    let jobs = mill.joinable_queue::<u64>(1024)?;
    let results = mill.queue::<u64>(1024)?;
    let daemons = mill.spawn_daemons(WORKERS, worker, (&jobs, &results))?;

    let start = Instant::now();
    for n in 0..JOBS {
        jobs.put(n)?;
    }
    jobs.join()?;
    let sum = results.drain()?.into_iter().fold(0u64, u64::wrapping_add);
    println!("{JOBS} jobs in {:.1?}, and all values together are {sum:016x}", start.elapsed());

    jobs.close();
    daemons.join();
    Ok(())
}
