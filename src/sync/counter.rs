//! A number that everybody changes.

use super::{handle, make};
use crate::process::{Mill, Result};
use crate::ring::objects::Core;
use crate::sys::atomic::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// A number between processes, in the place of Python's `Value('q', n)` and its lock. Each operation is one atomic change, so there is nothing that a
/// death could leave half-done. It wraps around.
pub struct Counter {
    core: Arc<Core>,
}

handle!(Counter);

impl Counter {
    /// Makes one in the region of `mill`.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn new(mill: &Mill, value: i64) -> Result<Self> {
        make(mill, &[], 0, value.cast_unsigned())
    }

    fn word(&self) -> &AtomicU64 {
        &self.core.view().head().count
    }

    /// Adds; the value after it.
    pub fn add(&self, n: i64) -> i64 {
        self.word().fetch_add(n.cast_unsigned(), SeqCst).cast_signed().wrapping_add(n)
    }

    /// Subtracts; the value after it.
    pub fn sub(&self, n: i64) -> i64 {
        self.word().fetch_sub(n.cast_unsigned(), SeqCst).cast_signed().wrapping_sub(n)
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.word().load(SeqCst).cast_signed()
    }

    /// Puts another value in its place; the value before it.
    pub fn set(&self, value: i64) -> i64 {
        self.word().swap(value.cast_unsigned(), SeqCst).cast_signed()
    }
}
