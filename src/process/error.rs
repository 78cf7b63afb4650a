//! What can go wrong with a [`Mill`](super::Mill) and its processes.

use crate::ring::{RegionError, Stop};
use crate::sys::advice::advice;
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
    /// A synchronization object does not fit the region.
    #[error("a {what} takes {needed} bytes, the region has {left} left: build the Mill with a larger region_size")]
    NoRoomFor {
        /// What.
        what: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// A synchronization object with fewer or more of something than there can be.
    #[error("{what} has {least} to {most} {parts}, not {asked}")]
    Count {
        /// What.
        what: &'static str,
        /// Its parts.
        parts: &'static str,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// A capacity of no slot, or of more than there can be.
    #[error("the capacity of a queue or a pool is 1 to {max}, not {slots}")]
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
    #[error("there can be 1 to {max} processes at a time, not {asked} (a Mill has max_processes, 4094 at most)")]
    Processes {
        /// What would be.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// A function that workers do not know.
    #[error(
        "the task {name} is not registered: add it to gristmill::init(tasks![…]) at the start of main, or to init_before_main! in tests"
    )]
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
    /// A task whose state no initializer makes.
    #[error("the task {task} needs a state of type {needs}, {}", .made.map_or("and the pool has no initializer".into(), |m| format!("the pool's initializer makes a {m}")))]
    WorkerState {
        /// Its path.
        task: &'static str,
        /// The type that it needs.
        needs: &'static str,
        /// The type that there is.
        made: Option<&'static str>,
    },
    /// A worker that would make its own workers, because it has not become one.
    #[error("this process was started as a worker and has not called gristmill::init: call it first in main")]
    InitMissing,
    /// A Mill inside a worker.
    #[error("a Mill cannot be made inside a worker")]
    InsideWorker,
    /// A fork with threads running.
    #[error(
        "this process has {threads} threads and must not be forked: build with StartMethod::Fork before threads are started, or use \
         StartMethod::Spawn"
    )]
    ForkWithThreads {
        /// How many.
        threads: usize,
    },
    /// A hardened Mill whose region others could open.
    #[error(
        "a hardened Mill cannot have a region with a name or in a file, which any program of this user can open: build it without name() and \
         file(), or without hardened()"
    )]
    HardenedPlace,
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
    #[error("{what}: {source}{}", advice(.source))]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The region has ended.
    #[error("{}", why_ended(*.why, .last.as_deref()))]
    Stopped {
        /// Why.
        why: Stop,
        /// How the last worker ended, if it is the workers that cannot live.
        last: Option<String>,
    },
}

/// Why a region has ended, and how the last worker did if that is why, in what words it left.
pub(crate) fn why_ended(why: Stop, last: Option<&str>) -> String {
    match last {
        None => why.to_string(),
        Some(last) => format!("{}; the last one ended with {last}", Stop::NoWorkers(None)),
    }
}

impl From<Stop> for Error {
    fn from(why: Stop) -> Self {
        Error::Stopped { why, last: None }
    }
}
