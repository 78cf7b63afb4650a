//! The ring of `ring-futex`, through which only the places of payloads go: each is written before the lock, and read where it lies after it.

use super::semaphore::{FutexSemaphore, Semaphore};
use super::slots::Slots;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::shared::{Shared, SharedBytes};
use crate::lock::{FutexLock, Holder, RawLock};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The contender.
pub struct Offset;

impl Contender for Offset {
    fn info(&self) -> Info {
        let says = "ring-futex that hands over where payloads lie; they are read in place";
        Info::new("ring-offset", says, Family::Memory, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let slots = Slots::new(shape.capacity, shape.payload)?;
        let (free, full) = (Places::new(shape.capacity, true)?, Places::new(shape.capacity, false)?);
        Ok(Opened::Processes(Box::new(OffsetRing { slots, free, full })))
    }
}

#[repr(C)]
struct Head {
    permits: FutexSemaphore,
    lock: FutexLock,
    taken: AtomicU64,
    filled: AtomicU64,
}

/// A ring of places.
struct Places {
    head: Shared<Head>,
    ring: SharedBytes,
    capacity: usize,
}

impl Places {
    /// With room for so many; if `all`, they are in it.
    fn new(capacity: usize, all: bool) -> Result<Places> {
        let there = if all { capacity } else { 0 };
        let head = Shared::new(|place: *mut Head| {
            // SAFETY: the place is valid for writes, aligned, zeroed and nobody else's, and stays where it is.
            unsafe {
                (&raw mut (*place).permits).write(FutexSemaphore::new(there as u32));
                (&raw mut (*place).filled).write(AtomicU64::new(there as u64));
                Ok(FutexLock::init(&raw mut (*place).lock)?)
            }
        })?;
        let places = Places { head, ring: SharedBytes::new(capacity * 4)?, capacity };
        (0..there as u64).for_each(|place| places.at(place).store(place as u32, Relaxed));
        Ok(places)
    }

    fn at(&self, index: u64) -> &AtomicU32 {
        let index = (index % self.capacity as u64) as usize;
        // SAFETY: the memory has room for `capacity` of them, is aligned to a page, and holds nothing else.
        unsafe { &*self.ring.base().cast::<AtomicU32>().add(index) }
    }

    /// Waits for a place, and appends it and others to `to`: at most `most`.
    fn take(&self, me: Holder, most: usize, to: &mut Vec<u32>) -> Result<()> {
        let count = self.head.permits.acquire(most)? as u64;
        self.head.lock.lock(me);
        let taken = self.head.taken.load(Relaxed);
        to.extend((taken..taken + count).map(|index| self.at(index).load(Relaxed)));
        self.head.taken.store(taken + count, Relaxed);
        // SAFETY: locked above, by the same holder.
        unsafe { self.head.lock.unlock(me) };
        Ok(())
    }

    fn give(&self, me: Holder, places: &[u32]) -> Result<()> {
        self.head.lock.lock(me);
        let filled = self.head.filled.load(Relaxed);
        for (index, &place) in (filled..).zip(places) {
            self.at(index).store(place, Relaxed);
        }
        self.head.filled.store(filled + places.len() as u64, Relaxed);
        // SAFETY: locked above, by the same holder.
        unsafe { self.head.lock.unlock(me) };
        self.head.permits.release(places.len())
    }
}

struct OffsetRing {
    slots: Slots,
    free: Places,
    full: Places,
}

impl Queue for OffsetRing {
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(End { ring: self, me: Holder::new(1 + producer as u16, 1), places: vec![] }))
    }
    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(End { ring: self, me: Holder::new(2001 + consumer as u16, 1), places: vec![] }))
    }
}

struct End<'a> {
    ring: &'a OffsetRing,
    me: Holder,
    places: Vec<u32>,
}

impl Sender for End<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let mut left = payloads.iter();
        while left.len() > 0 {
            self.places.clear();
            self.ring.free.take(self.me, left.len(), &mut self.places)?;
            for (&place, payload) in self.places.iter().zip(&mut left) {
                // SAFETY: the place was free, and is ours until it is given on.
                unsafe { self.ring.slots.write(place.into(), payload) };
            }
            self.ring.full.give(self.me, &self.places)?;
        }
        Ok(())
    }
}

impl Receiver for End<'_> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.places.clear();
        self.ring.full.take(self.me, most, &mut self.places)?;
        for &place in &self.places {
            // SAFETY: the place was full, and is ours until it is given back.
            each(unsafe { self.ring.slots.read(place.into()) });
        }
        self.ring.free.give(self.me, &self.places)
    }
}
