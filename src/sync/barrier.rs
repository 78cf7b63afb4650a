//! A place where a number of threads wait for each other.

use super::{BarrierError, Stop, handle, make};
use crate::process::{Error, Mill, Result};
use crate::ring::objects::{Core, barrier};
use crate::sys::clock::Deadline;
use std::sync::Arc;
use std::time::Duration;

/// A barrier between threads of any of the processes, after Python's `Barrier`. It can be used again and again.
///
/// A party that dies while it waits here breaks the barrier. One that dies elsewhere is not missed: nobody knows that it would have come. Use
/// [`wait_timeout`](Self::wait_timeout) if that can happen.
pub struct Barrier {
    core: Arc<Core>,
}

handle!(Barrier);

impl Barrier {
    /// Makes one in the region of `mill` for so many threads.
    ///
    /// # Errors
    /// If `parties` is 0, or the region has no room for it.
    pub fn new(mill: &Mill, parties: u32) -> Result<Self> {
        if parties == 0 {
            return Err(Error::Count { what: "a Barrier", parts: "parties", least: 1, most: u32::MAX, asked: parties });
        }
        make(mill, &[], parties, 0)
    }

    /// Waits until all parties are here; `true` for the one who came last (if it dies, nobody is told so in this round).
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait(&self) -> Result<bool, BarrierError> {
        Ok(barrier::wait(self.core.view(), None)?)
    }

    /// As [`wait`](Self::wait); if the others are not here at the timeout, this breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, BarrierError> {
        Ok(barrier::wait(self.core.view(), Some(Deadline::after(timeout)))?)
    }

    /// Breaks it: who waits, and who comes until it is reset, gets an error.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn abort(&self) -> Result<(), Stop> {
        barrier::abort(self.core.view())
    }

    /// Makes it as new; those who wait get an error.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn reset(&self) -> Result<(), Stop> {
        barrier::reset(self.core.view())
    }

    /// How many threads it takes.
    pub fn parties(&self) -> u32 {
        self.core.view().limit()
    }

    /// How many wait now. True for a moment only.
    pub fn waiting(&self) -> u32 {
        u32::try_from(barrier::waiting(self.core.view())).unwrap_or(u32::MAX)
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        barrier::broken(self.core.view())
    }
}
