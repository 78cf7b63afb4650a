//! The standard library's `sync_channel`; consumers share its one receiver behind a `Mutex`.

use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::sync::{Mutex, mpsc};

/// The contender.
pub struct Mpsc;

impl Contender for Mpsc {
    fn info(&self) -> Info {
        let says = "std::sync::mpsc::sync_channel between threads, its receiver behind a Mutex";
        Info::new("threads-mpsc", says, Family::Threads, Waits::Adaptive)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let (sender, receiver) = mpsc::sync_channel(shape.capacity);
        Ok(Opened::Threads(Box::new(Channel { sender, receiver: Mutex::new(receiver) })))
    }
}

struct Channel {
    sender: mpsc::SyncSender<Box<[u8]>>,
    receiver: Mutex<mpsc::Receiver<Box<[u8]>>>,
}

impl Queue for Channel {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(self.sender.clone()))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(&self.receiver))
    }
}

impl Sender for mpsc::SyncSender<Box<[u8]>> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        Ok(payloads.iter().try_for_each(|one| mpsc::SyncSender::send(self, one.into()))?)
    }
}

impl Receiver for &Mutex<mpsc::Receiver<Box<[u8]>>> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let one = self.lock().map_err(|e| e.to_string())?.recv()?;
        each(&one);
        Ok(())
    }
}
