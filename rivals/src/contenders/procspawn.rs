//! procspawn's pool of processes.

use super::{Contender, square, windows};
use crate::Result;
use procspawn::Pool;
use std::ops::Range;

/// Jobs under way together: each takes two channels, that is four descriptors, of which a process has 1024 by default.
const WINDOW: u64 = 100;

pub struct Procspawn {
    pool: Pool,
}

impl Procspawn {
    /// Its workers end when the parent's end of their channel is closed.
    pub fn start(workers: usize) -> Result<Self> {
        Ok(Procspawn { pool: Pool::builder(workers).disable_stdout().build()? })
    }
}

impl Contender for Procspawn {
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        let mut sum = 0u64;
        for window in windows(jobs, WINDOW) {
            let handles: Vec<_> = window.map(|job| self.pool.spawn(job, square)).collect();
            for handle in handles {
                sum = sum.wrapping_add(handle.join()?);
            }
        }
        Ok(sum)
    }
}
