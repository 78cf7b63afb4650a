//! Other libraries and Python's queues and pools, as contenders of `gristmill bench`.

mod files;
pub mod peers;
pub mod python;

pub use files::{node, sweep};
