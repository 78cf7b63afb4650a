//! Pools: jobs with outcomes. [`ProcessPool`] and what belongs to it.
//!
//! Used by the command and by programs. Uses process, queue (for its codecs) and ring. The parent's side without types is in `engine`, the
//! worker's in `worker`; both speak through the slots of one channel.
//!
//! # For those who know Python's pools
//!
//! `concurrent.futures.ProcessPoolExecutor` is [`ProcessPool`], made by [`PoolBuilder`]:
//!
//! | Python | here | what differs |
//! |---|---|---|
//! | `ProcessPoolExecutor(max_workers)` | [`workers`] | all are started at once, not as jobs come |
//! | `mp_context` | [`start_method`] | `spawn` (the default: this program executed again) or `fork`; no `forkserver` |
//! | `initializer`, `initargs` | [`initializer`] | it makes a state, which each job gets as `&mut S`, instead of setting globals; one argument; its failure ends the pool as `BrokenProcessPool` does, and the error has its words |
//! | `max_tasks_per_child` | [`max_tasks_per_worker`] | 0 counts as 1 instead of an error; a chunk of `map_reduce` is one job |
//! | `submit(fn, *args, **kwargs)` | [`submit`] | the pool is made for one function of one argument (a tuple takes several); [`task`] and [`fallible_task`] give the same workers other functions; functions are registered, not pickled; it waits while [`capacity`] jobs are unfinished, [`try_submit`] says so |
//! | – | [`submit_many`], [`completions`] | many jobs at once; jobs with keys, more of them while results come |
//! | `map(fn, *iterables, timeout, chunksize)` | [`map`], [`Map::timeout`], [`Map::chunk_size`] | one iterable (`zip` makes one of several); drawn lazily instead of all at once; chunks are sized by the jobs' time if nothing is said; an error is an item, and the iteration goes on behind it; at the timeout it ends, and [`Map::timed_out`] tells, instead of `TimeoutError` |
//! | 3.14 `map(buffersize)` | [`Map::buffer_size`] | there is always a bound; it counts arguments also where they go in chunks |
//! | `shutdown(wait, cancel_futures)` | [`shutdown`] | the same; a job that a worker has begun is not cancelled, one that only waits in a worker's batch is |
//! | `with ProcessPoolExecutor() as pool` | drop | dropping ends the jobs ([`PoolEnded`]) instead of waiting for them: call `shutdown(true, false)` to wait |
//! | 3.14 `terminate_workers`, `kill_workers` | [`terminate_workers`], [`kill_workers`] | return when the workers have ended: after SIGTERM comes SIGKILL at once |
//! | `BrokenProcessPool` | [`WorkerDied`] for one job | a death costs the job that ran and no other, and the pool goes on; [`retries`] runs it again |
//! | – | [`job_timeout`], [`worker_memory`] | jobs over a bound end alone, with their worker |
//!
//! `concurrent.futures.Future` is [`JobHandle`], which is a [`std::future::Future`] too:
//!
//! | Python | here | what differs |
//! |---|---|---|
//! | `result(timeout)` | [`result`], [`result_timeout`] | `None` at the timeout instead of `TimeoutError`; decoded at each call, so each gives a value of its own |
//! | `exception(timeout)` | [`exception`] | no timeout: `result_timeout` has it; a cancelled job is an error value, no `CancelledError` is thrown |
//! | `cancel()` | [`cancel`] | stops a running job too, by replacing its worker; a second call gives `false` |
//! | `cancelled`, `running`, `done` | [`cancelled`], [`running`], [`done`] | `running` is true from the job's first moment in a worker, not from its place in the queue of calls |
//! | `add_done_callback(fn)` | [`add_done_callback`] | the same: in order, at once if it is done, and one that panics is reported |
//! | `set_result`, `set_exception`, `set_running_or_notify_cancel` | – | a handle always belongs to a job |
//! | `asyncio.wrap_future`, `loop.run_in_executor` | `.await` | any runtime, and none; a dropped future does not cancel its job |
//! | `wait(fs, timeout, return_when)` | [`wait()`](wait()) | gives places in the slice; `FirstFailed` is `FIRST_EXCEPTION`, and a cancelled job counts as failed; jobs of one pool; duplicates are told each |
//! | `as_completed(fs, timeout)` | [`as_completed`] | ends at the timeout instead of `TimeoutError`, with [`left`]; jobs of one pool; a job that is there twice comes twice |
//!
//! `multiprocessing.Pool`:
//!
//! | Python | here | what differs |
//! |---|---|---|
//! | `Pool(processes, initializer, initargs, maxtasksperchild)` | as above | a worker that dies does not make the pool hang: its job gets an error |
//! | `apply(f, args)` | `submit(…)?.result()` | |
//! | `apply_async(f, args, callback, error_callback)` | [`submit`] with [`add_done_callback`] | one callback, which asks for the result |
//! | `map(f, iterable, chunksize)` | [`map`] with `collect::<Result<Vec<_>, _>>()` | the first error ends it: what has not begun is then cancelled |
//! | `map_async` | [`submit_many`] | |
//! | `starmap` | [`map`] over tuples | |
//! | `imap(f, iterable, chunksize)` | [`map`] | its chunks are 1 if nothing is said, and it draws the whole input; ours are sized, and bounded |
//! | `imap_unordered` | [`map_unordered`] | as for `imap` |
//! | – | [`for_each`], [`map_reduce`] | results stay in the workers: counted, or folded there |
//! | `AsyncResult.get`, `wait`, `ready`, `successful` | `result_timeout`, `done`, `exception` | as above |
//! | `close`, `join`, `terminate` | `shutdown(false, false)`, `shutdown(true, false)`, [`kill_workers`] | one call closes and joins |
//!
//! [`workers`]: crate::PoolBuilder::workers
//! [`start_method`]: crate::PoolBuilder::start_method
//! [`initializer`]: crate::PoolBuilder::initializer
//! [`max_tasks_per_worker`]: crate::PoolBuilder::max_tasks_per_worker
//! [`capacity`]: crate::PoolBuilder::capacity
//! [`retries`]: crate::PoolBuilder::retries
//! [`job_timeout`]: crate::PoolBuilder::job_timeout
//! [`worker_memory`]: crate::PoolBuilder::worker_memory
//! [`submit`]: crate::ProcessPool::submit
//! [`try_submit`]: crate::ProcessPool::try_submit
//! [`submit_many`]: crate::ProcessPool::submit_many
//! [`completions`]: crate::ProcessPool::completions
//! [`task`]: crate::ProcessPool::task
//! [`fallible_task`]: crate::ProcessPool::fallible_task
//! [`map`]: crate::ProcessPool::map
//! [`map_unordered`]: crate::ProcessPool::map_unordered
//! [`for_each`]: crate::ProcessPool::for_each
//! [`map_reduce`]: crate::ProcessPool::map_reduce
//! [`Map::timeout`]: crate::Map::timeout
//! [`Map::timed_out`]: crate::Map::timed_out
//! [`Map::chunk_size`]: crate::Map::chunk_size
//! [`Map::buffer_size`]: crate::Map::buffer_size
//! [`shutdown`]: crate::ProcessPool::shutdown
//! [`terminate_workers`]: crate::ProcessPool::terminate_workers
//! [`kill_workers`]: crate::ProcessPool::kill_workers
//! [`PoolEnded`]: crate::JobError::PoolEnded
//! [`WorkerDied`]: crate::JobError::WorkerDied
//! [`result`]: crate::JobHandle::result
//! [`result_timeout`]: crate::JobHandle::result_timeout
//! [`exception`]: crate::JobHandle::exception
//! [`cancel`]: crate::JobHandle::cancel
//! [`cancelled`]: crate::JobHandle::cancelled
//! [`running`]: crate::JobHandle::running
//! [`done`]: crate::JobHandle::done
//! [`add_done_callback`]: crate::JobHandle::add_done_callback
//! [`left`]: crate::AsCompleted::left

mod assistant;
mod builder;
mod completions;
mod engine;
mod error;
mod handle;
mod ledger;
mod map;
mod panics;
#[allow(clippy::module_inception, reason = "the file is named for the type")]
mod pool;
mod record;
mod slice_task;
mod slices;
mod stats;
mod task;
mod wait;
pub(crate) mod worker;

pub use builder::PoolBuilder;
pub use completions::Completions;
pub use error::{JobError, SubmitError};
pub use handle::JobHandle;
pub use map::Map;
pub use pool::ProcessPool;
pub use slice_task::{ChunkShape, ChunkWithShape, SliceShape};
pub use slices::{ChunksOf, SliceError};
pub use stats::{Explanation, PoolStats, WorkerStats};
pub use task::{FoldShape, Initializer, JobFunction, JobShape, StateShape};
pub use wait::{AsCompleted, ReturnWhen, Waited, as_completed, wait};
