//! What both kinds of queue do: find a slot, fill it, publish; take a batch of entries, start one after the other; wait.

use super::attached::Attached;
use super::codec::Codec;
use super::error::{GetError, PutError, PutManyError};
use super::spill::Spill;
use crate::layout::SlotWord;
use crate::ring::channel::MAX_BATCH;
use crate::ring::slots::{JOBS, RESULTS};
use crate::ring::{Channel, Entry, Filling, Kind, NoRoom, Payload, Popped, Stop, event};
use crate::sys::clock::{self, Deadline};
use crate::sys::futex::Wait;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long an operation waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Not at all.
    Now,
    /// Until a moment, or for ever.
    Until(Option<Deadline>),
}

impl Patience {
    pub(super) const FOREVER: Patience = Patience::Until(None);

    pub(super) fn for_(timeout: Duration) -> Self {
        Patience::Until(Some(Deadline::after(timeout)))
    }

    fn deadline(self) -> Option<Deadline> {
        match self {
            Patience::Now => Some(Deadline(0)),
            Patience::Until(deadline) => deadline,
        }
    }
}

/// A batch is popped for about so long, so that long jobs are popped one by one.
const BATCH_NANOS: u64 = 200_000;

/// How long a put waits without any progress in the queue when its process has unfinished jobs of that same queue: all slots may
/// be taken by tasks that wait like itself (protocol, rule 20).
const STUCK: Duration = Duration::from_millis(200);

/// What a process knows privately about a channel.
#[derive(Default)]
pub(super) struct Local {
    /// Popped and not started.
    pub(super) popped: VecDeque<Entry>,
    /// How many were popped at once, and when.
    batch: u32,
    started: u64,
    /// How many to pop at most.
    most: Option<u32>,
    /// FINISHED by us, not delivered.
    pub(super) finished: Vec<(u32, SlotWord)>,
    /// Moved out of the region by the parent.
    spill: Spill,
}

/// A channel as both kinds of queue use it.
pub(crate) struct Core {
    pub(super) attached: Arc<Attached>,
    pub(super) channel: Arc<Channel>,
    local: Mutex<Local>,
    /// Jobs of this queue that this process has and has not finished.
    pub(super) holding: AtomicU32,
}

/// An item that was taken.
pub(super) enum Taken {
    /// From a slot, now RUNNING and ours.
    Slot(u32, SlotWord),
    /// From private memory.
    Spilled(Vec<u8>),
}

/// Why no slot or block was found.
enum NoSlot {
    Full,
    TimedOut,
    Closed,
    TooLarge(usize),
    Stopped(Stop),
}

impl NoSlot {
    fn with<T>(self, item: T, size: usize) -> PutError<T> {
        match self {
            NoSlot::Full => PutError::Full(item),
            NoSlot::TimedOut => PutError::TimedOut(item),
            NoSlot::Closed => PutError::Closed(item),
            NoSlot::TooLarge(limit) => PutError::TooLarge { item, size, limit },
            NoSlot::Stopped(why) => PutError::Stopped { item, why },
        }
    }
}

impl Core {
    pub(super) fn new(attached: Arc<Attached>, channel: Arc<Channel>) -> Self {
        Core { attached, channel, local: Mutex::default(), holding: AtomicU32::new(0) }
    }

    pub(super) fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Puts one item.
    pub(super) fn put<T, C: Codec<T>>(&self, item: T, patience: Patience) -> Result<(), PutError<T>> {
        let mut length = 0;
        let put = C::encode(&item, |bytes| {
            length = bytes.len();
            let filling = self.slot(patience)?;
            if let Err(e) = self.fill(filling, bytes, patience) {
                self.channel.give_back([filling].into_iter());
                return Err(e);
            }
            self.channel.publish(&[filling]).map_err(NoSlot::Stopped)
        });
        match put {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(why.with(item, length)),
            Err(why) => Err(PutError::Encode { item, why }),
        }
    }

