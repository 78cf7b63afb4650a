//! A `VecDeque` behind a `Mutex`, with condition variables: what one writes first.

use super::item::{BOXES, Item, Make, sized};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

/// The contender.
pub struct Deque;

impl Contender for Deque {
    fn info(&self) -> Info {
        let says = format!("VecDeque behind a Mutex, with condition variables, between threads; {BOXES}");
        Info::new("threads-mutex", &says, Family::Threads, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        sized(shape.payload, &Room(shape.capacity))
    }
}

struct Room(usize);

impl Make for Room {
    fn of<I: Item>(&self) -> Box<dyn Queue> {
        Box::new(Locked::<I> {
            items: Mutex::new(VecDeque::with_capacity(self.0)),
            capacity: self.0,
            there: Condvar::new(),
            room: Condvar::new(),
        })
    }
}

struct Locked<I> {
    items: Mutex<VecDeque<I>>,
    capacity: usize,
    there: Condvar,
    room: Condvar,
}

impl<I: Item> Queue for Locked<I> {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(self))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(self))
    }
}

impl<I: Item> Locked<I> {
    /// Puts as many as there is room for, at least one.
    fn put(&self, some: &mut impl ExactSizeIterator<Item = I>) -> Result<()> {
        let items = self.items.lock().map_err(|e| e.to_string())?;
        let mut items = self.room.wait_while(items, |items| items.len() >= self.capacity).map_err(|e| e.to_string())?;
        let room = self.capacity - items.len();
        items.extend(some.take(room));
        drop(items);
        self.there.notify_one();
        Ok(())
    }
}

impl<I: Item> Sender for &Locked<I> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        // What needs memory is done before the lock.
        if payloads.count() == 1 {
            return self.put(&mut [I::of(payloads.bytes())].into_iter());
        }
        let mut items = payloads.iter().map(I::of).collect::<Vec<I>>().into_iter();
        while items.len() > 0 {
            self.put(&mut items)?;
        }
        Ok(())
    }
}

impl<I: Item> Receiver for &Locked<I> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let items = self.items.lock().map_err(|e| e.to_string())?;
        let mut items = self.there.wait_while(items, |items| items.is_empty()).map_err(|e| e.to_string())?;
        let first = items.pop_front();
        let more = (most - 1).min(items.len());
        // Without any this takes no memory.
        let more: Vec<I> = items.drain(..more).collect();
        let left = !items.is_empty();
        drop(items);
        self.room.notify_one();
        if left {
            self.there.notify_one();
        }
        first.iter().chain(&more).for_each(|one| each(one.bytes()));
        Ok(())
    }
}
