//! What can go wrong with each kind of object. An error that comes with a guard is a warning: the lock is held.

use crate::ring::Stop;
use crate::ring::objects::{Health, Refused, barrier::Failed};

/// Why a [`Mutex`](super::Mutex) or [`RwLock`](super::RwLock) was not locked, or what is wrong with the value that it protects.
///
/// The first two come *with* the lock, as `std`'s `PoisonError` does, and at every lock until somebody has repaired the value.
#[derive(thiserror::Error)]
pub enum LockError<G> {
    /// A process died while it held the lock to write: the value may be half old and half new. Make it whole, then call the guard's `repair`.
    #[error("the lock's owner died: the value may be half-written; make it whole and call the guard's repair()")]
    OwnerDied(G),
    /// A thread panicked while it held the lock to write: the value is what that thread had made of it.
    #[error("the lock's owner panicked: the value may be inconsistent; make it consistent and call the guard's repair()")]
    Panicked(G),
    /// It is held (`try_…`).
    #[error("the lock is held")]
    WouldBlock,
    /// It was held until the timeout.
    #[error("the lock was held until the timeout")]
    TimedOut,
    /// The region has ended.
    #[error("{0}")]
    Stopped(Stop),
}

impl<G> LockError<G> {
    /// The guard, if the lock is held after all.
    pub fn into_guard(self) -> Option<G> {
        match self {
            LockError::OwnerDied(guard) | LockError::Panicked(guard) => Some(guard),
            _ => None,
        }
    }

    /// The same error with something else in the guard's place.
    pub(super) fn map<H>(self, with: impl FnOnce(G) -> H) -> LockError<H> {
        match self {
            LockError::OwnerDied(guard) => LockError::OwnerDied(with(guard)),
            LockError::Panicked(guard) => LockError::Panicked(with(guard)),
            LockError::WouldBlock => LockError::WouldBlock,
            LockError::TimedOut => LockError::TimedOut,
            LockError::Stopped(why) => LockError::Stopped(why),
        }
    }

    /// The guard, with what there is to say about the value.
    pub(super) fn warn(health: Health, guard: G) -> Result<G, Self> {
        match health {
            Health::Well => Ok(guard),
            Health::OwnerDied => Err(LockError::OwnerDied(guard)),
            Health::Panicked => Err(LockError::Panicked(guard)),
        }
    }
}

impl<G> From<Refused> for LockError<G> {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Busy => LockError::WouldBlock,
            Refused::TimedOut => LockError::TimedOut,
            Refused::Stopped(why) => LockError::Stopped(why),
        }
    }
}

impl<G> std::fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Why there is no permit of a [`Semaphore`](super::Semaphore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// There is none now (`try_acquire`).
    #[error("the semaphore has no permit left")]
    WouldBlock,
    /// There was none until the timeout.
    #[error("the semaphore had no permit until the timeout")]
    TimedOut,
    /// The region has ended.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl From<Refused> for AcquireError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Busy => AcquireError::WouldBlock,
            Refused::TimedOut => AcquireError::TimedOut,
            Refused::Stopped(why) => AcquireError::Stopped(why),
        }
    }
}

/// Why a [`Semaphore`](super::Semaphore) takes no more permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// There would be more than there may be.
    #[error("the semaphore has at most {limit} permits: more were released than acquired and forgotten")]
    TooMany {
        /// The most.
        limit: u32,
    },
    /// The region has ended.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// Why a thread did not go through a [`Barrier`](super::Barrier) with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// A waiter's timeout, its death, `abort` or `reset` has broken it.
    #[error("the barrier is broken: a waiter gave up or died, or it was aborted; reset it to use it again")]
    Broken,
    /// The others did not come until the timeout; this has broken the barrier.
    #[error("the others did not come to the barrier until the timeout; it is broken now")]
    TimedOut,
    /// The region has ended.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl From<Failed> for BarrierError {
    fn from(why: Failed) -> Self {
        match why {
            Failed::Broken => BarrierError::Broken,
            Failed::TimedOut => BarrierError::TimedOut,
            Failed::Stopped(why) => BarrierError::Stopped(why),
        }
    }
}
