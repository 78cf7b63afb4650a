//! Synchronization between the parent and its workers, after Python's `multiprocessing`: objects that survive the death of whoever holds them.
//!
//! Used by programs. Uses process (a [`Mill`] makes the objects) and ring, where the algorithms and their repair are.
//!
//! | Python | here | differs |
//! |---|---|---|
//! | `Lock()` with data beside it: `acquire`, `acquire(timeout=t)`, `acquire(False)`, `release` | [`Mutex<T>`]: `lock`, `lock_timeout`, `try_lock`, drop of the guard | protects a value; if its owner died or panicked, the next to lock is told and may `repair` |
//! | `RLock()` | – | pass the guard on; a thread that locks twice waits for itself |
//! | – | [`RwLock<T>`]: `read`, `write`, and both with `try_` and `_timeout` | one writer or many readers |
//! | `Semaphore(n)`: `acquire`, `acquire(timeout=t)`, `acquire(False)`, `release(n)` | [`Semaphore`]: `acquire`, `acquire_timeout`, `try_acquire`, `release(n)` | `acquire` gives a [`Permit`] that goes back when it is dropped, and when its process dies; `forget` it to use it up |
//! | `BoundedSemaphore(n)` | [`Semaphore::bounded`] | – |
//! | `Event()`: `set`, `clear`, `is_set`, `wait(timeout)` | [`Event`]: `set`, `clear`, `is_set`, `wait`, `wait_timeout` | a waiter does not miss an event that is cleared at once |
//! | `Condition(lock)`: `wait`, `wait(timeout)`, `wait_for`, `notify`, `notify_all` | [`Condvar`]: `wait(guard)`, `wait_timeout`, `wait_while`, `notify_one`, `notify_all` | separate from its mutex, as in `std` |
//! | `Barrier(n)`: `wait(timeout)`, `reset`, `abort`, `parties`, `n_waiting`, `broken` | [`Barrier`]: `wait`, `wait_timeout`, `reset`, `abort`, `parties`, `waiting`, `is_broken` | a death inside breaks it; `wait` says who came last, not a number |
//! | `Value('q', n)` with its lock | [`Counter`]: `add`, `sub`, `get`, `set` | one atomic; for other values, a [`Mutex<T>`] |
//!
//! # What all of them have in common
//!
//! - The parent makes them, with the [`Mill`] whose region they live in. A clone is the same object. They are passed to workers among the arguments, as
//!   queues are. A worker can use them and not pass them on.
//! - **Memory.** An object's place in the region is not used again while the `Mill` lives, even when all its handles are gone: a worker that still
//!   has one could not be kept from writing there. An object takes 128 bytes and its value; RwLock, Semaphore and Barrier take 8 bytes more for each process that there
//!   may be (2 KiB by default). So make them once, not once a job.
//! - **Owners are processes.** What a thread acquires belongs to its process, and a guard may go to another thread of it. Threads of one process exclude each other as
//!   processes do.
//! - **Values are copied.** A guard holds a private copy of the value, taken when it was made, and writes it back when it is dropped, if it was
//!   borrowed mutably: no reference to memory that another process may write is ever made. So values are plain data (`bytemuck`'s `NoUninit` and
//!   `AnyBitPattern`), up to some KiB.
//! - **Death.** When a process dies, at whatever instruction, the supervisor frees what it held, before its death is reported by
//!   [`Process::join`](crate::Process::join), and everybody goes on.
//! - **The end.** When the region has ended (the `Mill` was dropped, or no worker can live), who waits and who comes to wait gets an
//!   error ([`Stop`]).
//! - Waiting sleeps, except for the first microseconds as [`WaitPolicy`](crate::WaitPolicy) says. Timeouts are of the monotonic clock.
//!
//! # Example
//!
//! ```no_run
//! use gristmill::sync::{LockError, Mutex};
//! use gristmill::{Exit, Mill, tasks};
//!
//! fn deposit(balance: &Mutex<i64>) {
//!     for _ in 0..1000 {
//!         match balance.lock() {
//!             Ok(mut guard) => *guard += 1,
//!             Err(LockError::OwnerDied(mut guard)) => {
//!                 // Somebody died while depositing. One number is whole before and after, so there is nothing to mend.
//!                 guard.repair();
//!                 *guard += 1;
//!             }
//!             Err(e) => panic!("{e}"),
//!         }
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     gristmill::init(tasks![deposit]);
//!     let mill = Mill::builder().build()?;
//!     let balance = Mutex::new(&mill, 0i64)?;
//!     let workers = mill.spawn_daemons(4, deposit, (&balance,))?;
//!     workers.join();
//!     assert_eq!(*balance.lock().map_err(|e| e.to_string())?, 4000);
//!     Ok(())
//! }
//! ```

