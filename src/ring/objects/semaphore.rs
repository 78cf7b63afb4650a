//! The Semaphore: permits in all, and each participant's share of permits held. What is to be had (`count`) is the difference.
//!
//! `total` and the shares are the truths. A section writes at most one of each kind, and the order of the two does not matter, because recovery
//! takes the share of the dead away and makes `count` anew:
//!
//! | operation | truth | died before, after it |
//! |---|---|---|
//! | acquire | share += 1 | never had; had, and given back by recovery |
//! | give back | share -= 1 | given back by recovery; given back |
//! | forget | total -= 1, then share -= 1 | given back; gone, and the share goes with the dead |
//! | release | total += n | not released; released |
//!
//! So a permit is lost in no case, and made in none. A forgotten permit is gone whatever happens to the process that had it.

use super::{Refused, Tried, View};
use crate::ring::Stop;
use crate::ring::event::{self, Patience};
use std::sync::atomic::Ordering::*;

/// Waits for a permit.
pub(crate) fn acquire(view: View, patience: Patience) -> Result<(), Refused> {
    let h = view.head();
    view.until(&h.sleepers, patience, || {
        let _section = view.section()?;
        let count = h.count.load(Relaxed);
        if count > 0 {
            let share = view.ours();
            share.holds.store(share.holds.load(Relaxed).wrapping_add(1), Relaxed);
            h.count.store(count - 1, Relaxed);
            return Ok(Tried::Done(()));
        }
        Ok(Tried::Wait(event::look(&h.sleepers)))
    })
}

/// Gives one of our permits back.
pub(crate) fn give_back(view: View) {
    let h = view.head();
    {
        // Only an ended region refuses, and then nobody waits any more.
        let Ok(_section) = view.section() else { return };
        let share = view.ours();
        share.holds.store(share.holds.load(Relaxed).wrapping_sub(1), Relaxed);
        h.count.store(h.count.load(Relaxed).wrapping_add(1), Relaxed);
    }
    event::notify(&h.sleepers, 1);
}

/// Makes one of our permits nobody's: there is one less.
pub(crate) fn forget(view: View) {
    let h = view.head();
    let Ok(_section) = view.section() else { return };
    h.total.store(h.total.load(Relaxed).wrapping_sub(1), Relaxed);
    let share = view.ours();
    share.holds.store(share.holds.load(Relaxed).wrapping_sub(1), Relaxed);
}

/// Makes `n` new permits, unless there would be more than the limit: then `false`.
pub(crate) fn release(view: View, n: u32) -> Result<bool, Stop> {
    let h = view.head();
    view.check()?;
    {
        let _section = view.section()?;
        let total = h.total.load(Relaxed).saturating_add(u64::from(n));
        if total > u64::from(view.limit()) {
            return Ok(false);
        }
        h.total.store(total, Relaxed);
        h.count.store(h.count.load(Relaxed).wrapping_add(u64::from(n)), Relaxed);
    }
    event::notify(&h.sleepers, n);
    Ok(true)
}
