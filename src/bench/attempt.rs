//! One try of what a death costs, in a process of its own, and how long is waited for it.

use super::contender::{Contender, Result, Shape};
use super::isolate::{Ended, isolated_until};
use super::kill::{Fate, Patience, kill};
use super::shared::Shared;
use crate::sys::clock::{self, Deadline};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the start to the kill: who takes longer may be slow, and was not tried.
    pub ready: Duration,
    /// From the kill on: who takes longer hangs.
    pub over: Duration,
}

/// When somebody was killed, as the turn's process tells the one that waits for it.
#[derive(Clone)]
pub struct Killed(Arc<Shared<AtomicU64>>);

impl Killed {
    /// Nobody so far.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn nobody() -> Result<Killed> {
        Ok(Killed(Arc::new(Shared::new(|_| Ok(()))?)))
    }

    /// Somebody, just now.
    pub fn note(&self) {
        self.0.store(clock::now(), Relaxed);
    }

    fn at(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|at| *at > 0)
    }
}

/// Tries it once; `None` if that was interrupted.
///
/// # Errors
/// If the system refuses to make the process.
pub fn attempt(
    contender: &dyn Contender,
    shape: &Shape,
    after: Duration,
    patience: Patience,
    limits: Limits,
    interrupted: &dyn Fn() -> bool,
) -> Result<Option<Fate>> {
    let killed = Killed::nobody()?;
    let ready = Deadline::after(limits.ready);
    let deadline = || killed.at().map_or(ready, |at| Deadline(at + limits.over.as_nanos() as u64));
    Ok(Some(match isolated_until(&deadline, interrupted, || kill(contender, shape, after, patience, &killed))? {
        Ended::Value(fate) => fate,
        Ended::Interrupted => return Ok(None),
        Ended::Hung if killed.at().is_some() => Fate::Hangs { missing: None },
        Ended::Hung => Fate::Skipped { why: format!("nobody was there to be killed after {:?}", limits.ready) },
        Ended::Died(how) => Fate::Breaks { how },
        // It did not get as far as the kill.
        Ended::Failed(why) => Fate::Skipped { why },
    }))
}
