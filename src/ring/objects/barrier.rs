//! The Barrier: threads come in while it is *filling*; the last one makes it *draining*; the last to leave makes it filling again. Nobody comes in
//! while it drains, so a thread that is slow to wake finds the outcome of its own round.
//!
//! | state | meaning | leaves by |
//! |---|---|---|
//! | 0 filling | threads inside wait for the rest | all have come → 1; a timeout, an abort, a death inside → 3; a reset with threads inside → 2 |
//! | 1 draining | all had come; they leave with success | the last leaves → 0, or → 3 if it was to be broken meanwhile |
//! | 2 resetting | those inside leave with "broken" | the last leaves → 0 |
//! | 3 broken | who is inside leaves, and who comes is refused, with "broken" | a reset → 2, or → 0 if nobody is inside |
//!
//! The truths are the state and the shares of threads inside; `count` is their sum. A thread that dies inside while it fills will never go
//! through with the others: recovery breaks the barrier, as a timeout would. One that dies when its round is complete has done its part. A
//! section that was left half-way has counted the dead in its share or has not, and the state is one store, so recovery need not know where it ended.

use super::{Refused, Tried, View};
use crate::ring::Stop;
use crate::ring::event::{self, Patience};
use std::sync::atomic::Ordering::*;

pub(super) const FILLING: u32 = 0;
pub(super) const DRAINING: u32 = 1;
pub(super) const RESETTING: u32 = 2;
pub(super) const BROKEN: u32 = 3;

/// Why a thread did not go through with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It was broken.
    Broken,
    /// The deadline passed: the barrier is broken now.
    TimedOut,
    /// The region has ended.
    Stopped(Stop),
}

fn share(view: View, n: i32) {
    let (h, ours) = (view.head(), view.ours());
    ours.waits.store(ours.waits.load(Relaxed).wrapping_add_signed(n), Relaxed);
    h.count.store(h.count.load(Relaxed).wrapping_add_signed(i64::from(n)), Relaxed);
}

/// Breaks it; in a section. A round that is complete goes through all the same.
pub(super) fn break_now(view: View) {
    let h = view.head();
    if h.word.load(Relaxed) == DRAINING {
        h.poison.store(1, Relaxed);
    } else {
        h.word.store(BROKEN, SeqCst);
    }
}

/// Opens it again when the last has left; in a section, or in recovery.
pub(super) fn settle(view: View) {
    let h = view.head();
    let state = h.word.load(Relaxed);
    if h.count.load(Relaxed) == 0 && (state == DRAINING || state == RESETTING) {
        let broken = h.poison.load(Relaxed) != 0;
        h.word.store(if broken { BROKEN } else { FILLING }, SeqCst);
        h.poison.store(0, Relaxed);
    }
}

/// Waits for all others; `true` for the one who came last.
pub(crate) fn wait(view: View, deadline: Option<crate::sys::clock::Deadline>) -> Result<bool, Failed> {
    let h = view.head();
    let patience = Patience::Until(deadline);
    let came = view.until(&h.sleepers, patience, || {
        let _section = view.section()?;
        Ok(match h.word.load(Relaxed) {
            FILLING => {
                share(view, 1);
                let last = h.count.load(Relaxed) >= u64::from(view.limit());
                if last {
                    h.word.store(DRAINING, SeqCst);
                }
                Tried::Done(Some(last))
            }
            DRAINING | RESETTING => Tried::Wait(event::look(&h.sleepers)),
            _ => Tried::Done(None),
        })
    });
    let last = match came {
        Ok(Some(last)) => last,
        Ok(None) => return Err(Failed::Broken),
        Err(Refused::Stopped(why)) => return Err(Failed::Stopped(why)),
        Err(_) => {
            // The others of the next round would wait for us.
            abort(view).map_err(Failed::Stopped)?;
            return Err(Failed::TimedOut);
        }
    };
    let ended = if last {
        event::notify(&h.sleepers, u32::MAX);
        Ok(())
    } else {
        view.until(&h.sleepers, patience, || {
            let seen = event::look(&h.sleepers);
            // It stays as it is until we leave.
            Ok(if h.word.load(SeqCst) == FILLING { Tried::Wait(seen) } else { Tried::Done(()) })
        })
    };
    let outcome = {
        let _section = view.section().map_err(Failed::Stopped)?;
        let outcome = match (h.word.load(Relaxed), ended) {
            (DRAINING, _) => Ok(last),
            (FILLING, Err(Refused::Stopped(why))) => Err(Failed::Stopped(why)),
            (FILLING, _) => {
                break_now(view);
                Err(Failed::TimedOut)
            }
            _ => Err(Failed::Broken),
        };
        share(view, -1);
        settle(view);
        outcome
    };
    event::notify(&h.sleepers, u32::MAX);
    outcome
}

/// Breaks it for all.
pub(crate) fn abort(view: View) -> Result<(), Stop> {
    view.check()?;
    {
        let _section = view.section()?;
        break_now(view);
    }
    event::notify(&view.head().sleepers, u32::MAX);
    Ok(())
}

/// Makes it as new; who waits is told that it was broken.
pub(crate) fn reset(view: View) -> Result<(), Stop> {
    let h = view.head();
    view.check()?;
    {
        let _section = view.section()?;
        h.poison.store(0, Relaxed);
        match (h.count.load(Relaxed), h.word.load(Relaxed)) {
            (0, _) => h.word.store(FILLING, SeqCst),
            (_, FILLING | BROKEN) => h.word.store(RESETTING, SeqCst),
            _ => {}
        }
    }
    event::notify(&h.sleepers, u32::MAX);
    Ok(())
}

/// Whether who comes now is refused.
pub(crate) fn broken(view: View) -> bool {
    view.head().word.load(SeqCst) == BROKEN
}

/// How many wait for the rest.
pub(crate) fn waiting(view: View) -> u64 {
    let h = view.head();
    if h.word.load(SeqCst) == FILLING { h.count.load(Relaxed) } else { 0 }
}
