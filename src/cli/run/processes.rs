//! The engine of a run: worker processes over one region of shared memory.

use std::time::Duration;

use gristmill::pool::{self, BytePool};
use gristmill::sys::clock::Deadline;
use gristmill::sys::limits;
use gristmill::{Mill, tasks};

use super::engine::{Engine, EngineStats, Failure, Outcome};
use super::tasks::{self as work, Task};
use crate::cli::args::RunOptions;

/// Jobs in the region at a time, for each worker and at least: enough that nobody runs dry while the parent writes.
const JOBS: usize = 2048;
const JOBS_PER_WORKER: usize = 64;

/// Bytes of a job and of its result that a slot holds itself; more goes to the arenas. A number of 20 digits and its factors fit.
const JOB_BYTES: usize = 24;
const RESULT_BYTES: usize = 104;

/// The tasks that workers know.
pub fn registry() -> Vec<gristmill::Task> {
    tasks![work::factor, work::sha256]
}

/// Worker processes that run one task.
pub struct Processes {
    pool: BytePool,
    workers: usize,
}

/// Starts the workers.
pub fn start(options: &RunOptions) -> Result<Processes, Failure> {
    let workers = options.workers();
    let capacity = JOBS.max(workers.saturating_mul(JOBS_PER_WORKER));
    // A slot is at most 256 bytes; the rings and the arenas come on top.
    let region = (8usize << 20).saturating_add(capacity.saturating_mul(320));
    let mill = Mill::builder().retries(options.retries).max_processes(workers).region_size(region);
    let pool = match options.task {
        Task::Factor => BytePool::new(mill, workers, capacity, JOB_BYTES, RESULT_BYTES, work::factor),
        Task::Sha256 => BytePool::new(mill, workers, capacity, JOB_BYTES, RESULT_BYTES, work::sha256),
    }?;
    Ok(Processes { pool, workers })
}

impl Engine for Processes {
    fn submit(&mut self, id: u64, task_input: &[u8]) -> Result<bool, Failure> {
        Ok(self.pool.submit(id, task_input)?)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.pool.flush()?)
    }

    fn collect(&mut self, wait: Duration, each: &mut dyn FnMut(u64, Outcome<'_>)) -> Result<usize, Failure> {
        let collected = self.pool.collect(Some(Deadline::after(wait)), |id, outcome| {
            let outcome = match outcome {
                pool::Outcome::Value(bytes) => Outcome::Value(bytes),
                pool::Outcome::Failed(why) => Outcome::Failed(why.to_owned()),
                pool::Outcome::Panicked(why) => Outcome::Panicked(why.to_owned()),
                pool::Outcome::Died { exit, attempts } => Outcome::Died { how: exit.to_string(), attempts: attempts.into() },
                pool::Outcome::Refused(why) => Outcome::Refused(why.to_owned()),
            };
            each(id, outcome);
        });
        Ok(collected?)
    }

    fn pending(&self) -> usize {
        self.pool.pending()
    }

    fn finish(self) -> Result<EngineStats, Failure> {
        let stats = self.pool.stats();
        // Ends the workers and waits for them: their CPU time counts from then on.
        drop(self.pool);
        Ok(EngineStats {
            workers: self.workers,
            worker_deaths: stats.deaths,
            retried: stats.run_again,
            lock_wait_seconds: stats.lock_wait_nanos as f64 / 1e9,
            user_seconds: limits::usage_self().user + limits::usage_of_children().user,
        })
    }
}
