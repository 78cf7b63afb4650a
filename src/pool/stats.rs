//! What a pool has done, and in words where the time went.

use super::engine::BUNDLE_JOBS;
use super::pool::Owner;
use crate::layout::{Participant, presence};
use std::fmt;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// What a pool has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolStats {
    /// Jobs that were taken; those of `map` count one by one.
    pub submitted: u64,
    /// Outcomes that were collected: of single jobs, and of chunks.
    pub completed: u64,
    /// Those that were no value.
    pub failed: u64,
    /// Jobs that were run again because their worker died.
    pub retried: u64,
    /// Workers that died.
    pub worker_deaths: u64,
    /// Jobs and chunks that have no outcome yet.
    pub unfinished: usize,
    /// Bundles in which jobs went to workers.
    pub bundles: u64,
    /// What a job takes on average, as workers measure it; zero if nothing is known.
    pub job_time: Duration,
    /// Each worker that is alive.
    pub workers: Vec<WorkerStats>,
    /// The parent's wait for the region's locks.
    pub parent_lock_wait: Duration,
}

/// What one worker has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerStats {
    /// Its process.
    pub pid: u32,
    /// Jobs that it has run.
    pub jobs: u64,
    /// Time since it started that was not spent waiting for jobs.
    pub busy: Duration,
    /// Time spent waiting for jobs.
    pub waiting: Duration,
    /// Time spent waiting for locks of the region; part of `busy`.
    pub lock_wait: Duration,
}

impl PoolStats {
    pub(super) fn of(owner: &Owner) -> PoolStats {
        let engine = &owner.engine;
        let region = engine.channel.region();
        engine.settle();
        let (counts, unfinished) = {
            let state = engine.lock();
            (state.counts, state.unfinished)
        };
        let mut stats = PoolStats {
            submitted: counts.submitted,
            completed: counts.done,
            failed: counts.failed,
            unfinished,
            bundles: counts.bundles,
            job_time: Duration::from_nanos(engine.channel.desc().job_nanos.load(Relaxed).into()),
            parent_lock_wait: Duration::from_nanos(region.own_entry().lock_wait.load(Relaxed)),
            ..PoolStats::default()
        };
        (stats.retried, stats.worker_deaths) = engine.shared.losses();
        let now = crate::sys::clock::now();
        let alive = |entry: &Participant| entry.state.load(Acquire) == presence::ATTACHED;
        for (_, entry) in region.participants().filter(|(id, entry)| *id != 1 && alive(entry)) {
            let idle = entry.idle.load(Relaxed);
            let since = now.saturating_sub(entry.attached_at.load(Relaxed));
            stats.workers.push(WorkerStats {
                pid: entry.pid.load(Relaxed),
                jobs: entry.jobs.load(Relaxed),
                busy: Duration::from_nanos(since.saturating_sub(idle)),
                waiting: Duration::from_nanos(idle),
                lock_wait: Duration::from_nanos(entry.lock_wait.load(Relaxed)),
            });
        }
        stats
    }

    /// In words where the time went, and what would make it shorter.
    pub fn explain(&self) -> Explanation<'_> {
        Explanation(self)
    }
}

/// The text of [`PoolStats::explain`].
#[derive(Debug)]
pub struct Explanation<'a>(&'a PoolStats);

/// What it costs to hand one bundle over and back, about: measured by this crate's benchmark of round trips.
const HANDOVER: Duration = Duration::from_nanos(500);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        if s.submitted == 0 {
            return write!(f, "no jobs yet");
        }
        let busy: Duration = s.workers.iter().map(|w| w.busy).sum();
        let waiting: Duration = s.workers.iter().map(|w| w.waiting).sum();
        let locks: Duration = s.workers.iter().map(|w| w.lock_wait).sum::<Duration>() + s.parent_lock_wait;
        let whole = (busy + waiting).max(Duration::from_nanos(1)).as_secs_f64();
        let share = |part: Duration| 100.0 * part.as_secs_f64() / whole;
        let a_bundle = s.submitted as f64 / s.bundles.max(1) as f64;
        write!(
            f,
            "{} jobs of {:.1?} in bundles of {a_bundle:.1}; workers were busy {:.0} % of the time, waited for jobs {:.0} %, for locks {:.1} %",
            s.submitted,
            s.job_time,
            share(busy),
            share(waiting),
            share(locks)
        )?;
        let known = s.job_time > Duration::ZERO;
        if known && s.job_time.as_secs_f64() * a_bundle < 10.0 * HANDOVER.as_secs_f64() {
            let batch = (10.0 * HANDOVER.as_secs_f64() / s.job_time.as_secs_f64()).ceil();
            write!(
                f,
                "; jobs of {:.1?} are short for what it takes to hand them over: batch at least {batch}, or use map",
                s.job_time
            )?;
        } else if share(waiting) > 50.0 && s.unfinished == 0 {
            // Single submissions share bundles of at most so many: these came from a map.
            let advice = if a_bundle > f64::from(BUNDLE_JOBS) {
                "take the results faster"
            } else {
                "submit faster, from more threads, or with map"
            };
            write!(f, "; the workers wait for this program more than they work: {advice}")?;
        } else if share(locks) > 10.0 {
            write!(f, "; locks cost much: larger jobs, or fewer workers")?;
        }
        if s.worker_deaths > 0 {
            write!(f, "; {} workers died, {} jobs were run again", s.worker_deaths, s.retried)?;
        }
        Ok(())
    }
}
