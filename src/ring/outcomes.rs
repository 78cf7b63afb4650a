//! A pool's slots as the parent sees them: filling one, looking how far it is, taking outcomes out, cancelling, freeing.
//!
//! The parent alone takes and frees the slots of a pool, so the list of the free ones is its private matter (rule 19), and one mutex of its
//! own orders all calls that change a slot's use. What workers write is copied out, then checked.

use super::arena::Tag;
use super::channel::{Channel, Section, Stop};
use super::event;
use super::frame::ARRAY_HEAD;
use super::slots::{Filling, JOBS, NoRoom, RESULTS};
use crate::layout::{MAX_LENGTH, Progress, ResultHead, SlotHead, SlotWord, State};
use std::sync::atomic::Ordering::*;

/// What a bundle's slot is to be filled with.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// How many jobs, 1 to `MAX_ITEMS`.
    pub items: u32,
    /// The jobs' records.
    pub jobs: &'a [u8],
    /// 0: their outcomes go to the slot; else the jobs go to a block with room for so many bytes of outcomes behind them.
    pub room: u32,
    /// Which task runs them.
    pub task: u16,
    /// Which folds their results.
    pub fold: Option<u16>,
    /// Jobs that are cancelled already, one bit each.
    pub cancelled: u64,
}

/// Where a cancelled job was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledWhere {
    /// It will not be run.
    Waiting,
    /// It was running: its worker, participant so-and-so, is to be killed. The outcome follows.
    Running,
    /// Its outcome is there already, or it is about to end.
    Over,
}

impl Channel {
    /// Where a bundle's outcomes stand, and how many bytes there are. The numbers are whatever somebody wrote, the place is in the mapping.
    ///
    /// # Errors
    /// If there cannot be such a place.
    #[inline]
    pub(super) fn outcomes_at(&self, slot: u32) -> Result<(*mut u8, usize), Stop> {
        let room = self.result_head(slot).room.load(Relaxed) as usize;
        if room == 0 {
            let start = slot as usize * self.slot_size + self.result_offset + size_of::<ResultHead>();
            // SAFETY: `result_head` has compared the slot's number, and `open` has checked that a slot's outcomes end before the slot does.
            return Ok((unsafe { self.slots_at.add(start) }, self.result_size));
        }
        let head = self.head(slot);
        let jobs = head.length.load(Relaxed) as usize;
        match self.region.arena(JOBS).place(head.block.load(Relaxed), jobs + room) {
            // SAFETY: so many bytes of the arena follow, as just checked.
            Some(place) if room <= MAX_LENGTH as usize => Ok((unsafe { place.add(jobs) }, room)),
            _ => Err(self.corrupt()),
        }
    }

    /// The most jobs that a bundle can hold here.
    pub fn most_items(&self) -> u32 {
        (self.result_size / super::frame::REFERENCE_BYTES).min(crate::layout::MAX_ITEMS as usize) as u32
    }

    /// Takes a free slot for the parent and writes a bundle's jobs into it.
    ///
    /// # Errors
    /// See [`NoRoom`]; the slot stays free.
    pub fn fill(&self, slot: u32, fill: Fill<'_>) -> Result<Filling, NoRoom> {
        let head = self.head(slot);
        let free = SlotWord(head.word.load(Relaxed));
        if !free.is(State::Free) {
            return Err(NoRoom::Stopped(self.corrupt()));
        }
        let word = free.to(State::Owned, self.region.me().id());
        head.word.store(word.0, Relaxed);
        let filling = Filling { slot, word, items: fill.items as u16 };
        let written = match fill.room {
            0 => self.write_payload(filling, fill.jobs),
            room => self.write_jobs(filling, fill.jobs, room),
        };
        if let Err(no) = written {
            head.word.store(free.0, Relaxed);
            return Err(no);
        }
        head.task.store(fill.task, Relaxed);
        head.fold.store(fill.fold.map_or(0, |f| f + 1), Relaxed);
        head.done.store(fill.cancelled, Relaxed);
        let result = self.result_head(slot);
        result.room.store(fill.room, Relaxed);
        result.progress.store(Progress::new(fill.items).0, Relaxed);
        result.ends.store(0, Relaxed);
        result.charged.store(0, Relaxed);
        Ok(filling)
    }

    fn write_jobs(&self, filling: Filling, jobs: &[u8], room: u32) -> Result<(), NoRoom> {
        let block = self.block_with(JOBS, filling.slot, filling.word, 0, jobs, room as usize)?;
        let head = self.head(filling.slot);
        head.block.store(block, Relaxed);
        head.length.store(jobs.len() as u32, Relaxed);
        head.items.store(filling.items, Relaxed);
        Ok(())
    }

