//! Recovery after a death: take every lock, repair what they protect from the slot words, give the locks back, wake everybody.
//!
//! Rules 3, 7, 8 and 21 to 25 of DESIGN.md. The scan is idempotent and safe at any time. Only the supervisor of the
//! parent comes here, one thread at a time, and it takes no private mutex that another thread keeps while it waits for a lock of the region.

use super::arena::Arena;
use super::channel::{Channel, Kind, Stop};
use super::event;
use super::frame;
use super::index_ring::Entry;
use super::region::{Condition, Region};
use super::slots::{JOBS, RESULTS};
use crate::layout::{EventWords, Progress, SlotWord, State};
use crate::lock::{FutexLock, Holder, RawLock};
use crate::sys::planted::{Bug, planted};
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
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

    /// Participant `id` has held a lock without a break for longer than the bound: end it. `false`: there is no such process. Never called for
    /// participant 1.
    fn stuck(&mut self, id: u16) -> bool;

    /// What has been done so far, told before anybody can see it in a channel's pending count: who is woken by a recovery finds it noted.
    fn repaired(&mut self, _report: &Report) {}

    /// Whether the parent's ledger has a job in this slot in this generation. Asked for pools, for accepted jobs without outcome (rule 23).
    fn knows(&mut self, channel: u32, slot: u32, generation: u32) -> bool;

    /// Counts a death in a pool's bundle, in memory of the parent: see [`Deaths::count`].
    fn death(&mut self, channel: u32, slot: u32, done: u32, in_hand: bool) -> Option<u32>;

    /// Why the parent has condemned the job in hand of this slot.
    fn condemned(&mut self, channel: u32, slot: u32) -> frame::Kind;
}

/// How many workers have died one after the other with one bundle of a pool, without one more of its jobs done. Not in the region: a job that writes over the
/// region before it kills its worker would be run again for ever.
#[derive(Debug, Default)]
pub struct Deaths(AtomicU64);

impl Deaths {
    /// None yet: before the bundle is published.
    #[inline]
    pub fn clear(&self) {
        self.0.store(0, Relaxed);
    }

    /// One more, of a worker that had done so many jobs of the bundle and had the next one in hand, or not: how many of that kind there have
    /// been with so many done. `None` if more had been done at an earlier death. Only recovery counts, one thread at a time.
    pub fn count(&self, done: u32, in_hand: bool) -> Option<u32> {
        let before = self.0.load(Relaxed);
        let [then, charged, other] = [before >> 48, before >> 24, before].map(|n| n as u32 & 0xFF_FFFF);
        let (charged, other) = match done.cmp(&then) {
            Ordering::Less => return None,
            Ordering::Equal => (charged, other),
            Ordering::Greater => (0, 0),
        };
        let one_more = |n: u32, of_it: bool| (n + u32::from(of_it)).min(0xFF_FFFF);
        let (charged, other) = (one_more(charged, in_hand), one_more(other, !in_hand));
        self.0.store(u64::from(done) << 48 | u64::from(charged) << 24 | u64::from(other), Relaxed);
        Some(if in_hand { charged } else { other })
    }
}

/// So many workers may die one after the other with a bundle of which they have nothing in hand, as chance may have it. If one more does, the job
/// that would have been next is over: the way in which it kills its workers leaves no trace of it.
const UNCHARGED: u32 = 100;

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

/// The same for a lock that names the parent, which is never ended: no thread of it is kept from running for so long while this one runs.
const OWN_BOUND: Duration = Duration::from_secs(5);

