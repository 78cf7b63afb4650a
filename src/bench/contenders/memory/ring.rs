//! A ring under a lock: which lock, one or two of them, and who wakes how.

use super::semaphore::{EventFdSemaphore, FutexSemaphore, PosixSemaphore, Semaphore};
use super::slots::Slots;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::shared::Shared;
use crate::lock::{Holder, Kind, RawLock, Visitor};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Whether producers and consumers exclude one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// They do.
    One,
    /// Producers exclude producers, and consumers exclude consumers.
    Two,
}

/// The semaphores' kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wakes {
    /// A word, and the kernel if somebody sleeps.
    Futex,
    /// Descriptors.
    EventFd,
    /// `sem_t`.
    Posix,
}

/// The contender.
#[derive(Clone, Copy)]
pub struct Ring {
    /// The locks' kind.
    pub lock: Kind,
    /// How many.
    pub locks: Locks,
    /// How one sleeps.
    pub wakes: Wakes,
}

impl Contender for Ring {
    fn info(&self) -> Info {
        let lock = self.lock.name().replace('_', "-");
        let (name, says) = match (self.locks, self.wakes) {
            (Locks::One, Wakes::Futex) => (format!("ring-{lock}"), format!("a ring under one lock of the kind {lock}")),
            (Locks::Two, _) => ("ring-two-locks".into(), "ring-futex with a lock for each end".into()),
            (_, Wakes::EventFd) => ("ring-eventfd".into(), "ring-futex with eventfds for semaphores".into()),
            (_, Wakes::Posix) => ("ring-semaphore".into(), "ring-futex with POSIX semaphores".into()),
        };
        let info = Info::new(&name, &says, Family::Memory, Waits::Block);
        if self.wakes == Wakes::EventFd { info } else { info.batching() }
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        self.lock.visit(Open { ring: *self, shape })
    }
}

struct Open<'a> {
    ring: Ring,
    shape: &'a Shape,
}

impl Visitor for Open<'_> {
    type Out = Result<Opened>;

    fn visit<L: RawLock>(self) -> Result<Opened> {
        let (room, none) = (self.shape.capacity as u32, 0);
        match self.ring.wakes {
            Wakes::Futex => {
                let semaphore = |permits| {
                    Shared::new(|place: *mut FutexSemaphore| {
                        // SAFETY: the place is valid for writes, aligned and nobody else's.
                        unsafe { place.write(FutexSemaphore::new(permits)) };
                        Ok(())
                    })
                };
                open::<L, _>(&self, semaphore(room)?, semaphore(none)?)
            }
            Wakes::EventFd => open::<L, _>(&self, Boxed(EventFdSemaphore::new(room)?), Boxed(EventFdSemaphore::new(none)?)),
            Wakes::Posix => {
                // SAFETY: the place is valid for writes, aligned and nobody else's, and stays where it is.
                let semaphore = |permits| Shared::new(|place| unsafe { Ok(PosixSemaphore::init(place, permits)?) });
                open::<L, _>(&self, semaphore(room)?, semaphore(none)?)
            }
        }
    }
}

/// A semaphore of this process that others inherit.
struct Boxed<S>(S);

impl<S> std::ops::Deref for Boxed<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

#[repr(C, align(128))]
struct Line<T>(T);

struct Head<L> {
    ends: [Line<L>; 2],
    /// The next to be taken, and the next to be filled; each changes under the lock of its end.
    taken: Line<AtomicU64>,
    filled: Line<AtomicU64>,
}

struct LockedRing<L, S> {
    head: Shared<Head<L>>,
    slots: Slots,
    room: S,
    there: S,
    /// Which of the locks is the consumers'.
    consumers_lock: usize,
}

fn open<L: RawLock, S>(open: &Open<'_>, room: S, there: S) -> Result<Opened>
where
    S: std::ops::Deref<Target: Semaphore> + Sync + 'static,
{
    let head = Shared::new(|place: *mut Head<L>| {
        for end in 0..2 {
            // SAFETY: the place is valid for writes, aligned, nobody else's, and stays where it is. The counters are zeroed.
            unsafe { L::init(&raw mut (*place).ends[end].0)? };
        }
        Ok(())
    })?;
    let slots = Slots::new(open.shape.capacity, open.shape.payload)?;
    let consumers_lock = if open.ring.locks == Locks::Two { 1 } else { 0 };
    Ok(Opened::Processes(Box::new(LockedRing { head, slots, room, there, consumers_lock })))
}

impl<L: RawLock, S> Queue for LockedRing<L, S>
where
    S: std::ops::Deref<Target: Semaphore> + Sync,
{
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(End { ring: self, me: Holder::new(1 + producer as u16, 1), copy: vec![] }))
    }
    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(End { ring: self, me: Holder::new(2001 + consumer as u16, 1), copy: vec![] }))
    }
}

struct End<'a, L, S> {
    ring: &'a LockedRing<L, S>,
    me: Holder,
    copy: Vec<u8>,
}

impl<L: RawLock, S> Sender for End<'_, L, S>
where
    S: std::ops::Deref<Target: Semaphore> + Sync,
{
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let ring = self.ring;
        let mut left = payloads.iter().peekable();
        let mut count = payloads.count();
        while count > 0 {
            let room = ring.room.acquire(count)?;
            let lock = &ring.head.ends[0].0;
            lock.lock(self.me);
            let filled = ring.head.filled.0.load(Relaxed);
            for (place, payload) in (filled..filled + room as u64).zip(&mut left) {
                // SAFETY: the semaphore says that the place is empty, and the lock that nobody else fills it.
                unsafe { ring.slots.write(place, payload) };
            }
            ring.head.filled.0.store(filled + room as u64, Relaxed);
            // SAFETY: locked above, by the same holder.
            unsafe { lock.unlock(self.me) };
            ring.there.release(room)?;
            count -= room;
        }
        Ok(())
    }
}

impl<L: RawLock, S> Receiver for End<'_, L, S>
where
    S: std::ops::Deref<Target: Semaphore> + Sync,
{
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let ring = self.ring;
        let there = ring.there.acquire(most)?;
        self.copy.clear();
        let lock = &ring.head.ends[ring.consumers_lock].0;
        lock.lock(self.me);
        let taken = ring.head.taken.0.load(Relaxed);
        for place in taken..taken + there as u64 {
            // SAFETY: the semaphore says that the place is filled, and the lock that nobody else takes it; it is filled anew only after `release`.
            self.copy.extend_from_slice(unsafe { ring.slots.read(place) });
        }
        ring.head.taken.0.store(taken + there as u64, Relaxed);
        // SAFETY: locked above, by the same holder.
        unsafe { lock.unlock(self.me) };
        ring.room.release(there)?;
        self.copy.chunks_exact(self.copy.len() / there).for_each(each);
        Ok(())
    }
}
