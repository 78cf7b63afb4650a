//! An exhibit: raw_sync's timeout, which ends much too early.

use crate::bench::contender::Result;
use crate::bench::shared::SharedBytes;
use crate::sys::clock;
use raw_sync::Timeout;
use raw_sync::locks::{LockInit, Mutex};
use std::time::Duration;

/// What raw_sync is asked to wait for a mutex that is held.
pub const ASKED: Duration = Duration::from_millis(900);

/// The shortest of its waits, in milliseconds. It adds the nanoseconds of the timeout to those of the clock and does not carry: from a tenth of a second
/// after each full one on, it asks for a moment that does not exist.
pub fn timeout_of_raw_sync() -> Result<f64> {
    let memory = SharedBytes::new(4096)?;
    // SAFETY: fresh memory of a page, zeroed, aligned, nobody else's, and there for longer than the handle; nobody asks for the data pointer.
    let made = unsafe { Mutex::new(memory.base(), std::ptr::null_mut()) };
    let (mutex, _) = made.map_err(|why| why.to_string())?;
    let _held = mutex.lock().map_err(|why| why.to_string())?;
    let wait = || {
        let start = clock::now();
        // It fails either way: what matters is when.
        drop(mutex.try_lock(Timeout::Val(ASKED)));
        (clock::now() - start) as f64 / 1e6
    };
    // A wait that lasts ends nine tenths later in a second than it began, so the next one does not.
    Ok((0..3).map(|_| wait()).fold(f64::INFINITY, f64::min))
}
