//! A spin lock: test, test-and-set, back off. The word is 0 or names the holder.
//!
//! The simplest lock between processes, and the fastest while every process has a core. Without one, the owner waits for
//! a core that a spinner holds. Nobody is served in order, and a waiter may starve.

use super::backoff::Backoff;
use super::{Acquired, Holder, RawLock};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The spin lock. See the module.
#[repr(C)]
#[derive(Debug)]
pub struct SpinLock {
    word: AtomicU32,
}

impl SpinLock {
    /// The number of the participant that holds the lock, if it is held.
    pub fn owner(&self) -> Option<u16> {
        Holder::id_in(self.word.load(Relaxed))
    }

    #[cold]
    fn lock_slow(&self, me: Holder) {
        let mut backoff = Backoff::new();
        loop {
            // Looking needs the cache line shared, trying needs it alone: so try only when it looks free.
            if self.word.load(Relaxed) == 0 && self.try_lock(me).is_some() {
                return;
            }
            backoff.wait();
        }
    }
}

// SAFETY: only a CAS from 0 (acquire) takes the lock, and only `unlock` (release) makes the word 0.
unsafe impl RawLock for SpinLock {
    const NAME: &'static str = "spin";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { place.write(SpinLock { word: AtomicU32::new(0) }) };
        Ok(())
    }

    #[inline]
    fn lock(&self, me: Holder) -> Acquired {
        if self.try_lock(me).is_none() {
            self.lock_slow(me);
        }
        Acquired::Clean
    }

    #[inline]
    fn try_lock(&self, me: Holder) -> Option<Acquired> {
        // A0 ↔ R0 (unlock): what the last owner wrote is seen.
        self.word.compare_exchange(0, me.word(), Acquire, Relaxed).ok()?;
        Some(Acquired::Clean)
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // R0 ↔ A0 (try_lock).
        self.word.store(0, Release);
    }
}
