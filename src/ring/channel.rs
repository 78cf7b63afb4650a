//! A channel: one queue of a region, with its job ring, slots, pending count and, in a pool, its result ring.
//!
//! Here are its geometry and its *sections*: the short times for which one of its locks is held. Each moves slot indices and changes the
//! slot words that the pending count depends on (protocol, rule 12), and nothing else: payloads are written before and read after.

use super::event::{self, Told};
use super::free::FreeBits;
use super::index_ring::{Corrupt, Entry, IndexRing};
use super::region::{Condition, Region, round_up};
use crate::layout::{self, SlotHead, SlotWord, State, presence};
use crate::lock::{FutexLock, RawLock};
use crate::sys::atomic::AtomicU64;
use crate::sys::pidfd::Exit;
use crate::sys::planted::{Bug, planted};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// What kind of queue a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Items go in and out; nobody counts them.
    Queue = 1,
    /// Items are pending until their taker says that they are done.
    Joinable = 2,
    /// Jobs have outcomes, which come back through a second ring.
    Pool = 3,
}

/// Why an operation on a channel cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The parent has shut the region down.
    #[error("the region has been shut down")]
    Shutdown,
    /// Workers die as soon as they start. In the parent: how the last one ended.
    #[error("no worker can live: they die as soon as they start{}", .0.map(|exit| format!("; the last one ended with {}", exit.explained())).unwrap_or_default())]
    NoWorkers(Option<Exit>),
    /// Its contents contradict each other.
    #[error("the region's contents contradict each other: something has written over it")]
    Corrupt,
}

/// Sizes of a channel to be made.
#[derive(Clone, Copy, Debug)]
pub struct ChannelPlan {
    /// What kind.
    pub kind: Kind,
    /// How many slots: 1 to 2^24.
    pub slots: u32,
    /// Bytes of payload in a slot.
    pub payload: usize,
    /// Bytes of result in a slot (pools).
    pub result: usize,
    /// How many workers a job may cost.
    pub attempts: u32,
    /// A hash of codec and payload type.
    pub type_hash: u64,
    /// Where positions, generations, sequences and acquisitions start: tests start them near their maximum.
    pub counters_from: u32,
}

/// What [`Channel::pop`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// So many entries.
    Some(u32),
    /// None; the event's sequence as it was then, under the lock (protocol, rule 1).
    Empty(event::Seen),
}

/// Bits of `layout::Channel::worker_gets`.
const WORKERS_TAKE: u32 = 1;
const OUTSIDE: u32 = 2;
const OLDER_OUTSIDE: u32 = 4;

/// At most so many entries are popped at once when the number is left to the channel.
pub const MAX_BATCH: u32 = 64;

/// The number of slots in a channel, at most: what a block's tag can name.
pub const MAX_SLOTS: u32 = 1 << 24;

/// One channel as this process sees it: the geometry, checked once.
pub struct Channel {
    pub(super) region: Arc<Region>,
    pub(super) index: u32,
    pub(super) kind: Kind,
    pub(super) slots: u32,
    pub(super) slot_size: usize,
    pub(super) payload_size: usize,
    pub(super) result_offset: usize,
    pub(super) result_size: usize,
    attempts: u32,
    pub(super) slots_at: *mut u8,
    job_entries: *const AtomicU64,
    result_entries: *const AtomicU64,
    ring_size: usize,
    bits: *const AtomicU64,
    desc: *const layout::Channel,
    /// What this process has told those who sleep on each event.
    told_jobs: Told,
    told_free: Told,
    told_done: Told,
}

// SAFETY: the pointers are into the mapping of `region`, which the channel keeps alive; all that they lead to is atomics, except
// payloads, which belong to the owner of their slot.
unsafe impl Send for Channel {}
// SAFETY: as above.
unsafe impl Sync for Channel {}

/// A lock of the region, held. Nothing in such a time allocates, runs user code, panics or waits for another lock (rule 7).
pub(super) struct Section<'a> {
    lock: &'a FutexLock,
    region: &'a Region,
}

