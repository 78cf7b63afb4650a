//! gristmill: a process pool with the isolation of processes and the speed of threads.
//!
//! ```no_run
//! use gristmill::{ProcessPool, tasks};
//!
//! fn square(n: u64) -> u64 {
//!     n * n
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     gristmill::init(tasks![square]); // in a worker: serves jobs and never returns
//!
//!     let pool = ProcessPool::builder().build(square)?;
//!     let job = pool.submit(12)?; // a future: result, result_timeout, cancel, done, .await
//!     assert_eq!(job.result()?, 144);
//!     for value in pool.map(1..=1_000_000u64)? {
//!         println!("{}", value?); // in order, lazily, bounded memory
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Workers are this same program, executed again, so [`init`] stands first in `main`. Who knows Python's pools finds each of their methods in
//! the table of [`pool`].
//!
//! # In tests and benchmarks
//!
//! There `main` is the harness's. One line in the test or bench file stands for the call of `init`, and works under `cargo test`, `cargo
//! nextest` and criterion: see [`init_before_main!`].
//!
//! ```
//! # fn square(n: u64) -> u64 { n * n }
//! # fn cube(n: u64) -> u64 { n * n * n }
//! gristmill::init_before_main!(square, cube);
//! # fn main() {}
//! ```
//!
//! Linux on 64-bit machines only.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("gristmill is built on futexes, memfd and pidfd: it needs Linux on a 64-bit machine");

// The benchmark is the command's; the workspace member with other libraries adds contenders to it.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bench;
// The lab is the command's.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod lab;
pub mod layout;
pub mod lock;
pub mod pool;
pub mod process;
pub mod queue;
pub mod ring;
pub mod sync;
pub mod sys;

pub use pool::{
    AsCompleted, Completions, JobError, JobHandle, Map, PoolBuilder, PoolStats, ProcessPool, ReturnWhen, SliceError,
    SubmitError, Waited, WorkerStats, as_completed, wait,
};
pub use process::{
    Daemons, Error, IntoTask, Mill, MillBuilder, MillStats, Process, ProcessError, Result, StartMethod, Task, init,
};
pub use queue::{GetError, Job, Jobs, JoinError, JoinableQueue, PodJoinableQueue, PodQueue, PutError, PutManyError, Queue};
pub use ring::WaitPolicy;
pub use ring::shared_vec::SharedVec;
pub use sys::array::ArrayError as SharedVecError;
pub use sys::pidfd::Exit;

/// The programs of README.md, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