    /// Gives a slot back that was filled and not published, or whose outcomes have all been taken.
    pub fn free_slot(&self, slot: u32, word: SlotWord) {
        let head = self.head(slot);
        let block = head.block.load(Relaxed);
        head.word.store(word.freed().0, Release); // R2 ↔ A1: whoever starts the next use sees that this one is over
        if block != 0 {
            self.free_block(JOBS, slot, word, block);
        }
    }

    fn free_block(&self, which: usize, slot: u32, word: SlotWord, block: u32) {
        let arena = self.region.arena(which);
        if let Ok(_section) = Section::enter(&self.region, arena.lock()) {
            arena.free(block, Tag::new(self.index, slot, word.generation()));
        }
        event::notify(arena.room(), u32::MAX);
    }

    /// Which task runs a bundle's jobs and which folds their results; and those that are cancelled, one bit each.
    pub fn bundle_of(&self, slot: u32) -> ((u16, Option<u16>), u64) {
        let head = self.head(slot);
        ((head.task.load(Relaxed), head.fold.load(Relaxed).checked_sub(1)), head.done.load(SeqCst))
    }

    /// How many jobs a bundle holds.
    #[inline]
    pub fn bundle_items(&self, slot: u32) -> u16 {
        self.head(slot).items.load(Relaxed)
    }

    /// How far a bundle is.
    #[inline]
    pub fn progress(&self, slot: u32) -> Progress {
        // A ↔ R in `Bundle::advance`: the outcomes that it counts are written. SeqCst ↔ `impatient` was set before (rule 13).
        Progress(self.result_head(slot).progress.load(SeqCst))
    }

    /// Nanoseconds that a finished bundle took.
    pub fn nanos(&self, slot: u32) -> u64 {
        self.result_head(slot).nanos.load(Relaxed)
    }

    pub(super) fn outcome_block(&self, slot: u32, word: SlotWord, item: u32, record: &[u8]) -> Result<u32, NoRoom> {
        self.block_with(RESULTS, slot, word, item, record, 0)
    }

    /// Appends the bytes of a slot's outcomes `from..to` to `out`, which is private memory. They are only what somebody wrote there.
    #[inline]
    pub fn copy_outcomes(&self, slot: u32, from: u32, to: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        let (from, to) = (from as usize, to as usize);
        let (place, room) = self.outcomes_at(slot)?;
        if from > to || to > room {
            return Err(self.corrupt());
        }
        // SAFETY: the range lies in the place for outcomes, as just checked.
        super::slots::Payload::at(unsafe { place.add(from) }, to - from, self).append_to(out);
        Ok(())
    }

