//! What becomes of a job that gives no value, and why a job is not taken.

use super::panics;
use super::record::Outcome;
use crate::process::why_ended;
use crate::ring::Stop;
use crate::ring::frame::Kind;
use crate::sys::pidfd::Exit;
use std::convert::Infallible;
use std::fmt;

/// Why a job gave no value: each job that a pool has taken ends in exactly one value or one of these. `E` is the task's own error type, for
/// pools made by [`build_fallible`](crate::PoolBuilder::build_fallible).
///
/// `job` is the job's place in the order of submissions, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError<E = Infallible> {
    /// The task returned an error.
    Task {
        /// The job.
        job: u64,
        /// What it returned.
        error: E,
    },
    /// The task panicked.
    Panicked {
        /// The job.
        job: u64,
        /// What the panic said.
        message: String,
        /// Where: file, line and column.
        place: String,
    },
    /// It ran longer than the pool's `job_timeout`; its worker was replaced.
    TimedOut {
        /// The job.
        job: u64,
    },
    /// It was cancelled.
    Cancelled {
        /// The job.
        job: u64,
    },
    /// Its worker died while it ran it, as often as `retries` allow and once more.
    WorkerDied {
        /// The job.
        job: u64,
        /// How the last one ended: exit code, or signal.
        exit: Exit,
        /// How many workers it has cost.
        attempts: u32,
    },
    /// Its worker took more memory than the pool's `worker_memory`; it was replaced.
    MemoryExceeded {
        /// The job.
        job: u64,
    },
    /// The argument has no encoding (in `map`), or the worker could not make a value of its bytes.
    Argument {
        /// The job.
        job: u64,
        /// What is wrong with them.
        why: String,
    },
    /// The argument is larger than what the region can carry (in `map`): build the pool with a larger `arena_size`.
    ArgumentTooLarge {
        /// The job.
        job: u64,
        /// Its bytes, encoded.
        size: u64,
        /// The most.
        limit: u64,
    },
    /// The result has no encoding.
    Unencodable {
        /// The job.
        job: u64,
        /// What the encoder says.
        why: String,
    },
    /// The result's bytes are no value of its type.
    Result {
        /// The job.
        job: u64,
        /// What is wrong with them.
        why: String,
    },
    /// The result is larger than what the region can carry: build the pool with a larger `arena_size`.
    ResultTooLarge {
        /// The job.
        job: u64,
        /// Its bytes, encoded.
        size: u64,
        /// The most.
        limit: u64,
    },
    /// The pool has ended: it was shut down, no worker can live, or its region was overwritten.
    PoolEnded {
        /// The job.
        job: u64,
        /// Why.
        why: Stop,
        /// How the last worker ended, if it is the workers that cannot live.
        last: Option<String>,
    },
}

impl<E> JobError<E> {
    /// The job's place in the order of submissions, from 0.
    pub fn job(&self) -> u64 {
        match *self {
            JobError::Task { job, .. }
            | JobError::Panicked { job, .. }
            | JobError::TimedOut { job }
            | JobError::Cancelled { job }
            | JobError::WorkerDied { job, .. }
            | JobError::MemoryExceeded { job }
            | JobError::Argument { job, .. }
            | JobError::ArgumentTooLarge { job, .. }
            | JobError::Unencodable { job, .. }
            | JobError::Result { job, .. }
            | JobError::ResultTooLarge { job, .. }
            | JobError::PoolEnded { job, .. } => job,
        }
    }

    /// The error of an outcome that is no value. `last`: how the last worker ended, if none can live.
    pub(super) fn of(job: u64, outcome: &Outcome, last: impl FnOnce() -> Option<String>) -> JobError<E> {
        let (kind, bytes) = match outcome {
            Outcome::Of(kind, bytes) => (*kind, &**bytes),
            Outcome::Ended(why) => {
                let last = if matches!(why, Stop::NoWorkers(_)) { last() } else { None };
                return JobError::PoolEnded { job, why: *why, last };
            }
            Outcome::Chunk(..) => return JobError::Result { job, why: "it is a chunk of results".into() },
        };
        Self::from_record(job, kind, bytes)
    }

    /// The error of one record that is no value.
    pub(super) fn from_record(job: u64, kind: Kind, bytes: &[u8]) -> JobError<E> {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let number = |at: usize, size: usize| {
            let mut number = [0; 8];
            number[..size].copy_from_slice(bytes.get(at..at + size).unwrap_or(&[0; 8][..size]));
            u64::from_le_bytes(number)
        };
        match kind {
            Kind::Panicked => {
                let (message, place) = panics::parts(&text());
                JobError::Panicked { job, message, place }
            }
            Kind::Died => JobError::WorkerDied { job, exit: exit(number(0, 4) as u32), attempts: number(4, 4) as u32 },
            Kind::TimedOut => JobError::TimedOut { job },
            Kind::Cancelled => JobError::Cancelled { job },
            Kind::Memory => JobError::MemoryExceeded { job },
            Kind::Undecodable => JobError::Argument { job, why: text() },
            Kind::Unencodable => JobError::Unencodable { job, why: text() },
            Kind::TooLarge => JobError::ResultTooLarge { job, size: number(0, 8), limit: number(8, 8) },
            Kind::Value => JobError::Result { job, why: "it is no error".into() },
        }
    }
}

