//! Daemons: workers that run the same function and are replaced when they die.

use super::handle::Life;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

/// So many workers of a group in a row may die at once before it is given up: about six seconds, by the delays of [`Group::delay`].
const FAILURES: u32 = 12;
/// A worker that was killed by SIGKILL did not die of itself, as far as anybody can know: so many of these weigh as much as one that did.
const KILLS: u32 = 8;
/// The longest delay before a replacement.
const LONGEST: Duration = Duration::from_secs(1);
/// And before that of a killed one.
const LONGEST_AFTER_KILL: Duration = Duration::from_millis(80);

/// What the members of a group have in common.
#[derive(Default)]
pub(crate) struct Group {
    /// In parts of [`KILLS`] to one.
    failures: AtomicU32,
    served: AtomicBool,
    dismissed: AtomicBool,
    pub(super) deaths: AtomicU64,
}

impl Group {
    /// A member did something useful before it died: the count starts anew.
    pub(super) fn progressed(&self) {
        self.failures.store(0, Relaxed);
        self.served.store(true, Relaxed);
    }

    /// Whether any member did something useful so far, and died.
    pub(super) fn has_served(&self) -> bool {
        self.served.load(Relaxed)
    }

    /// Nobody wants its members any more: those that die are not replaced.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Relaxed);
    }

    pub(super) fn dismissed(&self) -> bool {
        self.dismissed.load(Relaxed)
    }

    /// A member died at once, by a SIGKILL or otherwise. How long to wait before its replacement; `None` if there were too many of these in
    /// a row.
    pub(super) fn failed(&self, killed: bool) -> Option<Duration> {
        let weight = if killed { 1 } else { KILLS };
        let failures = (self.failures.fetch_add(weight, Relaxed) + weight).div_ceil(KILLS);
        let longest = if killed { LONGEST_AFTER_KILL } else { LONGEST };
        (failures <= FAILURES).then(|| Self::delay(failures).min(longest))
    }

    /// 5 ms, doubled with each failure up to a second, and up to a quarter more at random, so that a whole group does not come back in one moment.
    fn delay(failures: u32) -> Duration {
        let base = Duration::from_millis(5 << (failures - 1).min(10)).min(LONGEST);
        base + base.mul_f64(rand::random::<f64>() / 4.0)
    }
}

/// Workers that were started together by [`Mill::spawn_daemons`](super::Mill::spawn_daemons). Dropping this ends nothing.
pub struct Daemons {
    pub(super) lives: Vec<Arc<Life>>,
    pub(crate) group: Arc<Group>,
}

impl std::fmt::Debug for Daemons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Daemons({:?})", self.pids())
    }
}

impl Daemons {
    /// The processes that are alive now.
    pub fn pids(&self) -> Vec<u32> {
        let alive = |life: &Arc<Life>| {
            let now = life.now();
            if now.exit.is_none() { now.pid } else { None }
        };
        self.lives.iter().filter_map(alive).collect()
    }

    /// How many have died otherwise than by returning from their function.
    pub fn deaths(&self) -> u64 {
        self.group.deaths.load(Relaxed)
    }

    /// Waits until all have returned from their function; `false` if some have not until the timeout. Close their queue first.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        self.lives.iter().all(|life| life.wait(deadline).is_some())
    }

    /// Waits until all have returned from their function. Close their queue first.
    pub fn join(&self) {
        for life in &self.lives {
            life.wait(None);
        }
    }
}
