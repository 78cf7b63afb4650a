//! Ways to use shared memory, simpler than the engine's, each of which isolates one cause.
//!
//! The base is `ring-futex`: payloads lie in a ring under one lock; a semaphore counts those that are there, another one the room. The others
//! differ from it in one thing. None of them is made for a participant that dies.

mod event;
mod offset;
mod ring;
pub mod semaphore;
mod slots;
mod spsc;
mod vyukov;

use crate::bench::contender::Contender;
use crate::lock::Kind;
use ring::{Locks, Ring, Wakes};

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    let base = Ring { lock: Kind::Futex, locks: Locks::One, wakes: Wakes::Futex };
    let kinds = Kind::ALL.iter().map(|&lock| Ring { lock, ..base });
    let others =
        [Ring { locks: Locks::Two, ..base }, Ring { wakes: Wakes::EventFd, ..base }, Ring { wakes: Wakes::Posix, ..base }];
    let mut all: Vec<Box<dyn Contender>> = vec![];
    all.extend(kinds.chain(others).map(|ring| Box::new(ring) as Box<dyn Contender>));
    all.push(Box::new(offset::Offset));
    all.push(Box::new(vyukov::Vyukov));
    all.push(Box::new(spsc::SpscEach));
    all
}
