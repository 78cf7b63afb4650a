//! What is handed over: bytes that say which payload they are and whether they are whole.
//!
//! A payload is 64-bit words: its number; from 16 bytes on, when it was due; then words that depend on the producer and the place alone; from 24
//! bytes on, the complement of the number at the end. A payload that is torn, mixed with another or written over does not pass the check.

/// The least size: a number.
pub const LEAST: usize = 8;

const PLACE: u64 = 0x9e37_79b9_7f4a_7c15;
const PRODUCER: u64 = 0xd1b5_4a32_d192_ed03;

/// Producers have the upper bits of a payload's number.
const PRODUCER_SHIFT: u32 = 48;

/// The `n`-th payload of a producer.
pub fn number(producer: usize, n: u64) -> u64 {
    (producer as u64) << PRODUCER_SHIFT | n
}

/// Of which producer a payload is, and the how manieth.
pub fn parts(number: u64) -> (usize, u64) {
    ((number >> PRODUCER_SHIFT) as usize, number & ((1 << PRODUCER_SHIFT) - 1))
}

/// For programs in other languages: the producer's place in a number; and of [`mix`], the first shift, the factor, and the last shift.
pub const FORM: (u32, u32, u64, u32) = (PRODUCER_SHIFT, 32, PLACE, 29);

/// What a payload adds to the digest of those that were sent or received; all bits of the number count.
pub fn mix(number: u64) -> u64 {
    let (_, first, factor, last) = FORM;
    let x = (number ^ number >> first).wrapping_mul(factor);
    x ^ x >> last
}

fn filler(producer: u64, word: usize) -> u64 {
    (word as u64).wrapping_mul(PLACE) ^ producer.wrapping_mul(PRODUCER)
}

fn set(bytes: &mut [u8], word: usize, value: u64) {
    bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_ne_bytes());
}

fn get(bytes: &[u8], word: usize) -> u64 {
    u64::from_ne_bytes(bytes[word * 8..word * 8 + 8].try_into().expect("eight bytes"))
}

/// Writes what does not change from one payload of this producer to the next. `bytes` is whole words.
pub fn prepare(bytes: &mut [u8], producer: usize) {
    for word in 2..bytes.len() / 8 {
        set(bytes, word, filler(producer as u64, word));
    }
}

/// Writes what does: the number, and the moment at which the payload was due.
pub fn stamp(bytes: &mut [u8], number: u64, due: u64) {
    let words = bytes.len() / 8;
    set(bytes, 0, number);
    if words > 1 {
        set(bytes, 1, due);
    }
    if words > 2 {
        set(bytes, words - 1, !number);
    }
}

/// What a payload said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub number: u64,
    /// When it was due, 0 if it is too small to say.
    pub due: u64,
}

/// Looks at every byte of payloads of one size.
pub struct Checker {
    size: usize,
    /// For each producer: the sum of its words that do not change.
    sums: Vec<u64>,
}

impl Checker {
    /// For payloads of `size` bytes from so many producers.
    pub fn new(size: usize, producers: usize) -> Self {
        let sum = |producer| (2..(size / 8).saturating_sub(1)).fold(0u64, |sum, word| sum.wrapping_add(filler(producer, word)));
        Checker { size, sums: (0..producers as u64).map(sum).collect() }
    }

    /// What the payload says; `None` if it is not as it was sent.
    #[inline]
    pub fn check(&self, bytes: &[u8]) -> Option<Seen> {
        if bytes.len() != self.size {
            return None;
        }
        let number = get(bytes, 0);
        let words = self.size / 8;
        let sum = *self.sums.get((number >> PRODUCER_SHIFT) as usize)?;
        if words > 2 {
            let middle = bytes[16..self.size - 8].chunks_exact(8);
            let found = middle.fold(0u64, |sum, w| sum.wrapping_add(u64::from_ne_bytes(w.try_into().expect("eight bytes"))));
            if found != sum || get(bytes, words - 1) != !number {
                return None;
            }
        }
        Some(Seen { number, due: if words > 1 { get(bytes, 1) } else { 0 } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_any_size_is_known_again_and_any_change_is_seen() {
        for size in [8, 16, 24, 32, 64, 4096] {
            let mut bytes = vec![0; size];
            prepare(&mut bytes, 3);
            stamp(&mut bytes, number(3, 77), 5);
            let checker = Checker::new(size, 4);
            let seen = Seen { number: number(3, 77), due: if size > 8 { 5 } else { 0 } };
            assert_eq!(checker.check(&bytes), Some(seen));
            assert_eq!(checker.check(&bytes[..size - 1]), None);
            // The number and the moment are what they are; the digest and the histogram tell if they are not.
            for at in 16..size {
                let mut changed = bytes.clone();
                changed[at] ^= 4;
                assert_eq!(checker.check(&changed), None, "size {size}, byte {at}");
            }
        }
    }

    #[test]
    fn payloads_of_two_producers_do_not_pass_for_one_when_mixed() {
        let made = |producer| {
            let mut bytes = vec![0; 256];
            prepare(&mut bytes, producer);
            stamp(&mut bytes, number(producer, 9), 0);
            bytes
        };
        let (one, two) = (made(0), made(1));
        let mixed: Vec<u8> = one[..128].iter().chain(&two[128..]).copied().collect();
        assert_eq!(Checker::new(256, 2).check(&mixed), None);
        assert_eq!(Checker::new(256, 1).check(&two), None, "a producer that does not exist");
    }

    #[test]
    fn digests_of_neighbours_differ() {
        let digests: std::collections::HashSet<u64> = (0..10_000).map(|n| mix(number(2, n))).collect();
        assert_eq!(digests.len(), 10_000);
    }
}
