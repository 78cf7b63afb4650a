//! What a crew has done.

use super::host::GRACE;
use super::seat::NOTES;
use crate::bench::contender::Result;

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was told to.
    Well,
    /// It did not, and was killed.
    Hung,
    /// It died.
    Died,
}

/// What a worker has done.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How it ended.
    pub ended: Ended,
    /// What it has done, in units of the experiment.
    pub done: u64,
    /// Its longest wait in nanoseconds, if that was measured.
    pub longest: u64,
    /// Nanoseconds of CPU that it used, if it ended well.
    pub cpu: u64,
    /// What the experiment has noted.
    pub notes: [u64; NOTES],
}

/// What a crew has done.
#[derive(Clone, Debug)]
pub struct Round {
    /// From the start to the end of the last worker; to the order to stop, if one of them did not come to its end.
    pub seconds: f64,
    /// Each worker.
    pub tallies: Vec<Tally>,
}

impl Round {
    /// The same, if all came to their end: who was killed may have done what it has not counted.
    ///
    /// # Errors
    /// If not; `at` is what they were at.
    pub fn whole(self, at: &str) -> Result<Round> {
        if self.ended(Ended::Well) == self.tallies.len() {
            return Ok(self);
        }
        Err(format!(
            "{at}: a worker did not come to its end: other programs need the CPUs, or its work is longer than {} s",
            GRACE.as_secs()
        )
        .into())
    }

    /// What all have done.
    pub fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.done).sum()
    }

    /// What all have done in a second.
    pub fn rate(&self) -> f64 {
        self.done() as f64 / self.seconds
    }

    /// Nanoseconds of CPU for each unit that was done.
    pub fn cpu_each(&self) -> f64 {
        self.tallies.iter().map(|tally| tally.cpu).sum::<u64>() as f64 / self.done().max(1) as f64
    }

    /// How many ended like that.
    pub fn ended(&self, how: Ended) -> usize {
        self.tallies.iter().filter(|tally| tally.ended == how).count()
    }
}
