//! The place of each worker in memory that all share: what it has done, and what it is doing right now.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Work that needs nobody else.
    Working,
    /// It wants the lock.
    Waiting,
    /// It has the lock.
    Holding,
}

impl Lane {
    /// All, as they are numbered.
    pub const ALL: [Lane; Lane::COUNT] = [Lane::Working, Lane::Waiting, Lane::Holding];

    /// As many as there are.
    pub const COUNT: usize = 3;
}

/// Figures that an experiment may note for each worker, besides those that all have.
pub const NOTES: usize = 4;

/// A worker's place. Its own cache lines, and those that a prefetcher takes with them: nobody else writes there.
#[repr(C, align(128))]
pub struct Seat {
    /// What it is doing, in the lanes' order; only if somebody watches.
    pub lane: AtomicU32,
    /// 0 before it is ready, 1 when it is, 2 when it has done.
    pub stage: AtomicU32,
    /// Since when it does that.
    pub since: AtomicU64,
    /// Nanoseconds in each lane before; only if somebody watches.
    pub spent: [AtomicU64; Lane::COUNT],
    /// What it has done, in units of the experiment.
    pub done: AtomicU64,
    /// Its longest wait in nanoseconds, if that was measured.
    pub longest: AtomicU64,
    /// Nanoseconds of CPU that it used.
    pub cpu: AtomicU64,
    /// When it had done, on the clock.
    pub ended: AtomicU64,
    /// What the experiment notes.
    pub notes: [AtomicU64; NOTES],
}

/// Most workers of a crew.
pub const SEATS: usize = super::knobs::MOST_WORKERS as usize;

/// What all share.
#[repr(C)]
pub struct Board {
    /// Whether they may begin. Workers sleep on it.
    pub begin: AtomicU32,
    /// Whether they are to end.
    pub stop: AtomicBool,
    /// Whether lanes are kept.
    pub watched: AtomicBool,
    /// Nanoseconds on the clock when they began.
    pub began: AtomicU64,
    /// A place for each.
    pub seats: [Seat; SEATS],
}
