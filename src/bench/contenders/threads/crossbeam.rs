//! `crossbeam-channel` between threads.

use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crossbeam_channel as channel;

/// The contender.
pub struct Crossbeam;

impl Contender for Crossbeam {
    fn info(&self) -> Info {
        Info::new("threads-crossbeam", "crossbeam-channel, bounded, between threads", Family::Threads, Waits::Adaptive)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let (sender, receiver) = channel::bounded(shape.capacity);
        Ok(Opened::Threads(Box::new(Channel { sender, receiver })))
    }
}

struct Channel {
    sender: channel::Sender<Box<[u8]>>,
    receiver: channel::Receiver<Box<[u8]>>,
}

impl Queue for Channel {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(self.sender.clone()))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(self.receiver.clone()))
    }
}

impl Sender for channel::Sender<Box<[u8]>> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        Ok(payloads.iter().try_for_each(|one| channel::Sender::send(self, one.into()))?)
    }
}

impl Receiver for channel::Receiver<Box<[u8]>> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        each(&self.recv()?);
        self.try_iter().take(most - 1).for_each(|one| each(&one));
        Ok(())
    }
}
