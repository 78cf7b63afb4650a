//! The Event: bit 0 of one word says whether it is set, the bits above count how often it was. A waiter goes on when it is set, or was set
//! since it came: one that is slow to wake does not miss an event that was cleared at once.
//!
//! Every operation is one atomic change; who dies between it and the wake-ups is made up for by recovery, which wakes all.

use super::{Refused, Tried, View};
use crate::ring::event::{self, Patience};
use std::sync::atomic::Ordering::*;

const SET: u64 = 1;
const ONE: u64 = 2;

/// Sets it and wakes all.
pub(crate) fn set(view: View) {
    let h = view.head();
    let change = |word: u64| (word & SET == 0).then(|| (word | SET).wrapping_add(ONE));
    // R ↔ A in `is_set` and `wait`: what was written before the event is seen after it.
    if h.count.fetch_update(SeqCst, SeqCst, change).is_ok() {
        event::notify(&h.sleepers, u32::MAX);
    }
}

/// Clears it.
pub(crate) fn clear(view: View) {
    view.head().count.fetch_and(!SET, SeqCst);
}

/// Whether it is set.
pub(crate) fn is_set(view: View) -> bool {
    view.head().count.load(SeqCst) & SET != 0
}

/// Waits until it is set.
pub(crate) fn wait(view: View, patience: Patience) -> Result<(), Refused> {
    let h = view.head();
    let first = h.count.load(SeqCst);
    view.until(&h.sleepers, patience, || {
        let seen = event::look(&h.sleepers);
        let word = h.count.load(SeqCst);
        Ok(if word & SET != 0 || word / ONE != first / ONE { Tried::Done(()) } else { Tried::Wait(seen) })
    })
}
