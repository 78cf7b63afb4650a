//! What both kinds of queue do: find a slot, fill it, publish; take a batch of entries, start one after the other; wait.

use super::attached::Attached;
use super::codec::Codec;
use super::error::{GetError, PutError, PutManyError};
use super::spill::Spill;
use crate::layout::{EventWords, SlotWord, State};
use crate::ring::channel::MAX_BATCH;
pub(super) use crate::ring::event::Patience;
use crate::ring::slots::all_of;
use crate::ring::{Channel, Entry, Filling, Kind, NoRoom, Payload, Popped, Stop, event};
use crate::sys::clock::{self, Deadline};
use crate::sys::futex::Wait;
use crate::sys::planted::{Bug, planted};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A batch is popped for about so long, so that long jobs are popped one by one.
const BATCH_NANOS: u64 = 200_000;

/// How long a put waits without any progress in the queue when its process has unfinished jobs of that same queue: all slots may
/// be taken by tasks that wait like itself (protocol, rule 20).
const STUCK: Duration = Duration::from_millis(200);

/// So many entries ahead the slots are fetched.
const PREFETCH: usize = 1;

/// A new average of the jobs' time is taken once in so many batches: reading the clock costs as much as a small job.
const MEASURE_EVERY: u32 = 16;

/// A bundle holds at most about so much work, since all of it goes to one worker.
const BUNDLE_NANOS: u32 = 20_000;

/// What a process knows privately about a channel.
#[derive(Default)]
pub(super) struct Local {
    /// Popped and not started.
    pub(super) popped: VecDeque<Entry>,
    /// How many were popped at once; how many items came of them; when that was, if it is being measured.
    batch: u32,
    items: u32,
    started: u64,
    batches: u32,
    /// How many to pop at most.
    most: Option<u32>,
    /// Ended by us, not delivered.
    pub(super) finished: Vec<(u32, SlotWord)>,
    /// Moved out of the region by the parent.
    spill: Spill,
    /// A bundle of which not all items have been handed out, and its payload.
    open: Option<Open>,
    payload: Vec<u8>,
    /// Bytes of the last payload: what the next one will take, most likely.
    prefetch: usize,
    /// Bundles that go back to the queue as soon as nothing of them is in hand.
    returned: Vec<Returned>,
    /// Jobs that this process has and has not finished.
    pub(super) holding: usize,
}

/// A bundle that is being handed out.
struct Open {
    /// Where it came from; `None`: from private memory, where nothing has to be noted.
    from: Option<(u32, SlotWord)>,
    items: u8,
    /// Items not done when it was taken.
    left: u64,
    /// The next item, and where in the payload it starts.
    next: u8,
    at: usize,
}

impl Open {
    /// Whether all of it is there to be handed out at once.
    fn fresh(&self) -> bool {
        self.next == 0 && self.left == all_of(self.items) && self.from.is_none_or(|(_, word)| word.attempt() == 0)
    }
}

/// A bundle of which items were given back.
struct Returned {
    slot: u32,
    word: SlotWord,
    mask: u64,
    charge: bool,
}

/// Items of one slot that were handed out together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) slot: u32,
    pub(super) word: SlotWord,
    pub(super) mask: u64,
    pub(super) items: u8,
}

impl Part {
    /// For items that came from private memory.
    const NONE: Part = Part { slot: u32::MAX, word: SlotWord(0), mask: 0, items: 0 };

    /// Whether it is all that the slot holds.
    fn whole(&self) -> bool {
        self.mask == all_of(self.items)
    }
}

/// When a put that may be waiting for itself gives up, unless the queue has moved from where it was.
struct Stuck {
    at: Deadline,
    before: (u32, u64, u64),
}

/// A channel as both kinds of queue use it.
pub(crate) struct Core {
    pub(super) attached: Arc<Attached>,
    pub(super) channel: Arc<Channel>,
    local: Mutex<Local>,
    /// In the parent: whether it has put items of its own, which are for others.
    pub(super) parent_puts: AtomicBool,
    /// In the parent: whether it has moved items out of the way before.
    pub(super) absorbs: AtomicBool,
}

/// What there is to hand out.
enum Next {
    /// The one item of a slot, now RUNNING and ours.
    Single(u32, SlotWord),
    /// Items of `Local::open`.
    Bundle,
}

/// Why no slot or block was found.
enum NoSlot {
    Full,
    ResultsFull(usize),
    TimedOut,
    Closed,
    TooLarge(usize),
    Stopped(Stop),
}

