//! Locks between processes: one trait, one file per kind.
//!
//! A lock lives in shared memory at an address of its own choosing in each process, so it holds no pointer. The engine uses
//! [`FutexLock`] alone, because it is the one kind that names its owner and can be taken over when that owner has died.
//! The others are there to be compared with it.

mod backoff;
mod futex;
mod kind;
mod pthread;
mod pthread_robust;
#[cfg(feature = "raw_sync")]
mod raw_sync;
mod spin;
mod ticket;

pub use futex::{FutexLock, WAITERS};
pub use kind::{Kind, Visitor};
pub use pthread::PthreadLock;
pub use pthread_robust::PthreadRobustLock;
#[cfg(feature = "raw_sync")]
pub use raw_sync::RawSyncLock;
pub use spin::SpinLock;
pub use ticket::TicketLock;

/// Who takes a lock: a participant of the region and its epoch.
///
/// The number is 1 to 4095. Of the epoch, the lock word keeps the lower 19 bits; two holders are equal if the words they
/// write are.
#[derive(Clone, Copy, Debug)]
pub struct Holder(u32);

impl Holder {
    const ID: u32 = 0xFFF;
    const EPOCH: u32 = 0x7FFF_F000;

    /// The holder for participant `id` (1 to 4095) in `epoch`.
    ///
    /// # Panics
    /// If `id` is 0 or over 4095.
    pub fn new(id: u16, epoch: u32) -> Self {
        assert!(id != 0 && u32::from(id) <= Self::ID, "participant {id} is not in 1..=4095");
        Holder(u32::from(id) | (epoch << 12) & Self::EPOCH)
    }

    /// The participant's number.
    pub fn id(self) -> u16 {
        (self.0 & Self::ID) as u16
    }

    /// The number of the holder that a lock word names, if it names one.
    pub(crate) fn id_in(word: u32) -> Option<u16> {
        match (word & Self::ID) as u16 {
            0 => None,
            id => Some(id),
        }
    }

    /// The word that a lock of this holder has, without flags; never 0.
    pub(crate) fn word(self) -> u32 {
        self.0
    }
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Holder {}

/// How a lock came to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// In the ordinary way.
    Clean,
    /// Its owner died while holding it: what it protects may be half-changed. Only kinds with [`RawLock::RECOVERS`] say this.
    OwnerDied,
}

/// A lock that works between processes which map the same memory.
///
/// # Safety
/// While a call of [`lock`](Self::lock) or a successful [`try_lock`](Self::try_lock) is not followed by its
/// [`unlock`](Self::unlock), no other such call returns success in any process; and what was written before an `unlock` is seen after the
/// next acquisition.
pub unsafe trait RawLock: Sized + Send + Sync + 'static {
    /// The kind's name.
    const NAME: &'static str;
    /// Whether the death of an owner is noticed by the next who locks ([`Acquired::OwnerDied`]). A lock that a supervisor must
    /// take over says `false`.
    const RECOVERS: bool;

    /// Makes the lock, free, at `place`.
    ///
    /// # Errors
    /// What the system says if it can't make one.
    ///
    /// # Safety
    /// `place` is valid for writes, aligned for `Self`, and nobody else uses it until this returns. It stays where it is in
    /// memory for as long as the lock is used.
    unsafe fn init(place: *mut Self) -> std::io::Result<()>;

    /// Waits until the lock is ours. A thread that holds it already waits for ever.
    ///
    /// # Panics
    /// If a kind that leaves its state to the system is told that this state is no lock: its memory was overwritten.
    fn lock(&self, me: Holder) -> Acquired;

    /// Takes the lock if it is free, and never waits for its owner.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    fn try_lock(&self, me: Holder) -> Option<Acquired>;

    /// Gives the lock back.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    ///
    /// # Safety
    /// `me` holds it, and it is this thread that acquired it: the system's mutexes belong to threads.
    unsafe fn unlock(&self, me: Holder);
}
