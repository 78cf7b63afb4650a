//! The functions that are fuzzed: each makes of any bytes something to be done, and panics if a promise is broken.
//!
//! `fuzz/` runs them with new bytes, `tests/corpus` with the kept ones. They are made to be fast: regions are attached once a thread and
//! afterwards only written anew.

pub mod attach;
pub mod operations;
pub mod outcomes;
pub mod views;

/// What is left of the input; 0 for ever after its end.
pub struct Input<'d>(pub &'d [u8]);

impl<'d> Input<'d> {
    pub fn over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    pub fn bytes(&mut self, most: usize) -> &'d [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }

    pub fn number(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |n, k| n | u64::from(self.byte()) << (8 * k))
    }
}
