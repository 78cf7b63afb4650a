//! The Mutex: one word that names its owner, and the event on which others sleep.
//!
//! | who | step | died after it |
//! |---|---|---|
//! | taker | CAS 0 → holder (L0) | the word names the dead: recovery marks the value and frees the word |
//! | owner | writes the value back, if it changed it | the same; the value may be half old and half new |
//! | owner, panicking | poison 0 → 2 | the same; recovery's mark takes the place of this one |
//! | owner | swap in 0 (U0) | free, and the value whole; nobody was woken: recovery wakes all |
//! | owner | sequence += 1, wake one (U1) | the one woken finds the word free |
//! | woken | L0 again | before it, the word is free and others sleep: recovery wakes all |
//! | recovery | poison = 1, then word = 0 | (the parent died: everything ends) |
//!
//! Who sleeps has read the sequence before its failed L0. That one saw the word held, so its U1 comes later than the read and is noticed.

use super::{Refused, Tried, View};
use crate::ring::event::{self, Patience};
use std::sync::atomic::Ordering::*;

/// Waits until the mutex is ours.
#[inline]
pub(crate) fn lock(view: View, patience: Patience) -> Result<(), Refused> {
    let h = view.head();
    let take = || h.word.compare_exchange(0, view.me().word(), Acquire, Relaxed).is_ok(); // L0 ↔ U0: the value is seen
    if view.check().is_ok() && take() {
        return Ok(());
    }
    view.until(&h.sleepers, patience, || {
        let seen = event::look(&h.sleepers);
        Ok(if take() { Tried::Done(()) } else { Tried::Wait(seen) })
    })
}

/// Gives it back. The value has been written.
#[inline]
pub(crate) fn unlock(view: View, panicked: bool) {
    let h = view.head();
    if panicked {
        view.set_panicked();
    }
    let word = h.word.swap(0, SeqCst); // U0 ↔ L0
    debug_assert_eq!(word, view.me().word(), "a mutex was released by one who did not hold it");
    event::notify(&h.sleepers, 1); // U1
}

/// Waits on a condition variable: gives the mutex back by `release`, and sleeps until a notification that comes after the call. `true` if the
/// deadline passed first.
///
/// The sequence is read while the caller holds the mutex, so no notification of one who changes what it protects can come before that.
/// Nothing here says who waits: a waiter that dies leaves nothing behind but, perhaps, the wake-up that it was given; recovery wakes all.
pub(crate) fn wait(condvar: View, deadline: Option<crate::sys::clock::Deadline>, release: impl FnOnce()) -> bool {
    let place = &condvar.head().sleepers;
    let seen = event::look(place);
    release();
    event::wait(condvar.region, place, seen, deadline, || false) == crate::sys::futex::Wait::TimedOut
}

/// Wakes up to `count` of those who wait on a condition variable.
pub(crate) fn notify(condvar: View, count: u32) {
    event::notify(&condvar.head().sleepers, count);
}
