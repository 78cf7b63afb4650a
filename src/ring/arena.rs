//! Variable-size blocks for payloads that do not fit their slot.
//!
//! A block is a run of units, found by a first-fit search over one bit a unit; there are at most 16,384 units, so that the search under
//! the lock stays short. A block carries a *tag*: the channel, slot and generation it was taken for. It belongs to that use of that slot
//! and to nothing else. So recovery needs no record of who allocated what: a block whose slot is free, or in another generation, is
//! free. For the same reason the one who frees a slot frees its block *after* the slot word says so, and a free with a tag that is no
//! longer the block's does nothing.

use super::region::round_up;
use crate::layout::{self, Block, EventWords};
use crate::lock::FutexLock;
use crate::sys::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// At most so many units; a larger arena has larger units.
pub const MAX_UNITS: usize = 16_384;
/// The smallest unit, in bytes.
pub const MIN_UNIT: usize = 256;

/// What a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    /// The tag for a use of a slot.
    pub fn new(channel: u32, slot: u32, generation: u32) -> Self {
        Tag(u64::from(channel as u16 + 1) | u64::from(slot & 0xFF_FFFF) << 16 | u64::from(generation & 0xFF_FFFF) << 40)
    }

    /// Channel, slot, and the lower 24 bits of the generation.
    pub fn parts(self) -> (u32, u32, u32) {
        ((self.0 as u16).wrapping_sub(1).into(), (self.0 >> 16) as u32 & 0xFF_FFFF, (self.0 >> 40) as u32)
    }

    /// Whether this is the tag of a slot in that generation.
    pub fn is_of(self, generation: u32) -> bool {
        self.parts().2 == generation & 0xFF_FFFF
    }
}

/// One of the region's two arenas, with its geometry in private memory.
pub struct Arena {
    desc: *const layout::Arena,
    bits: *const AtomicU64,
    table: *const Block,
    data: *mut u8,
    units: usize,
    unit: usize,
}

// SAFETY: the pointers are to a mapping that the owner keeps alive; everything behind them is atomics, except `data`, whose
// bytes belong to whoever holds the block.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn unit_for(size: usize) -> usize {
    size.div_ceil(MAX_UNITS).max(MIN_UNIT).next_power_of_two()
}

impl Arena {
    /// Bytes that an arena with room for `size` bytes of payload takes; `None` if that overflows.
    pub fn bytes(size: usize) -> Option<usize> {
        if size > 1 << 46 {
            return None;
        }
        let unit = unit_for(size);
        let units = size.div_ceil(unit).max(1);
        round_up(units.div_ceil(64) * 8 + units * size_of::<Block>(), 4096)?.checked_add(units * unit)
    }

    /// Writes the descriptor of an arena of `size` bytes at `at`, in memory that is all zero.
    ///
    /// # Safety
    /// `at` is page-aligned and [`bytes`](Self::bytes) bytes from there belong to the arena.
    pub(super) unsafe fn format(desc: &layout::Arena, at: usize, size: usize) {
        let unit = unit_for(size);
        let units = size.div_ceil(unit).max(1);
        let bits = units.div_ceil(64) * 8;
        let data = at + round_up(bits + units * size_of::<Block>(), 4096).expect("checked by `bytes`");
        desc.units.store(units as u32, Relaxed);
        desc.unit_size.store(unit as u64, Relaxed);
        desc.bits_offset.store(at as u64, Relaxed);
        desc.table_offset.store((at + bits) as u64, Relaxed);
        desc.data_offset.store(data as u64, Relaxed);
    }

    /// Opens an arena; `None` if its descriptor cannot be right.
    ///
    /// # Safety
    /// `base` is the start of a mapping of `size` bytes that outlives the arena, and `desc` lies in it, aligned.
    pub(super) unsafe fn open(base: *mut u8, size: usize, desc: *const layout::Arena) -> Option<Arena> {
        // SAFETY: the caller's promise.
        let d = unsafe { &*desc };
        let units = d.units.load(Relaxed) as usize;
        let unit = usize::try_from(d.unit_size.load(Relaxed)).ok()?;
        let inside = |offset: u64, bytes: usize, align: usize| {
            let offset = usize::try_from(offset).ok()?;
            (offset % align == 0 && offset >= size_of::<layout::Header>() && offset.checked_add(bytes)? <= size)
                .then_some(offset)
        };
        if units == 0 || units > MAX_UNITS || !unit.is_power_of_two() || unit < MIN_UNIT {
            return None;
        }
        let bits = inside(d.bits_offset.load(Relaxed), units.div_ceil(64) * 8, 8)?;
        let table = inside(d.table_offset.load(Relaxed), units * size_of::<Block>(), 8)?;
        let data = inside(d.data_offset.load(Relaxed), units.checked_mul(unit)?, 64)?;
        // SAFETY: all three ranges lie in the mapping, as just checked.
        unsafe {
            Some(Arena { desc, bits: base.add(bits).cast(), table: base.add(table).cast(), data: base.add(data), units, unit })
        }
    }

