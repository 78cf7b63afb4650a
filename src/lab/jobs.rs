//! Jobs of which a share is done with a lock held.

use super::crew::Crew;
use super::gate::Gate;
use super::laboratory::Lab;
use crate::bench::contender::Result;
use crate::bench::work::Work;
use crate::lock::RawLock;
use std::time::Duration;

/// Workers, each with one job after the other.
pub struct Jobs<'a> {
    /// What it runs in.
    pub lab: &'a Lab<'a>,
    /// How long.
    pub time: Duration,
    /// How many.
    pub workers: usize,
    /// Nanoseconds of work for each job.
    pub job: u64,
    /// Per cent of it with the lock held.
    pub share: f64,
}

impl Jobs<'_> {
    /// Jobs a second of all.
    ///
    /// # Errors
    /// If the system refuses, or a worker did not come to its end.
    pub fn rate<L: RawLock>(&self) -> Result<f64> {
        let inside = (self.job as f64 * self.share / 100.0) as u64;
        let (inside, outside) = (Work::of(inside), Work::of(self.job - inside));
        let gate = Gate::<L, u64>::new()?;
        let at = format!("{} workers, the lock held for {:.0} % of the time", self.workers, self.share);
        let round = Crew::processes(self.workers).work(self.lab, &at, self.time, &*gate, |worker, gate| {
            while worker.on() {
                outside.run(1);
                gate.with(worker, |value, _| {
                    inside.run(*value);
                    *value += 1;
                });
                worker.did(1);
            }
        })?;
        Ok(round.whole(&at)?.rate())
    }
}
