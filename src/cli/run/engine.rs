//! What a run needs from the engine: the seam between the driver and the worker processes.

use std::time::Duration;

/// An error of the engine itself: no job's fault, and the end of the run.
pub type Failure = Box<dyn std::error::Error>;

/// What becomes of a job.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The bytes to print.
    Value(&'a [u8]),
    /// The task's own error.
    Failed(String),
    /// The message of the task's panic.
    Panicked(String),
    /// It killed its worker, or every worker it met.
    Died {
        /// How the last one ended: `signal 9 (SIGKILL)`.
        how: String,
        /// How often the job was started.
        attempts: u32,
    },
    /// The engine did not take it, or gave it up.
    Refused(String),
}

/// What the engine counted over the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStats {
    /// Worker processes at a time.
    pub workers: usize,
    /// Workers that died before the run ended.
    pub worker_deaths: u64,
    /// Runs of a job after its first.
    pub retried: u64,
    /// Time that all processes together waited for locks.
    pub lock_wait_seconds: f64,
    /// CPU time in user mode of the parent and all workers.
    pub user_seconds: f64,
}

/// Worker processes that run one task.
pub trait Engine {
    /// Gives job `id` to the workers. False: there is no room now, collect first.
    fn submit(&mut self, id: u64, task_input: &[u8]) -> Result<bool, Failure>;

    /// Makes what was submitted visible to the workers, which need not see it before.
    fn flush(&mut self) -> Result<(), Failure>;

    /// Hands all outcomes that are there to `each`, after waiting for the first for at most `wait`. Returns early, with
    /// nothing, if a signal arrives; zero does not wait. Gives the number of outcomes. Fails, even if nothing is pending, once
    /// the workers cannot go on.
    fn collect(&mut self, wait: Duration, each: &mut dyn FnMut(u64, Outcome<'_>)) -> Result<usize, Failure>;

    /// Jobs that were submitted and have not been collected.
    fn pending(&self) -> usize;

    /// Ends the workers and waits for their end, so that the figures are complete.
    fn finish(self) -> Result<EngineStats, Failure>;
}
