//! gristmill's pool.

use super::{Contender, WINDOW, one_by_one, square};
use crate::Result;
use crate::affinity::Pinned;
use gristmill::{ProcessPool, WaitPolicy};
use std::ops::Range;

/// How jobs are handed to the pool.
#[derive(Clone, Copy)]
pub enum Calls {
    /// `submit` for each job of a window, then `result` for each.
    Submit,
    /// `map`, with its results taken in order.
    Map,
    /// `submit` and `result`, one job at a time.
    RoundTrip,
}

pub struct Gristmill {
    pool: ProcessPool<u64, u64>,
    calls: Calls,
    _pinned: Option<Pinned>,
}

impl Gristmill {
    pub fn start(workers: usize, calls: Calls) -> Result<Self> {
        Self::with_policy(workers, calls, WaitPolicy::Adaptive)
    }

    pub fn with_policy(workers: usize, calls: Calls, policy: WaitPolicy) -> Result<Self> {
        let pool = ProcessPool::builder().workers(workers).wait_policy(policy).build(square)?;
        Ok(Gristmill { pool, calls, _pinned: None })
    }

    /// One worker that sleeps when it has nothing to do, on the second of the CPUs; the parent on the first.
    pub fn blocking_pinned([first, second]: [usize; 2]) -> Result<Self> {
        let pinned = Some(Pinned::to(first)?);
        let builder = ProcessPool::builder().workers(1).wait_policy(WaitPolicy::Block).pin_workers(&[second]);
        Ok(Gristmill { pool: builder.build(square)?, calls: Calls::RoundTrip, _pinned: pinned })
    }
}

impl Contender for Gristmill {
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        match self.calls {
            Calls::Submit => submit_all(&self.pool, jobs),
            Calls::Map => map_all(&self.pool, jobs),
            Calls::RoundTrip => one_by_one(jobs, |job| Ok(self.pool.submit(job)?.result()?)),
        }
    }
}

/// Submits single jobs, window by window; the wrapping sum of the results.
pub fn submit_all(pool: &ProcessPool<u64, u64>, jobs: impl IntoIterator<Item = u64>) -> Result<u64> {
    let mut jobs = jobs.into_iter();
    let mut sum = 0u64;
    let mut handles = Vec::with_capacity(WINDOW as usize);
    loop {
        for job in jobs.by_ref().take(WINDOW as usize) {
            handles.push(pool.submit(job)?);
        }
        if handles.is_empty() {
            return Ok(sum);
        }
        for handle in handles.drain(..) {
            sum = sum.wrapping_add(handle.result()?);
        }
    }
}

/// The wrapping sum of the results of `map`.
pub fn map_all(pool: &ProcessPool<u64, u64>, jobs: impl IntoIterator<Item = u64>) -> Result<u64> {
    let mut sum = 0u64;
    for result in pool.map(jobs)? {
        sum = sum.wrapping_add(result?);
    }
    Ok(sum)
}
