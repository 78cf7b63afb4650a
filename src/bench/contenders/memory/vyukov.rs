//! A bounded ring without a lock, for several producers and consumers (D. Vyukov's: a sequence in each cell says whose turn it is).

use super::event::Event;
use super::slots::Slots;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::shared::{Shared, SharedBytes};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The contender.
pub struct Vyukov;

impl Contender for Vyukov {
    fn info(&self) -> Info {
        let says = "a ring without a lock, for several producers and consumers (Vyukov's), with futexes to sleep on";
        Info::new("ring-lock-free", says, Family::Memory, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let head = Shared::new(|_: *mut Head| Ok(()))?;
        let ring = Cells {
            head,
            turns: SharedBytes::new(shape.capacity * size_of::<Turn>())?,
            slots: Slots::new(shape.capacity, shape.payload)?,
        };
        (0..shape.capacity as u64).for_each(|cell| ring.turn(cell).store(cell, Relaxed));
        Ok(Opened::Processes(Box::new(ring)))
    }
}

/// All zeroes at the start.
#[repr(C)]
struct Head {
    filled: Counter,
    taken: Counter,
    /// Something was sent.
    sent: Event,
    /// Something was taken.
    received: Event,
}

#[repr(C, align(128))]
struct Counter(AtomicU64);

/// Whose turn a cell's is: `n` for who fills the `n`-th payload, `n` + 1 for who takes it.
#[repr(C, align(64))]
struct Turn(AtomicU64);

struct Cells {
    head: Shared<Head>,
    turns: SharedBytes,
    slots: Slots,
}

impl Cells {
    fn turn(&self, cell: u64) -> &AtomicU64 {
        let cell = (cell % self.slots.count() as u64) as usize;
        // SAFETY: there is room for one for each slot, on a page's boundary, and nothing else lies there.
        unsafe { &(*self.turns.base().cast::<Turn>().add(cell)).0 }
    }

    /// The number of the payload whose cell is now ours: the first whose turn it is, `after` later than its number. `None` if it is not yet.
    fn claim(&self, counter: &AtomicU64, after: u64) -> Option<u64> {
        let mut n = counter.load(Relaxed);
        loop {
            let turn = self.turn(n).load(Acquire); // ↔ the store of who had the cell before
            if turn < n + after {
                return None;
            }
            if turn > n + after {
                n = counter.load(Relaxed);
                continue;
            }
            match counter.compare_exchange_weak(n, n + 1, Relaxed, Relaxed) {
                Ok(_) => return Some(n),
                Err(now) => n = now,
            }
        }
    }
}

impl Queue for Cells {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(self))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(self))
    }
}

impl Sender for &Cells {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            let n = self.head.received.until(|| self.claim(&self.head.filled.0, 0));
            // SAFETY: the cell is ours until its turn is stored.
            unsafe { self.slots.write(n, payload) };
            self.turn(n).store(n + 1, Release); // ↔ `claim`
            self.head.sent.changed(1);
        }
        Ok(())
    }
}

impl Receiver for &Cells {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let n = self.head.sent.until(|| self.claim(&self.head.taken.0, 1));
        // SAFETY: the cell is ours until its turn is stored.
        each(unsafe { self.slots.read(n) });
        self.turn(n).store(n + self.slots.count() as u64, Release); // ↔ `claim`
        self.head.received.changed(1);
        Ok(())
    }
}
