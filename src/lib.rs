//! gristmill: a process pool with the isolation of processes and the speed of threads.
//!
//! Linux on 64-bit machines only.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("gristmill is built on futexes, memfd and pidfd: it needs Linux on a 64-bit machine");

pub mod layout;
pub mod lock;
pub mod pool;
pub mod process;
pub mod queue;
pub mod ring;
pub mod sys;

pub use process::{Daemons, Error, Mill, MillBuilder, MillStats, Process, ProcessError, Result, Task, init};
pub use queue::{GetError, Job, Jobs, JoinError, JoinableQueue, PodJoinableQueue, PodQueue, PutError, PutManyError, Queue};
pub use ring::WaitPolicy;
pub use sys::pidfd::Exit;
