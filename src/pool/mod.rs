//! Pools: jobs with outcomes. [`BytePool`] moves bytes; what has types is built on it.
//!
//! Used by the command and by programs. Uses process and ring.

mod bytes;
mod ledger;
pub(crate) mod worker;

pub use bytes::{BytePool, Outcome};
