//! Rayon: threads of this process, and no isolation at all. What a pool of processes is to be compared with for large work.

use super::{Contender, square};
use crate::Result;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::hint::black_box;
use std::ops::Range;

pub struct Rayon {
    pool: ThreadPool,
    squares: Vec<u64>,
}

impl Rayon {
    pub fn start(threads: usize) -> Result<Self> {
        Ok(Rayon { pool: ThreadPoolBuilder::new().num_threads(threads).build()?, squares: vec![] })
    }
}

impl Contender for Rayon {
    /// All squares in order, then their sum: what the caller of `map` gets.
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        let Rayon { pool, squares } = self;
        // A range of u64 may be too long to have places; on 64-bit machines one of usize has the same numbers.
        let jobs = jobs.start as usize..jobs.end as usize;
        pool.install(|| jobs.into_par_iter().map(|job| square(black_box(job as u64))).collect_into_vec(squares));
        Ok(squares.iter().fold(0, |sum, square| sum.wrapping_add(*square)))
    }
}