impl<'a> Section<'a> {
    /// Waits for the lock, or for the end of the region.
    #[inline]
    pub(super) fn enter(region: &'a Region, lock: &'a FutexLock) -> Result<Section<'a>, Stop> {
        let mut looks = 0;
        let waited = lock.lock_unless(region.me(), || {
            looks += 1;
            // About once in a second of waiting for what takes nanoseconds.
            if looks % 10 == 0 {
                region.ring_bell();
            }
            region.condition() != Condition::Open
        });
        if waited != Ok(0) {
            let (Ok(nanos) | Err(nanos)) = waited;
            region.own_entry().lock_wait.fetch_add(nanos, Relaxed);
            region.own_entry().lock_waits.fetch_add(1, Relaxed);
        }
        match waited {
            Ok(_) => Ok(Section { lock, region }),
            Err(_) => Err(stop(region).unwrap_or(Stop::Shutdown)),
        }
    }
}

impl Drop for Section<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a section exists only while its lock is held by us.
        unsafe { self.lock.unlock(self.region.me()) };
    }
}

/// The region's condition as an error.
pub(super) fn stop(region: &Region) -> Option<Stop> {
    match region.condition() {
        Condition::Open => None,
        Condition::Shutdown => Some(Stop::Shutdown),
        Condition::NoWorkers => Some(Stop::NoWorkers(region.last_end())),
        Condition::Corrupt => Some(Stop::Corrupt),
    }
}

impl Channel {
    /// Makes channel `index` in the region's heap. One thread of the parent does this at a time.
    ///
    /// # Errors
    /// The bytes that it needs and the bytes that the heap has left, if those are fewer, or the region has no descriptor of that number.
    pub fn create(region: &Arc<Region>, index: u32, plan: &ChannelPlan) -> Result<Channel, (u64, u64)> {
        let (heap, heap_size) = region.heap();
        let used = region.header().heap_used.load(Relaxed) as usize;
        let left = heap_size.saturating_sub(used) as u64;
        let fail = |needed: Option<usize>| (needed.map_or(u64::MAX, |n| n as u64), left);
        let desc = region.channel(index).ok_or((0, 0))?;
        assert!(plan.slots >= 1 && plan.slots <= MAX_SLOTS, "checked by the caller");
        let head = size_of::<SlotHead>();
        let sizes = || {
            let payload_end = round_up(head.checked_add(plan.payload)?, 8)?;
            let with_result = match plan.kind {
                Kind::Pool => payload_end.checked_add(size_of::<layout::ResultHead>())?.checked_add(plan.result)?,
                _ => payload_end,
            };
            let slot_size = round_up(with_result, layout::LINE)?;
            let ring = 2 * (plan.slots as usize).next_power_of_two();
            let ring_bytes = round_up(ring * 8, layout::LINE)?;
            let bits = round_up(FreeBits::words_for(plan.slots) * 8, layout::LINE)?;
            let rings = if plan.kind == Kind::Pool { 2 } else { 1 };
            let slots = slot_size.checked_mul(plan.slots as usize)?;
            let total = slots.checked_add(rings * ring_bytes)?.checked_add(bits)?;
            Some((payload_end, slot_size, ring, ring_bytes, bits, slots, total))
        };
        let Some((payload_end, slot_size, ring, ring_bytes, bits, slots, total)) = sizes() else { return Err(fail(None)) };
        if total as u64 > left || u32::try_from(slot_size).is_err() {
            return Err(fail(Some(total)));
        }
        let at = heap + used;
        region.header().heap_used.store((used + total) as u64, Relaxed);
        let result_offset = if plan.kind == Kind::Pool { payload_end } else { 0 };
        let rest = slot_size - if result_offset > 0 { result_offset + size_of::<layout::ResultHead>() } else { slot_size };
        let payload_size = if result_offset > 0 { payload_end } else { slot_size } - head;
        desc.kind.store(plan.kind as u32, Relaxed);
        desc.slots.store(plan.slots, Relaxed);
        desc.slot_size.store(slot_size as u32, Relaxed);
        desc.payload_size.store(payload_size as u32, Relaxed);
        desc.result_offset.store(result_offset as u32, Relaxed);
        desc.result_size.store(rest as u32, Relaxed);
        desc.ring_size.store(ring as u32, Relaxed);
        desc.attempts.store(plan.attempts, Relaxed);
        desc.type_hash.store(plan.type_hash, Relaxed);
        desc.slots_offset.store(at as u64, Relaxed);
        desc.job_ring_offset.store((at + slots) as u64, Relaxed);
        desc.bits_offset.store((at + slots + ring_bytes) as u64, Relaxed);
        if plan.kind == Kind::Pool {
            desc.result_ring_offset.store((at + slots + ring_bytes + bits) as u64, Relaxed);
        }
        let from = plan.counters_from;
        for position in [&desc.job_head, &desc.job_tail, &desc.result_head, &desc.result_tail] {
            position.store(from, Relaxed);
        }
        for event in [&desc.jobs, &desc.done, &desc.free, &desc.assist] {
            event.sequence.store(from, Relaxed);
        }
        for lock in [&desc.job_lock, &desc.result_lock] {
            lock.acquisitions.store(from, Relaxed);
        }
        desc.ticket.store(u64::from(from) << 32 | u64::from(from), Relaxed);
        let Some(channel) = Self::open(region, index) else { return Err(fail(Some(total))) };
        for slot in 0..plan.slots {
            channel.head(slot).word.store(SlotWord::new(State::Free, 0, 0, from).0, Relaxed);
        }
        channel.free_bits().give(0..plan.slots);
        // R: the channel is complete ↔ `open` in another process loads the number with acquire.
        region.header().channels_used.fetch_max(index + 1, Release);
        Ok(channel)
    }

