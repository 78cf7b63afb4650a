//! What can go wrong with a [`Mill`](super::Mill) and its processes.

use crate::ring::{RegionError, Stop};
use crate::sys::spawn::SpawnError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a [`Mill`](super::Mill), its queues and its processes, outside of single operations on queues.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The region cannot be made or attached.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A queue does not fit the region.
    #[error(
        "a queue of {slots} slots takes {needed} bytes, the region has {left} left: build the Mill with a larger region_size"
    )]
    NoSpace {
        /// Slots asked for.
        slots: usize,
        /// Bytes that they take.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// A capacity of no slot, or of more than there can be.
    #[error("a queue has 1 to {max} slots, not {slots}")]
    Capacity {
        /// Slots asked for.
        slots: usize,
        /// The most.
        max: u32,
    },
    /// A region has room for so many queues only.
    #[error("the region has room for {max} queues")]
    TooManyQueues {
        /// The most.
        max: u32,
    },
    /// A number of processes that cannot be.
    #[error("a Mill has 1 to {max} processes at a time, not {asked}: build it with more max_processes")]
    Processes {
        /// What would be.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// A function that workers do not know.
    #[error("the task {name} is not registered: add it to gristmill::init(tasks![…]) at the start of main")]
    NotRegistered {
        /// Its path.
        name: &'static str,
    },
    /// Two functions of one name.
    #[error("two tasks are named {name}: closures share a name, use functions")]
    RegisteredTwice {
        /// The name.
        name: &'static str,
    },
    /// A worker that would make its own workers, because it has not become one.
    #[error("this process was started as a worker and has not called gristmill::init: call it first in main")]
    InitMissing,
    /// A Mill inside a worker.
    #[error("a Mill cannot be made inside a worker")]
    InsideWorker,
    /// Arguments that have no encoding.
    #[error("the arguments cannot be encoded: {why}")]
    Arguments {
        /// What the encoder says.
        why: String,
    },
    /// No slot and no block can hold a job.
    #[error(
        "the job takes {size} bytes, the most that this region can carry is {limit}: build the Mill with a larger arena_size"
    )]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The arena's bytes.
        limit: usize,
    },
    /// A worker's program cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The system refuses what the engine needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The region has ended.
    #[error("{why}{}", .last.as_deref().map(|l| format!("; the last one ended with {l}")).unwrap_or_default())]
    Stopped {
        /// Why.
        why: Stop,
        /// How the last worker ended, if it is the workers that cannot live.
        last: Option<String>,
    },
}

impl From<Stop> for Error {
    fn from(why: Stop) -> Self {
        Error::Stopped { why, last: None }
    }
}