    /// Where bits, table and units start and how many bytes each has, in a region that starts at `base`.
    pub(super) fn places(&self, base: *mut u8) -> [(usize, usize); 3] {
        let from = |place: *const u8| place as usize - base as usize;
        [
            (from(self.bits.cast()), self.units.div_ceil(64) * 8),
            (from(self.table.cast()), self.units * size_of::<Block>()),
            (from(self.data), self.capacity()),
        ]
    }

    fn desc(&self) -> &layout::Arena {
        // SAFETY: `open`'s promise.
        unsafe { &*self.desc }
    }

    fn bits(&self) -> &[AtomicU64] {
        // SAFETY: `open` has checked the range; atomics may be shared.
        unsafe { std::slice::from_raw_parts(self.bits, self.units.div_ceil(64)) }
    }

    fn table(&self) -> &[Block] {
        // SAFETY: as for `bits`.
        unsafe { std::slice::from_raw_parts(self.table, self.units) }
    }

    /// The lock that all of this needs.
    pub fn lock(&self) -> &FutexLock {
        FutexLock::of(&self.desc().lock)
    }

    /// Starts its counters somewhere else than at 0.
    pub(super) fn count_from(&self, from: u32) {
        self.desc().lock.acquisitions.store(from, Relaxed);
        self.desc().room.sequence.store(from, Relaxed);
    }

    /// Where those sleep who wait for room.
    pub fn room(&self) -> &EventWords {
        &self.desc().room
    }

    /// The largest payload, in bytes.
    pub fn capacity(&self) -> usize {
        self.units * self.unit
    }

    fn is_used(&self, unit: usize) -> bool {
        self.bits()[unit / 64].load(Relaxed) >> (unit % 64) & 1 == 1
    }

    /// Sets or clears the bits of a run.
    fn mark(&self, first: usize, count: usize, used: bool) {
        for unit in first..first + count {
            let word = &self.bits()[unit / 64];
            let bit = 1u64 << (unit % 64);
            // The lock is held, so load and store do.
            let old = word.load(Relaxed);
            word.store(if used { old | bit } else { old & !bit }, Relaxed);
        }
    }

    /// The first run of `count` free units that starts in `from..to`.
    fn find(&self, count: usize, from: usize, to: usize) -> Option<usize> {
        let mut start = from;
        while start < to && start + count <= self.units {
            match (start..start + count).rev().find(|&u| self.is_used(u)) {
                None => return Some(start),
                Some(used) => {
                    // Everything up to the next free unit is no start either; whole words of used units go in one step.
                    start = used + 1;
                    while start < self.units && start.is_multiple_of(64) && self.bits()[start / 64].load(Relaxed) == u64::MAX {
                        start += 64;
                    }
                }
            }
        }
        None
    }

    /// Takes a block for `bytes` bytes, with the lock held; the number of its first unit plus 1. `item` is noted with the tag.
    pub fn allocate(&self, bytes: usize, tag: Tag, item: u32) -> Option<u32> {
        let count = bytes.div_ceil(self.unit).max(1);
        let hint = self.desc().hint.load(Relaxed) as usize % self.units;
        let first = self.find(count, hint, self.units).or_else(|| self.find(count, 0, hint))?;
        self.mark(first, count, true);
        self.table()[first].length.store(count as u32, Relaxed);
        self.table()[first].item.store(item, Relaxed);
        self.table()[first].tag.store(tag.0, Relaxed);
        self.desc().hint.store(((first + count) % self.units) as u32, Relaxed);
        Some(first as u32 + 1)
    }

    /// Gives a block back, with the lock held, if it still belongs to `tag`.
    pub fn free(&self, block: u32, tag: Tag) -> bool {
        let Some(first) = (block as usize).checked_sub(1).filter(|&f| f < self.units) else { return false };
        let entry = &self.table()[first];
        if entry.tag.load(Relaxed) != tag.0 {
            return false;
        }
        let count = (entry.length.load(Relaxed) as usize).min(self.units - first);
        entry.tag.store(0, Relaxed);
        self.mark(first, count, false);
        true
    }

