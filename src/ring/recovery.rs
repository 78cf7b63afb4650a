//! Recovery after a death: take every lock, repair what they protect from the slot words, give the locks back, wake everybody.
//!
//! design.md ("Recovery") and protocol rules 3, 7, 8, 21 to 25. The scan is idempotent and safe at any time. Only the supervisor of the
//! parent comes here, one thread at a time, and it takes no private mutex that another thread keeps while it waits for a lock of the region.

use super::arena::Arena;
use super::channel::{Channel, Kind, Stop};
use super::event;
use super::index_ring::Entry;
use super::region::{Condition, Region};
use super::slots::{JOBS, RESULTS};
use crate::layout::{EventWords, SlotWord, State};
use crate::lock::{FutexLock, Holder, RawLock};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::{Duration, Instant};

/// A participant whose process has certainly ended.
#[derive(Clone, Copy, Debug)]
pub struct Dead {
    /// Who it was.
    pub who: Holder,
    /// How it ended: its exit code, or 65536 plus the signal.
    pub status: u32,
}

/// What recovery asks its caller.
pub trait Watch {
    /// Whether the process of participant `id` has certainly ended (waited for, not suspected).
    fn dead(&mut self, id: u16) -> Option<Dead>;

    /// Participant `id` has held a lock without a break for longer than the bound: end it. Never called for participant 1.
    fn stuck(&mut self, id: u16);

    /// Whether the parent's ledger has a job in this slot in this generation. Asked for pools, for accepted jobs without outcome (rule 23).
    fn knows(&mut self, channel: u32, slot: u32, generation: u32) -> bool;
}

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Jobs that were running and will be run again.
    pub run_again: u64,
    /// Jobs that cost as many workers as they may.
    pub given_up: u64,
    /// Outcomes that the dead had finished and not delivered.
    pub delivered: u64,
    /// Locks that the dead had held.
    pub taken_over: u64,
}

/// How long one hold of a lock may last before its owner is ended: a hold is tens of nanoseconds, so its owner is stopped.
pub const HOLD_BOUND: Duration = Duration::from_secs(2);

/// Locks held for a recovery, given back when it ends, in whatever way.
struct Held<'a> {
    locks: Vec<&'a FutexLock>,
    me: Holder,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for lock in self.locks.drain(..).rev() {
            // SAFETY: only locks that we hold are in the list.
            unsafe { lock.unlock(self.me) };
        }
    }
}

/// Repairs the region after the deaths in `dead`, and after those that come to light while it waits for locks; these are appended.
///
/// # Errors
/// [`Stop::Corrupt`] if the slot words contradict each other or the ledger: nothing can be trusted any more.
pub fn recover(
    region: &Region,
    channels: &[Arc<Channel>],
    dead: &mut Vec<Dead>,
    watch: &mut dyn Watch,
) -> Result<Report, Stop> {
    let mut report = Report::default();
    let result = {
        let mut held = Held { locks: vec![], me: region.me() };
        for channel in channels {
            acquire(channel.job_lock(), &mut held, dead, watch, &mut report);
            if channel.kind() == Kind::Pool {
                acquire(channel.result_lock(), &mut held, dead, watch, &mut report);
            }
        }
        for which in [JOBS, RESULTS] {
            acquire(region.arena(which).lock(), &mut held, dead, watch, &mut report);
        }
        let repaired: Result<(), Stop> = channels.iter().try_for_each(|channel| repair(channel, dead, watch, &mut report));
        if repaired.is_ok() {
            for which in [JOBS, RESULTS] {
                sweep(region.arena(which), which, channels);
            }
        }
        for d in dead.iter() {
            forget(region, channels, d.who);
        }
        repaired
    };
    if result.is_err() {
        region.condemn(Condition::Corrupt);
    }
    // After the release (rule 21): every sequence moves, every sleeper wakes, whether or not the dead one held anything.
    wake_everybody(region, channels);
    result.map(|()| report)
}

/// Moves every sequence and wakes every sleeper of the region.
pub fn wake_everybody(region: &Region, channels: &[Arc<Channel>]) {
    for channel in channels {
        channel.wake_everybody();
    }
    for which in [JOBS, RESULTS] {
        event::notify_all(region.arena(which).room());
        region.arena(which).lock().wake_all();
    }
}

/// Takes one lock, from a dead owner if need be. While waiting it asks whether the owner has died (rule 7).
fn acquire<'a>(lock: &'a FutexLock, held: &mut Held<'a>, dead: &mut Vec<Dead>, watch: &mut dyn Watch, report: &mut Report) {
    let mut since = (lock.observe(), Instant::now());
    let mut looks = 0u32;
    loop {
        if lock.try_lock(held.me).is_some() {
            break;
        }
        if let Some(owner) = lock.owner().filter(|&id| id != held.me.id()) {
            if !dead.iter().any(|d| d.who.id() == owner)
                && let Some(another) = watch.dead(owner)
            {
                dead.push(another);
            }
            // SAFETY: everyone in `dead` has been waited for, and its number is not given to another before we are done.
            if dead.iter().any(|d| unsafe { lock.take_over(d.who, held.me) }) {
                report.taken_over += 1;
                break;
            }
            let now = lock.observe();
            if now != since.0 {
                since = (now, Instant::now());
            } else if since.1.elapsed() > HOLD_BOUND {
                watch.stuck(owner);
                since.1 = Instant::now();
            }
        }
        looks += 1;
        if looks < 50 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    held.locks.push(lock);
}