    /// Writes the head of an array of `bytes` bytes behind the outcomes of a slot whose owner is dead.
    pub(super) fn write_array_head(&self, slot: u32, at: u32, bytes: u32, head: [u8; ARRAY_HEAD]) -> Result<(), Stop> {
        let (place, room) = self.outcomes_at(slot)?;
        if at as usize + bytes as usize > room {
            return Err(self.corrupt());
        }
        // SAFETY: nobody else writes outcomes of this slot, and they lie in the place for them, as just checked: an array is longer than its head.
        unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), place.add(at as usize), head.len()) };
        Ok(())
    }

    /// Takes the record out of a block to which an outcome refers, and frees the block.
    ///
    /// # Errors
    /// If there cannot be such a block.
    pub fn take_block(&self, slot: u32, word: SlotWord, block: u32, length: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        let Some(place) = self.region.arena(RESULTS).place(block, length as usize) else { return Err(self.corrupt()) };
        super::slots::Payload::at(place, length as usize, self).append_to(out);
        self.free_block(RESULTS, slot, word, block);
        Ok(())
    }

    /// Gives the jobs of a bundle that have not been begun to the caller, and tells which: they are not to be run at all.
    pub fn cut(&self, slot: u32) -> std::ops::Range<u32> {
        self.limit(slot, Progress::cut)
    }

    /// Gives the jobs of a bundle that wait behind another one of it to the caller, and tells which: they are to be run elsewhere. The
    /// first one that is not done stays, even if it has not been begun: it may have cost a worker, and its last one.
    pub fn cut_behind(&self, slot: u32) -> std::ops::Range<u32> {
        self.limit(slot, Progress::cut_behind)
    }

    fn limit(&self, slot: u32, to: impl Fn(Progress) -> Progress) -> std::ops::Range<u32> {
        let word = &self.result_head(slot).progress;
        let mut now = Progress(word.load(Relaxed));
        loop {
            match word.compare_exchange(now.0, to(now).0, SeqCst, Relaxed) {
                Ok(_) => return to(now).limit()..now.limit(),
                Err(other) => now = Progress(other),
            }
        }
    }

    /// Cancels job `index` (below 64) of a bundle that has been published; `running`: also if it has been begun.
    pub fn cancel_one(&self, slot: u32, index: u32, running: bool) -> CancelledWhere {
        // SeqCst ↔ `Bundle::next_job` begins the job, then looks at the bit: one of the two sees the other.
        self.head(slot).done.fetch_or(1 << index, SeqCst);
        loop {
            let now = self.progress(slot);
            if now.begun() <= index {
                return CancelledWhere::Waiting;
            }
            if !running || now.done() > index || now.condemned() {
                return CancelledWhere::Over;
            }
            if now.hand() > 1 {
                // Those that can be cancelled one by one are begun one by one.
                self.corrupt();
                return CancelledWhere::Over;
            }
            // If not, it has just ended, or its worker has died and it waits again.
            if self.condemn(slot, index) {
                return CancelledWhere::Running;
            }
        }
    }

    /// Condemns job `index` of a bundle if it is in hand. Whoever holds the slot is then to be killed; recovery makes the outcome.
    pub fn condemn(&self, slot: u32, index: u32) -> bool {
        let word = &self.result_head(slot).progress;
        let mut now = Progress(word.load(Relaxed));
        while now.hand() == 1 && now.done() == index && !now.condemned() {
            match word.compare_exchange(now.0, now.condemn().0, SeqCst, Relaxed) {
                Ok(_) => return true,
                Err(other) => now = Progress(other),
            }
        }
        false
    }

    /// When the job in hand of a RUNNING bundle was begun, if one is: its number and the moment.
    pub fn in_hand_since(&self, slot: u32) -> Option<(u32, u64)> {
        let before = self.progress(slot); // A ↔ R in `Bundle::begin` and `advance`
        let began = self.result_head(slot).began.load(Relaxed);
        (before.hand() == 1 && !before.condemned() && self.progress(slot) == before).then_some((before.done(), began))
    }

    /// Tells the parent that a worker needs it: it publishes what it holds back, gives rests of bundles to others, and takes outcomes out
    /// of the way of those who wait for room.
    pub fn call_parent(&self) {
        let d = self.desc();
        event::notify_all(&d.assist);
        event::notify_all(&d.done);
    }

    /// A worker's last look before it sleeps for want of jobs: asks the parent for what it holds back, and for jobs that wait behind
    /// a long one in another's bundle.
    pub fn ask_for_jobs(&self) {
        let d = self.desc();
        if d.wanted.load(Relaxed) == 0 {
            d.wanted.store(1, SeqCst);
        }
        // SeqCst ↔ the parent sets `held`, then looks for sleepers and `wanted` (rule 18).
        if d.held.load(SeqCst) != 0 || self.rest_elsewhere() {
            self.call_parent();
        }
    }

    /// Whether a worker runs a bundle of this channel in which jobs wait behind another one.
    fn rest_elsewhere(&self) -> bool {
        self.running_bundles().any(|slot| {
            let p = self.progress(slot);
            p.done() + 1 < p.limit()
        })
    }

    /// Slots of which participants say that they run them as bundles of several jobs: hints.
    pub fn running_bundles(&self) -> impl Iterator<Item = u32> {
        self.region.participants().filter_map(|(_, p)| {
            let ours = p.runs_channel.load(Acquire) == self.index + 1; // A ↔ R in `runs`: the slot is that one or a later one
            let slot = p.runs_slot.load(Relaxed);
            (ours && slot < self.slots).then_some(slot)
        })
    }

    /// Notes for others which bundle this process runs; `None`: none.
    pub fn runs(&self, slot: Option<u32>) {
        let entry = self.region.own_entry();
        if let Some(slot) = slot {
            entry.runs_slot.store(slot, Relaxed);
        }
        entry.runs_channel.store(if slot.is_some() { self.index + 1 } else { 0 }, Release); // R ↔ A in `running_bundles`
    }

    /// Puts the rest of a bundle that we run back into the ring.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn put_rest_back(&self, slot: u32, running: SlotWord) -> Result<(), Stop> {
        let ready = running.to(State::Ready, 0);
        let pushed = {
            let _section = Section::enter(&self.region, self.job_lock())?;
            self.head(slot).word.store(ready.0, Release); // R1 ↔ A1 in `start`
            self.job_ring().push([super::Entry { slot, generation: ready.generation() }].into_iter())
        };
        if pushed.is_err() {
            return Err(self.corrupt());
        }
        self.notify_jobs(1);
        // SeqCst ↔ the parent sets it, then looks at the outcomes of bundles that are not finished (rule 13).
        if self.desc().impatient.load(SeqCst) != 0 {
            event::notify_all(&self.desc().done);
        }
        Ok(())
    }

    /// Bytes of a bundle's jobs that a slot holds itself; more goes to the arena.
    pub fn inline_jobs(&self) -> usize {
        self.payload_size
    }

    /// Bytes before a slot's payload: what a plan has to add.
    pub const fn overhead() -> usize {
        size_of::<SlotHead>() + size_of::<ResultHead>()
    }
}
