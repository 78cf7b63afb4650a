//! ipc-channel: a channel to each consumer, since one has one receiver; producers send to them in turn.

use gristmill::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use gristmill::bench::control::Control;
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender};
use std::sync::Mutex;

/// The contender.
pub struct IpcChannel;

impl Contender for IpcChannel {
    fn info(&self) -> Info {
        Info::new("ipc-channel", "ipc-channel, a channel to each consumer, in turn", Family::Peer, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let mut channels = Channels { senders: vec![], receivers: vec![] };
        for _ in 0..shape.consumers {
            let (sender, receiver) = ipc::bytes_channel()?;
            channels.senders.push(Mutex::new(Some(sender)));
            channels.receivers.push(Mutex::new(Some(receiver)));
        }
        Ok(Opened::Processes(Box::new(channels)))
    }
}

/// Each process keeps only the ends that it uses, so that a send to a dead consumer fails. The locks are there because neither end can be shared by
/// threads.
struct Channels {
    senders: Vec<Mutex<Option<IpcBytesSender>>>,
    receivers: Vec<Mutex<Option<IpcBytesReceiver>>>,
}

/// What is in there, which is then empty.
fn taken<T>(ends: &[Mutex<Option<T>>]) -> Vec<Option<T>> {
    ends.iter().map(|end| end.lock().ok().and_then(|mut end| end.take())).collect()
}

impl Queue for Channels {
    /// As much as its sockets hold, which it does not give.
    fn room(&self, _: usize) -> Option<usize> {
        None
    }

    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        let senders: Vec<IpcBytesSender> = taken(&self.senders).into_iter().flatten().collect();
        drop(taken(&self.receivers));
        // Who begins with the same one as all others would make it wait.
        Ok(Box::new(InTurn { next: producer % senders.len(), senders }))
    }

    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        drop(taken(&self.senders));
        let mine = taken(&self.receivers).swap_remove(consumer);
        Ok(Box::new(Mine(mine.ok_or("a channel has one receiver")?)))
    }

    fn forked(&self) {
        drop((taken(&self.senders), taken(&self.receivers)));
    }
}

struct InTurn {
    senders: Vec<IpcBytesSender>,
    next: usize,
}

impl Sender for InTurn {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            self.senders[self.next].send(payload)?;
            self.next = (self.next + 1) % self.senders.len();
        }
        Ok(())
    }
}

struct Mine(IpcBytesReceiver);

impl Receiver for Mine {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        each(&self.0.recv().map_err(|e| e.to_string())?);
        Ok(())
    }
}
