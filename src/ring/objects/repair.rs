//! After a death: what the dead owned is freed, what it counted for is taken away, and everybody on every object is woken.
//!
//! DESIGN.md's rules for the region's own locks hold here too: only the supervisor comes here, for deaths that are certain, before a number is
//! given to another process (24); it polls for the death of whoever holds a lock that it waits for (7); it wakes after it has released (21).

use super::{Kind, View, barrier};
use crate::layout::{EventWords, Share};
use crate::lock::FutexLock;
use crate::ring::event;
use crate::ring::recovery::{Dead, Held, Report, Watch, acquire};
use crate::ring::region::{Condition, Region};
use std::sync::atomic::Ordering::*;

/// Repairs all objects after the deaths in `dead`. A death that comes to light here is applied to the objects at once, since somebody may hold a lock
/// that is needed; the region's queues learn of it in a recovery of its own, which comes here again and finds nothing to do.
pub(in crate::ring) fn repair(region: &Region, dead: &[Dead], watch: &mut dyn Watch, report: &mut Report) {
    let mut dead = dead.to_vec();
    let objects = region.objects();
    loop {
        let before = dead.len();
        for &object in &objects {
            repair_one(View { region, object }, &mut dead, watch, report);
        }
        if dead.len() == before {
            break;
        }
    }
}

/// Moves every sequence of every object and wakes every sleeper, also those at the locks.
pub(in crate::ring) fn wake_everybody(region: &Region) {
    for object in region.objects() {
        wake(View { region, object });
    }
}

/// The events of all objects.
pub(in crate::ring) fn sleeping_places(region: &Region) -> impl Iterator<Item = &EventWords> {
    region.objects().into_iter().flat_map(move |object| places(View { region, object }))
}

fn places(view: View<'_>) -> [&EventWords; 2] {
    let h = view.head();
    [&h.sleepers, &h.writers]
}

fn wake(view: View) {
    places(view).into_iter().for_each(event::notify_all);
    FutexLock::of(&view.head().lock).wake_all();
}

fn repair_one(view: View, dead: &mut Vec<Dead>, watch: &mut dyn Watch, report: &mut Report) {
    let h = view.head();
    {
        let mut held = Held { locks: vec![], me: view.me() };
        if view.object.kind.shared_out() && acquire(FutexLock::of(&h.lock), &mut held, dead, watch, report).is_err() {
            return view.region.condemn(Condition::Corrupt);
        }
        match view.object.kind {
            // Nobody but the dead could free the word, so it stays the dead one's from the look to the store. The mark comes first: the next owner must
            // see it. R ↔ L0, the next owner's acquire.
            Kind::Mutex => free_word(view, dead),
            Kind::RwLock => {
                free_word(view, dead);
                clear(view, dead);
                h.count.store(sum(view, |s| &s.holds), Relaxed);
                h.waiting.store(sum(view, |s| &s.waits) as u32, Relaxed);
            }
            Kind::Semaphore => {
                clear(view, dead);
                let held = sum(view, |s| &s.holds);
                h.count.store(h.total.load(Relaxed).saturating_sub(held), Relaxed);
            }
            Kind::Barrier => {
                if clear(view, dead) && h.word.load(Relaxed) == barrier::FILLING {
                    barrier::break_now(view);
                }
                h.count.store(sum(view, |s| &s.waits), Relaxed);
                barrier::settle(view);
            }
            // One atomic each, or nothing at all.
            Kind::Event | Kind::Condvar | Kind::Counter => {}
        }
    }
    wake(view);
}

fn free_word(view: View, dead: &[Dead]) {
    let h = view.head();
    let word = h.word.load(Acquire);
    if dead.iter().any(|d| d.who.word() == word) {
        h.poison.store(1, Relaxed);
        h.word.store(0, Release);
    }
}

/// Takes the shares of the dead away; whether one of them waited.
fn clear(view: View, dead: &[Dead]) -> bool {
    let mut waited = false;
    for share in dead.iter().map(|d| view.share(d.who.id())) {
        share.holds.store(0, Relaxed);
        waited |= share.waits.swap(0, Relaxed) != 0;
    }
    waited
}

fn sum(view: View, part: impl Fn(&Share) -> &crate::sys::atomic::AtomicU32) -> u64 {
    (1..=view.region.participant_limit()).map(|id| u64::from(part(view.share(id)).load(Relaxed))).sum()
}
