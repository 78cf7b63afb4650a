//! The engine of a run: worker processes over one region of shared memory.

use std::time::Duration;

use gristmill::ring::RegionError;
use gristmill::sys::limits;
use gristmill::sys::mapping::MapError;
use gristmill::{Completions, Error, JobError, ProcessPool, SubmitError, tasks};

use super::engine::{Engine, EngineStats, Failure, Outcome};
use super::tasks::{self as work, Task};
use crate::cli::args::RunOptions;

/// Jobs under way at a time, at least, and for each worker: enough that nobody runs dry while the parent writes.
const JOBS: usize = 4096;
const JOBS_PER_WORKER: usize = 128;

/// The tasks that workers know.
pub fn registry() -> Vec<gristmill::Task> {
    tasks![factor, sha256]
}

fn factor(input: Vec<u8>) -> Result<Vec<u8>, String> {
    // A number of 20 digits and its factors.
    let mut out = Vec::with_capacity(96);
    work::factor(&input, &mut out).map(|()| out)
}

fn sha256(input: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(input.len() + 67);
    work::sha256(&input, &mut out).map(|()| out)
}

type Pool = ProcessPool<Vec<u8>, Vec<u8>, String>;

/// Worker processes that run one task.
pub struct Processes {
    pool: Pool,
    jobs: Completions<u64, Vec<u8>, Vec<u8>, String>,
}

/// Starts the workers.
pub fn start(options: &RunOptions) -> Result<Processes, Failure> {
    let workers = options.workers();
    let capacity = JOBS.max(workers.saturating_mul(JOBS_PER_WORKER));
    let builder = ProcessPool::builder().workers(workers).retries(options.retries).capacity(capacity);
    let pool = match options.task {
        Task::Factor => builder.build_fallible(factor),
        Task::Sha256 => builder.build_fallible(sha256),
    };
    let pool: Pool = pool.map_err(in_terms_of_options)?;
    Ok(Processes { jobs: pool.completions(), pool })
}

/// The error as one who runs the command can act on it: there is no option for the region's size.
fn in_terms_of_options(error: Error) -> Failure {
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let (wanted, limit, room) = match error {
        Error::Region(RegionError::Map(MapError::TooLarge { wanted, room })) => (wanted, room.limit, room.bytes),
        Error::Region(RegionError::Map(MapError::Full { wanted, free, .. })) => (wanted, "the file system for memory", free),
        error => return error.into(),
    };
    format!("they need {:.1} MiB of shared memory, {limit} allows {:.1} MiB: raise it", mib(wanted), mib(room)).into()
}

impl Engine for Processes {
    fn submit(&mut self, id: u64, task_input: &[u8]) -> Result<bool, Failure> {
        match self.jobs.try_submit(id, task_input.to_vec()) {
            Ok(()) => Ok(true),
            Err(SubmitError::Full(_)) => Ok(false),
            Err(why) => Err(why.to_string().into()),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.jobs.flush();
        // Also while nothing is under way: nobody is to wait for input in vain.
        Ok(self.pool.check()?)
    }

    fn collect(&mut self, wait: Duration, each: &mut dyn FnMut(u64, Outcome<'_>)) -> Result<usize, Failure> {
        let mut collected = 0;
        let mut wait = wait;
        while let Some((id, result)) = self.jobs.next_timeout(wait) {
            collected += 1;
            wait = Duration::ZERO;
            match result {
                Ok(bytes) => each(id, Outcome::Value(&bytes)),
                Err(JobError::Task { error, .. }) => each(id, Outcome::Failed(error)),
                Err(JobError::Panicked { message, place, .. }) => {
                    each(id, Outcome::Panicked(format!("{message} at {place}")));
                }
                Err(JobError::WorkerDied { exit, attempts, .. }) => {
                    each(id, Outcome::Died { how: exit.to_string(), attempts });
                }
                // The pool says it in more words than its jobs.
                Err(ended @ JobError::PoolEnded { .. }) => {
                    self.pool.check()?;
                    return Err(ended.to_string().into());
                }
                Err(other) => each(id, Outcome::Refused(other.to_string())),
            }
        }
        Ok(collected)
    }

    fn pending(&self) -> usize {
        self.jobs.len()
    }

    fn finish(self) -> Result<EngineStats, Failure> {
        let stats = self.pool.stats();
        let locks = stats.workers.iter().map(|w| w.lock_wait).sum::<Duration>() + stats.parent_lock_wait;
        let workers = self.pool.workers();
        // Ends the workers and waits for them: their CPU time counts from then on.
        self.pool.kill_workers();
        Ok(EngineStats {
            workers,
            worker_deaths: stats.worker_deaths,
            retried: stats.retried,
            lock_wait_seconds: locks.as_secs_f64(),
            user_seconds: limits::usage_self().user + limits::usage_of_children().user,
        })
    }
}
