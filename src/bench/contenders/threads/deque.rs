//! A `VecDeque` behind a `Mutex`, with condition variables: what one writes first.

use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

/// The contender.
pub struct Deque;

impl Contender for Deque {
    fn info(&self) -> Info {
        let says = "VecDeque behind a Mutex, with condition variables, between threads";
        Info::new("threads-mutex", says, Family::Threads, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let locked = Locked {
            items: Mutex::new(VecDeque::with_capacity(shape.capacity)),
            capacity: shape.capacity,
            there: Condvar::new(),
            room: Condvar::new(),
        };
        Ok(Opened::Threads(Box::new(locked)))
    }
}

struct Locked {
    items: Mutex<VecDeque<Box<[u8]>>>,
    capacity: usize,
    there: Condvar,
    room: Condvar,
}

impl Queue for Locked {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(self))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(self))
    }
}

impl Sender for &Locked {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        // What needs memory is done before the lock.
        let mut boxed = payloads.iter().map(Box::from).collect::<Vec<Box<[u8]>>>().into_iter();
        while boxed.len() > 0 {
            let items = self.items.lock().map_err(|e| e.to_string())?;
            let mut items = self.room.wait_while(items, |items| items.len() >= self.capacity).map_err(|e| e.to_string())?;
            let room = self.capacity - items.len();
            items.extend(boxed.by_ref().take(room));
            drop(items);
            self.there.notify_one();
        }
        Ok(())
    }
}

impl Receiver for &Locked {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let items = self.items.lock().map_err(|e| e.to_string())?;
        let mut items = self.there.wait_while(items, |items| items.is_empty()).map_err(|e| e.to_string())?;
        let count = most.min(items.len());
        let taken: Vec<Box<[u8]>> = items.drain(..count).collect();
        let left = !items.is_empty();
        drop(items);
        self.room.notify_one();
        if left {
            self.there.notify_one();
        }
        taken.iter().for_each(|one| each(one));
        Ok(())
    }
}