/// What the supervisor has written of a worker's end.
pub(super) fn exit(status: u32) -> Exit {
    match status {
        0xFFFF => Exit::Unknown,
        code @ 0..0x1_0000 => Exit::Code(code as i32),
        signal => Exit::Signal { signal: (signal & 0xFF) as i32, core_dumped: false },
    }
}

impl<E: fmt::Display> fmt::Display for JobError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}: ", self.job())?;
        match self {
            JobError::Task { error, .. } => write!(f, "{error}"),
            JobError::Panicked { message, place, .. } => write!(f, "panicked at {place}: {message}"),
            JobError::TimedOut { .. } => write!(f, "ran longer than the pool's job_timeout; its worker was replaced"),
            JobError::Cancelled { .. } => write!(f, "cancelled"),
            JobError::WorkerDied { exit, attempts: 1, .. } => write!(f, "its worker died by {exit}"),
            JobError::WorkerDied { exit, attempts, .. } => {
                write!(f, "{attempts} workers died while they ran it, the last one by {exit}")
            }
            JobError::MemoryExceeded { .. } => {
                write!(f, "its worker took more memory than the pool's worker_memory, and was replaced")
            }
            JobError::Argument { why, .. } => write!(f, "its argument cannot be encoded or decoded: {why}"),
            JobError::ArgumentTooLarge { size, limit, .. } => write!(
                f,
                "its argument takes {size} bytes, the most that this region can carry is {limit}: build the pool with a larger arena_size"
            ),
            JobError::Unencodable { why, .. } => write!(f, "its result cannot be encoded: {why}"),
            JobError::Result { why, .. } => write!(f, "its result cannot be decoded: {why}"),
            JobError::ResultTooLarge { size, limit, .. } => write!(
                f,
                "its result takes {size} bytes, the most that this region can carry is {limit}: build the pool with a larger arena_size"
            ),
            JobError::PoolEnded { why, last, .. } => write!(f, "{}", why_ended(*why, last.as_deref())),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for JobError<E> {}

/// Why a job was not taken. The argument comes back in the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError<A> {
    /// The pool has been shut down.
    #[error("the pool has been shut down")]
    Shutdown(A),
    /// No slot and no block can hold the argument.
    #[error(
        "the job takes {size} bytes, the most that this region can carry is {limit}: build the pool with a larger arena_size"
    )]
    TooLarge {
        /// The argument.
        argument: A,
        /// Its bytes, encoded.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// The argument has no encoding.
    #[error("the argument cannot be encoded: {why}")]
    Encode {
        /// The argument.
        argument: A,
        /// What the encoder says.
        why: String,
    },
    /// As many jobs are unfinished as there may be (`try_submit`).
    #[error("the pool is full: as many jobs are unfinished as it may hold")]
    Full(A),
    /// The pool has ended.
    #[error("{}", why_ended(*.why, .last.as_deref()))]
    Ended {
        /// The argument.
        argument: A,
        /// Why.
        why: Stop,
        /// How the last worker ended, if it is the workers that cannot live.
        last: Option<String>,
    },
}

impl<A> SubmitError<A> {
    /// The argument.
    pub fn into_argument(self) -> A {
        match self {
            SubmitError::Shutdown(argument)
            | SubmitError::Full(argument)
            | SubmitError::TooLarge { argument, .. }
            | SubmitError::Encode { argument, .. }
            | SubmitError::Ended { argument, .. } => argument,
        }
    }
}

impl<A> fmt::Debug for SubmitError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl JobError<Infallible> {
    /// The same for a task with an error type of its own.
    pub(super) fn of_type<E>(self) -> JobError<E> {
        match self {
            JobError::Task { error, .. } => match error {},
            JobError::Panicked { job, message, place } => JobError::Panicked { job, message, place },
            JobError::TimedOut { job } => JobError::TimedOut { job },
            JobError::Cancelled { job } => JobError::Cancelled { job },
            JobError::WorkerDied { job, exit, attempts } => JobError::WorkerDied { job, exit, attempts },
            JobError::MemoryExceeded { job } => JobError::MemoryExceeded { job },
            JobError::Argument { job, why } => JobError::Argument { job, why },
            JobError::ArgumentTooLarge { job, size, limit } => JobError::ArgumentTooLarge { job, size, limit },
            JobError::Unencodable { job, why } => JobError::Unencodable { job, why },
            JobError::Result { job, why } => JobError::Result { job, why },
            JobError::ResultTooLarge { job, size, limit } => JobError::ResultTooLarge { job, size, limit },
            JobError::PoolEnded { job, why, last } => JobError::PoolEnded { job, why, last },
        }
    }
}
