//! Every system call of the engine, and nothing else: mappings, futexes, descriptors of processes, starting programs, clocks.
//!
//! All layers above use this one; it uses none of them.

pub(crate) mod advice;
pub mod array;
pub mod atomic;
pub mod clock;
pub mod fork;
pub mod futex;
mod guarded;
pub mod harden;
pub mod limits;
pub mod mapping;
pub mod memory;
#[cfg(feature = "named")]
mod named;
pub mod pidfd;
pub mod planted;
pub mod poll;
pub mod spawn;
pub mod terminal;
pub mod thread;

/// Bytes of a page of this machine.
pub fn page_size() -> usize {
    // SAFETY: the call touches no memory; the name exists on every Linux, so it can't fail.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}
