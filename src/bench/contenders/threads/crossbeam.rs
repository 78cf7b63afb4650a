//! `crossbeam-channel` between threads.

use super::channels::{self, Ends};
use super::item::{BOXES, Message};
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
        channels::open::<Self>(shape)
    }
}

impl channels::Library for Crossbeam {
    fn bounded<M: Message>(messages: usize, room: usize) -> Box<dyn Queue> {
        let (sender, receiver) = channel::bounded::<M>(messages);
        Box::new(Ends { sender, receiver, room })
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