    /// Frees every block of which `keep` does not know, with the lock held: recovery.
    pub fn sweep(&self, mut keep: impl FnMut(Tag, u32) -> bool) {
        let mut live = vec![];
        for (first, entry) in self.table().iter().enumerate() {
            let tag = Tag(entry.tag.load(Relaxed));
            if tag.0 == 0 {
                continue;
            }
            // A death inside `allocate` may have left a tag without its bits or bits without a tag; the latter are cleared below.
            let count = entry.length.load(Relaxed) as usize;
            if count == 0 || first + count > self.units || !keep(tag, entry.item.load(Relaxed)) {
                entry.tag.store(0, Relaxed);
            } else {
                live.push((first, count));
            }
        }
        for word in self.bits() {
            word.store(0, Relaxed);
        }
        for (first, count) in live {
            self.mark(first, count, true);
        }
    }

    /// Where a block's bytes are, if `bytes` bytes from there lie in the arena.
    pub fn place(&self, block: u32, bytes: usize) -> Option<*mut u8> {
        let first = (block as usize).checked_sub(1)?;
        if first >= self.units || bytes > (self.units - first) * self.unit {
            return None;
        }
        // SAFETY: `first` is below `units`, and `open` has checked that all units lie in the mapping.
        Some(unsafe { self.data.add(first * self.unit) })
    }

    /// Units in use, with the lock held.
    pub fn used(&self) -> usize {
        (0..self.units).filter(|&u| self.is_used(u)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An arena over the heap, as Valgrind sees it.
    struct Heap {
        arena: Arena,
        memory: Vec<u64>,
    }

    fn heap(size: usize) -> Heap {
        let at = 4096;
        let mut memory = vec![0u64; (at + Arena::bytes(size).unwrap()) / 8 + 8];
        let base = memory.as_mut_ptr().cast::<u8>();
        let base = base.wrapping_add(base.align_offset(64));
        let bytes = memory.len() * 8 - 64;
        // SAFETY: a descriptor fits in the first 4096 bytes, `Arena::bytes` bytes follow, and `memory` lives beside the arena.
        let arena = unsafe {
            let desc = base.add(512).cast::<layout::Arena>();
            Arena::format(&*desc, at, size);
            Arena::open(base, bytes, desc).unwrap()
        };
        Heap { arena, memory }
    }

    #[test]
    fn blocks_never_overlap_and_all_room_comes_back() {
        let h = heap(100_000);
        let a = &h.arena;
        let mut live: Vec<(u32, usize, Tag)> = vec![];
        let mut seed = 12345u64;
        let mut random = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for round in 0..20_000u32 {
            let tag = Tag::new(1, round % 1000, round);
            let bytes = 1 + random(9000);
            match a.allocate(bytes, tag, 0) {
                Some(block) => {
                    let here = (block as usize - 1) * a.unit..(block as usize - 1) * a.unit + bytes;
                    for &(other, len, _) in &live {
                        let there = (other as usize - 1) * a.unit..(other as usize - 1) * a.unit + len;
                        assert!(here.end <= there.start || there.end <= here.start, "{here:?} overlaps {there:?}");
                    }
                    live.push((block, bytes, tag));
                }
                None => {
                    let (block, _, tag) = live.swap_remove(random(live.len()));
                    assert!(a.free(block, tag));
                    assert!(!a.free(block, tag), "a second free does nothing");
                }
            }
        }
        for (block, _, tag) in live {
            assert!(a.free(block, tag));
        }
        assert_eq!(a.used(), 0);
        let all = a.allocate(a.capacity(), Tag::new(0, 0, 0), 0).expect("one block may have all the room");
        assert!(a.place(all, a.capacity()).is_some());
        assert!(a.place(all, a.capacity() + 1).is_none());
        assert!(!h.memory.is_empty());
    }

    #[test]
    fn sweep_frees_what_died_and_keeps_what_lives() {
        let h = heap(64 * 1024);
        let a = &h.arena;
        let keep = Tag::new(3, 5, 9);
        let (_, kept) = (a.allocate(5000, Tag::new(3, 4, 9), 0).unwrap(), a.allocate(5000, keep, 0).unwrap());
        // A death in the middle of `allocate`: bits without a tag.
        a.mark(200, 10, true);
        a.sweep(|t, _| t == keep);
        assert_eq!(a.used(), 5000usize.div_ceil(a.unit));
        assert!(a.free(kept, keep));
        assert_eq!(a.used(), 0);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let h = heap(4096);
        for block in [0, 17, u32::MAX] {
            assert!(h.arena.place(block, 1).is_none());
            assert!(!h.arena.free(block, Tag::new(0, 0, 0)));
        }
    }
}
