//! The RwLock: a word that names its writer, and each participant's share of read guards and of waiting writers.
//!
//! Everything changes in sections under the object's lock. The truths are `word` and the shares; `count` and `waiting` are the shares' sums. A
//! death inside a section leaves a sum that recovery makes anew, and truths that recovery takes away with the dead. So:
//!
//! | died | recovery |
//! |---|---|
//! | as the writer, or while it wrote the value back | marks the value, word = 0 |
//! | as a reader | its share of read guards = 0; the value is well: readers change nothing |
//! | while it waited to write | its share of waiting writers = 0, so that readers go in again |
//! | after a section, before it woke anybody | wakes all |
//!
//! Waiting writers go before new readers, or they would wait for ever. After a writer's turn the readers have theirs: they go in although writers
//! wait, until the first of them leaves.

use super::{Refused, Tried, View};
use crate::ring::event::{self, Patience};
use std::sync::atomic::Ordering::*;

/// Adds to a word that changes in sections only.
fn add(word: &crate::sys::atomic::AtomicU32, n: i32) {
    word.store(word.load(Relaxed).wrapping_add_signed(n), Relaxed);
}

/// Waits for a share of reading.
pub(crate) fn read(view: View, patience: Patience) -> Result<(), Refused> {
    let h = view.head();
    view.until(&h.sleepers, patience, || {
        let _section = view.section()?;
        if h.word.load(Relaxed) == 0 && (h.waiting.load(Relaxed) == 0 || h.turn.load(Relaxed) != 0) {
            add(&view.ours().holds, 1);
            h.count.store(h.count.load(Relaxed).wrapping_add(1), Relaxed);
            return Ok(Tried::Done(()));
        }
        Ok(Tried::Wait(event::look(&h.sleepers)))
    })
}

/// Gives it back.
pub(crate) fn read_done(view: View) {
    let h = view.head();
    let last = {
        // Only an ended region refuses, and then nobody waits any more.
        let Ok(_section) = view.section() else { return };
        add(&view.ours().holds, -1);
        let left = h.count.load(Relaxed).wrapping_sub(1);
        h.count.store(left, Relaxed);
        h.turn.store(0, Relaxed);
        left == 0
    };
    if last {
        event::notify(&h.writers, 1);
    }
}

/// Waits for the right to write.
pub(crate) fn write(view: View, patience: Patience) -> Result<(), Refused> {
    let h = view.head();
    let mut waits = false;
    let result = view.until(&h.writers, patience, || {
        let _section = view.section()?;
        if h.word.load(Relaxed) == 0 && h.count.load(Relaxed) == 0 {
            h.word.store(view.me().word(), Relaxed);
            if std::mem::take(&mut waits) {
                add(&view.ours().waits, -1);
                add(&h.waiting, -1);
            }
            return Ok(Tried::Done(()));
        }
        if !waits && !matches!(patience, Patience::Now) {
            waits = true;
            add(&view.ours().waits, 1);
            add(&h.waiting, 1);
        }
        Ok(Tried::Wait(event::look(&h.writers)))
    });
    if waits {
        {
            let Ok(_section) = view.section() else { return result };
            add(&view.ours().waits, -1);
            add(&h.waiting, -1);
        }
        // Readers may have waited for us alone.
        event::notify(&h.sleepers, u32::MAX);
    }
    result
}

/// Gives it back. The value has been written.
pub(crate) fn write_done(view: View, panicked: bool) {
    let h = view.head();
    if panicked {
        view.set_panicked();
    }
    {
        let Ok(_section) = view.section() else { return };
        debug_assert_eq!(h.word.load(Relaxed), view.me().word(), "released by one who did not hold it");
        h.word.store(0, Relaxed);
        h.turn.store(1, Relaxed);
    }
    event::notify(&h.sleepers, u32::MAX);
    event::notify(&h.writers, 1);
}
