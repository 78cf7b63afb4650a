//! Processes: the [`Mill`] with its region, workers that are this program executed again, and the supervisor that sees them die, repairs
//! what they held and replaces them.
//!
//! Used by [`pool`](crate::pool) and by programs. Uses queue and ring.

mod before_main;
mod error;
mod group;
mod handle;
mod launch;
mod mill;
mod supervisor;
mod tasks;

#[doc(hidden)]
pub use before_main::init_of_a_loader;
pub(crate) use error::why_ended;
pub use error::{Error, Result};
pub use group::Daemons;
pub use handle::{Process, ProcessError};
pub use launch::init;
pub(crate) use launch::{JobsWork, place_of, tasks_hash};
pub use mill::{Mill, MillBuilder, MillStats, StartMethod};
pub(crate) use supervisor::{Command, Ledger, Shared, lock};
pub use tasks::{Arguments, IntoTask, Target, Task};
pub(crate) use tasks::{Run, RunFold, RunJobs, WorkerState, name_of};
