//! Sleeping until something has changed, for rings without a lock.

use crate::sys::futex;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, fence};

/// A number that grows when something has changed, and how many wait for that.
#[repr(C, align(128))]
pub struct Event {
    changes: crate::sys::atomic::AtomicU32,
    sleepers: AtomicU32,
}

impl Event {
    /// Tries until it succeeds, and sleeps between two tries until there was a change.
    pub fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(done) = attempt() {
                return done;
            }
            // SeqCst here and in `changed`: who changes something sees the sleeper, or the sleeper's second try sees the change.
            let seen = self.changes.load(SeqCst);
            self.sleepers.fetch_add(1, SeqCst);
            fence(SeqCst);
            let done = attempt();
            if done.is_none() {
                futex::wait(&self.changes, seen, None);
            }
            self.sleepers.fetch_sub(1, SeqCst);
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Wakes so many who sleep, after a change.
    pub fn changed(&self, count: usize) {
        fence(SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            self.changes.fetch_add(1, SeqCst);
            futex::wake(&self.changes, count as u32);
        }
    }
}
