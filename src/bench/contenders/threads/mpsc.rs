//! The standard library's `sync_channel`; consumers share its one receiver behind a `Mutex`.

use super::channels::{self, Ends};
use super::item::{BOXES, Message};
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
        channels::open::<Self>(shape)
    }
}

impl channels::Library for Mpsc {
    fn bounded<M: Message>(messages: usize, room: usize) -> Box<dyn Queue> {
        let (sender, receiver) = mpsc::sync_channel::<M>(messages);
        Box::new(Ends { sender, receiver: Mutex::new(receiver), room })
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