    /// Opens channel `index`; `None` if it does not exist or its descriptor cannot be right.
    pub fn open(region: &Arc<Region>, index: u32) -> Option<Channel> {
        region.header().channels_used.load(Acquire); // A ↔ R in `create`
        let desc = region.channel(index)?;
        let kind = match desc.kind.load(Relaxed) {
            1 => Kind::Queue,
            2 => Kind::Joinable,
            3 => Kind::Pool,
            _ => return None,
        };
        let slots = desc.slots.load(Relaxed);
        let slot_size = desc.slot_size.load(Relaxed) as usize;
        let payload_size = desc.payload_size.load(Relaxed) as usize;
        let result_offset = desc.result_offset.load(Relaxed) as usize;
        let result_size = desc.result_size.load(Relaxed) as usize;
        let ring_size = desc.ring_size.load(Relaxed) as usize;
        if slots == 0 || slots > MAX_SLOTS || !slot_size.is_multiple_of(layout::LINE) || slot_size == 0 {
            return None;
        }
        if !ring_size.is_power_of_two() || ring_size < 2 * slots as usize || ring_size > 1 << 28 {
            return None;
        }
        let payload_end = size_of::<SlotHead>() + payload_size;
        if kind == Kind::Pool {
            let result_end = result_offset + size_of::<layout::ResultHead>() + result_size;
            if payload_end > result_offset || !result_offset.is_multiple_of(8) || result_end > slot_size {
                return None;
            }
        } else if payload_end > slot_size || result_offset != 0 {
            return None;
        }
        let (heap, heap_size) = region.heap();
        let inside = |offset: u64, bytes: usize| {
            let offset = usize::try_from(offset).ok()?;
            let fits = offset >= heap && offset.checked_add(bytes)? <= heap + heap_size && offset % layout::LINE == 0;
            // SAFETY: the heap lies in the mapping, as `Region::attach` has checked.
            fits.then(|| unsafe { region.base().add(offset) })
        };
        let ring_bytes = ring_size * 8;
        Some(Channel {
            slots_at: inside(desc.slots_offset.load(Relaxed), slot_size.checked_mul(slots as usize)?)?,
            job_entries: inside(desc.job_ring_offset.load(Relaxed), ring_bytes)?.cast(),
            result_entries: match kind {
                Kind::Pool => inside(desc.result_ring_offset.load(Relaxed), ring_bytes)?.cast(),
                _ => std::ptr::NonNull::dangling().as_ptr(),
            },
            bits: inside(desc.bits_offset.load(Relaxed), FreeBits::words_for(slots) * 8)?.cast(),
            desc,
            region: region.clone(),
            index,
            kind,
            slots,
            slot_size,
            payload_size,
            result_offset,
            result_size,
            attempts: desc.attempts.load(Relaxed).max(1),
            ring_size,
            told_jobs: Told::nothing(),
            told_free: Told::nothing(),
            told_done: Told::nothing(),
        })
    }

