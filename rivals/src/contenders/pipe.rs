//! Jobs over pipes, as CPython's queue moves them.

use super::{Contender, one_by_one};
use crate::Result;
use crate::affinity::{Pinned, pin_process};
use crate::pipe::PipePool;
use std::ops::Range;

pub struct Pipe {
    pool: PipePool,
    one_by_one: bool,
    _pinned: Option<Pinned>,
}

impl Pipe {
    /// A thread feeds the jobs while another takes the results.
    pub fn start(workers: usize) -> Result<Self> {
        Ok(Pipe { pool: PipePool::start(workers)?, one_by_one: false, _pinned: None })
    }

    /// One job at a time, one worker.
    pub fn roundtrip() -> Result<Self> {
        Ok(Pipe { pool: PipePool::start(1)?, one_by_one: true, _pinned: None })
    }

    /// The same with the parent on the first of the CPUs and the worker on the second.
    pub fn roundtrip_pinned([first, second]: [usize; 2]) -> Result<Self> {
        let pinned = Some(Pinned::to(first)?);
        let pool = PipePool::start(1)?;
        for pid in pool.pids() {
            pin_process(pid, second)?;
        }
        Ok(Pipe { pool, one_by_one: true, _pinned: pinned })
    }
}

impl Contender for Pipe {
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        if self.one_by_one {
            return one_by_one(jobs, |job| Ok(self.pool.roundtrip(job)));
        }
        Ok(self.pool.run(&jobs.collect::<Vec<_>>()))
    }
}
