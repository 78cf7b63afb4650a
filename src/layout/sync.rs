//! What a synchronization object looks like in the region: one structure for all kinds, a table of shares for those that need it, and the
//! protected value.
//!
//! | kind | `word` | `poison` | `count` | `total` | `waiting`, `turn` | shares |
//! |---|---|---|---|---|---|---|
//! | 1 Mutex | owner | state of the value | – | – | – | – |
//! | 2 RwLock | writer | state of the value | read guards | – | writers that wait; 1 if readers go first | read guards, writers that wait |
//! | 3 Semaphore | – | – | permits to be had | permits in all | – | permits held |
//! | 4 Event | – | – | bit 0: set; above it: how often it was set | – | – | – |
//! | 5 Condvar | – | – | – | – | – | – |
//! | 6 Barrier | 0 filling, 1 draining, 2 resetting, 3 broken | 1: break when drained | threads inside | – | – | threads inside |
//! | 7 Counter | – | – | the value | – | – | – |
//!
//! An owner is a [`Holder`](crate::lock::Holder)'s word. Where there are shares they are the truth, and `count` and `waiting` are their sums.

use super::{Described, EventWords, Field, LockWords, Reserved};
use crate::sys::atomic::{AtomicU32, AtomicU64};

shared! {
    /// A synchronization object, whatever its kind. The first line is written once, when it is made.
    SyncObject: 128 {
        /// 1 to 7.
        kind: AtomicU32,
        /// Bytes of the protected value; 0 without one.
        data_size: AtomicU32,
        /// A hash of the name of the value's type; 0 without one.
        type_hash: AtomicU64,
        /// Where the value stands; 0 without one.
        data_offset: AtomicU64,
        /// Where the [`Share`] of participant 0 stands, those of the others behind it; 0 without shares.
        shares_offset: AtomicU64,
        /// Semaphore: the most permits there may be. Barrier: parties.
        limit: AtomicU64,
        /// Semaphore: permits to be had and permits held.
        total: AtomicU64,
        /// Later versions.
        reserved: Reserved<16>,

        /// RwLock, Semaphore, Barrier: guards all that follows and the shares, for the few instructions of a change.
        lock: LockWords,
        /// By kind; see the module.
        word: AtomicU32,
        /// Mutex, RwLock: 0 the value is well, 1 its owner died, 2 its owner panicked. Barrier: 1, break when drained.
        poison: AtomicU32,
        /// By kind; see the module.
        count: AtomicU64,
        /// RwLock: threads that wait to write.
        waiting: AtomicU32,
        /// RwLock: 1, readers go in although writers wait.
        turn: AtomicU32,
        /// Those who sleep here; in a RwLock, to read.
        sleepers: EventWords,
        /// RwLock: those who sleep to write.
        writers: EventWords,
    }
}

shared! {
    /// What one participant has of a RwLock, a Semaphore or a Barrier; cleared by recovery when it has died.
    Share: 8 {
        /// Read guards or permits that it holds.
        holds: AtomicU32,
        /// Its threads that wait to write, or are inside the barrier.
        waits: AtomicU32,
    }
}
