//! Waiting for a change of what a mutex protects.

use super::{LockError, Mutex, MutexGuard, handle, make};
use crate::process::{Mill, Result};
use crate::ring::objects::{Core, mutex};
use crate::sys::clock::Deadline;
use bytemuck::{AnyBitPattern, NoUninit};
use std::sync::Arc;
use std::time::Duration;

/// A condition variable between processes, after Python's `Condition` and `std::sync::Condvar`.
///
/// A wait may end without a notification, as `std`'s may: look at the value again, or use [`wait_while`](Self::wait_while). A waiter that dies never takes
/// along a notification that another could use: after a death all waiters look again.
pub struct Condvar {
    core: Arc<Core>,
}

handle!(Condvar);

type Locked<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>>;
type LockedInTime<'a, T> = Result<(MutexGuard<'a, T>, bool), LockError<(MutexGuard<'a, T>, bool)>>;

impl Condvar {
    /// Makes one in the region of `mill`.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn new(mill: &Mill) -> Result<Self> {
        make(mill, &[], 0, 0)
    }

    fn wait_until<'a, T: NoUninit + AnyBitPattern>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Deadline>,
    ) -> LockedInTime<'a, T> {
        let mutex: &'a Mutex<T> = guard.mutex();
        let late = mutex::wait(self.core.view(), deadline, || drop(guard));
        match mutex.lock() {
            Ok(guard) => Ok((guard, late)),
            Err(e) => Err(e.map(|guard| (guard, late))),
        }
    }

    /// Unlocks, waits for a notification, locks again.
    ///
    /// # Errors
    /// [`LockError`], from locking; with the guard, if the value may be damaged.
    pub fn wait<'a, T: NoUninit + AnyBitPattern>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>> {
        self.wait_until(guard, None).map(|(guard, _)| guard).map_err(|e| e.map(|(guard, _)| guard))
    }

    /// As [`wait`](Self::wait), for a notification until the timeout; `true` beside the guard: there was none. Locking again takes as long as it takes.
    ///
    /// # Errors
    /// [`LockError`], from locking; with the guard, if the value may be damaged.
    #[allow(clippy::type_complexity)] // std's has the same shape; a name for it would hide that.
    pub fn wait_timeout<'a, T: NoUninit + AnyBitPattern>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), LockError<(MutexGuard<'a, T>, bool)>> {
        self.wait_until(guard, Some(Deadline::after(timeout)))
    }

    /// Waits as long as `condition` says `true` of the value.
    ///
    /// # Errors
    /// [`LockError`], from locking; with the guard, if the value may be damaged.
    pub fn wait_while<'a, T: NoUninit + AnyBitPattern>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&T) -> bool,
    ) -> Locked<'a, T> {
        let (guard, _) = self.while_until(guard, None, condition).map_err(|e| e.map(|(guard, _)| guard))?;
        Ok(guard)
    }

    /// Waits as long as `condition` says `true` of the value, or until the timeout; `true` beside the guard: it says so still.
    ///
    /// # Errors
    /// [`LockError`], from locking; with the guard, if the value may be damaged.
    #[allow(clippy::type_complexity)] // As in `wait_timeout`.
    pub fn wait_timeout_while<'a, T: NoUninit + AnyBitPattern>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&T) -> bool,
    ) -> Result<(MutexGuard<'a, T>, bool), LockError<(MutexGuard<'a, T>, bool)>> {
        self.while_until(guard, Some(Deadline::after(timeout)), condition)
    }

    fn while_until<'a, T: NoUninit + AnyBitPattern>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Option<Deadline>,
        mut condition: impl FnMut(&T) -> bool,
    ) -> LockedInTime<'a, T> {
        let mut late = false;
        while condition(&guard) {
            if late {
                return Ok((guard, true));
            }
            (guard, late) = self.wait_until(guard, deadline)?;
        }
        Ok((guard, false))
    }

    /// Wakes at least one of those who wait, if there are any.
    pub fn notify_one(&self) {
        mutex::notify(self.core.view(), 1);
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        mutex::notify(self.core.view(), u32::MAX);
    }
}
