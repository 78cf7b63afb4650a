//! Two Unix sockets that are connected and keep messages apart: no locks. Datagrams and `SOCK_SEQPACKET` differ in the type alone.

use super::sys::{self, Buffer, Messages};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// A contender.
pub struct SocketPair {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub says: &'static str,
    /// The type of the sockets.
    pub kind: libc::c_int,
}

impl Contender for SocketPair {
    fn info(&self) -> Info {
        Info::new(self.name, self.says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let pair = Pair::new(self.kind, shape)?;
        // The limit of a message is that of the buffer, and what memory the kernel finds in one piece.
        pair.send_and_receive().map_err(|why| format!("a message of {} B: {why} (see net.core.wmem_max)", shape.payload))?;
        Ok(Opened::Processes(Box::new(pair)))
    }
}

/// Bytes of a buffer for so many messages of `size` bytes, as the kernel counts: with their heads, rounded up to what it allocates. Without rights
/// it is `net.core.wmem_max` at most.
fn room(messages: usize, size: usize) -> usize {
    let each = if size < 16 << 10 { (size + 320).next_power_of_two() + 256 } else { size + 4096 };
    messages * each
}

struct Pair {
    writer: File,
    reader: File,
    kind: libc::c_int,
    shape: Shape,
}

impl Pair {
    fn new(kind: libc::c_int, shape: &Shape) -> Result<Pair> {
        let (writer, reader) = sys::socket_pair(kind)?;
        sys::set_buffer(writer.as_fd(), Buffer::Send, room(shape.capacity, shape.payload))?;
        Ok(Pair { writer: writer.into(), reader: reader.into(), kind, shape: *shape })
    }

    fn send_and_receive(&self) -> Result<()> {
        let mut message = vec![0; self.shape.payload];
        one(|| (&self.writer).write(&message), self.shape.payload)?;
        one(|| (&self.reader).read(&mut message), self.shape.payload)
    }
}

/// Sends or receives one message, and sees that it is whole.
fn one(mut call: impl FnMut() -> std::io::Result<usize>, size: usize) -> Result<()> {
    loop {
        match call() {
            Ok(n) if n == size => return Ok(()),
            Ok(n) => return Err(format!("a message has {n} B instead of {size}").into()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
}

impl Queue for Pair {
    fn room(&self, _: usize) -> Option<usize> {
        let like = Pair::new(self.kind, &self.shape).ok()?;
        sys::filled(&like.writer, self.shape.payload).ok()
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing { pair: self, messages: Messages::default() }))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading { pair: self, messages: Messages::default(), bytes: vec![] }))
    }
}

struct Writing<'a> {
    pair: &'a Pair,
    messages: Messages,
}

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        match payloads.count() {
            1 => one(|| (&self.pair.writer).write(payloads.bytes()), self.pair.shape.payload),
            _ => Ok(self.messages.send(self.pair.writer.as_fd(), payloads.bytes(), self.pair.shape.payload)?),
        }
    }
}

struct Reading<'a> {
    pair: &'a Pair,
    messages: Messages,
    bytes: Vec<u8>,
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let size = self.pair.shape.payload;
        self.bytes.resize(most * size, 0);
        let count = match most {
            1 => one(|| (&self.pair.reader).read(&mut self.bytes), size).map(|()| 1)?,
            _ => self.messages.receive(self.pair.reader.as_fd(), &mut self.bytes, size)?,
        };
        self.bytes[..count * size].chunks_exact(size).for_each(each);
        Ok(())
    }
}
