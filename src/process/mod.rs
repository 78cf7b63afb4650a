//! Processes: the [`Mill`] with its region, workers that are this program executed again, and the supervisor that sees them die, repairs
//! what they held and replaces them.
//!
//! Used by [`pool`](crate::pool) and by programs. Uses queue and ring.

mod error;
mod group;
mod handle;
mod launch;
mod mill;
mod supervisor;
mod tasks;

pub use error::{Error, Result};
pub use group::Daemons;
pub use handle::{Process, ProcessError};
pub use launch::init;
pub use mill::{Mill, MillBuilder, MillStats};
pub(crate) use supervisor::{Ledger, lock};
pub(crate) use tasks::name_of;
pub use tasks::{Arguments, IntoTask, Target, Task};
