//! How a pool is to be: the builder.

use super::assistant;
use super::engine::{Engine, Limits, Own};
use super::error::JobError;
use super::handle::{Decode, Numbers};
use super::pool::{Owner, ProcessPool};
use super::task::{Initializer, JobFunction};
use crate::process::{Error, JobsWork, Mill, MillBuilder, Result, StartMethod, name_of, place_of, tasks_hash};
use crate::queue::codec::{Codec, Postcard, is_number, numbers_backwards};
use crate::ring::{Channel, WaitPolicy};
use crate::sys::limits;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a slot: room for about 200 small jobs and their results.
const SLOT: usize = 4096;

/// At most so many slots: more bundles than that are never under way usefully.
const MOST_SLOTS: usize = 4096;

/// Bytes of the region that are left for queues and locks of the program's own.
const SPARE: usize = 256 << 10;

/// Sizes and rules of a [`ProcessPool`] to be made. All have defaults.
#[derive(Clone, Debug)]
pub struct PoolBuilder {
    mill: MillBuilder,
    workers: Option<usize>,
    jobs: usize,
    region: usize,
    retries: u32,
    timeout: Option<Duration>,
    memory: Option<u64>,
    max_tasks: Option<u64>,
    pinned: Option<Vec<usize>>,
    init: Option<Init>,
}

#[derive(Clone, Debug)]
struct Init {
    name: &'static str,
    argument: std::result::Result<Vec<u8>, String>,
    state: &'static str,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        PoolBuilder {
            mill: Mill::builder(),
            workers: None,
            jobs: 1 << 16,
            region: 12 << 20,
            retries: 0,
            timeout: None,
            memory: None,
            max_tasks: None,
            pinned: None,
            init: None,
        }
    }
}

impl PoolBuilder {
    /// How many worker processes. Default: the CPUs that this process may use, affinity and control group included.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// How many jobs may be unfinished at a time: `submit` waits when there are as many. Default: 65,536.
    pub fn capacity(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Bytes of shared memory in all, which bounds the bytes of jobs and results under way; reserved at once. Default: 12 MiB.
    pub fn region_size(mut self, bytes: usize) -> Self {
        self.region = bytes;
        self
    }

    /// Bytes for arguments that are too large for a slot, and as many again for results: the largest there can be. Part of the
    /// region. Default: 2 MiB each.
    pub fn arena_size(mut self, bytes: usize) -> Self {
        self.mill = self.mill.arena_size(bytes);
        self
    }

    /// How often a job is run again whose worker died while it ran it. Default: 0, since a job may have had effects.
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// How long a job may run: one that takes longer ends as [`TimedOut`](crate::JobError::TimedOut), and its worker is replaced. Default: as
    /// long as it takes.
    pub fn job_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many bytes a worker may have for itself: if it takes more, its job ends as
    /// [`MemoryExceeded`](crate::JobError::MemoryExceeded), and it is replaced. Looked at every 50 ms. Default: no bound.
    pub fn worker_memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// A worker is replaced when it has run so many jobs. Default: never.
    pub fn max_tasks_per_worker(mut self, count: u64) -> Self {
        self.max_tasks = Some(count);
        self
    }

    /// Each worker calls `function` with `argument` when it starts, and hands the state that it makes to each of its jobs, as `&mut S`. It must be
    /// registered: `tasks![score; initializers: load]`.
    ///
    /// If it fails or panics in the first workers, the pool ends, and says so; one that fails in a replacement is tried again, with
    /// pauses.
    pub fn initializer<A, S, E, F>(mut self, _function: F, argument: A) -> Self
    where
        F: Initializer<A, S, E>,
        A: Serialize + DeserializeOwned + 'static,
        S: 'static,
    {
        let argument = Postcard::encode(&argument, <[u8]>::to_vec);
        self.init = Some(Init { name: name_of::<F>(), argument, state: std::any::type_name::<S>() });
        self
    }

    /// How workers come to be. Default: [`StartMethod::Spawn`].
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.mill = self.mill.start_method(method);
        self
    }

    /// Closes this process and its workers to other processes of the same user: see [`MillBuilder::hardened`].
    pub fn hardened(mut self) -> Self {
        self.mill = self.mill.hardened();
        self
    }

    /// How those who find nothing to do wait. Default: [`WaitPolicy::Adaptive`].
    pub fn wait_policy(mut self, policy: WaitPolicy) -> Self {
        self.mill = self.mill.wait_policy(policy);
        self
    }

    /// Keeps each worker on one of these CPUs, in turn; an empty list: on those that this process may use. Default: not.
    pub fn pin_workers(mut self, cpus: &[usize]) -> Self {
        self.pinned = Some(if cpus.is_empty() { limits::cpu_numbers() } else { cpus.to_vec() });
        self
    }

