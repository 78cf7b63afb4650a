//! Which states have been seen: of each its fingerprint of 64 bits and its number, 12 bytes at an open-addressed place.
//!
//! Two states with one fingerprint would be taken for one, and what follows from the second would not be visited. Among n states the chance that
//! any two are is about n²/2⁶⁵: 1 in 37 million for a million states, 1 in 3,700 for 10⁸.

use std::hash::{Hash, Hasher};

/// Mixes into 128 bits, of which both halves are folded at the end. No step loses anything: two states that have differed once differ until the
/// fold, so what is above is the chance of the fold alone.
struct Mix {
    state: u128,
    /// Bytes that wait until there are eight.
    rest: u64,
    bytes: u32,
}

/// Odd, so that to multiply by it can be undone.
const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

impl Mix {
    fn new() -> Self {
        Mix { state: FACTOR.rotate_left(64), rest: 0, bytes: 0 }
    }

    fn word(&mut self, n: u64) {
        self.state = (self.state ^ u128::from(n)).wrapping_mul(FACTOR);
        self.state ^= self.state >> 64;
    }

    fn byte(&mut self, n: u8) {
        self.rest |= u64::from(n) << (8 * self.bytes);
        self.bytes += 1;
        if self.bytes == 8 {
            self.word(self.rest);
            (self.rest, self.bytes) = (0, 0);
        }
    }

    fn fold(mut self) -> u64 {
        self.word(self.rest);
        self.word(self.bytes.into());
        (self.state >> 64) as u64 ^ self.state as u64
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        unreachable!("`fold` ends it")
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.byte(b));
    }

    /// Discriminants and lengths: one byte if they are small, else a mark and eight.
    fn write_usize(&mut self, n: usize) {
        match u8::try_from(n) {
            Ok(small) if small < u8::MAX => self.byte(small),
            _ => {
                self.byte(u8::MAX);
                self.write(&n.to_le_bytes());
            }
        }
    }

    fn write_isize(&mut self, n: isize) {
        self.write_usize(n as usize);
    }
}

/// Never 0: that is an empty place.
pub fn fingerprint(state: &impl Hash) -> u64 {
    let mut mix = Mix::new();
    state.hash(&mut mix);
    mix.fold().max(1)
}

/// Numbers of states by fingerprint.
pub struct Seen {
    /// Their length is a power of two.
    keys: Vec<u64>,
    numbers: Vec<u32>,
    len: u32,
}

impl Seen {
    pub fn new() -> Self {
        Seen { keys: vec![0; 1024], numbers: vec![0; 1024], len: 0 }
    }

    /// What it occupies; while it grows, half as much again.
    pub fn bytes(&self) -> usize {
        self.keys.len() * (size_of::<u64>() + size_of::<u32>())
    }

    /// The number of a state, and whether it is new.
    pub fn insert(&mut self, key: u64) -> (u32, bool) {
        if self.len as usize * 10 > self.keys.len() * 7 {
            self.grow();
        }
        let at = self.place(key);
        if self.keys[at] == key {
            return (self.numbers[at], false);
        }
        (self.keys[at], self.numbers[at]) = (key, self.len);
        self.len += 1;
        (self.len - 1, true)
    }

    /// The number of a state that has been seen.
    pub fn number(&self, key: u64) -> u32 {
        self.numbers[self.place(key)]
    }

    /// Where it stands or is to stand.
    fn place(&self, key: u64) -> usize {
        let mask = self.keys.len() - 1;
        let mut at = key as usize & mask;
        while self.keys[at] != 0 && self.keys[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let size = self.keys.len() * 2;
        let keys = std::mem::replace(&mut self.keys, vec![0; size]);
        let numbers = std::mem::replace(&mut self.numbers, vec![0; size]);
        for (key, number) in keys.into_iter().zip(numbers).filter(|&(key, _)| key != 0) {
            let at = self.place(key);
            (self.keys[at], self.numbers[at]) = (key, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_while_it_grows() {
        let mut seen = Seen::new();
        let keys: Vec<u64> = (0..100_000u32).map(|n| fingerprint(&n)).collect();
        for (n, &key) in keys.iter().enumerate() {
            assert_eq!(seen.insert(key), (n as u32, true));
        }
        for (n, &key) in keys.iter().enumerate() {
            assert_eq!(seen.insert(key), (n as u32, false));
            assert_eq!(seen.number(key), n as u32);
        }
    }

    /// What differs in one place, in the order alone, or in its length alone, differs.
    #[test]
    fn near_states_have_fingerprints_of_their_own() {
        let mut all = vec![fingerprint(&[0u8; 0])];
        for length in 1..20usize {
            all.push(fingerprint(&vec![0u8; length]));
            for at in 0..length {
                for value in 1..=255u8 {
                    let mut bytes = vec![0u8; length];
                    bytes[at] = value;
                    all.push(fingerprint(&bytes));
                }
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
