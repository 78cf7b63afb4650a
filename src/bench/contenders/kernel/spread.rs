//! A producer who has an end for each of several consumers and gives to them in turn.
//!
//! It does not wait at an end that is full while another one has room: nothing here waits unless all ends are full, and then for any of them. Only a
//! payload that an end took in part is finished there before anything else is done.

use super::lock::Lock;
use super::sys;
use crate::bench::contender::{Payloads, Result, Sender};
use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

/// Where one consumer reads.
pub struct End<'a, F> {
    /// Does not block.
    pub to: F,
    /// For producers whose bytes would mix.
    pub lock: Option<&'a Lock>,
}

/// All ends of a producer.
pub struct Spread<'a, F> {
    /// Those whose consumer is there.
    ends: Vec<End<'a, F>>,
    /// Bytes of a payload.
    size: usize,
    /// Bytes to write in one call, at most: whole payloads.
    piece: usize,
    /// Whose turn it is.
    next: usize,
}

/// What became of an attempt to write.
enum Put {
    /// So many bytes were written, whole payloads.
    Bytes(usize),
    /// There is no room.
    Full,
    /// Another producer is at it.
    Locked,
    /// The consumer is gone, and so many bytes of whole payloads with it.
    Gone(usize),
}

impl<F: Borrow<File>> End<'_, F> {
    fn try_put(&self, bytes: &[u8], size: usize) -> io::Result<Put> {
        let held = self.lock.map(Lock::try_lock);
        if let Some(None) = held {
            return Ok(Put::Locked);
        }
        let (mut written, mut left) = (0, bytes);
        loop {
            match self.to.borrow().write(left) {
                Ok(n) => written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock && written == 0 => return Ok(Put::Full),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    sys::wait_for(libc::POLLOUT, [self.to.borrow().as_fd()].into_iter())?
                }
                Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(Put::Gone(written / size * size));
                }
                Err(e) => return Err(e),
            }
            if written > 0 && written % size == 0 {
                return Ok(Put::Bytes(written));
            }
            // Not more than this payload: for the next one another end may have room.
            left = &bytes[written..if written == 0 { bytes.len() } else { written.next_multiple_of(size) }];
        }
    }
}

impl<'a, F: Borrow<File>> Spread<'a, F> {
    /// For payloads of `size` bytes, of which up to `piece` bytes are written in one call. The first end to be used is that of `first`.
    pub fn new(ends: Vec<End<'a, F>>, size: usize, piece: usize, first: usize) -> Self {
        let next = first % ends.len();
        Spread { ends, size, piece, next }
    }

    /// Writes some of these bytes where there is room, or waits; how many are done with.
    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut locked = false;
        for _ in 0..self.ends.len() {
            self.next %= self.ends.len();
            match self.ends[self.next].try_put(bytes, self.size)? {
                Put::Bytes(written) => {
                    self.next += 1;
                    return Ok(written);
                }
                Put::Full => self.next += 1,
                Put::Locked => (self.next, locked) = (self.next + 1, true),
                Put::Gone(written) => {
                    self.ends.swap_remove(self.next);
                    return if self.ends.is_empty() { Err("all consumers are gone".into()) } else { Ok(written) };
                }
            }
        }
        if locked {
            // There may be room where another producer is at work. It is done soon, or waits for room as this one does.
            std::thread::yield_now();
        }
        sys::wait_for(libc::POLLOUT, self.ends.iter().map(|end| end.to.borrow().as_fd()))?;
        Ok(0)
    }
}

impl<F: Borrow<File>> Sender for Spread<'_, F> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for mut piece in payloads.bytes().chunks(self.piece) {
            while !piece.is_empty() {
                piece = &piece[self.put(piece)?..];
            }
        }
        Ok(())
    }
}
