//! Random numbers for tests that can be run again as they were.
#![allow(dead_code, missing_docs)] // Each test that includes this uses a part.

/// Where random choices start: `GRISTMILL_SEED` in the environment, or anywhere. It is said, so that a run can be made again.
pub fn seed() -> u64 {
    let given = std::env::var("GRISTMILL_SEED").ok();
    let seed =
        given.map_or_else(rand::random, |text| text.parse().unwrap_or_else(|_| panic!("GRISTMILL_SEED: {text} is no number")));
    println!("GRISTMILL_SEED={seed}");
    seed
}

/// Numbers that look random and come again from the same seed (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// From the [`seed`].
    pub fn new() -> Numbers {
        Numbers(seed())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One below `bound`, or 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