    /// Where all counters of the region start, for tests of their wrap-around.
    #[doc(hidden)]
    pub fn counters_from(mut self, from: u32) -> Self {
        self.mill = self.mill.counters_from(from);
        self
    }

    /// Makes a pool that runs `function`: see [`IntoTask`](crate::IntoTask) for which.
    ///
    /// # Errors
    /// If the function or the initializer is not registered or they do not fit together, the region does not fit, or a process cannot be started.
    pub fn build<Shape, F: JobFunction<Shape>>(self, function: F) -> Result<ProcessPool<F::Arg, F::Out>> {
        let owner = self.start::<Shape, F>(&function)?;
        ProcessPool::over::<Shape, F>(owner, plain())
    }

    /// The same for a function that returns a `Result`: its error becomes [`JobError::Task`].
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_fallible<Shape, F, R, E>(self, function: F) -> Result<ProcessPool<F::Arg, R, E>>
    where
        F: JobFunction<Shape, Out = std::result::Result<R, E>>,
        Postcard: Codec<std::result::Result<R, E>>,
    {
        let owner = self.start::<Shape, F>(&function)?;
        ProcessPool::over::<Shape, F>(owner, fallible())
    }

    /// Makes a pool without a function of its own, for work on [`SharedVec`](crate::SharedVec)s, or for others that
    /// [`task`](ProcessPool::task) names later.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_for_slices(self) -> Result<ProcessPool<std::convert::Infallible, ()>> {
        Ok(ProcessPool::without_task(self.start_named("slices")?))
    }

    fn start<Shape, F: JobFunction<Shape>>(self, _function: &F) -> Result<Arc<Owner>> {
        place_of(name_of::<F>())?;
        self.start_named(name_of::<F>())
    }

    pub(crate) fn start_named(self, task: &'static str) -> Result<Arc<Owner>> {
        let workers = self.workers.unwrap_or_else(limits::cpus);
        if self.jobs == 0 {
            return Err(Error::Capacity { slots: 0, max: u32::MAX });
        }
        let init = match &self.init {
            None => None,
            Some(init) => {
                place_of(init.name)?;
                let argument = init.argument.clone().map_err(|why| Error::Arguments { why })?;
                Some((init.name.to_owned(), argument))
            }
        };
        let mill = self.mill.clone().retries(self.retries).region_size(self.region).max_processes(workers).build()?;
        let room = mill.shared.region.heap_left().saturating_sub(SPARE.min(self.region / 8));
        // Slots and what rings and bits take for each.
        let slots = (room / (SLOT + 48)).clamp(1, MOST_SLOTS);
        let half = (SLOT - Channel::overhead()) / 2;
        let channel = mill.pool_channel(slots, half - 24, half)?;
        let work = JobsWork {
            channel: channel.index(),
            init,
            budget: self.max_tasks.unwrap_or(u64::MAX).max(1),
            cpus: self.pinned.clone().unwrap_or_default(),
            tasks: tasks_hash(),
        };
        let limits = Limits { jobs: self.jobs, timeout: self.timeout, memory: self.memory };
        let engine = Engine::new(&mill, channel, limits);
        let daemons = mill.spawn_pool(workers, task, work)?;
        let system = |source| Error::System { what: "cannot start the pool's thread", source };
        let assistant = assistant::start(engine.clone()).map_err(system)?;
        engine.owns(Own { mill: Arc::new(mill), daemons, assistant: Some(assistant) });
        Ok(Arc::new(Owner { engine, workers, state: self.init.map(|init| init.state) }))
    }
}

/// How results are read.
pub(super) type Reading<R, E> = (Decode<R, E>, Numbers<R>);

/// Results as they are.
pub(super) fn plain<R: 'static, E>() -> Reading<R, E>
where
    Postcard: Codec<R>,
{
    let decode = Decode {
        value: |bytes| Postcard::read(bytes).ok(),
        error: |job, bytes| match <Postcard as Codec<R>>::read(bytes) {
            Ok(_) => JobError::Result { job, why: "it was none at first".into() },
            Err(why) => JobError::Result { job, why },
        },
    };
    (decode, Numbers { width: if is_number::<R>() { size_of::<R>() } else { 0 }, append: numbers_backwards })
}

/// Results of a function that may fail.
pub(super) fn fallible<R, E>() -> Reading<R, E>
where
    Postcard: Codec<std::result::Result<R, E>>,
{
    let decode = Decode {
        value: |bytes| Postcard::read(bytes).ok()?.ok(),
        error: |job, bytes| match <Postcard as Codec<std::result::Result<R, E>>>::read(bytes) {
            Ok(Err(error)) => JobError::Task { job, error },
            Ok(Ok(_)) => JobError::Result { job, why: "it was none at first".into() },
            Err(why) => JobError::Result { job, why },
        },
    };
    (decode, Numbers { width: 0, append: |_, _| {} })
}
