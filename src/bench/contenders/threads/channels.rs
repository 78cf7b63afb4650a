//! What channels of a library have in common here: they have no call for many, so that a batch is one message.

use super::item::{Item, Make, Message, One, sized};
use crate::bench::contender::{Opened, Queue, Receiver, Result, Sender, Shape};
use std::marker::PhantomData;

/// A library's channels.
pub trait Library {
    /// A channel with room for so many messages, which is room for so many payloads.
    fn bounded<M: Message>(messages: usize, room: usize) -> Box<dyn Queue>;
}

/// The queue of that shape over a channel of `L`.
pub fn open<L: Library>(shape: &Shape) -> Result<Opened> {
    sized(shape.payload, &Asked::<L> { capacity: shape.capacity, batch: shape.batch, library: PhantomData })
}

struct Asked<L> {
    capacity: usize,
    batch: usize,
    library: PhantomData<L>,
}

impl<L: Library> Make for Asked<L> {
    fn of<I: Item>(&self) -> Box<dyn Queue> {
        // Room for as many payloads, or a few more.
        let messages = self.capacity.div_ceil(self.batch);
        let room = messages * self.batch;
        if self.batch == 1 { L::bounded::<One<I>>(messages, room) } else { L::bounded::<Vec<I>>(messages, room) }
    }
}

/// A channel's two ends, which its threads share.
pub struct Ends<S, R> {
    /// Of all producers.
    pub sender: S,
    /// Of all consumers.
    pub receiver: R,
    /// Payloads that there is room for.
    pub room: usize,
}

impl<S: Sync, R: Sync> Queue for Ends<S, R>
where
    for<'a> &'a S: Sender,
    for<'a> &'a R: Receiver,
{
    fn room(&self, _: usize) -> Option<usize> {
        Some(self.room)
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(&self.sender))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(&self.receiver))
    }
}