mod barrier;
mod condvar;
mod counter;
mod error;
mod event;
mod mutex;
mod rwlock;
mod semaphore;

pub use crate::ring::Stop;
pub use barrier::Barrier;
pub use condvar::Condvar;
pub use counter::Counter;
pub use error::{AcquireError, BarrierError, LockError, ReleaseError};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore};

use crate::process::{Mill, Result};
use crate::queue::codec::{Pod, type_hash};
use crate::queue::{arrive, pass};
use crate::ring::objects::{Core, Kind, ObjectPlan};
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Deserializer, Serializer, de::Error as _};
use std::sync::Arc;

/// An object as the code here that is common to all kinds sees it.
trait Handle: Sized {
    const KIND: Kind;
    const NAME: &'static str;
    /// Bytes of the protected value.
    const SIZE: usize;
    fn hash() -> u64;
    fn core(&self) -> &Arc<Core>;
    fn over(core: Arc<Core>) -> Self;
}

/// The hash by which the type of a protected value is recognized.
fn hash_of<T>() -> u64 {
    type_hash::<T, Pod>()
}

/// A value of which nothing has been read yet.
fn blank<T: NoUninit + AnyBitPattern>() -> T {
    bytemuck::Zeroable::zeroed()
}

fn make<H: Handle>(mill: &Mill, value: &[u8], limit: u32, count: u64) -> Result<H> {
    let plan = ObjectPlan { kind: H::KIND, value, type_hash: H::hash(), limit, count };
    Ok(H::over(mill.object(H::NAME, &plan)?))
}

fn serialize<H: Handle, S: Serializer>(handle: &H, to: S) -> Result<S::Ok, S::Error> {
    pass(H::NAME, handle.core().region(), handle.core().place(), to)
}

fn deserialize<'de, H: Handle, D: Deserializer<'de>>(from: D) -> Result<H, D::Error> {
    let (attached, place) = arrive(H::NAME, from)?;
    Core::open(attached.region(), place, H::KIND, H::hash(), H::SIZE)
        .map(H::over)
        .ok_or_else(|| D::Error::custom(format!("what was passed is no {} of this type", H::NAME)))
}

/// What every handle can do: be cloned, shown, and passed to a worker.
macro_rules! handle {
    ($Name:ident $(<$T:ident>)?) => {
        impl$(<$T: bytemuck::NoUninit + bytemuck::AnyBitPattern>)? crate::sync::Handle for $Name$(<$T>)? {
            const KIND: crate::ring::objects::Kind = crate::ring::objects::Kind::$Name;
            const NAME: &'static str = stringify!($Name);
            const SIZE: usize = 0 $(+ size_of::<$T>())?;

            fn hash() -> u64 {
                0 $(+ crate::sync::hash_of::<$T>())?
            }

            fn core(&self) -> &std::sync::Arc<crate::ring::objects::Core> {
                &self.core
            }

            fn over(core: std::sync::Arc<crate::ring::objects::Core>) -> Self {
                $Name { core, $(value: std::marker::PhantomData::<fn($T) -> $T>)? }
            }
        }

        impl$(<$T>)? Clone for $Name$(<$T>)? {
            /// Another handle to the same object.
            fn clone(&self) -> Self {
                $Name { core: self.core.clone(), $(value: std::marker::PhantomData::<fn($T) -> $T>)? }
            }
        }

        impl$(<$T>)? std::fmt::Debug for $Name$(<$T>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}(at {:#x})", stringify!($Name), self.core.place())
            }
        }

        impl$(<$T: bytemuck::NoUninit + bytemuck::AnyBitPattern>)? serde::Serialize for $Name$(<$T>)? {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                crate::sync::serialize(self, to)
            }
        }

        impl<'de, $($T: bytemuck::NoUninit + bytemuck::AnyBitPattern)?> serde::Deserialize<'de> for $Name$(<$T>)? {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                crate::sync::deserialize(from)
            }
        }
    };
}
use handle;
