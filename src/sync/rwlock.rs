//! A value that one thread writes or many read at a time.

use super::{LockError, blank, handle, make};
use crate::process::{Mill, Result};
use crate::ring::event::Patience;
use crate::ring::objects::{Core, Health, rwlock};
use bytemuck::{AnyBitPattern, NoUninit};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// A readers-writer lock between processes that protects a value, after `std::sync::RwLock`; Python has none.
///
/// While somebody reads, nobody writes, so a reader's copy stays true for as long as it keeps its guard. Waiting writers go before new readers, and readers
/// before writers after a write. So a thread that has a guard must not ask for another: it may wait for itself. The death of a reader damages
/// nothing.
pub struct RwLock<T> {
    core: Arc<Core>,
    value: PhantomData<fn(T) -> T>,
}

handle!(RwLock<T>);

type Read<'a, T> = Result<RwLockReadGuard<'a, T>, LockError<RwLockReadGuard<'a, T>>>;
type Write<'a, T> = Result<RwLockWriteGuard<'a, T>, LockError<RwLockWriteGuard<'a, T>>>;

impl<T: NoUninit + AnyBitPattern> RwLock<T> {
    /// Makes one in the region of `mill`.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn new(mill: &Mill, value: T) -> Result<Self> {
        make(mill, bytemuck::bytes_of(&value), 0, 0)
    }

    fn read_within(&self, patience: Patience) -> Read<'_, T> {
        let view = self.core.view();
        rwlock::read(view, patience)?;
        let mut guard = RwLockReadGuard { lock: self, value: blank() };
        view.read_value(bytemuck::bytes_of_mut(&mut guard.value));
        LockError::warn(view.health(), guard)
    }

    fn write_within(&self, patience: Patience) -> Write<'_, T> {
        let view = self.core.view();
        rwlock::write(view, patience)?;
        let mut guard = RwLockWriteGuard { lock: self, value: blank(), dirty: false, panicking: std::thread::panicking() };
        view.read_value(bytemuck::bytes_of_mut(&mut guard.value));
        LockError::warn(view.health(), guard)
    }

    /// Waits until nobody writes.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_within(Patience::FOREVER)
    }

    /// Waits until nobody writes, or until the timeout.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn read_timeout(&self, timeout: Duration) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_within(Patience::for_(timeout))
    }

    /// Reads if nobody writes or waits to.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.read_within(Patience::Now)
    }

    /// Waits until nobody reads or writes.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_within(Patience::FOREVER)
    }

    /// Waits until nobody reads or writes, or until the timeout.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn write_timeout(&self, timeout: Duration) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_within(Patience::for_(timeout))
    }

    /// Writes if nobody reads or writes.
    ///
    /// # Errors
    /// [`LockError`]; with the guard, if the value may be damaged.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.write_within(Patience::Now)
    }

    /// Whether a writer died or panicked, and nobody has repaired the value since. True for a moment only.
    pub fn is_poisoned(&self) -> bool {
        self.core.view().health() != Health::Well
    }

    /// Says that the value is well, without looking at it: lock it to do so, and prefer the write guard's `repair`.
    pub fn clear_poison(&self) {
        self.core.view().set_well();
    }
}

/// The right to read a [`RwLock`]'s value, and a private copy of it.
#[must_use = "the lock is given back at once if its guard is not kept"]
pub struct RwLockReadGuard<'a, T: NoUninit + AnyBitPattern> {
    lock: &'a RwLock<T>,
    value: T,
}

impl<T: NoUninit + AnyBitPattern> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: NoUninit + AnyBitPattern> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        rwlock::read_done(self.lock.core.view());
    }
}

impl<T: NoUninit + AnyBitPattern + std::fmt::Debug> std::fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

/// The right to write a [`RwLock`]'s value, and a private copy of it, written back at drop if it was borrowed mutably. A panic is told as by
/// a [`MutexGuard`](super::MutexGuard).
#[must_use = "the lock is given back at once if its guard is not kept"]
pub struct RwLockWriteGuard<'a, T: NoUninit + AnyBitPattern> {
    lock: &'a RwLock<T>,
    value: T,
    dirty: bool,
    /// The thread was panicking already when it locked.
    panicking: bool,
}

impl<T: NoUninit + AnyBitPattern> RwLockWriteGuard<'_, T> {
    /// Says that the value is well again: who locks after us is not warned any more. If we die before we unlock, they are.
    pub fn repair(&mut self) {
        self.lock.core.view().set_well();
    }
}

impl<T: NoUninit + AnyBitPattern> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: NoUninit + AnyBitPattern> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.dirty = true;
        &mut self.value
    }
}

impl<T: NoUninit + AnyBitPattern> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        let view = self.lock.core.view();
        if self.dirty {
            view.write_value(bytemuck::bytes_of(&self.value));
        }
        rwlock::write_done(view, !self.panicking && std::thread::panicking());
    }
}

impl<T: NoUninit + AnyBitPattern + std::fmt::Debug> std::fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}
