//! A worker is killed on purpose while the run completes.
//!
//! One job in a thousand kills its worker the first time it is run; one job kills every worker it meets. The former are run again; the latter
//! is given up after four workers, and costs nothing but itself.
//!
//! `cargo run --release --example killed_worker`

use gristmill::{JoinError, JoinableQueue, Mill, Queue, tasks};

const JOBS: u64 = 20_000;
const POISON: u64 = 12_345;

fn worker(jobs: &JoinableQueue<u64>, results: &Queue<u64>) {
    while let Ok(job) = jobs.get() {
        if *job == POISON || *job % 1000 == 0 && job.attempt() == 0 {
            // As sudden as a segmentation fault or the kernel's out-of-memory killer: no clean-up runs.
            std::process::abort();
        }
        if results.put(*job).is_err() {
            return;
        }
        job.task_done();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![worker]); // in a worker: serves and never returns

    let mill = Mill::builder().retries(3).build()?;
    let jobs = mill.joinable_queue::<u64>(1024)?;
    let results = mill.queue::<u64>(1024)?;
    let daemons = mill.spawn_daemons(4, worker, (&jobs, &results))?;

    for n in 0..JOBS {
        jobs.put(n)?;
    }
    match jobs.join() {
        Err(JoinError::Lost { jobs: 1 }) => println!("one job killed each of the four workers that ran it, and was given up"),
        other => return Err(format!("job {POISON} should have been the only one that is lost: {other:?}").into()),
    }
    let mut done = results.drain()?;
    done.sort_unstable();
    assert!(done.into_iter().eq((0..JOBS).filter(|&n| n != POISON)), "every other job has exactly one result");

    let stats = mill.stats();
    println!(
        "{} of {JOBS} jobs done, {} workers died, {} jobs were run again, longest repair {:.2} ms",
        JOBS - 1,
        daemons.deaths(),
        stats.run_again,
        stats.longest_recovery_nanos as f64 / 1e6
    );
    Ok(())
}