/// Locks held for a recovery, given back when it ends, in whatever way.
pub(super) struct Held<'a> {
    pub(super) locks: Vec<&'a FutexLock>,
    pub(super) me: Holder,
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
        let mut locks = vec![];
        for channel in channels {
            locks.push(channel.job_lock());
            if channel.kind() == Kind::Pool {
                locks.push(channel.result_lock());
            }
        }
        locks.extend([JOBS, RESULTS].map(|which| region.arena(which).lock()));
        let mut put_back = vec![];
        let repaired = locks
            .into_iter()
            .try_for_each(|lock| acquire(lock, &mut held, dead, watch, &mut report))
            .and_then(|()| channels.iter().try_for_each(|channel| repair(channel, dead, watch, &mut put_back, &mut report)));
        if repaired.is_ok() {
            for which in [JOBS, RESULTS] {
                sweep(region.arena(which), which, channels, &put_back);
            }
        }
        watch.repaired(&report);
        for d in dead.iter() {
            forget(region, channels, d.who);
        }
        repaired
    };
    if result.is_err() {
        region.condemn(Condition::Corrupt);
    }
    // After the release (rule 21): every sequence moves, every sleeper wakes, whether or not the dead one held anything.
    if !planted(Bug::NoWakeAll) {
        wake_queues(region, channels);
    }
    // The objects after that, with a list of dead of their own: who is in `dead` counts as repaired in the channels too.
    super::objects::repair(region, dead, watch, &mut report);
    result.map(|()| report)
}

/// Moves every sequence and wakes every sleeper of the region.
pub fn wake_everybody(region: &Region, channels: &[Arc<Channel>]) {
    wake_queues(region, channels);
    super::objects::wake_everybody(region);
}

fn wake_queues(region: &Region, channels: &[Arc<Channel>]) {
    for channel in channels {
        channel.wake_everybody();
    }
    for which in [JOBS, RESULTS] {
        event::notify_all(region.arena(which).room());
        region.arena(which).lock().wake_all();
    }
}

/// Takes one lock, from a dead owner if need be. While waiting it asks whether the owner has died (rule 7).
///
/// # Errors
/// [`Stop::Corrupt`] if the lock names somebody who is none, or the parent for so long that it cannot be true.
pub(super) fn acquire<'a>(
    lock: &'a FutexLock,
    held: &mut Held<'a>,
    dead: &mut Vec<Dead>,
    watch: &mut dyn Watch,
    report: &mut Report,
) -> Result<(), Stop> {
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
        }
        let now = lock.observe();
        if now != since.0 {
            since = (now, Instant::now());
        } else if let Some(owner) = lock.owner() {
            let (ours, held_for) = (owner == held.me.id(), since.1.elapsed());
            // The dead hold nothing that could not be taken over above: that word has been in another epoch, or never.
            let nobody = |watch: &mut dyn Watch| dead.iter().any(|d| d.who.id() == owner) || !watch.stuck(owner);
            if ours && held_for > OWN_BOUND || !ours && held_for > HOLD_BOUND && nobody(watch) {
                return Err(Stop::Corrupt);
            }
            if !ours && held_for > HOLD_BOUND {
                since.1 = Instant::now();
            }
        } else if now.0 != 0 && since.1.elapsed() > HOLD_BOUND {
            // Held by nobody: no holder's word has been there.
            return Err(Stop::Corrupt);
        }
        looks += 1;
        if looks < 50 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    held.locks.push(lock);
    Ok(())
}

