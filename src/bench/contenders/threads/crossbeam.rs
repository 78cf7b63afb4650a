//! `crossbeam-channel` between threads.

use super::item::{BOXES, Item, Make, Message, One, sized};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crossbeam_channel as channel;

/// The contender.
pub struct Crossbeam;

impl Contender for Crossbeam {
    fn info(&self) -> Info {
        let says = format!("crossbeam-channel, bounded, between threads; {BOXES}; a batch is one message, a Vec");
        Info::new("threads-crossbeam", &says, Family::Threads, Waits::Adaptive).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        sized(shape.payload, &Asked(*shape))
    }
}

struct Asked(Shape);

impl Make for Asked {
    fn of<I: Item>(&self) -> Box<dyn Queue> {
        match self.0.batch {
            1 => channel_of::<One<I>>(self.0.capacity, 1),
            // Room for as many payloads.
            batch => channel_of::<Vec<I>>(self.0.capacity.div_ceil(batch), batch),
        }
    }
}

fn channel_of<M: Message>(room: usize, batch: usize) -> Box<dyn Queue> {
    let (sender, receiver) = channel::bounded::<M>(room);
    Box::new(Channel { sender, receiver, room: room * batch })
}

struct Channel<M> {
    sender: channel::Sender<M>,
    receiver: channel::Receiver<M>,
    room: usize,
}

impl<M: Message> Queue for Channel<M> {
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

impl<M: Message> Sender for &channel::Sender<M> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        Ok(channel::Sender::send(self, M::of(payloads)).map_err(|e| e.to_string())?)
    }
}

impl<M: Message> Receiver for &channel::Receiver<M> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.recv()?.each(each);
        Ok(())
    }
}
