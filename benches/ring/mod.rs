//! gristmill's side: the seed's program, with plain 8-byte payloads.
//!
//! One thread of the parent puts all jobs, joins, and reads the results; the workers loop on `get`. While the parent waits for a slot or in
//! `join`, the library moves results out of its way.

use gristmill::{Daemons, Mill, PodJoinableQueue, PodQueue};
use std::time::Duration;

/// Jobs and results that the region has room for.
const CAPACITY: usize = 4096;

/// How many items one call moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// `put` and `get`.
    Single,
    /// `put_many` and `get_many`, 64 at a time.
    Many,
}

/// Items of one `put_many` or `get_many`.
const MANY: usize = 64;

fn single(jobs: &PodJoinableQueue<u64>, results: &PodQueue<u64>) {
    while let Ok(job) = jobs.get() {
        if results.put(job.wrapping_mul(*job)).is_err() {
            return;
        }
        job.task_done();
    }
}

fn many(jobs: &PodJoinableQueue<u64>, results: &PodQueue<u64>) {
    while let Ok(batch) = jobs.get_many(MANY) {
        if results.put_many(batch.iter().map(|job| job.wrapping_mul(*job))).is_err() {
            return;
        }
        batch.task_done();
    }
}

gristmill::init_before_main!(single, many);

/// A Mill with its workers.
pub struct RingPool {
    jobs: PodJoinableQueue<u64>,
    results: PodQueue<u64>,
    daemons: Daemons,
    calls: Calls,
    // Last: it ends the workers.
    _mill: Mill,
}

impl RingPool {
    pub fn start(workers: usize, calls: Calls) -> gristmill::Result<Self> {
        let mill = Mill::builder().region_size(16 << 20).build()?;
        let jobs = mill.pod_joinable_queue(CAPACITY)?;
        let results = mill.pod_queue(CAPACITY)?;
        let daemons = match calls {
            Calls::Single => mill.spawn_daemons(workers, single, (&jobs, &results))?,
            Calls::Many => mill.spawn_daemons(workers, many, (&jobs, &results))?,
        };
        Ok(RingPool { jobs, results, daemons, calls, _mill: mill })
    }

    /// Sends all jobs and receives as many results; the sum of the results.
    pub fn run(&mut self, jobs: &[u64]) -> u64 {
        let mut sum = 0u64;
        match self.calls {
            Calls::Single => {
                for &job in jobs {
                    self.jobs.put(job).expect("put");
                }
                self.jobs.join().expect("join");
                for _ in jobs {
                    sum = sum.wrapping_add(self.results.get().expect("get"));
                }
            }
            Calls::Many => {
                for part in jobs.chunks(MANY) {
                    self.jobs.put_many(part.iter().copied()).expect("put_many");
                }
                self.jobs.join().expect("join");
                let mut left = jobs.len();
                while left > 0 {
                    let part = self.results.get_many(MANY).expect("get_many");
                    left -= part.len();
                    sum = part.iter().fold(sum, |sum, result| sum.wrapping_add(*result));
                }
            }
        }
        sum
    }

    /// Sends one job and receives its result.
    pub fn roundtrip(&mut self, job: u64) -> u64 {
        self.jobs.put(job).expect("put");
        self.results.get().expect("get")
    }

    /// CPU time of the parent and its workers so far.
    pub fn cpu_time(&self) -> Duration {
        let of = |pid: u32| super::pipe::cpu_time_of(pid as libc::pid_t);
        self.daemons.pids().into_iter().map(of).sum::<Duration>() + of(0)
    }
}