    /// Puts items in sections of up to 64; waits for slots as long as it takes.
    pub(super) fn put_many<T, C: Codec<T>>(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutManyError<T>> {
        let mut items = items.into_iter();
        let mut put = 0;
        let mut slots = [Filling { slot: 0, word: SlotWord(0) }; MAX_BATCH as usize];
        loop {
            let Some(first) = items.next() else { return Ok(put) };
            let mut next = Some(first);
            let want = (items.size_hint().1.unwrap_or(usize::MAX).saturating_add(1)).min(MAX_BATCH as usize) as u32;
            let mut got = 0;
            let mut keep = |f: Filling| {
                slots[got] = f;
                got += 1;
            };
            if self.closed() || self.channel.take(want, &mut keep) == 0 {
                match self.slot(Patience::FOREVER) {
                    Ok(filling) => keep(filling),
                    Err(why) => return Err(PutManyError { put, error: why.with(next.expect("not yet put"), 0) }),
                }
            }
            let mut filled = 0;
            let mut failed = None;
            while filled < got {
                let Some(item) = next.take().or_else(|| items.next()) else { break };
                let mut length = 0;
                let result = C::encode(&item, |bytes| {
                    length = bytes.len();
                    // What is filled already is published before this waits for room: it may be what the room depends on.
                    match self.channel.write_payload(slots[filled], bytes) {
                        Ok(()) => Ok(true),
                        Err(NoRoom::Now(_)) => Ok(false),
                        Err(NoRoom::Ever(limit)) => Err(NoSlot::TooLarge(limit)),
                        Err(NoRoom::Stopped(why)) => Err(NoSlot::Stopped(why)),
                    }
                });
                match result {
                    Ok(Ok(true)) => filled += 1,
                    Ok(Ok(false)) => {
                        next = Some(item);
                        break;
                    }
                    Ok(Err(why)) => failed = Some(why.with(item, length)),
                    Err(why) => failed = Some(PutError::Encode { item, why }),
                }
                if failed.is_some() {
                    break;
                }
            }
            if filled > 0
                && let Err(why) = self.channel.publish(&slots[..filled])
            {
                // The region has ended, and with it all that was in it; the items of this section are gone with it.
                return match next.take().or_else(|| items.next()) {
                    Some(item) => Err(PutManyError { put, error: PutError::Stopped { item, why } }),
                    None => Ok(put),
                };
            }
            put += filled;
            if filled < got {
                self.channel.give_back(slots[filled..got].iter().copied());
            }
            if let Some(error) = failed {
                return Err(PutManyError { put, error });
            }
            if let Some(item) = next {
                // The arena had no room: this one waits for it alone.
                self.put::<T, C>(item, Patience::FOREVER).map_err(|error| PutManyError { put, error })?;
                put += 1;
            }
        }
    }

    pub(super) fn closed(&self) -> bool {
        self.channel.desc().closed.load(Relaxed) != 0
    }

    /// A free slot, waited for.
    fn slot(&self, patience: Patience) -> Result<Filling, NoSlot> {
        let d = self.channel.desc();
        let mut stuck = self.stuck_at();
        loop {
            let seen = event::look(&d.free); // before the look for a slot (rule 5)
            self.channel.check().map_err(NoSlot::Stopped)?;
            if self.closed() {
                return Err(NoSlot::Closed);
            }
            let mut found = None;
            self.channel.take(1, |f| found = Some(f));
            if let Some(filling) = found {
                return Ok(filling);
            }
            self.wait_for_room(&d.free, seen, patience, &mut stuck)?;
        }
    }

    /// Writes an item into a slot, waiting for room in the arena if it needs a block.
    fn fill(&self, filling: Filling, bytes: &[u8], patience: Patience) -> Result<(), NoSlot> {
        let mut stuck = self.stuck_at();
        loop {
            let seen = match self.channel.write_payload(filling, bytes) {
                Ok(()) => return Ok(()),
                Err(NoRoom::Ever(limit)) => return Err(NoSlot::TooLarge(limit)),
                Err(NoRoom::Stopped(why)) => return Err(NoSlot::Stopped(why)),
                Err(NoRoom::Now(seen)) => seen,
            };
            self.channel.check().map_err(NoSlot::Stopped)?;
            let arena = if self.channel.kind() == Kind::Queue { RESULTS } else { JOBS };
            let room = self.attached.region().arena(arena).room();
            self.wait_for_room(room, seen, patience, &mut stuck)?;
        }
    }

    /// The moment at which a put gives up that may be waiting for itself.
    fn stuck_at(&self) -> Option<(Deadline, u64)> {
        (self.holding.load(Relaxed) > 0).then(|| (Deadline::after(STUCK), self.progress()))
    }

    /// A number that changes whenever the queue moves.
    fn progress(&self) -> u64 {
        let d = self.channel.desc();
        u64::from(d.job_head.load(Relaxed)) << 32 | u64::from(d.free.sequence.load(Relaxed))
    }

    fn wait_for_room(
        &self,
        place: &crate::layout::EventWords,
        seen: event::Seen,
        patience: Patience,
        stuck: &mut Option<(Deadline, u64)>,
    ) -> Result<(), NoSlot> {
        let Patience::Until(deadline) = patience else { return Err(NoSlot::Full) };
        self.deliver_finished().map_err(NoSlot::Stopped)?;
        let except = (self.channel.kind() == Kind::Queue).then(|| self.channel.index());
        let full = |_| NoSlot::Full;
        if self.attached.relieve(except).map_err(full)? {
            return Ok(());
        }
        let until = match (*stuck, deadline) {
            (Some((at, _)), Some(d)) => Some(at.min(d)),
            (Some((at, _)), None) => Some(at),
            (None, d) => d,
        };
        let waited = event::wait(self.attached.region(), place, seen, until, || {
            self.attached.call_for_relief();
            self.channel.kind() == Kind::Joinable && self.channel.help()
                || self.attached.relieve(except).is_ok_and(|moved| moved)
        });
        if waited == Wait::TimedOut {
            if deadline.is_some_and(Deadline::passed) {
                return Err(NoSlot::TimedOut);
            }
            if let Some((_, before)) = *stuck {
                if self.progress() == before {
                    return Err(NoSlot::Full);
                }
                *stuck = self.stuck_at();
            }
        }
        Ok(())
    }

    /// Takes up to `most` items and hands each to `each`; waits for the first as long as `patience` says. Starting the items is the only
    /// thing that makes them ours: an entry that somebody else started first is passed over.
    pub(super) fn take(&self, most: Option<u32>, patience: Patience, mut each: impl FnMut(Taken)) -> Result<u32, GetError> {
        let d = self.channel.desc();
        if self.channel.kind() == Kind::Queue && !self.attached.is_parent() && d.worker_gets.load(Relaxed) == 0 {
            d.worker_gets.store(1, Relaxed);
        }
        let limit = most.unwrap_or(1);
        let mut got = 0;
        loop {
            let seen = {
                let mut local = self.local();
                while got < limit && !local.spill.is_empty() {
                    let mut bytes = vec![];
                    local.spill.pop_into(&mut bytes);
                    self.attached.held.fetch_sub((bytes.len() + 4).min(self.attached.held.load(Relaxed)), Relaxed);
                    each(Taken::Spilled(bytes));
                    got += 1;
                }
                loop {
                    while got < limit
                        && let Some(entry) = local.popped.pop_front()
                    {
                        if let Some(word) = self.channel.start(entry) {
                            each(Taken::Slot(entry.slot, word));
                            got += 1;
                        }
                    }
                    if got >= limit {
                        return Ok(got);
                    }
                    // An explicit number is what the caller wants, and it wants it now.
                    match self.refill(&mut local, most.map(|_| limit - got))? {
                        Popped::Some(_) => {}
                        Popped::Empty(_) if got > 0 => return Ok(got),
                        Popped::Empty(seen) => break seen,
                    }
                }
            };
            self.deliver_finished()?;
            self.channel.check()?;
            if self.channel.offer_again()? > 0 {
                continue;
            }
            if self.closed() {
                return Err(GetError::Closed);
            }
            let Patience::Until(deadline) = patience else { return Err(GetError::Empty) };
            let relieved = self.attached.relieve(Some(self.channel.index()));
            if relieved.is_ok_and(|moved| moved) {
                continue;
            }
            let waited = event::wait(self.attached.region(), &d.jobs, seen, deadline, || self.closed());
            if waited == Wait::TimedOut && patience.deadline().is_some_and(Deadline::passed) {
                return Err(GetError::TimedOut);
            }
        }
    }

    /// Pops a new batch.
    fn refill(&self, local: &mut Local, wanted: Option<u32>) -> Result<Popped, Stop> {
        let now = if wanted.is_none() && self.channel.kind() != Kind::Queue { clock::now() } else { 0 };
        if local.batch > 0 {
            self.channel.batch_used(local.batch);
            if now > 0 && local.started > 0 {
                let each = (now - local.started) / u64::from(local.batch) + 1;
                local.most = Some((BATCH_NANOS / each).clamp(1, u64::from(MAX_BATCH)) as u32);
            }
        }
        local.batch = 0;
        let most = local.most.unwrap_or(MAX_BATCH);
        let popped = self.channel.pop(wanted, most, &mut local.popped)?;
        if let Popped::Some(n) = popped {
            local.batch = n;
            local.started = now;
        }
        Ok(popped)
    }

    /// Delivers what this process has finished.
    pub(super) fn deliver_finished(&self) -> Result<(), Stop> {
        let mut local = self.local();
        self.deliver(&mut local)
    }

    pub(super) fn deliver(&self, local: &mut Local) -> Result<(), Stop> {
        if local.finished.is_empty() {
            return Ok(());
        }
        let result = self.channel.deliver_free(&local.finished);
        local.finished.clear();
        result
    }

    /// In the parent: moves all items of this Queue into private memory.
    pub(super) fn absorb(&self) -> bool {
        let Ok(mut local) = self.local.try_lock() else { return false };
        let local = &mut *local;
        let mut moved = false;
        let mut taken = Vec::with_capacity(MAX_BATCH as usize);
        loop {
            while let Some(entry) = local.popped.pop_front() {
                let Some(word) = self.channel.start(entry) else { continue };
                if let Ok(payload) = self.channel.payload(entry.slot) {
                    let mut bytes = Vec::with_capacity(payload.len());
                    payload.append_to(&mut bytes);
                    local.spill.push(&bytes);
                    self.attached.held.fetch_add(bytes.len() + 4, Relaxed);
                }
                taken.push((entry.slot, word));
                moved = true;
            }
            self.channel.release(&taken);
            taken.clear();
            if !matches!(self.refill(local, Some(MAX_BATCH)), Ok(Popped::Some(_))) {
                return moved;
            }
        }
    }

    /// Decodes what was taken from a slot.
    pub(super) fn decode<T, C: Codec<T>>(&self, slot: u32) -> Result<T, GetError> {
        C::decode(self.channel.payload(slot)?).map_err(GetError::Decode)
    }

    pub(super) fn decode_bytes<T, C: Codec<T>>(bytes: &[u8]) -> Result<T, GetError> {
        C::decode(Payload::of(bytes)).map_err(GetError::Decode)
    }

    /// Items that nobody has taken, by a look at every slot, and those that were moved out of the region.
    pub(super) fn len(&self) -> usize {
        self.channel.count(crate::layout::State::Ready) + self.local().spill.len()
    }

    /// Ends puts, and gets when nothing is left.
    pub(super) fn close(&self) {
        let d = self.channel.desc();
        // SeqCst ↔ the last look of a taker that has counted itself.
        d.closed.store(1, SeqCst);
        event::notify_all(&d.jobs);
        event::notify_all(&d.free);
    }
}