/// Applies design.md's table to one channel: all of its locks are held.
fn repair(channel: &Channel, dead: &[Dead], watch: &mut dyn Watch, report: &mut Report) -> Result<(), Stop> {
    let d = channel.desc();
    let attempts = d.attempts.load(Relaxed).max(1);
    let mut pending = 0u64;
    for slot in 0..channel.capacity() {
        let head = channel.head(slot);
        let mut word = SlotWord(head.word.load(Acquire)); // A ↔ FINISHED's release: no lock is between
        let Some(state) = word.state() else { return Err(Stop::Corrupt) };
        let owned = matches!(state, State::Owned | State::Running | State::Condemned | State::Finished);
        if owned != (word.owner() != 0) {
            return Err(Stop::Corrupt);
        }
        let accepted = matches!(state, State::Ready | State::Running | State::Condemned | State::Finished);
        if accepted && channel.kind() == Kind::Pool && !watch.knows(channel.index(), slot, word.generation()) {
            // A live worker may just have finished and another thread collected: look once more at the word.
            if SlotWord(head.word.load(Acquire)) == word {
                return Err(Stop::Corrupt);
            }
        }
        if let Some(death) = dead.iter().find(|d| owned && d.who.id() == word.owner()) {
            word = match (state, channel.kind()) {
                (State::Owned, _) => word.freed(),
                (State::Finished, Kind::Pool) => {
                    report.delivered += 1;
                    word.to(State::Done, 0)
                }
                (State::Finished, _) => {
                    report.delivered += 1;
                    word.freed()
                }
                (State::Running, Kind::Pool) if u32::from(word.charged().attempt()) < attempts => {
                    report.run_again += 1;
                    word.charged().to(State::Ready, 0)
                }
                (_, Kind::Pool) => {
                    report.given_up += 1;
                    give_up(channel, slot, word, *death)
                }
                // An item of a Queue is done when its taker has it; what is left here was in nobody's hands.
                (_, kind) => match channel.returned(slot, word, kind == Kind::Joinable, &mut report.given_up) {
                    Some(ready) => {
                        report.run_again += 1;
                        ready
                    }
                    None => word.freed(),
                },
            };
            head.word.store(word.0, Release); // as whoever would have written it
        }
        if word.is(State::Ready) || word.is(State::Running) || word.is(State::Condemned) || word.is(State::Finished) {
            pending += u64::from(channel.items(slot));
        }
    }
    let rebuilt = channel.job_ring().replace(channel.ready_by_ticket().into_iter());
    rebuilt.map_err(|_| Stop::Corrupt)?;
    if channel.kind() == Kind::Pool {
        let done: Vec<Entry> = channel.entries_by_ticket(State::Done);
        channel.result_ring().replace(done.into_iter()).map_err(|_| Stop::Corrupt)?;
    }
    // A worker that is not dead may finish meanwhile, but finishing does not change what counts as pending.
    d.pending.store(pending, Release);
    channel.free_bits().give((0..channel.capacity()).filter(|&s| channel.word(s).is(State::Free)));
    Ok(())
}

/// The word of a pool's job that has cost as many workers as it may, or was condemned.
fn give_up(channel: &Channel, slot: u32, word: SlotWord, death: Dead) -> SlotWord {
    let result = channel.result_head(slot);
    if !word.is(State::Condemned) {
        result.kind.store(4, Relaxed);
        result.detail.store(death.status, Relaxed);
    }
    result.length.store(0, Relaxed);
    result.block.store(0, Relaxed);
    word.charged().to(State::Done, 0)
}

/// Frees the blocks of slots that are free, of another generation, or (results) not running or later.
fn sweep(arena: &Arena, which: usize, channels: &[Arc<Channel>]) {
    arena.sweep(|tag| {
        let (index, slot, _) = tag.parts();
        let Some(channel) = channels.iter().find(|c| c.index() == index) else { return false };
        if slot >= channel.capacity() {
            return false;
        }
        let word = channel.word(slot);
        let in_use = match (which, channel.kind()) {
            (RESULTS, Kind::Pool) => !matches!(word.state(), Some(State::Free | State::Owned | State::Ready)),
            _ => !word.is(State::Free),
        };
        in_use && tag.is_of(word.generation())
    });
}

/// Clears what a dead participant's entry says about the present.
fn forget(region: &Region, channels: &[Arc<Channel>], who: Holder) {
    let Some(entry) = region.participant(who.id()) else { return };
    entry.holding.store(0, Relaxed);
    let slept_on = entry.sleeps_on.swap(0, Acquire);
    // Its own count as a sleeper goes with it, exactly once: see ring/event.rs.
    let take_back = |event: &EventWords| {
        if event as *const EventWords as u64 - region.base() as u64 == slept_on {
            event.sleepers.fetch_sub(1, SeqCst);
        }
    };
    for channel in channels {
        let d = channel.desc();
        [&d.jobs, &d.done, &d.free].into_iter().for_each(take_back);
    }
    [JOBS, RESULTS].into_iter().for_each(|which| take_back(region.arena(which).room()));
}