impl NoSlot {
    fn with<T>(self, item: T, size: usize) -> PutError<T> {
        match self {
            NoSlot::Full => PutError::Full(item),
            NoSlot::ResultsFull(limit) => PutError::ResultsFull { item, limit },
            NoSlot::TimedOut => PutError::TimedOut(item),
            NoSlot::Closed => PutError::Closed(item),
            NoSlot::TooLarge(limit) => PutError::TooLarge { item, size, limit },
            NoSlot::Stopped(why) => PutError::Stopped { item, why },
        }
    }
}

impl Core {
    pub(super) fn new(attached: Arc<Attached>, channel: Arc<Channel>) -> Self {
        let [parent_puts, absorbs] = [false; 2].map(AtomicBool::new);
        Core { attached, channel, local: Mutex::default(), parent_puts, absorbs }
    }

    pub(super) fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Puts one item.
    pub(super) fn put<T, C: Codec<T>>(&self, item: T, patience: Patience) -> Result<(), PutError<T>> {
        let mut length = 0;
        let put = C::encode(&item, |bytes| {
            length = bytes.len();
            if planted(Bug::CommitBeforePayload) {
                let slot = self.slot(patience, false)?;
                return self.publish(&[slot]).map_err(NoSlot::Stopped).and_then(|()| self.fill(slot, bytes, patience));
            }
            let filling = self.filled(bytes, 1, patience)?;
            self.publish(&[filling]).map_err(NoSlot::Stopped)
        });
        match put {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(why.with(item, length)),
            Err(why) => Err(PutError::Encode { item, why }),
        }
    }

    fn publish(&self, filled: &[Filling]) -> Result<(), Stop> {
        if self.attached.is_parent() {
            self.parent_puts.store(true, Relaxed);
        }
        self.channel.publish(filled)?;
        if self.attached.relief_wanted(&self.channel) {
            self.attached.call_for_relief(None);
        }
        Ok(())
    }

    /// How many items to put into one slot.
    fn bundle_limit(&self) -> u64 {
        let d = self.channel.desc();
        let taken_by_parent = self.channel.kind() == Kind::Queue && !self.channel.workers_take();
        let by_time = match d.job_nanos.load(Relaxed) {
            _ if taken_by_parent => 64,
            // Unknown: as if they were long, or one worker would get them all.
            0 => 1,
            nanos => u64::from(BUNDLE_NANOS / nanos).clamp(1, 64),
        };
        by_time.min(u64::from(self.channel.capacity()).saturating_sub(self.channel.pending()))
    }