/// Applies DESIGN.md's table to one channel: all of its locks are held. Slots of bundles that go back to the ring are noted in `put_back`.
fn repair(
    channel: &Channel,
    dead: &[Dead],
    watch: &mut dyn Watch,
    put_back: &mut Vec<(u32, u32)>,
    report: &mut Report,
) -> Result<(), Stop> {
    let names_dead = |slot| dead.iter().any(|d| channel.word(slot).owner() == d.who.id());
    if planted(Bug::NoScan) && report.taken_over == 0 && !(0..channel.capacity()).any(names_dead) {
        return Ok(());
    }
    let d = channel.desc();
    let mut pending = 0u64;
    for slot in 0..channel.capacity() {
        let head = channel.head(slot);
        let mut word = SlotWord(head.word.load(Acquire)); // A ↔ FINISHED's release: no lock is between
        let Some(state) = word.state() else { return Err(Stop::Corrupt) };
        let owned = matches!(state, State::Owned | State::Running | State::Finished);
        if owned != (word.owner() != 0) {
            return Err(Stop::Corrupt);
        }
        let accepted = matches!(state, State::Ready | State::Running | State::Finished);
        if accepted && channel.kind() == Kind::Pool && !watch.knows(channel.index(), slot, word.generation()) {
            // A live worker may just have finished and another thread collected: look once more at the word.
            if SlotWord(head.word.load(Acquire)) == word {
                return Err(Stop::Corrupt);
            }
        }
        if let Some(death) = dead.iter().find(|d| owned && d.who.id() == word.owner()) {
            word = match (state, channel.kind()) {
                _ if planted(Bug::KeepsDeadOwner) => word,
                (State::Owned, _) => word.freed(),
                (State::Finished, _) if planted(Bug::RunsFinishedAgain) => word.to(State::Ready, 0),
                (State::Finished, Kind::Pool) => {
                    report.delivered += 1;
                    word.to(State::Done, 0)
                }
                (State::Finished, _) => {
                    report.delivered += 1;
                    word.freed()
                }
                (_, Kind::Pool) => {
                    put_back.push((channel.index(), slot));
                    after_death(channel, slot, word, *death, watch, report)?
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
        if planted(Bug::FreesDone) && word.is(State::Done) {
            head.word.store(word.freed().0, Release);
        }
        if word.is(State::Ready) || word.is(State::Running) || word.is(State::Finished) {
            pending += if channel.kind() == Kind::Pool { 1 } else { u64::from(channel.items(slot)) };
        }
    }
    let rebuilt = channel.job_ring().replace(channel.ready_by_ticket().into_iter());
    rebuilt.map_err(|_| Stop::Corrupt)?;
    if channel.kind() == Kind::Pool {
        let done: Vec<Entry> = channel.entries_by_ticket(State::Done);
        channel.result_ring().replace(done.into_iter()).map_err(|_| Stop::Corrupt)?;
    }
    watch.repaired(report);
    // A worker that is not dead may finish meanwhile, but finishing does not change what counts as pending.
    d.pending.store(pending, Release);
    channel.free_bits().give((0..channel.capacity()).filter(|&s| channel.word(s).is(State::Free)));
    Ok(())
}

/// The word with which a pool's bundle goes back to the ring when its worker has died. Jobs that are done keep their outcomes; the one in
/// hand is charged, and is over if it has cost as many workers as it may or was condemned: the next worker writes that down.
fn after_death(
    channel: &Channel,
    slot: u32,
    word: SlotWord,
    death: Dead,
    watch: &mut dyn Watch,
    report: &mut Report,
) -> Result<SlotWord, Stop> {
    let head = channel.result_head(slot);
    // By CAS: the parent's other threads cut and condemn at any time, and what they have been told stays true. Why it was condemned was
    // noted before the word said so; another reason can be noted as soon as the word does not say so any more.
    let mut before = Progress(head.progress.load(Acquire)); // A ↔ R in `Bundle::advance`
    let (progress, condemned) = loop {
        let progress = count_array(channel, slot, before);
        let why = progress.condemned().then(|| watch.condemned(channel.index(), slot));
        match head.progress.compare_exchange(before.0, progress.let_go().0, AcqRel, Acquire) {
            Ok(_) => break (progress, why),
            Err(now) => before = Progress(now),
        }
    };
    let ready = word.to(State::Ready, 0);
    let over = |kind: frame::Kind, word: SlotWord| {
        head.status.store(death.status, Relaxed);
        head.charged.store(progress.done(), Relaxed);
        head.ends.store(kind as u32, Relaxed);
        Ok(word)
    };
    if let Some(why) = condemned {
        return over(why, ready);
    }
    let is_over = head.charged.load(Relaxed) == progress.done() && frame::Kind::of(head.ends.load(Relaxed)).is_some();
    let charge = progress.in_hand() && !is_over;
    let Some(deaths) = watch.death(channel.index(), slot, progress.done(), charge) else { return Err(Stop::Corrupt) };
    if !charge {
        return match deaths {
            1..=UNCHARGED => Ok(ready),
            _ if is_over || progress.done() == progress.limit() => Err(Stop::Corrupt),
            _ => {
                report.given_up += 1;
                over(frame::Kind::Died, ready.with_attempt(deaths as u16))
            }
        };
    }
    let charged = ready.with_attempt(deaths.min(u16::MAX.into()) as u16);
    if deaths >= channel.attempts() {
        report.given_up += 1;
        return over(frame::Kind::Died, charged);
    }
    report.run_again += 1;
    head.ends.store(0, Relaxed);
    head.charged.store(progress.done(), Relaxed);
    Ok(charged)
}

/// A dead worker's progress with those jobs done of an array that it has done within its last step: see `Bundle::begin_step`. Not all are in hand,
/// but only the next one.
fn count_array(channel: &Channel, slot: u32, progress: Progress) -> Progress {
    let head = channel.result_head(slot);
    let (ran, width) = (u32::from(head.ran.load(Acquire)), u32::from(head.width.load(Relaxed))); // A ↔ R in `step_value`
    let hand = progress.hand();
    if hand < 2 || planted(Bug::NoCountArray) {
        return progress;
    }
    let values = ran.min(hand);
    let in_hand = u32::from(values < hand);
    if values == 0 {
        return progress.finish(0, 0, in_hand);
    }
    let bytes = frame::ARRAY_HEAD as u32 + values * width;
    match channel.write_array_head(slot, progress.length(), bytes, frame::array(width as u8, values as u16)) {
        Ok(()) => progress.finish(values, bytes, in_hand),
        // Stored already: everything ends.
        Err(_) => progress,
    }
}

/// Frees the blocks of slots that are free or of another generation; and of a pool's outcomes those that no progress counts, if nobody
/// runs the bundle. Such a block died with its worker between the allocation and the count: the next worker makes that outcome again, and may
/// need the room. Nobody allocates meanwhile, since the arena's lock is held: so who has started such a bundle already has no block of it yet.
fn sweep(arena: &Arena, which: usize, channels: &[Arc<Channel>], put_back: &[(u32, u32)]) {
    arena.sweep(|tag, item| {
        let (index, slot, _) = tag.parts();
        let Some(channel) = channels.iter().find(|c| c.index() == index) else { return false };
        if slot >= channel.capacity() {
            return false;
        }
        let word = channel.word(slot);
        let in_use = match (which, channel.kind()) {
            (RESULTS, Kind::Pool) => match word.state() {
                Some(State::Running) if !put_back.contains(&(index, slot)) => true,
                Some(State::Running | State::Ready | State::Finished | State::Done) => item < channel.progress(slot).done(),
                _ => false,
            },
            _ => !word.is(State::Free),
        };
        planted(Bug::KeepsDeadBlocks) || in_use && tag.is_of(word.generation())
    });
}

/// Clears what a dead participant's entry says about the present.
fn forget(region: &Region, channels: &[Arc<Channel>], who: Holder) {
    let Some(entry) = region.participant(who.id()) else { return };
    entry.holding.store(0, Relaxed);
    entry.runs_channel.store(0, Relaxed);
    let slept_on = entry.sleeps_on.swap(0, Acquire);
    // Its own count as a sleeper goes with it, exactly once: see ring/event.rs.
    let take_back = |event: &EventWords| {
        if event as *const EventWords as u64 - region.base() as u64 == slept_on {
            event.sleepers.fetch_sub(1, SeqCst);
        }
        if planted(Bug::ResetsSleepers) {
            event.sleepers.store(0, SeqCst);
        }
    };
    for channel in channels {
        let d = channel.desc();
        [&d.jobs, &d.done, &d.free, &d.assist].into_iter().for_each(take_back);
    }
    [JOBS, RESULTS].into_iter().for_each(|which| take_back(region.arena(which).room()));
    super::objects::sleeping_places(region).for_each(take_back);
}
