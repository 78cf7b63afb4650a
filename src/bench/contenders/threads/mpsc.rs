//! The standard library's `sync_channel`; consumers share its one receiver behind a `Mutex`.

use super::item::{BOXES, Item, Make, Message, One, sized};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::sync::{Mutex, mpsc};

/// The contender.
pub struct Mpsc;

impl Contender for Mpsc {
    fn info(&self) -> Info {
        let says = format!(
            "std::sync::mpsc::sync_channel between threads, its receiver behind a Mutex; {BOXES}; a batch is one message, a Vec"
        );
        Info::new("threads-mpsc", &says, Family::Threads, Waits::Adaptive).batching()
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
    let (sender, receiver) = mpsc::sync_channel::<M>(room);
    Box::new(Channel { sender, receiver: Mutex::new(receiver), room: room * batch })
}

struct Channel<M> {
    sender: mpsc::SyncSender<M>,
    receiver: Mutex<mpsc::Receiver<M>>,
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

impl<M: Message> Sender for &mpsc::SyncSender<M> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        Ok(mpsc::SyncSender::send(self, M::of(payloads)).map_err(|e| e.to_string())?)
    }
}

impl<M: Message> Receiver for &Mutex<mpsc::Receiver<M>> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let message = self.lock().map_err(|e| e.to_string())?.recv()?;
        message.each(each);
        Ok(())
    }
}