    /// Puts items, several to a slot and several slots to a section; waits for slots as long as it takes.
    pub(super) fn put_many<T, C: Codec<T>>(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutManyError<T>> {
        let mut items = items.into_iter();
        let mut put = 0;
        let mut bytes = Vec::with_capacity(self.channel.inline_payload() + 64);
        let mut carried: Option<T> = None;
        loop {
            // Filled slots of one section. More than the first one only if that takes no waiting.
            let mut filled = [Filling { slot: 0, word: SlotWord(0), items: 0 }; 16];
            let mut n = 0;
            let mut failed = None;
            while n < filled.len() {
                bytes.clear();
                let mut limit = self.bundle_limit().max(1);
                let mut count = 0u64;
                if C::FIXED > 0 && carried.is_none() {
                    // Items of one length: how many fit is known, and none is carried over.
                    limit = limit.min((self.channel.inline_payload() / C::FIXED).max(1) as u64);
                    for item in items.by_ref().take(limit as usize) {
                        // Plain data always has an encoding: it is what it is.
                        let _ = C::encode(&item, |encoded| bytes.extend_from_slice(encoded));
                        count += 1;
                    }
                    limit = 0;
                }
                // What fills a slot is alone: the next one would be encoded only to be carried over.
                while count < limit
                    && (count == 0 || bytes.len() < self.channel.inline_payload())
                    && let Some(item) = carried.take().or_else(|| items.next())
                {
                    let before = bytes.len();
                    if let Err(why) = append::<T, C>(&item, &mut bytes) {
                        failed = Some(PutManyError { put: 0, items: vec![item], why: PutError::Encode { item: (), why } });
                        break;
                    }
                    if count > 0 && bytes.len() > self.channel.inline_payload() {
                        bytes.truncate(before);
                        carried = Some(item);
                        break;
                    }
                    count += 1;
                }
                if count == 0 {
                    break;
                }
                // A single item needs no length before it.
                let payload = if count == 1 && C::FIXED == 0 { &bytes[PREFIX..] } else { &bytes[..] };
                let patience = if n == 0 { Patience::FOREVER } else { Patience::Now };
                match self.filled(payload, count as u16, patience) {
                    Ok(filling) => {
                        filled[n] = filling;
                        n += 1;
                    }
                    // What is filled goes first; then these wait for their slot.
                    Err(NoSlot::Full) if n > 0 => {
                        let published = self.publish(&filled[..n]);
                        let before: usize = filled[..n].iter().map(|f| usize::from(f.items)).sum();
                        n = 0;
                        let again = published.map_err(NoSlot::Stopped);
                        put += if again.is_ok() { before } else { 0 };
                        match again.and_then(|()| self.filled(payload, count as u16, Patience::FOREVER)) {
                            Ok(filling) => {
                                filled[0] = filling;
                                n = 1;
                            }
                            Err(why) => failed = Some(unput::<T, C>(why, &bytes, count)),
                        }
                    }
                    Err(why) => failed = Some(unput::<T, C>(why, &bytes, count)),
                }
                if failed.is_some() {
                    break;
                }
            }
            if n > 0 {
                match self.publish(&filled[..n]) {
                    Ok(()) => put += filled[..n].iter().map(|f| usize::from(f.items)).sum::<usize>(),
                    // The region has ended, and all that was in it with it.
                    Err(why) => {
                        failed =
                            failed.or(Some(PutManyError { put: 0, items: vec![], why: PutError::Stopped { item: (), why } }))
                    }
                }
            }
            if let Some(mut failed) = failed {
                failed.put = put;
                failed.items.extend(carried);
                return Err(failed);
            }
            if n < filled.len() {
                return Ok(put);
            }
        }
    }

    /// A slot, filled.
    fn filled(&self, payload: &[u8], items: u16, patience: Patience) -> Result<Filling, NoSlot> {
        let filling = Filling { items, ..self.slot(patience, false)? };
        match self.fill(filling, payload, patience) {
            Ok(()) => Ok(filling),
            Err(e) => {
                self.channel.give_back([filling].into_iter());
                Err(e)
            }
        }
    }

    pub(super) fn closed(&self) -> bool {
        // SeqCst ↔ the store in `close`.
        self.channel.desc().closed.load(SeqCst) != 0
    }

    /// A free slot, waited for; `closed`: also if the queue is.
    fn slot(&self, patience: Patience, closed: bool) -> Result<Filling, NoSlot> {
        self.attached.at_work();
        let d = self.channel.desc();
        let mut stuck = None;
        loop {
            let seen = event::look(&d.free); // before the look for a slot (rule 5)
            self.channel.check().map_err(NoSlot::Stopped)?;
            if !closed && self.closed() {
                return Err(NoSlot::Closed);
            }
            let mut found = None;
            // Bundles hold more items than one, so that slots may be free when the queue is full.
            if self.channel.pending() < u64::from(self.channel.capacity()) {
                self.channel.take(1, |f| found = Some(f));
            }
            if let Some(filling) = found {
                return Ok(filling);
            }
            self.wait_for_room(&d.free, None, seen, patience, &mut stuck)?;
        }
    }

    /// Writes an item into a slot, waiting for room in the arena if it needs a block.
    fn fill(&self, filling: Filling, bytes: &[u8], patience: Patience) -> Result<(), NoSlot> {
        let mut stuck = None;
        loop {
            let seen = match self.channel.write_payload(filling, bytes) {
                Ok(()) => return Ok(()),
                Err(NoRoom::Ever(limit)) => return Err(NoSlot::TooLarge(limit)),
                Err(NoRoom::Stopped(why)) => return Err(NoSlot::Stopped(why)),
                Err(NoRoom::Now(seen)) => seen,
            };
            self.channel.check().map_err(NoSlot::Stopped)?;
            let arena = self.channel.payload_arena();
            let room = self.attached.region().arena(arena).room();
            self.wait_for_room(room, Some(arena), seen, patience, &mut stuck)?;
        }
    }

    /// The moment at which a put gives up that may be waiting for itself, and how far the queue has come.
    fn stuck_at(&self) -> Option<Stuck> {
        (self.local().holding > 0).then(|| Stuck { at: Deadline::after(STUCK), before: self.progress() })
    }

    /// What changes whenever the queue moves: jobs taken, put, ended.
    fn progress(&self) -> (u32, u64, u64) {
        let d = self.channel.desc();
        (d.job_head.load(Relaxed), d.ticket.load(Relaxed), d.pending.load(Relaxed))
    }

    /// Waits at `place`: for a free slot, or for room in `arena`.
    fn wait_for_room(
        &self,
        place: &EventWords,
        arena: Option<usize>,
        seen: event::Seen,
        patience: Patience,
        stuck: &mut Option<Stuck>,
    ) -> Result<(), NoSlot> {
        // What is finished is as good as free.
        let help = || match arena {
            None => self.channel.help(),
            Some(arena) => self.attached.help_all(arena),
        };
        let Patience::Until(deadline) = patience else {
            return if help() { Ok(()) } else { Err(NoSlot::Full) };
        };
        self.deliver_finished().map_err(NoSlot::Stopped)?;
        if stuck.is_none() {
            *stuck = self.stuck_at();
        }
        let except = (self.channel.kind() == Kind::Queue).then(|| self.channel.index());
        if self.attached.relieve(except).map_err(|_| NoSlot::ResultsFull(self.attached.limit))? {
            return Ok(());
        }
        let until = match (stuck.as_ref(), deadline) {
            (Some(s), Some(d)) => Some(s.at.min(d)),
            (Some(s), None) => Some(s.at),
            (None, d) => d,
        };
        let mut full = false;
        let waited = event::wait(self.attached.region(), place, seen, until, || {
            help() || {
                self.attached.call_for_relief(arena.is_none().then_some(place));
                let relieved = self.attached.relieve(except);
                full = relieved.is_err();
                relieved.unwrap_or(true)
            }
        });
        if full {
            return Err(NoSlot::ResultsFull(self.attached.limit));
        }
        if waited == Wait::TimedOut && deadline.is_some_and(Deadline::passed) {
            return Err(NoSlot::TimedOut);
        }
        // Also after a wake-up: there may be many for nothing.
        if let Some(s) = stuck.as_ref().filter(|s| s.at.passed()) {
            if self.progress() == s.before {
                return Err(NoSlot::Full);
            }
            *stuck = self.stuck_at();
        }
        Ok(())
    }

    /// Takes one item.
    pub(super) fn get<T, C: Codec<T>>(&self, patience: Patience) -> Result<(T, Part), GetError> {
        let (mut local, next) = self.next(patience)?;
        let local = &mut *local;
        match next {
            Next::Single(slot, word) => {
                let item = C::decode(self.channel.payload(slot)?);
                self.handed_out(local, slot, word, item.is_ok());
                local.holding += usize::from(item.is_ok() && self.counted());
                Ok((item.map_err(GetError::Decode)?, Part { slot, word, mask: 1, items: 1 }))
            }
            Next::Bundle => {
                let mut got = None;
                let part = self.hand_out::<T, C>(local, 1, |item| got = Some(item));
                match got {
                    Some(item) => Ok((item?, part)),
                    None => Err(GetError::Decode("a bundle without items".into())),
                }
            }
        }
    }

    /// Takes up to `most` items, and for each slot of which there are any, what was taken of it; waits for the first.
    pub(super) fn get_many<T, C: Codec<T>>(
        &self,
        most: usize,
        patience: Patience,
        items: &mut Vec<T>,
        mut parts: impl FnMut(Part),
    ) -> Result<(), GetError> {
        let mut failed = None;
        let (mut got, mut patience) = (0, patience);
        while got < most && failed.is_none() {
            let (mut local, next) = match self.next(patience) {
                Ok(next) => next,
                Err(GetError::Empty | GetError::Closed) if got > 0 => break,
                Err(e) => return Err(e),
            };
            let local = &mut *local;
            // Everything that is at hand, before the mutex is given back.
            let mut next = Some(next);
            while let Some(now) = next {
                match now {
                    Next::Single(slot, word) => {
                        let item = self
                            .channel
                            .payload(slot)
                            .map_err(GetError::from)
                            .and_then(|p| C::decode(p).map_err(GetError::Decode));
                        self.handed_out(local, slot, word, item.is_ok());
                        match item {
                            Ok(item) => {
                                items.push(item);
                                local.holding += usize::from(self.counted());
                                parts(Part { slot, word, mask: 1, items: 1 });
                            }
                            Err(e) => failed = Some(e),
                        }
                        got += 1;
                    }
                    Next::Bundle
                        if C::FIXED > 0
                            && local.open.as_ref().is_some_and(|o| o.fresh() && usize::from(o.items) <= most - got) =>
                    {
                        let before = items.len();
                        let (part, decoded) = self.hand_out_all::<T, C>(local, items);
                        failed = decoded.err().map(GetError::Decode);
                        got += (items.len() - before).max(1);
                        parts(part);
                    }
                    Next::Bundle => {
                        let part = self.hand_out::<T, C>(local, most - got, |item| {
                            got += 1;
                            match item {
                                Ok(item) => items.push(item),
                                Err(e) => failed = Some(e),
                            }
                        });
                        parts(part);
                    }
                }
                next = if got < most { self.at_hand(local) } else { None };
            }
            patience = Patience::Now;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether items that are handed out stay ours until they are done.
    fn counted(&self) -> bool {
        self.channel.kind() == Kind::Joinable
    }

    /// Notes that the one item of a slot has been handed out: in a Queue that is its end; in a JoinableQueue only if nobody can do it.
    fn handed_out(&self, local: &mut Local, slot: u32, word: SlotWord, decoded: bool) {
        local.items += 1;
        if (self.channel.kind() == Kind::Queue || !decoded)
            && let Some(finished) = self.channel.finish(slot, word)
        {
            local.finished.push((slot, finished));
            self.deliver_if_wanted(local);
        }
    }

    /// Hands out all of a fresh bundle of items of one length, in one copy.
    fn hand_out_all<T, C: Codec<T>>(&self, local: &mut Local, items: &mut Vec<T>) -> (Part, Result<(), String>) {
        let Some(open) = local.open.take() else { return (Part::NONE, Ok(())) };
        if let Some((slot, _)) = open.from
            && self.counted()
        {
            self.channel.begin_items(slot, open.items);
        }
        let before = items.len();
        let decoded = match usize::from(open.items) * C::FIXED == local.payload.len() {
            true => C::decode_all(&local.payload, items),
            false => Err(format!("{} items of {} bytes in {}", open.items, C::FIXED, local.payload.len())),
        };
        let count = items.len() - before;
        local.items += count as u32;
        let Some((slot, word)) = open.from else { return (Part::NONE, decoded) };
        let all = Part { slot, word, mask: all_of(open.items), items: open.items };
        if self.channel.kind() == Kind::Queue {
            self.complete(local, &all);
            return (Part::NONE, decoded);
        }
        local.holding += usize::from(open.items);
        let missing = usize::from(open.items).saturating_sub(count);
        if missing > 0 {
            // What is no value ends here: nobody can do it.
            self.complete(local, &Part { mask: all.mask & !(all.mask >> missing), ..all });
        }
        (Part { mask: all.mask >> missing, ..all }, decoded)
    }

    /// Hands out up to `most` items of the open bundle.
    fn hand_out<T, C: Codec<T>>(&self, local: &mut Local, most: usize, mut each: impl FnMut(Result<T, GetError>)) -> Part {
        let Some(mut open) = local.open.take() else { return Part::NONE };
        // A bundle that has cost a worker goes one item at a time.
        let alone = open.from.is_some_and(|(_, word)| word.attempt() > 0);
        let most = if alone { 1 } else { most };
        if let Some((slot, _)) = open.from
            && self.counted()
        {
            // Before the bytes are looked at: should decoding kill us, these are what did it.
            let left = (open.next..open.items).filter(|&k| open.left >> k & 1 == 1);
            self.channel.begin_items(slot, left.take(most).last().map_or(open.next, |k| k + 1));
        }
        let (mut mask, mut got, mut failed) = (0u64, 0, 0u64);
        while got < most && open.next < open.items {
            let end = match C::FIXED {
                0 if open.items == 1 => local.payload.len(),
                0 => match local.payload.get(open.at..open.at + PREFIX) {
                    Some(&[low, high]) => {
                        open.at += PREFIX;
                        open.at + usize::from(u16::from_le_bytes([low, high]))
                    }
                    _ => usize::MAX,
                },
                size => open.at + size,
            };
            let bit = 1u64 << open.next;
            open.next += 1;
            let bytes = local.payload.get(open.at..end);
            open.at = end.min(local.payload.len());
            if open.left & bit == 0 {
                continue;
            }
            let item = match bytes {
                Some(bytes) => C::decode(Payload::of(bytes)).map_err(GetError::Decode),
                None => Err(GetError::Decode("a bundle is shorter than its items".into())),
            };
            if item.is_err() {
                failed |= bit;
            }
            mask |= bit;
            got += 1;
            each(item);
        }
        local.items += got as u32;
        let more = open.next < open.items && open.left >> open.next != 0;
        let Some((slot, word)) = open.from else {
            if more {
                local.open = Some(open);
            }
            return Part::NONE;
        };
        let part = Part { slot, word, mask, items: open.items };
        if self.channel.kind() == Kind::Queue {
            if more {
                local.open = Some(open);
            }
            self.complete(local, &part);
            return Part::NONE;
        }
        self.channel.begin_items(slot, open.next);
        if failed != 0 {
            local.holding += failed.count_ones() as usize;
            self.complete(local, &Part { mask: failed, ..part });
        }
        if alone {
            // What is left goes back as soon as this one is done.
            local.returned.push(Returned { slot, word, mask: 0, charge: false });
        } else if more {
            local.open = Some(open);
        }
        let part = Part { mask: mask & !failed, ..part };
        local.holding += part.mask.count_ones() as usize;
        part
    }

    /// Notes items as done. The slot ends with the last of them.
    pub(super) fn complete(&self, local: &mut Local, part: &Part) {
        local.holding = local.holding.saturating_sub(part.mask.count_ones() as usize);
        let left = if part.whole() { 0 } else { self.channel.done_items(part.slot, part.mask) };
        if left == 0 {
            local.returned.retain(|r| r.slot != part.slot);
            // `None` cannot be: nobody condemns a job of this kind of queue.
            if let Some(finished) = self.channel.finish(part.slot, part.word) {
                local.finished.push((part.slot, finished));
            }
            self.deliver_if_wanted(local);
        } else if !local.returned.is_empty() {
            self.settle(local, part.slot);
        }
    }

    /// Delivers if somebody may be waiting for it (rule 13: looked up after the slot says FINISHED) or much has come together. Otherwise it is
    /// done when the next batch is popped, in the same section; and who comes to wait before that delivers it for us.
    fn deliver_if_wanted(&self, local: &mut Local) {
        if local.finished.len() >= MAX_BATCH as usize || self.channel.somebody_waits() {
            // An error means that the region has ended; the next operation says so.
            let _ = self.deliver(local);
        }
    }

    /// Gives items back to the queue: what has not been begun of their bundle goes with them, as soon as nothing of it is in hand.
    pub(super) fn give_back(&self, part: &Part, charge: bool) {
        let mut local = self.local();
        let local = &mut *local;
        local.holding = local.holding.saturating_sub(part.mask.count_ones() as usize);
        if part.whole() && part.items == 1 {
            if let Ok(Some(finished)) = self.channel.put_back(part.slot, part.word, charge) {
                local.finished.push((part.slot, finished));
                let _ = self.deliver(local);
            }
            return;
        }
        if local.open.as_ref().is_some_and(|o| o.from.is_some_and(|f| f.0 == part.slot)) {
            local.open = None;
        }
        match local.returned.iter_mut().find(|r| r.slot == part.slot) {
            Some(r) => {
                r.mask |= part.mask;
                r.charge |= charge;
            }
            None => local.returned.push(Returned { slot: part.slot, word: part.word, mask: part.mask, charge }),
        }
        self.settle(local, part.slot);
    }

    /// Puts a returned bundle back if nothing of it is in hand any more.
    fn settle(&self, local: &mut Local, slot: u32) {
        let Some(at) = local.returned.iter().position(|r| r.slot == slot) else { return };
        if self.channel.in_hand(slot) & !local.returned[at].mask != 0 {
            return;
        }
        let r = local.returned.swap_remove(at);
        if let Ok(Some(finished)) = self.channel.put_back(slot, r.word, r.charge) {
            local.finished.push((slot, finished));
            let _ = self.deliver(local);
        }
    }

    /// Something to hand out, waited for; with what this process knows, locked.
    fn next(&self, patience: Patience) -> Result<(MutexGuard<'_, Local>, Next), GetError> {
        let d = self.channel.desc();
        let first = self.channel.kind() == Kind::Queue && !self.attached.is_parent() && !self.channel.workers_take();
        if first && self.channel.worker_takes() {
            self.attached.region().ring_bell();
        }
        self.attached.at_work();
        loop {
            // Before the look for items: what was put before the end is then found.
            let closed = self.closed();
            let mut outside = false;
            let seen = {
                let mut local = self.local();
                loop {
                    if let Some(next) = self.at_hand(&mut local) {
                        return Ok((local, next));
                    }
                    if !self.attached.is_parent() && self.channel.older_outside() {
                        // The parent puts older ones back first. It has been told, and is told again in case it could not.
                        self.attached.region().ring_bell();
                        outside = true;
                        break event::look(&d.jobs);
                    }
                    if let Popped::Empty(seen) = self.refill(&mut local)? {
                        break seen;
                    }
                }
            };
            self.channel.check()?;
            if !outside && self.channel.offer_again()? > 0 {
                continue;
            }
            outside |= !self.attached.is_parent() && self.channel.outside();
            if closed && !outside {
                return Err(GetError::Closed);
            }
            let Patience::Until(deadline) = patience else { return Err(GetError::Empty) };
            let relieved = || self.attached.relieve(Some(self.channel.index())).is_ok_and(|moved| moved);
            if relieved() {
                continue;
            }
            let look_again = outside.then(|| Deadline::after(Duration::from_millis(50)));
            let until = deadline.into_iter().chain(look_again).min();
            let waited = event::wait(self.attached.region(), &d.jobs, seen, until, || self.closed() && !outside || relieved());
            if waited == Wait::TimedOut && deadline.is_some_and(Deadline::passed) {
                return Err(GetError::TimedOut);
            }
        }
    }

    /// Something to hand out, of what this process has popped or holds. Starting an entry is the only thing that makes it ours: one that
    /// somebody else started first is passed over.
    fn at_hand(&self, local: &mut Local) -> Option<Next> {
        if local.open.is_some() {
            return Some(Next::Bundle);
        }
        if let Some(items) = local.spill.pop_into(&mut local.payload) {
            self.attached.release_held(local.payload.len());
            if local.spill.len() == 0 {
                self.channel.none_outside();
            }
            local.open = Some(Open { from: None, items, left: all_of(items), next: 0, at: 0 });
            return Some(Next::Bundle);
        }
        while let Some(entry) = local.popped.pop_front() {
            if let Some(next) = local.popped.get(PREFETCH) {
                self.channel.prefetch(next.slot, local.prefetch);
            }
            let Some(word) = self.channel.start(entry) else { continue };
            let items = self.channel.items(entry.slot);
            if items == 1 {
                return Some(Next::Single(entry.slot, word));
            }
            let Ok(payload) = self.channel.payload(entry.slot) else { continue };
            local.payload.clear();
            payload.append_to(&mut local.payload);
            local.prefetch = payload.len();
            let mut open = Open { from: Some((entry.slot, word)), items, left: self.channel.left(entry.slot), next: 0, at: 0 };
            if self.channel.kind() == Kind::Queue && self.attached.is_parent() {
                // With the parent all ends: what it has copied is taken.
                if let Some(finished) = self.channel.finish(entry.slot, word) {
                    local.finished.push((entry.slot, finished));
                    self.deliver_if_wanted(local);
                }
                open.from = None;
            }
            local.open = Some(open);
            return Some(Next::Bundle);
        }
        None
    }

    /// Pops a new batch.
    fn refill(&self, local: &mut Local) -> Result<Popped, Stop> {
        if local.batch > 0 {
            self.channel.batch_used(local.batch);
            if local.started > 0 {
                self.measure(local);
            }
            local.batches = local.batches.wrapping_add(1);
        }
        (local.batch, local.items, local.started) = (0, 0, 0);
        let popped = self.channel.pop(local.most.unwrap_or(MAX_BATCH), &mut local.popped, &local.finished)?;
        local.finished.clear();
        if let Popped::Some(n) = popped {
            local.batch = n;
            if local.batches.is_multiple_of(MEASURE_EVERY) || local.most == Some(1) {
                local.started = clock::now();
            }
        }
        Ok(popped)
    }

    /// Learns from the batch that has just ended how long jobs take.
    fn measure(&self, local: &mut Local) {
        let took = clock::now() - local.started;
        let each = took / u64::from(local.batch) + 1;
        local.most = Some((BATCH_NANOS / each).clamp(1, u64::from(MAX_BATCH)) as u32);
        let nanos = &self.channel.desc().job_nanos;
        let new = (took / u64::from(local.items.max(1))).clamp(1, u64::from(u32::MAX));
        let old = u64::from(nanos.load(Relaxed));
        // A mean that forgets; what another worker stores at the same moment is as good.
        nanos.store(if old == 0 { new } else { (3 * old + new).div_ceil(4) } as u32, Relaxed);
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
        if !self.channel.hold_outside() {
            if local.spill.len() == 0 {
                self.channel.none_outside();
            }
            return false;
        }
        self.absorbs.store(true, Relaxed);
        let moved = self.drain_into_spill(local);
        if local.spill.len() == 0 {
            self.channel.none_outside();
        }
        moved
    }

    fn drain_into_spill(&self, local: &mut Local) -> bool {
        let mut moved = false;
        loop {
            while let Some(entry) = local.popped.pop_front() {
                if let Some(next) = local.popped.get(PREFETCH) {
                    self.channel.prefetch(next.slot, local.prefetch);
                }
                let Some(word) = self.channel.start(entry) else { continue };
                if let Ok(payload) = self.channel.payload(entry.slot) {
                    local.spill.push(self.channel.items(entry.slot), payload);
                    local.prefetch = payload.len();
                    self.attached.held.fetch_add(payload.len(), Relaxed);
                }
                if let Some(finished) = self.channel.finish(entry.slot, word) {
                    local.finished.push((entry.slot, finished));
                }
                moved = true;
            }
            if !matches!(self.refill(local), Ok(Popped::Some(_))) {
                return moved;
            }
        }
    }

    /// In the parent: puts items that were moved into private memory back where workers look for them.
    pub(super) fn hand_back(&self) {
        // What is in the ring goes behind them.
        self.drain_into_spill(&mut self.local());
        self.channel.none_older_outside();
        event::notify_all(&self.channel.desc().jobs);
        let mut payload = vec![];
        loop {
            let items = {
                let mut local = self.local();
                match local.spill.pop_into(&mut payload) {
                    Some(items) => items,
                    None => {
                        self.channel.none_outside();
                        // Whoever has found it closed and waits for this.
                        event::notify_all(&self.channel.desc().jobs);
                        return;
                    }
                }
            };
            self.attached.release_held(payload.len());
            let put = self.slot(Patience::FOREVER, true).and_then(|slot| {
                let filling = Filling { items: items.into(), ..slot };
                self.fill(filling, &payload, Patience::FOREVER)?;
                self.channel.publish(&[filling]).map_err(NoSlot::Stopped)
            });
            if put.is_err() {
                // The region has ended, and all that was in it with it.
                return;
            }
        }
    }

    /// Items that nobody has taken, by a look at every slot, and those that were moved out of the region.
    pub(super) fn len(&self) -> usize {
        let local = self.local();
        let open = local.open.as_ref().map_or(0, |o| match o.next {
            64.. => 0,
            next => (o.left >> next).count_ones(),
        });
        self.channel.waiting() + local.spill.len() + open as usize
    }

    /// Whether a put would wait now.
    pub(super) fn full(&self) -> bool {
        self.channel.pending() >= u64::from(self.channel.capacity()) || self.channel.in_state(State::Free) == 0
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

/// Bytes of the length before each item of a bundle, where items differ in length.
const PREFIX: usize = 2;

/// Appends an item to a bundle.
fn append<T, C: Codec<T>>(item: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    C::encode(item, |encoded| {
        if C::FIXED == 0 {
            // Longer ones are never bundled: what does not fit a slot goes alone, and the prefix of one alone is cut off.
            bytes.extend_from_slice(&(encoded.len().min(usize::from(u16::MAX)) as u16).to_le_bytes());
        }
        bytes.extend_from_slice(encoded);
    })
}

/// The items of a bundle that could not be put.
fn unput<T, C: Codec<T>>(why: NoSlot, bytes: &[u8], count: u64) -> PutManyError<T> {
    let mut items = vec![];
    let mut at = 0;
    for _ in 0..count {
        let (start, end) = match C::FIXED {
            0 if count == 1 => (PREFIX, bytes.len()),
            0 => (at + PREFIX, at + PREFIX + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))),
            size => (at, at + size),
        };
        items.extend(C::decode(Payload::of(&bytes[start..end])));
        at = end;
    }
    PutManyError { put: 0, items, why: why.with((), bytes.len()) }
}
