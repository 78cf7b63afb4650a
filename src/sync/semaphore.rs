//! A number of permits.

use super::{AcquireError, ReleaseError, handle, make};
use crate::process::{Error, Mill, Result};
use crate::ring::event::Patience;
use crate::ring::objects::{Core, semaphore};
use std::sync::Arc;
use std::time::Duration;

/// The most permits that there can be.
const MOST: u32 = i32::MAX as u32;

/// A semaphore between processes, after Python's `Semaphore` and `BoundedSemaphore`.
///
/// It serves two uses. As a limit on how many may do something at a time: keep the [`Permit`], which goes back when it is dropped, and also when its
/// process dies. As a count of things that one process makes and another uses up, as Python permits: [`release`](Self::release) adds
/// permits, from any process, and [`Permit::forget`] uses one up.
pub struct Semaphore {
    core: Arc<Core>,
}

handle!(Semaphore);

impl Semaphore {
    /// Makes one in the region of `mill`, with so many permits.
    ///
    /// # Errors
    /// If the region has no room for it, or there are more permits than 2^31 - 1.
    pub fn new(mill: &Mill, permits: u32) -> Result<Self> {
        Self::with_limit(mill, permits, MOST)
    }

    /// Makes one with so many permits, which never has more.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn bounded(mill: &Mill, permits: u32) -> Result<Self> {
        Self::with_limit(mill, permits, permits)
    }

    fn with_limit(mill: &Mill, permits: u32, limit: u32) -> Result<Self> {
        if permits > MOST {
            return Err(Error::Count { what: "a Semaphore", parts: "permits", least: 0, most: MOST, asked: permits });
        }
        make(mill, &[], limit, u64::from(permits))
    }

    fn acquire_within(&self, patience: Patience) -> Result<Permit<'_>, AcquireError> {
        semaphore::acquire(self.core.view(), patience)?;
        Ok(Permit { semaphore: self })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn acquire(&self) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::FOREVER)
    }

    /// Waits for a permit until the timeout.
    ///
    /// # Errors
    /// If there was none, or the region has ended.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::for_(timeout))
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    /// If there is none, or the region has ended.
    pub fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::Now)
    }

    /// Adds `n` permits. Not needed after an `acquire`, whose [`Permit`] goes back by itself.
    ///
    /// # Errors
    /// If there would be more than there may be, those that are held included, or the region has ended.
    pub fn release(&self, n: u32) -> Result<(), ReleaseError> {
        let view = self.core.view();
        if semaphore::release(view, n)? { Ok(()) } else { Err(ReleaseError::TooMany { limit: view.limit() }) }
    }

    /// How many permits could be acquired. True for a moment only.
    pub fn available(&self) -> u32 {
        u32::try_from(self.core.view().head().count.load(std::sync::atomic::Ordering::Relaxed)).unwrap_or(u32::MAX)
    }
}

/// A permit of a [`Semaphore`]; goes back when it is dropped, or when its process dies.
#[must_use = "a permit goes back at once if it is not kept"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Uses it up: it does not go back.
    pub fn forget(self) {
        semaphore::forget(self.semaphore.core.view());
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        semaphore::give_back(self.semaphore.core.view());
    }
}
