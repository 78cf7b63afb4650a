//! The seed's program: daemons take jobs from one queue and put results into another; the parent joins, then reads the results.
//!
//! `cargo run --release --example queue`

use gristmill::{JoinableQueue, Mill, Queue, tasks};

fn worker(jobs: &JoinableQueue<u64>, results: &Queue<(u64, u64)>) {
    // Ends when the queue is closed.
    while let Ok(job) = jobs.get() {
        if results.put((*job, *job * *job)).is_err() {
            return;
        }
        job.task_done();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![worker]); // in a worker: serves and never returns

    let mill = Mill::builder().build()?;
    let jobs = mill.joinable_queue::<u64>(1024)?;
    let results = mill.queue::<(u64, u64)>(1024)?;
    let daemons = mill.spawn_daemons(4, worker, (&jobs, &results))?;

    let start = std::time::Instant::now();
    for n in 0..10_000 {
        jobs.put(n)?;
    }
    jobs.join()?; // never hangs on full results
    let squares = results.drain()?; // all 10,000
    println!("{} results in {:.1?}", squares.len(), start.elapsed());

    let sum: u64 = squares.iter().map(|(_, square)| square).sum();
    assert_eq!((squares.len(), sum), (10_000, (0..10_000u64).map(|n| n * n).sum()));

    jobs.close();
    daemons.join();
    Ok(())
}
