//! A ring for each pair of a producer and a consumer: nobody shares an end, and there is no lock.
//!
//! A producer goes round the consumers and passes over full rings; a consumer goes round its producers.

use super::event::Event;
use super::slots::Slots;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::shared::{Shared, SharedBytes};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The contender.
pub struct SpscEach;

impl Contender for SpscEach {
    fn info(&self) -> Info {
        let says = "a ring without a lock for each pair of a producer and a consumer, with futexes to sleep on";
        Info::new("ring-each", says, Family::Memory, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let pairs = shape.producers * shape.consumers;
        // All rings together have the room that is asked for, but for a place each at least.
        let room = (shape.capacity / pairs).max(1);
        let rings = Rings {
            producers: shape.producers,
            consumers: shape.consumers,
            ends: SharedBytes::new(pairs * size_of::<Ends>())?,
            sent: (0..shape.consumers).map(|_| Shared::new(|_: *mut Event| Ok(()))).collect::<Result<_>>()?,
            taken: (0..shape.producers).map(|_| Shared::new(|_: *mut Event| Ok(()))).collect::<Result<_>>()?,
            slots: (0..pairs).map(|_| Slots::new(room, shape.payload)).collect::<Result<_>>()?,
        };
        Ok(Opened::Processes(Box::new(rings)))
    }
}

#[repr(C, align(128))]
struct Counter(AtomicU64);

/// All zeroes at the start. Each is stored by one participant only.
#[repr(C)]
struct Ends {
    filled: Counter,
    taken: Counter,
}

struct Rings {
    producers: usize,
    consumers: usize,
    ends: SharedBytes,
    /// For each consumer.
    sent: Vec<Shared<Event>>,
    /// For each producer.
    taken: Vec<Shared<Event>>,
    slots: Vec<Slots>,
}

impl Rings {
    fn ends(&self, pair: usize) -> &Ends {
        assert!(pair < self.producers * self.consumers);
        // SAFETY: there is room for one for each pair, on a page's boundary, and nothing else lies there.
        unsafe { &*self.ends.base().cast::<Ends>().add(pair) }
    }

    fn pair(&self, producer: usize, consumer: usize) -> usize {
        producer * self.consumers + consumer
    }
}

impl Queue for Rings {
    fn room(&self, _: usize) -> Option<usize> {
        Some(self.slots.iter().map(Slots::count).sum())
    }
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        // Not all of them begin with the same consumer.
        Ok(Box::new(End { rings: self, me: producer, next: producer % self.consumers }))
    }
    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(End { rings: self, me: consumer, next: 0 }))
    }
}

struct End<'a> {
    rings: &'a Rings,
    me: usize,
    next: usize,
}

impl Sender for End<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let rings = self.rings;
        let mut left = payloads.iter();
        while left.len() > 0 {
            let (consumer, filled, room) = rings.taken[self.me].until(|| {
                (0..rings.consumers).find_map(|step| {
                    let consumer = (self.next + step) % rings.consumers;
                    let pair = rings.pair(self.me, consumer);
                    let filled = rings.ends(pair).filled.0.load(Relaxed);
                    let taken = rings.ends(pair).taken.0.load(Acquire); // ↔ the consumer's store
                    let room = rings.slots[pair].count() as u64 - (filled - taken);
                    (room > 0).then_some((consumer, filled, room))
                })
            });
            let pair = rings.pair(self.me, consumer);
            let count = room.min(left.len() as u64);
            for (place, payload) in (filled..filled + count).zip(&mut left) {
                // SAFETY: the consumer has taken what was there, and nobody else fills this ring.
                unsafe { rings.slots[pair].write(place, payload) };
            }
            rings.ends(pair).filled.0.store(filled + count, Release); // ↔ the consumer's load
            rings.sent[consumer].changed(1);
            self.next = (consumer + 1) % rings.consumers;
        }
        Ok(())
    }
}

impl Receiver for End<'_> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let rings = self.rings;
        let (producer, taken, there) = rings.sent[self.me].until(|| {
            (0..rings.producers).find_map(|step| {
                let producer = (self.next + step) % rings.producers;
                let pair = rings.pair(producer, self.me);
                let taken = rings.ends(pair).taken.0.load(Relaxed);
                let filled = rings.ends(pair).filled.0.load(Acquire); // ↔ the producer's store
                (filled > taken).then_some((producer, taken, filled - taken))
            })
        });
        let pair = rings.pair(producer, self.me);
        let count = there.min(most as u64);
        for place in taken..taken + count {
            // SAFETY: the producer has filled it, and fills it anew only after the store below.
            each(unsafe { rings.slots[pair].read(place) });
        }
        rings.ends(pair).taken.0.store(taken + count, Release); // ↔ the producer's load
        rings.taken[producer].changed(1);
        self.next = (producer + 1) % rings.producers;
        Ok(())
    }
}
