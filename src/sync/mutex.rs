//! A value that one thread of one process has at a time.

use super::{LockError, blank, handle, make};
use crate::process::{Mill, Result};
use crate::ring::event::Patience;
use crate::ring::objects::{Core, Health, mutex};
use bytemuck::{AnyBitPattern, NoUninit};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// A mutual exclusion lock between processes that protects a value, after Python's `Lock` and `std::sync::Mutex`.
///
/// A thread that locks it twice waits for itself: until its timeout, if it gave one, else until the region ends. Waiting threads have no order.
pub struct Mutex<T> {
    pub(super) core: Arc<Core>,
    value: PhantomData<fn(T) -> T>,
}

handle!(Mutex<T>);

impl<T: NoUninit + AnyBitPattern> Mutex<T> {
    /// Makes one in the region of `mill`.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn new(mill: &Mill, value: T) -> Result<Self> {
        make(mill, bytemuck::bytes_of(&value), 0, 0)
    }

    fn lock_within(&self, patience: Patience) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let view = self.core.view();
        mutex::lock(view, patience)?;
        let mut guard = MutexGuard { mutex: self, value: blank(), dirty: false, panicking: std::thread::panicking() };
        view.read_value(bytemuck::bytes_of_mut(&mut guard.value));
        LockError::warn(view.health(), guard)
    }

    /// Waits until it is ours.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(Patience::FOREVER)
    }

    /// Waits until it is ours, or until the timeout.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(Patience::for_(timeout))
    }

    /// Takes it if it is free.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(Patience::Now)
    }

    /// Whether its owner died or panicked, and nobody has repaired it since. True for a moment only.
    pub fn is_poisoned(&self) -> bool {
        self.core.view().health() != Health::Well
    }

    /// Says that the value is well, without looking at it: lock it to do so, and prefer the guard's `repair`.
    pub fn clear_poison(&self) {
        self.core.view().set_well();
    }
}

/// The right to a [`Mutex`]'s value, and a private copy of it. Dropped, it writes the copy back if it was borrowed mutably, and unlocks.
///
/// If the thread panics meanwhile, the copy is written back as it is, and the next to lock is told ([`LockError::Panicked`]).
#[must_use = "the lock is given back at once if its guard is not kept"]
pub struct MutexGuard<'a, T: NoUninit + AnyBitPattern> {
    mutex: &'a Mutex<T>,
    value: T,
    dirty: bool,
    /// The thread was panicking already when it locked.
    panicking: bool,
}

impl<'a, T: NoUninit + AnyBitPattern> MutexGuard<'a, T> {
    /// Says that the value is well again: who locks after us is not warned any more. If we die before we unlock, they are.
    pub fn repair(&mut self) {
        self.mutex.core.view().set_well();
    }

    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: NoUninit + AnyBitPattern> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: NoUninit + AnyBitPattern> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.dirty = true;
        &mut self.value
    }
}

impl<T: NoUninit + AnyBitPattern> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        let view = self.mutex.core.view();
        if self.dirty {
            view.write_value(bytemuck::bytes_of(&self.value));
        }
        mutex::unlock(view, !self.panicking && std::thread::panicking());
    }
}

impl<T: NoUninit + AnyBitPattern + std::fmt::Debug> std::fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}
