//! Which slots are free: one bit a slot, without a lock.
//!
//! A set bit says "probably free": whoever clears it then tries a CAS on the slot word, and may lose. A set cannot hold a slot
//! twice, so recovery may set the bit of every free slot while live producers are between the two steps (the failure behind protocol
//! rule 19, a list that holds a slot twice or overflows, cannot happen to a set). A bit that died with a producer comes back with the scan.

use crate::sys::atomic::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering::*;

/// The bits of one channel.
pub struct FreeBits<'a> {
    words: &'a [AtomicU64],
    hint: &'a AtomicU32,
}

impl<'a> FreeBits<'a> {
    /// Bits over shared words; `hint` is where searches start.
    pub fn new(words: &'a [AtomicU64], hint: &'a AtomicU32) -> Self {
        FreeBits { words, hint }
    }

    /// Words of bits that `slots` slots need.
    pub const fn words_for(slots: u32) -> usize {
        (slots as usize).div_ceil(64)
    }

    /// Takes up to `want` bits out of the set and tells the slots; returns how many. `soon` is told the slot that will probably be next.
    pub fn take(&self, want: u32, mut each: impl FnMut(u32), soon: impl FnOnce(u32)) -> u32 {
        let n = self.words.len();
        let start = self.hint.load(Relaxed) as usize % n;
        let mut got = 0;
        for k in 0..n {
            let at = (start + k) % n;
            loop {
                let bits = self.words[at].load(Relaxed);
                if bits == 0 {
                    break;
                }
                let wanted = lowest(bits, want - got);
                let rest = bits & !wanted;
                // A ↔ R in `give`: the slot word that was stored FREE before the bit was set is seen as FREE.
                let mut taken = self.words[at].fetch_and(!wanted, Acquire) & wanted;
                while taken != 0 {
                    let bit = taken.trailing_zeros();
                    taken &= taken - 1;
                    got += 1;
                    each((at * 64) as u32 + bit);
                }
                if got >= want {
                    if k != 0 {
                        self.hint.store(at as u32, Relaxed);
                    }
                    if rest != 0 {
                        soon((at * 64) as u32 + rest.trailing_zeros());
                    }
                    return got;
                }
            }
        }
        got
    }

    /// Puts slots into the set; neighbours in the sequence that share a word cost one step.
    pub fn give(&self, slots: impl Iterator<Item = u32>) {
        let (mut at, mut mask) = (usize::MAX, 0u64);
        for slot in slots {
            let word = slot as usize / 64;
            if word != at {
                if mask != 0 {
                    self.words[at].fetch_or(mask, Release); // R ↔ A in `take`
                }
                (at, mask) = (word, 0);
            }
            mask |= 1 << (slot % 64);
        }
        if mask != 0 {
            self.words[at].fetch_or(mask, Release); // R ↔ A in `take`
        }
    }

    /// How many bits are set.
    #[cfg(test)]
    pub fn count(&self) -> u32 {
        self.words.iter().map(|w| w.load(Relaxed).count_ones()).sum()
    }
}

/// The lowest `count` set bits.
fn lowest(bits: u64, count: u32) -> u64 {
    if count >= bits.count_ones() {
        return bits;
    }
    let mut rest = bits;
    for _ in 0..count {
        rest &= rest - 1;
    }
    bits & !rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_given_out_once() {
        let words: Vec<AtomicU64> = (0..3).map(|_| AtomicU64::new(0)).collect();
        let hint = AtomicU32::new(7);
        let bits = FreeBits::new(&words, &hint);
        bits.give(0..150);
        let mut seen = vec![];
        while bits.take(7, |s| seen.push(s), |_| ()) > 0 {}
        seen.sort();
        assert_eq!(seen, (0..150).collect::<Vec<_>>());
        bits.give([149, 3, 3].into_iter());
        assert_eq!(bits.count(), 2, "a slot given twice is there once");
    }

    #[test]
    fn lowest_bits() {
        assert_eq!(lowest(0b1011_0100, 2), 0b1_0100);
        assert_eq!(lowest(u64::MAX, 64), u64::MAX);
        assert_eq!(lowest(1 << 63, 1), 1 << 63);
    }
}
