//! What can go wrong with a queue: each operation has its own error, and a put gives the item back.

use crate::ring::Stop;

/// Why an item was not put. It comes back in the error.
#[derive(thiserror::Error)]
pub enum PutError<T> {
    /// There is no free slot now (`try_put`).
    #[error("the queue is full")]
    Full(T),
    /// There was no free slot until the timeout.
    #[error("the queue was full until the timeout")]
    TimedOut(T),
    /// Workers wait to put results, and the memory that may hold results outside the region is full.
    #[error("results fill the {limit} bytes that may be held outside the region: get them, or set a larger result_memory")]
    ResultsFull {
        /// The item.
        item: T,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The queue has been closed.
    #[error("the queue is closed")]
    Closed(T),
    /// No slot and no block can hold it.
    #[error(
        "the item takes {size} bytes, the most that this region can carry is {limit}: build the Mill with a larger arena_size"
    )]
    TooLarge {
        /// The item.
        item: T,
        /// Its bytes, encoded.
        size: usize,
        /// The arena's bytes.
        limit: usize,
    },
    /// It has no encoding.
    #[error("the item cannot be encoded: {why}")]
    Encode {
        /// The item.
        item: T,
        /// What the encoder says.
        why: String,
    },
    /// The region has ended.
    #[error("{why}")]
    Stopped {
        /// The item.
        item: T,
        /// Why it has ended.
        why: Stop,
    },
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_item(self) -> T {
        match self {
            PutError::Full(item) | PutError::TimedOut(item) | PutError::Closed(item) => item,
            PutError::ResultsFull { item, .. }
            | PutError::TooLarge { item, .. }
            | PutError::Encode { item, .. }
            | PutError::Stopped { item, .. } => item,
        }
    }
}

impl<T> std::fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Why `put_many` stopped.
#[derive(thiserror::Error)]
#[error("after {put} items: {why}")]
pub struct PutManyError<T> {
    /// How many items were put before.
    pub put: usize,
    /// Items that were drawn from the iterator and not put. Those after them are still in it, if it was passed by reference.
    pub items: Vec<T>,
    /// Why.
    pub why: PutError<()>,
}

impl<T> std::fmt::Debug for PutManyError<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Why there is no item.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// There is none now (`try_get`).
    #[error("the queue is empty")]
    Empty,
    /// There was none until the timeout.
    #[error("the queue was empty until the timeout")]
    TimedOut,
    /// The queue has been closed, and everything in it was taken.
    #[error("the queue is closed and empty")]
    Closed,
    /// An item was there, and its bytes are no value of the queue's type. It is gone.
    #[error("an item cannot be decoded: {0}")]
    Decode(String),
    /// The region has ended.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// Who has a job that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The job's place in the order of puts, from 0.
    pub job: u64,
    /// The process.
    pub pid: u32,
    /// How many workers the job has cost already.
    pub attempt: u16,
}

/// What is unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Jobs that nobody has started.
    pub waiting: u64,
    /// Jobs that somebody has.
    pub running: Vec<Holding>,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} jobs wait, {} run", self.waiting, self.running.len())?;
        for (k, h) in self.running.iter().take(4).enumerate() {
            write!(f, "{} job {} in process {}", if k == 0 { ":" } else { "," }, h.job, h.pid)?;
        }
        if self.running.len() > 4 {
            write!(f, ", and {} more", self.running.len() - 4)?;
        }
        Ok(())
    }
}

/// Why `join` did not end with all jobs done.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Jobs are left at the timeout.
    #[error("not finished until the timeout: {0}")]
    TimedOut(Unfinished),
    /// All jobs have ended, but some were given up because each worker that ran them died.
    #[error("{jobs} jobs were given up: every worker that ran them died")]
    Lost {
        /// How many.
        jobs: u64,
    },
    /// Workers wait to put results, and the memory that may hold results outside the region is full.
    #[error("results fill the {limit} bytes that may be held outside the region: get them, or set a larger result_memory")]
    ResultsFull {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The region has ended.
    #[error(transparent)]
    Stopped(#[from] Stop),
}
