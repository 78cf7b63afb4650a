//! Slots: taking a free one, filling it, starting, finishing and freeing its job. No lock is held in any of this.

use super::arena::Tag;
use super::channel::{Channel, Section};
use super::event;
use crate::layout::{ResultHead, SlotHead, SlotWord, State};
use crate::sys::atomic::{plain_read, plain_write};
use crate::sys::planted::{Bug, planted};
use std::sync::atomic::Ordering::*;

/// Arena of jobs' payloads.
pub const JOBS: usize = 0;
/// Arena of results and of a Queue's items.
pub const RESULTS: usize = 1;

/// A slot that is ours to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filling {
    /// Its index.
    pub slot: u32,
    /// Its word: OWNED by us.
    pub word: SlotWord,
    /// How many items it will hold: 1 to 64, in a pool up to `MAX_ITEMS`.
    pub items: u16,
}

/// The bits of `items` items, 1 to 64.
#[inline]
pub const fn all_of(items: u8) -> u64 {
    u64::MAX >> (64 - items as u32)
}

/// Why a payload was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The arena has no free run of that size now; its event as it was before the look.
    Now(event::Seen),
    /// It is larger than the arena, of so many bytes.
    Ever(usize),
    /// The region has ended.
    Stopped(super::Stop),
}

/// A payload in shared memory, to be copied out: no reference to its bytes is ever made.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    place: *const u8,
    length: usize,
    held: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// Bytes of shared memory.
    pub(super) fn at(place: *const u8, length: usize, _channel: &'a Channel) -> Self {
        Payload { place, length, held: std::marker::PhantomData }
    }

    /// Private bytes, to be read as if they came from a slot.
    pub fn of(bytes: &'a [u8]) -> Self {
        Payload { place: bytes.as_ptr(), length: bytes.len(), held: std::marker::PhantomData }
    }

    /// Bytes.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Copies it to the start of `to`.
    ///
    /// # Panics
    /// If `to` is shorter.
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) {
        assert!(self.length <= to.len());
        plain_read(self.place, self.length);
        // SAFETY:
        // - `length` bytes from `place` lie in the mapping, as whoever made this has checked, and the slot keeps them ours;
        // - `to` is private memory of at least as many bytes.
        unsafe { std::ptr::copy_nonoverlapping(self.place, to.as_mut_ptr(), self.length) };
    }

    /// Appends it to `to`.
    #[inline]
    pub fn append_to(&self, to: &mut Vec<u8>) {
        to.reserve(self.length);
        plain_read(self.place, self.length);
        // SAFETY: as in `copy_to`; the capacity has just been reserved, and the bytes are written before the length says so.
        unsafe {
            std::ptr::copy_nonoverlapping(self.place, to.as_mut_ptr().add(to.len()), self.length);
            to.set_len(to.len() + self.length);
        }
    }
}

impl Channel {
    #[inline]
    pub(super) fn head(&self, slot: u32) -> &SlotHead {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        // SAFETY: below the number of slots, all of which `open` has found to lie in the mapping; all atomics.
        unsafe { &*(self.slots_at.add(slot as usize * self.slot_size) as *const SlotHead) }
    }

    #[inline]
    pub(super) fn result_head(&self, slot: u32) -> &ResultHead {
        assert!(slot < self.slots && self.result_offset != 0);
        // SAFETY: as for `head`; `open` has checked that the result's place ends before the slot does.
        unsafe { &*(self.slots_at.add(slot as usize * self.slot_size + self.result_offset) as *const ResultHead) }
    }

