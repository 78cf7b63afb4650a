//! A bounded FIFO of slot indices. Its lock is the caller's business: every method is called while holding it.
//!
//! Positions are 32-bit and run on for ever, modulo 2^32; the number of entries is a power of two, so that they wrap without a seam.

use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::sys::planted::{Bug, planted};
use std::sync::atomic::Ordering::Relaxed;

/// A slot and the generation that it had when the entry was made. It is a hint: the slot word decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the slot.
    pub slot: u32,
    /// The slot's generation then.
    pub generation: u32,
}

impl Entry {
    fn pack(self) -> u64 {
        u64::from(self.slot) | u64::from(self.generation) << 32
    }

    fn unpack(word: u64) -> Self {
        Entry { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

/// The positions contradict each other, or there is no room although the protocol leaves some: somebody has written over the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// One ring, for the time that its lock is held.
pub struct IndexRing<'a> {
    head: &'a AtomicU32,
    tail: &'a AtomicU32,
    entries: &'a [AtomicU64],
}

impl<'a> IndexRing<'a> {
    /// A ring over its positions and its entries, whose number must be a power of two.
    pub fn new(head: &'a AtomicU32, tail: &'a AtomicU32, entries: &'a [AtomicU64]) -> Self {
        debug_assert!(entries.len().is_power_of_two());
        IndexRing { head, tail, entries }
    }

    fn at(&self, position: u32) -> &AtomicU64 {
        &self.entries[position as usize & (self.entries.len() - 1)]
    }

    /// How many entries there are.
    #[inline]
    pub fn depth(&self) -> Result<u32, Corrupt> {
        let depth = self.tail.load(Relaxed).wrapping_sub(self.head.load(Relaxed));
        if depth as usize > self.entries.len() { Err(Corrupt) } else { Ok(depth) }
    }

    /// Appends entries.
    #[inline]
    pub fn push(&self, new: impl ExactSizeIterator<Item = Entry>) -> Result<(), Corrupt> {
        if self.depth()? as usize + new.len() > self.entries.len() {
            return Err(Corrupt);
        }
        let mut tail = self.tail.load(Relaxed);
        for entry in new {
            self.at(tail).store(entry.pack(), Relaxed);
            tail = tail.wrapping_add(1);
        }
        self.tail.store(tail, Relaxed);
        Ok(())
    }

    /// Takes up to `count` entries from the front, in order.
    #[inline]
    pub fn pop(&self, count: u32, mut each: impl FnMut(Entry)) -> Result<u32, Corrupt> {
        let count = count.min(self.depth()?);
        let mut head = self.head.load(Relaxed);
        for _ in 0..count {
            each(Entry::unpack(self.at(head).load(Relaxed)));
            head = head.wrapping_add(1);
        }
        self.head.store(head, Relaxed);
        Ok(count)
    }

    /// Replaces whatever is there.
    pub fn replace(&self, new: impl ExactSizeIterator<Item = Entry>) -> Result<(), Corrupt> {
        if !planted(Bug::RecoveryAppends) {
            self.tail.store(self.head.load(Relaxed), Relaxed);
        }
        self.push(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> Entry {
        Entry { slot: n, generation: !n }
    }

    #[test]
    fn order_is_kept_while_positions_pass_their_maximum() {
        let (head, tail) = (AtomicU32::new(u32::MAX - 5), AtomicU32::new(u32::MAX - 5));
        let entries: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let ring = IndexRing::new(&head, &tail, &entries);
        let (mut next_in, mut next_out) = (0, 0);
        for round in 0..40u32 {
            let room = 8 - ring.depth().unwrap();
            let k = (round % 5 + 1).min(room);
            ring.push((0..k).map(|i| entry(next_in + i))).unwrap();
            next_in += k;
            ring.pop(round % 4, |e| {
                assert_eq!(e, entry(next_out));
                next_out += 1;
            })
            .unwrap();
        }
        assert!(next_out > 40, "the positions have wrapped");
    }

    #[test]
    fn overflow_and_impossible_positions_are_noticed() {
        let (head, tail) = (AtomicU32::new(0), AtomicU32::new(0));
        let entries: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
        let ring = IndexRing::new(&head, &tail, &entries);
        ring.push((0..4).map(entry)).unwrap();
        assert_eq!(ring.push((0..1).map(entry)), Err(Corrupt));
        tail.store(100, Relaxed);
        assert_eq!(ring.depth(), Err(Corrupt));
        assert_eq!(ring.pop(1, |_| ()), Err(Corrupt));
    }
}