    /// The descriptor.
    #[inline]
    pub fn desc(&self) -> &layout::Channel {
        // SAFETY: in the mapping that `region` keeps alive; all atomics.
        unsafe { &*self.desc }
    }

    /// The region.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The channel's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many slots it has.
    pub fn capacity(&self) -> u32 {
        self.slots
    }

    pub(super) fn job_ring(&self) -> IndexRing<'_> {
        let d = self.desc();
        // SAFETY: `open` has checked the range; atomics may be shared.
        let entries = unsafe { std::slice::from_raw_parts(self.job_entries, self.ring_size) };
        IndexRing::new(&d.job_head, &d.job_tail, entries)
    }

    pub(super) fn result_ring(&self) -> IndexRing<'_> {
        let d = self.desc();
        let len = if self.kind == Kind::Pool { self.ring_size } else { 0 };
        // SAFETY: `open` has checked the range; of no length where there is none.
        let entries = unsafe { std::slice::from_raw_parts(self.result_entries, len) };
        IndexRing::new(&d.result_head, &d.result_tail, entries)
    }

    pub(super) fn free_bits(&self) -> FreeBits<'_> {
        // SAFETY: as for the rings.
        let words = unsafe { std::slice::from_raw_parts(self.bits, FreeBits::words_for(self.slots)) };
        FreeBits::new(words, &self.desc().free_hint)
    }

    pub(super) fn job_lock(&self) -> &FutexLock {
        FutexLock::of(&self.desc().job_lock)
    }

    pub(super) fn result_lock(&self) -> &FutexLock {
        FutexLock::of(&self.desc().result_lock)
    }

    /// Notes that the region cannot be trusted, and wakes everybody who sleeps on this channel.
    #[cold]
    pub(super) fn corrupt(&self) -> Stop {
        self.region.condemn(Condition::Corrupt);
        self.wake_everybody();
        Stop::Corrupt
    }

    /// What [`Stop`] there is, now that contents have been found that cannot be.
    pub fn corrupted(&self) -> Stop {
        self.corrupt()
    }

    /// Whether some worker takes items from this Queue.
    #[inline]
    pub fn workers_take(&self) -> bool {
        self.desc().worker_gets.load(Relaxed) & WORKERS_TAKE != 0
    }

    /// Notes that a worker takes from this Queue; whether the parent has moved items out of it, which it must put back then.
    pub fn worker_takes(&self) -> bool {
        // SeqCst ↔ `hold_outside`: either the parent sees that, or we see that it has moved items.
        self.desc().worker_gets.fetch_or(WORKERS_TAKE, SeqCst) & OUTSIDE != 0
    }

    /// Before the parent moves items of this Queue out of the region: whether it may, because no worker takes from it.
    pub fn hold_outside(&self) -> bool {
        let hold = |bits| (bits & WORKERS_TAKE == 0).then_some(bits | OUTSIDE | OLDER_OUTSIDE);
        self.desc().worker_gets.fetch_update(SeqCst, SeqCst, hold).is_ok()
    }

    /// After the last of them has been taken or put back.
    pub fn none_outside(&self) {
        self.desc().worker_gets.fetch_and(!(OUTSIDE | OLDER_OUTSIDE), SeqCst);
    }

    /// What is in the ring is no longer newer than what is outside.
    pub fn none_older_outside(&self) {
        self.desc().worker_gets.fetch_and(!OLDER_OUTSIDE, SeqCst);
    }

    /// Whether the parent may have items of this Queue outside the region.
    pub fn outside(&self) -> bool {
        self.desc().worker_gets.load(SeqCst) & OUTSIDE != 0
    }

    /// Whether they are older than those in the ring, so that workers must wait for them.
    pub fn older_outside(&self) -> bool {
        self.desc().worker_gets.load(SeqCst) & OLDER_OUTSIDE != 0
    }

    /// Whether operations go on.
    pub fn check(&self) -> Result<(), Stop> {
        stop(&self.region).map_or(Ok(()), Err)
    }

    /// Moves all sequences and wakes all sleepers, also those at locks: after a death or a change of condition.
    pub fn wake_everybody(&self) {
        let d = self.desc();
        for event in [&d.jobs, &d.done, &d.free, &d.assist] {
            event::notify_all(event);
        }
        for lock in [self.job_lock(), self.result_lock()] {
            lock.wake_all();
        }
    }

    /// Stores READY for slots that are filled and owned by us, with ring entries and count, and wakes as many workers as there are jobs.
    ///
    /// # Errors
    /// If the region has ended; the slots stay owned.
    pub fn publish(&self, filled: &[super::Filling]) -> Result<(), Stop> {
        let d = self.desc();
        {
            let _section = Section::enter(&self.region, self.job_lock())?;
            let ring = self.job_ring();
            if ring.push(filled.iter().map(|f| Entry { slot: f.slot, generation: f.word.generation() })).is_err() {
                drop(_section);
                return Err(self.corrupt());
            }
            let first = d.ticket.load(Relaxed);
            // Before the first READY ↔ the scan after a death in the middle: no ticket of a job that it finds is given out again.
            d.ticket.store(first.wrapping_add(filled.iter().map(|f| u64::from(f.items)).sum()), Relaxed);
            let mut items = 0;
            for f in filled {
                let head = self.head(f.slot);
                head.ticket.store(first.wrapping_add(items), Relaxed);
                head.word.store(f.word.to(State::Ready, 0).0, Release); // R1: payload before READY ↔ A1 in `start`
                items += if self.kind == Kind::Pool { 1 } else { u64::from(f.items) };
            }
            self.count(|pending| pending.wrapping_add(items));
        }
        self.notify_jobs(filled.len() as u32); // rule 2
        Ok(())
    }

    /// Pops entries from the job ring, by guided self-scheduling, up to `most`; in the same section, and before it, gives slots of a queue
    /// whose items are done their end (see [`deliver_free`](Self::deliver_free)).
    ///
    /// # Errors
    /// If the region has ended.
    pub fn pop(&self, most: u32, into: &mut VecDeque<Entry>, finished: &[(u32, SlotWord)]) -> Result<Popped, Stop> {
        let d = self.desc();
        let (now, before) = finished.split_at(finished.len().min(MAX_BATCH as usize));
        self.deliver_free(before)?;
        let mut ended = Ended::new(self, now);
        let popped = {
            let _section = Section::enter(&self.region, self.job_lock())?;
            ended.free(self, now);
            let ring = self.job_ring();
            let popped = ring.depth().and_then(|depth| {
                // Where only one process takes, nobody else goes short.
                let workers = match self.kind {
                    Kind::Queue if !self.workers_take() => 1,
                    _ => d_workers(&self.region),
                };
                let takers = if workers == 1 { 1 } else { 2 * workers };
                ring.pop((depth / takers).clamp(1, most), |entry| {
                    if planted(Bug::ChargesPopped) {
                        self.head(entry.slot).word.fetch_update(Relaxed, Relaxed, |word| Some(SlotWord(word).charged().0)).ok();
                    }
                    into.push_back(entry);
                })
            });
            match popped {
                Ok(0) => Ok(Popped::Empty(event::look(&d.jobs))),
                Ok(n) => {
                    if n > 1 {
                        // Under the lock, so that whoever finds the ring empty after us sees it.
                        self.region.own_entry().holding.fetch_add(n - 1, Relaxed);
                    }
                    Ok(Popped::Some(n))
                }
                Err(Corrupt) => Err(Corrupt),
            }
        };
        ended.tell(self, now);
        popped.map_err(|Corrupt| self.corrupt())
    }

    /// Says that a batch of `n` popped entries has been used up.
    pub fn batch_used(&self, n: u32) {
        if n > 1 {
            let holding = &self.region.own_entry().holding;
            holding.fetch_sub((n - 1).min(holding.load(Relaxed)), Relaxed);
        }
    }

    /// Offers jobs again that others have popped and not started, if the ring is empty; tells how many (rule 15).
    ///
    /// # Errors
    /// If the region has ended.
    pub fn offer_again(&self) -> Result<u32, Stop> {
        let me = self.region.me().id();
        if !self
            .region
            .participants()
            .any(|(id, p)| id != me && p.holding.load(Relaxed) > 0 && p.state.load(Relaxed) == presence::ATTACHED)
        {
            return Ok(0);
        }
        // Looked up without the lock and pushed under it, if the ring is still empty: stale entries do no harm, a start is a CAS.
        let mut ready = self.ready_by_ticket();
        ready.truncate(self.slots as usize);
        if ready.is_empty() {
            return Ok(0);
        }
        let offered = {
            let _section = Section::enter(&self.region, self.job_lock())?;
            let ring = self.job_ring();
            match ring.depth() {
                Ok(0) => ring.push(ready.iter().copied()).map(|()| ready.len() as u32),
                Ok(n) => Ok(n),
                Err(c) => Err(c),
            }
        };
        let Ok(offered) = offered else { return Err(self.corrupt()) };
        if offered > 1 {
            self.notify_jobs(offered - 1);
        }
        Ok(offered)
    }

    /// Entries for all READY slots, in the order in which they were put.
    pub(super) fn ready_by_ticket(&self) -> Vec<Entry> {
        self.entries_by_ticket(State::Ready)
    }

    pub(super) fn entries_by_ticket(&self, state: State) -> Vec<Entry> {
        let base = self.desc().ticket.load(Relaxed);
        let mut found: Vec<(u64, Entry)> = (0..self.slots)
            .filter_map(|slot| {
                let head = self.head(slot);
                let word = SlotWord(head.word.load(Relaxed));
                // Tickets run on modulo 2^64: the distance back from the next one gives their order.
                let age = base.wrapping_sub(head.ticket.load(Relaxed));
                word.is(state).then_some((age, Entry { slot, generation: word.generation() }))
            })
            .collect();
        found.sort_by_key(|&(age, _)| std::cmp::Reverse(age));
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Puts a slot that we are running back at the end of the ring, with what is left in it. `charge` counts an attempt for what we had in
    /// hand; what has no attempt left is given up. If nothing is left, the slot is FINISHED, its word is returned, and it is to be delivered.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn put_back(&self, slot: u32, running: SlotWord, charge: bool) -> Result<Option<SlotWord>, Stop> {
        let ready = self.returned(slot, running, charge, &mut 0);
        if charge {
            // It cost an attempt: should we die of it, we did not die at once.
            self.count_jobs(1);
        }
        let Some(ready) = ready else { return Ok(self.finish(slot, running)) };
        let pushed = {
            let _section = Section::enter(&self.region, self.job_lock())?;
            self.head(slot).word.store(ready.0, Release); // R1 ↔ A1 in `start`
            self.job_ring().push([Entry { slot, generation: ready.generation() }].into_iter())
        };
        if pushed.is_err() {
            return Err(self.corrupt());
        }
        self.notify_jobs(1);
        Ok(None)
    }

    /// The word with which a RUNNING slot goes back to READY when its owner gives it back or has died; `None` if nothing is left in it.
    ///
    /// An attempt belongs to what was in hand: if items were done since the last one was counted, it is the first of another item. A bundle
    /// with an attempt counted is then run one item at a time, so that the item which kills its workers ends up alone.
    pub(super) fn returned(&self, slot: u32, running: SlotWord, charge: bool, given_up: &mut u64) -> Option<SlotWord> {
        let head = self.head(slot);
        let items = self.items(slot);
        let ready = running.to(State::Ready, 0);
        if items == 1 {
            let word = if charge { ready.charged() } else { ready };
            if charge && u32::from(word.attempt()) >= self.attempts() {
                *given_up += 1;
                self.desc().lost.fetch_add(1, Relaxed);
                return None;
            }
            return Some(word);
        }
        let done = head.done.load(Acquire); // A ↔ R in `done_items`
        let mut word = ready;
        let in_hand = self.in_hand(slot);
        if charge && in_hand != 0 {
            let count = done.count_ones() as u8;
            if count > head.charged_at.load(Relaxed) {
                word = ready.uncharged();
            }
            word = word.charged();
            head.charged_at.store(count, Relaxed);
            if u32::from(word.attempt()) >= self.attempts() {
                let lost = u64::from(in_hand.count_ones());
                *given_up += lost;
                self.desc().lost.fetch_add(lost, Relaxed);
                head.done.fetch_or(in_hand, Relaxed);
                word = ready.uncharged();
            }
        }
        head.started.store(0, Relaxed);
        (self.left(slot) != 0).then_some(word)
    }

    /// How many workers a job may cost: as it was when the channel was opened.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Gives slots of a queue whose items are done their end: FINISHED (or RUNNING, by its owner) → FREE with the count, under the job
    /// lock. By CAS, since a waiter may have done it for us (rule 13); what we won counts.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn deliver_free(&self, finished: &[(u32, SlotWord)]) -> Result<(), Stop> {
        for part in finished.chunks(MAX_BATCH as usize) {
            let mut ended = Ended::new(self, part);
            {
                let _section = Section::enter(&self.region, self.job_lock())?;
                ended.free(self, part);
            }
            ended.tell(self, part);
        }
        Ok(())
    }

    /// Counts what this process has done. Only a hint for others, and its only writer is this process.
    #[inline]
    pub(super) fn count_jobs(&self, count: u64) {
        let jobs = &self.region.own_entry().jobs;
        jobs.store(jobs.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Changes the pending count; the job lock is held. In a queue that lock guards all of it, so load and store do; in a pool the result lock
    /// guards its other half, so it is one atomic step (rule 12).
    #[inline]
    fn count(&self, change: impl Fn(u64) -> u64) -> u64 {
        let pending = &self.desc().pending;
        // R3: FREE or DONE before the count falls ↔ A3 in `pending`.
        if self.kind == Kind::Pool {
            return pending.fetch_update(Release, Relaxed, |n| Some(change(n))).map_or(0, &change);
        }
        let now = change(pending.load(Relaxed));
        pending.store(now, Release);
        now
    }

    /// Says that there are so many entries more in the job ring.
    #[inline]
    pub(super) fn notify_jobs(&self, count: u32) {
        event::notify_again(&self.desc().jobs, &self.told_jobs, count);
    }

    /// Says that slots have become free.
    #[inline]
    pub(super) fn notify_free(&self, count: u32) {
        event::notify_again(&self.desc().free, &self.told_free, count);
    }

    /// Delivers outcomes in a pool: FINISHED → DONE with the count, under the result lock, by CAS (rule 13).
    ///
    /// # Errors
    /// If the region has ended.
    pub fn deliver_done(&self, finished: &[(u32, SlotWord)]) -> Result<(), Stop> {
        let d = self.desc();
        let mut wins = 0;
        let pushed = {
            let _section = Section::enter(&self.region, self.result_lock())?;
            let ring = self.result_ring();
            let mut result = Ok(());
            let early = if planted(Bug::PoolCountFallsFirst) { finished.len() as u64 } else { 0 };
            if early > 0 {
                d.pending.fetch_sub(early, Release);
            }
            for &(slot, word) in finished {
                let done = word.to(State::Done, 0);
                if planted(Bug::DeliveryWithoutCas) {
                    self.head(slot).word.store(word.0, Relaxed);
                }
                // R4: outcome before DONE ↔ A4 in `collect`. A ↔ FINISHED's release, for one who helps.
                if self.head(slot).word.compare_exchange(word.0, done.0, AcqRel, Relaxed).is_ok() {
                    wins += 1;
                    result = result.and(ring.push([Entry { slot, generation: word.generation() }].into_iter()));
                }
            }
            d.pending.fetch_sub(wins - early, Release); // R3: DONE before the count falls ↔ A3 in `pending`
            result
        };
        if pushed.is_err() {
            return Err(self.corrupt());
        }
        if wins > 0 {
            event::notify_again(&d.done, &self.told_done, wins as u32);
        }
        Ok(())
    }

    /// Pops up to `most` entries from the result ring; how many, and the event's sequence as it was then if the ring is empty now (rule 1).
    ///
    /// # Errors
    /// If the region has ended in a way that leaves nothing to read.
    pub fn pop_results(&self, most: u32, into: &mut Vec<Entry>) -> Result<(u32, Option<event::Seen>), Stop> {
        let popped = {
            let _section = Section::enter(&self.region, self.result_lock())?;
            let popped = self.result_ring().pop(most, |entry| into.push(entry));
            popped.map(|n| (n, (n < most).then(|| event::look(&self.desc().done))))
        };
        popped.map_err(|Corrupt| self.corrupt())
    }

    /// Accepted items that are not done; the items of a bundle count until all of it is done.
    #[inline]
    pub fn pending(&self) -> u64 {
        self.desc().pending.load(Acquire) // A3 ↔ R3
    }

    /// Delivers what others have finished and not delivered, for one who is about to sleep until it is; whether there was any.
    pub fn help(&self) -> bool {
        self.help_with(0..self.slots)
    }

    /// The same of these slots only.
    pub fn help_with(&self, slots: impl Iterator<Item = u32>) -> bool {
        if planted(Bug::NoHelp) {
            return false;
        }
        let finished = |slot| {
            // SeqCst ↔ the CAS to FINISHED in `finish`: the other half of rule 13.
            let word = SlotWord(self.head(slot).word.load(SeqCst));
            word.is(State::Finished).then_some((slot, word))
        };
        let finished: Vec<(u32, SlotWord)> = slots.filter_map(finished).collect();
        if finished.is_empty() {
            return false;
        }
        match self.kind {
            Kind::Pool => self.deliver_done(&finished).is_ok(),
            _ => self.deliver_free(&finished).is_ok(),
        }
    }

    /// Whether somebody may be waiting for what a finished job sets free (rule 13): load after FINISHED.
    #[inline]
    pub fn somebody_waits(&self) -> bool {
        let d = self.desc();
        // Who waits for room in the arena waits for the blocks of what is finished.
        let room = self.region.arena(self.payload_arena()).room();
        d.done.sleepers.load(SeqCst) != 0 || d.free.sleepers.load(SeqCst) != 0 || room.sleepers.load(SeqCst) != 0
    }
}

/// Slots of a queue on their way to FREE: what is looked up before the section, done in it, and told after it.
struct Ended {
    won: [u32; MAX_BATCH as usize],
    wins: usize,
    items: u64,
    /// Whether nothing is pending any more.
    last: bool,
    blocks: Vec<(u32, u32)>,
}

impl Ended {
    #[inline]
    fn new(channel: &Channel, slots: &[(u32, SlotWord)]) -> Self {
        let blocks = channel.blocks_of(slots.iter().map(|s| s.0));
        Ended { won: [0; MAX_BATCH as usize], wins: 0, items: 0, last: false, blocks }
    }

    /// With the job lock held.
    #[inline]
    fn free(&mut self, channel: &Channel, slots: &[(u32, SlotWord)]) {
        let early = if planted(Bug::CountFallsFirst) { slots.iter().map(|s| u64::from(channel.items(s.0))).sum() } else { 0 };
        if early > 0 {
            channel.count(|pending| pending.wrapping_sub(early));
        }
        for &(slot, word) in slots {
            let count = u64::from(channel.items(slot));
            // R2: the copy out came before FREE ↔ A2 in `take`. A ↔ FINISHED's release, for one who helps.
            if channel.head(slot).word.compare_exchange(word.0, word.freed().0, AcqRel, Relaxed).is_ok() {
                self.won[self.wins] = slot;
                self.wins += 1;
                self.items += count;
            }
        }
        if self.items > 0 {
            self.last = channel.count(|pending| pending.wrapping_sub(self.items - early)) == 0;
        }
    }

    /// After it.
    #[inline]
    fn tell(mut self, channel: &Channel, slots: &[(u32, SlotWord)]) {
        channel.free_blocks(&mut self.blocks, slots);
        if self.wins > 0 {
            channel.free_bits().give(self.won[..self.wins].iter().copied());
            channel.count_jobs(self.items);
            channel.notify_free(self.wins as u32);
        }
        if self.last {
            event::notify(&channel.desc().done, u32::MAX);
        }
    }
}

fn d_workers(region: &Region) -> u32 {
    region.header().workers.load(Relaxed).clamp(1, 4095)
}