    /// Asks for a slot's first lines before they are needed: they were last written by another core, and to fetch them takes as long as
    /// everything else that is done with a small job. `bytes` of payload are wanted.
    #[inline]
    pub fn prefetch(&self, slot: u32, bytes: usize) {
        #[cfg(target_arch = "x86_64")]
        if slot < self.slots {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            let wanted = (size_of::<SlotHead>() + bytes).min(self.slot_size);
            for at in (0..wanted).step_by(crate::layout::LINE) {
                // SAFETY: a prefetch reads nothing; the address lies in the slot.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(self.slots_at.add(slot as usize * self.slot_size + at).cast()) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (slot, bytes);
    }

    /// The arena that this channel's payloads use: [`JOBS`] or [`RESULTS`].
    pub fn payload_arena(&self) -> usize {
        if self.kind == super::Kind::Queue { RESULTS } else { JOBS }
    }

    /// The largest payload, in bytes.
    pub fn payload_limit(&self) -> usize {
        self.region.arena(self.payload_arena()).capacity().max(self.payload_size)
    }

    /// The slot word now.
    pub fn word(&self, slot: u32) -> SlotWord {
        SlotWord(self.head(slot).word.load(Acquire)) // A ↔ whichever release wrote it
    }

    /// Whether a slot says that this process runs it or has finished it and not delivered it, by a look at each.
    pub fn names_me(&self) -> bool {
        let me = self.region.me().id();
        let mine = |word: SlotWord| word.owner() == me && (word.is(State::Running) || word.is(State::Finished));
        (0..self.slots).any(|slot| mine(self.word(slot)))
    }

    /// How many slots are in a state, by a look at each.
    pub fn in_state(&self, state: State) -> usize {
        (0..self.slots).filter(|&slot| self.word(slot).is(state)).count()
    }

    /// How many items are in READY slots and not done, by a look at each.
    pub fn waiting(&self) -> usize {
        let ready = (0..self.slots).filter(|&slot| self.word(slot).is(State::Ready));
        ready.map(|slot| self.left(slot).count_ones() as usize).sum()
    }

    /// Bytes of payload that a slot holds itself.
    #[inline]
    pub fn inline_payload(&self) -> usize {
        self.payload_size
    }

    /// The place of a slot's job in the order of jobs, from 0.
    pub fn ticket(&self, slot: u32) -> u64 {
        self.head(slot).ticket.load(Relaxed)
    }

    /// Takes up to `want` free slots; returns how many.
    #[inline]
    pub fn take(&self, want: u32, mut each: impl FnMut(Filling)) -> u32 {
        let me = self.region.me().id();
        let mut got = 0;
        while got < want {
            let missing = want - got;
            let mine = |slot: u32| {
                if slot >= self.slots {
                    return;
                }
                let word = &self.head(slot).word;
                let free = SlotWord(word.load(Relaxed));
                let owned = free.to(State::Owned, me);
                // A2 ↔ R2: what the last use's reader did came before. A bit is a hint: the CAS decides.
                if free.is(State::Free) && word.compare_exchange(free.0, owned.0, Acquire, Relaxed).is_ok() {
                    each(Filling { slot, word: owned, items: 1 });
                    got += 1;
                }
            };
            let tried = self.free_bits().take(missing, mine, |slot| self.prefetch(slot, 0));
            if tried == 0 {
                break;
            }
        }
        got
    }

    /// Gives slots back that were taken and not published.
    pub fn give_back(&self, slots: impl Iterator<Item = Filling>) {
        let mut count = 0;
        self.free_bits().give(slots.map(|f| {
            self.head(f.slot).word.store(f.word.freed().0, Release); // R2 ↔ A2
            count += 1;
            f.slot
        }));
        self.notify_free(count);
    }

    /// Copies a payload to where it can be read from: the slot, or a block of the arena.
    ///
    /// # Errors
    /// See [`NoRoom`]; the slot stays ours.
    pub fn write_payload(&self, f: Filling, bytes: &[u8]) -> Result<(), NoRoom> {
        let head = self.head(f.slot);
        if bytes.len() <= self.payload_size {
            // SAFETY: the slot is OWNED by us, so nobody else reads or writes it; `payload_size` bytes follow the head inside the slot.
            unsafe {
                let place = self.slots_at.add(f.slot as usize * self.slot_size + size_of::<SlotHead>());
                plain_write(place, bytes.len());
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            }
            head.block.store(0, Relaxed);
        } else {
            let block = self.block_with(self.payload_arena(), f.slot, f.word, 0, bytes, 0)?;
            head.block.store(block, Relaxed);
        }
        head.length.store(bytes.len() as u32, Relaxed);
        head.items.store(f.items, Relaxed);
        if f.items > 1 && self.kind != super::Kind::Pool {
            head.done.store(0, Relaxed);
            head.started.store(0, Relaxed);
            head.charged_at.store(0, Relaxed);
        }
        Ok(())
    }

    /// A block of an arena with a copy of `bytes` and room for `more`, for an item of the use of a slot that is ours.
    #[cold]
    pub(super) fn block_with(
        &self,
        which: usize,
        slot: u32,
        word: SlotWord,
        item: u32,
        bytes: &[u8],
        more: usize,
    ) -> Result<u32, NoRoom> {
        let arena = self.region.arena(which);
        let size = bytes.len().saturating_add(more);
        if size > arena.capacity() || u32::try_from(size).is_err() {
            return Err(NoRoom::Ever(arena.capacity()));
        }
        let seen = event::look(arena.room()); // before the look (rule 5)
        let tag = Tag::new(self.index, slot, word.generation());
        let got = {
            let _section = Section::enter(&self.region, arena.lock()).map_err(NoRoom::Stopped)?;
            arena.allocate(size, tag, item)
        };
        let Some(number) = got else { return Err(NoRoom::Now(seen)) };
        let place = arena.place(number, size).expect("just allocated for as many bytes");
        plain_write(place, bytes.len());
        // SAFETY: the block is ours until the slot is freed; `place` has checked its length.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        Ok(number)
    }

    /// Starts the job of a popped entry: CAS READY → RUNNING of the whole word, outside any lock (rule 10). `None`: the entry was stale.
    #[inline]
    pub fn start(&self, entry: super::Entry) -> Option<SlotWord> {
        if entry.slot >= self.slots {
            self.corrupt();
            return None;
        }
        let word = &self.head(entry.slot).word;
        let ready = SlotWord(word.load(Relaxed));
        if !ready.is(State::Ready) || ready.generation() != entry.generation && !planted(Bug::NoGeneration) {
            return None;
        }
        let running = ready.to(State::Running, self.region.me().id());
        // A1 ↔ R1: the payload is complete.
        word.compare_exchange(ready.0, running.0, Acquire, Relaxed).ok()?;
        Some(running)
    }

    /// The payload of a slot that is ours, for as long as it is.
    ///
    /// # Errors
    /// If its length or block cannot be right.
    #[inline]
    pub fn payload(&self, slot: u32) -> Result<Payload<'_>, super::Stop> {
        let head = self.head(slot);
        let length = head.length.load(Relaxed) as usize;
        let block = head.block.load(Relaxed);
        let place = if block == 0 {
            (length <= self.payload_size)
                // SAFETY: inside the slot, as `open` has checked.
                .then(|| unsafe { self.slots_at.add(slot as usize * self.slot_size + size_of::<SlotHead>()) })
        } else {
            self.region.arena(self.payload_arena()).place(block, length)
        };
        match place {
            Some(place) => Ok(Payload { place, length, held: std::marker::PhantomData }),
            None => Err(self.corrupt()),
        }
    }

    /// How many items a slot of ours holds.
    #[inline]
    pub fn items(&self, slot: u32) -> u8 {
        self.head(slot).items.load(Relaxed).clamp(1, 64) as u8
    }

    /// The items of a bundle of ours that are not done, one bit each.
    pub fn left(&self, slot: u32) -> u64 {
        let items = self.items(slot);
        if items == 1 { 1 } else { all_of(items) & !self.head(slot).done.load(Relaxed) }
    }

    /// Notes that our bundle's items up to `started` have been begun: should we die, those are what it was doing.
    #[inline]
    pub fn begin_items(&self, slot: u32, started: u8) {
        self.head(slot).started.store(started, Relaxed);
    }

    /// The items of our bundle that have been begun and are not done.
    pub fn in_hand(&self, slot: u32) -> u64 {
        match self.head(slot).started.load(Relaxed) {
            0 => 0,
            n => self.left(slot) & all_of(n.min(64)),
        }
    }

    /// Notes items of our bundle as done; what is left.
    #[inline]
    pub fn done_items(&self, slot: u32, mask: u64) -> u64 {
        // Release: what the job did comes before ↔ recovery's acquire, should we die with the rest of the bundle.
        let done = self.head(slot).done.fetch_or(mask, Release) | mask;
        all_of(self.items(slot)) & !done
    }

    /// Ends our work on a job: CAS RUNNING → FINISHED. `None` if it was condemned meanwhile.
    #[inline]
    pub fn finish(&self, slot: u32, running: SlotWord) -> Option<SlotWord> {
        let finished = running.to(State::Finished, running.owner());
        // Release: the result is complete ↔ acquire by whoever delivers. SeqCst ↔ the sleepers' own look at FINISHED slots (rule 13):
        // this CAS comes before the load of the sleepers in `somebody_waits`.
        self.head(slot).word.compare_exchange(running.0, finished.0, SeqCst, Relaxed).ok()?;
        Some(finished)
    }

    /// The blocks of slots that are about to be freed; empty, without allocating, if there are none.
    pub(super) fn blocks_of(&self, slots: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
        slots
            .filter_map(|slot| {
                let block = self.head(slot).block.load(Relaxed);
                (block != 0).then_some((slot, block))
            })
            .collect()
    }

    /// Frees the blocks that belonged to uses of slots which have ended. The tags decide: a block that was freed by recovery, or
    /// whose slot was not ours to free after all, is left alone only if its slot is still in that use.
    pub(super) fn free_blocks(&self, blocks: &mut Vec<(u32, u32)>, ended: &[(u32, SlotWord)]) {
        if blocks.is_empty() {
            return;
        }
        let arena = self.region.arena(self.payload_arena());
        if let Ok(_section) = Section::enter(&self.region, arena.lock()) {
            for &(slot, block) in blocks.iter() {
                let Some(&(_, word)) = ended.iter().find(|e| e.0 == slot) else { continue };
                if SlotWord(self.head(slot).word.load(Relaxed)).generation() != word.generation() {
                    arena.free(block, Tag::new(self.index, slot, word.generation()));
                }
            }
        }
        event::notify(arena.room(), u32::MAX);
        blocks.clear();
    }
}
