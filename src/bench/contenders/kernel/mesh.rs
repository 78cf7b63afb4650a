//! Sockets by which each producer is connected with each consumer, as servers and their clients are. A consumer takes what arrives from any of
//! them; a producer gives to them in turn, and past those that are full (see `spread`). Nobody shares an end, so there are no locks; and a producer
//! is told when a consumer dies, and goes on with the others.

use super::spread::{End, Spread};
use super::stream::{Reading, Writing, read_some};
use super::sys;
use crate::bench::contender::{Queue, Receiver, Result, Sender, Shape};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// How participants find one another. Each consumer listens from the start.
pub trait Net: Sync {
    /// Waits for a producer.
    fn accept(&self, consumer: usize) -> io::Result<File>;

    /// Calls a consumer.
    fn connect(&self, consumer: usize) -> io::Result<File>;
}

/// Payloads that a connection of this shape has room for.
pub fn share(shape: &Shape) -> usize {
    shape.capacity.div_ceil(shape.producers * shape.consumers)
}

/// All connections of a turn.
pub struct Mesh<N> {
    pub net: N,
    pub shape: Shape,
}

impl<N: Net> Queue for Mesh<N> {
    fn room(&self, _: usize) -> Option<usize> {
        // One more connection, which nobody else waits for: participants have theirs, or are not there yet.
        let to = self.net.connect(0).ok()?;
        let _from = self.net.accept(0).ok()?;
        Some(sys::filled(&to, self.shape.payload).ok()? * self.shape.producers * self.shape.consumers)
    }

    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        let size = self.shape.payload;
        if self.shape.consumers == 1 {
            return Ok(Box::new(Writing { to: self.net.connect(0)?, lock: None, piece: usize::MAX }));
        }
        let end = |consumer| {
            let to = self.net.connect(consumer)?;
            sys::set_nonblocking(to.as_fd(), true)?;
            Ok(End { to, lock: None })
        };
        let ends = (0..self.shape.consumers).map(end).collect::<io::Result<_>>()?;
        Ok(Box::new(Spread::new(ends, size, size * self.shape.batch, producer)))
    }

    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        let size = self.shape.payload;
        if self.shape.producers == 1 {
            return Ok(Box::new(Reading::new(self.net.accept(consumer)?, None, size)));
        }
        let incoming = |_| {
            let from = self.net.accept(consumer)?;
            sys::set_nonblocking(from.as_fd(), true)?;
            Ok(Incoming { from, bytes: vec![], had: 0 })
        };
        let incoming = (0..self.shape.producers).map(incoming).collect::<io::Result<_>>()?;
        Ok(Box::new(Gathering { incoming, size, next: 0 }))
    }
}

/// One producer's connection.
struct Incoming {
    from: File,
    bytes: Vec<u8>,
    /// Bytes of a payload that has not arrived whole.
    had: usize,
}

impl Incoming {
    /// Hands on whole payloads that are there; how many.
    fn take(&mut self, size: usize, most: usize, each: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        self.bytes.resize(most * size, 0);
        self.had += match read_some(&mut &self.from, &mut self.bytes[self.had..]) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
            read => read?,
        };
        let whole = self.had / size * size;
        self.bytes[..whole].chunks_exact(size).for_each(each);
        self.bytes.copy_within(whole..self.had, 0);
        self.had -= whole;
        Ok(whole / size)
    }
}

/// All connections of a consumer of several producers.
struct Gathering {
    incoming: Vec<Incoming>,
    size: usize,
    /// Whose turn it is.
    next: usize,
}

impl Receiver for Gathering {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        loop {
            for _ in 0..self.incoming.len() {
                let from = self.next;
                self.next = (from + 1) % self.incoming.len();
                if self.incoming[from].take(self.size, most, each)? > 0 {
                    return Ok(());
                }
            }
            sys::wait_for(libc::POLLIN, self.incoming.iter().map(|one| one.from.as_fd()))?;
        }
    }
}
