//! Two Unix stream sockets that are connected: all producers write to one of them and all consumers read from the other one, under a lock where
//! there are several of them.

use super::lock::Lock;
use super::stream::{Reading, Writing};
use super::sys::{self, Buffer};
use crate::bench::contender::{Contender, Family, Info, Opened, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::fs::File;
use std::os::fd::AsFd;

/// The contender.
pub struct SocketPairStream;

impl Contender for SocketPairStream {
    fn info(&self) -> Info {
        let says = "a pair of Unix stream sockets, locks where several write or read";
        Info::new("socketpair-stream", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let (writer, reader) = pair(shape)?;
        let (writers, readers) = (Lock::among(shape.producers)?, Lock::among(shape.consumers)?);
        let pair = Pair { writer, reader, writers, readers, shape: *shape };
        Ok(Opened::Processes(Box::new(pair)))
    }
}

/// Bytes of a buffer for so many payloads of `size` bytes that are written one by one: each is a buffer of the kernel's own with a head, and all of
/// that counts. Payloads that are written together need less. Without rights it is `net.core.wmem_max` at most.
pub fn room(payloads: usize, size: usize) -> usize {
    payloads * (size + 768)
}

/// To write to, and to read from.
fn pair(shape: &Shape) -> Result<(File, File)> {
    let (writer, reader) = sys::socket_pair(libc::SOCK_STREAM)?;
    sys::set_buffer(writer.as_fd(), Buffer::Send, room(shape.capacity, shape.payload))?;
    Ok((writer.into(), reader.into()))
}

struct Pair {
    writer: File,
    reader: File,
    writers: Option<Lock>,
    readers: Option<Lock>,
    shape: Shape,
}

impl Queue for Pair {
    fn room(&self, _: usize) -> Option<usize> {
        let (like, _reader) = pair(&self.shape).ok()?;
        sys::filled(&like, self.shape.payload).ok()
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing { to: &self.writer, lock: self.writers.as_ref(), piece: usize::MAX }))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading::new(&self.reader, self.readers.as_ref(), self.shape.payload)))
    }
}
