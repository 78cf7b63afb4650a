//! Every system call of the engine, and nothing else: mappings, futexes, descriptors of processes, starting programs, clocks.
//!
//! All layers above use this one; it uses none of them.

pub mod clock;
pub mod futex;
