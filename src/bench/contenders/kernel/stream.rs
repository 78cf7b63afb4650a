//! Both ends of a stream of bytes. All payloads of a turn have one size, so that no length is sent.

use super::lock::Lock;
use crate::bench::contender::{Payloads, Receiver, Result, Sender};
use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

/// An end to write to, with a lock if there are several who write.
pub struct Writing<'a, F> {
    pub to: F,
    pub lock: Option<&'a Lock>,
    /// Bytes to write in one call, at most.
    pub piece: usize,
}

impl<F: Borrow<File>> Sender for Writing<'_, F> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let _held = self.lock.map(Lock::lock);
        Ok(payloads.bytes().chunks(self.piece).try_for_each(|piece| self.to.borrow().write_all(piece))?)
    }
}

/// An end to read from, with a lock if there are several who read.
pub struct Reading<'a, F> {
    from: F,
    lock: Option<&'a Lock>,
    size: usize,
    bytes: Vec<u8>,
}

impl<'a, F> Reading<'a, F> {
    /// For payloads of `size` bytes.
    pub fn new(from: F, lock: Option<&'a Lock>, size: usize) -> Self {
        Reading { from, lock, size, bytes: vec![] }
    }
}

impl<F: Borrow<File>> Receiver for Reading<'_, F> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.bytes.resize(most * self.size, 0);
        let held = self.lock.map(Lock::lock);
        let read = read_frames(self.from.borrow(), &mut self.bytes, self.size)?;
        drop(held);
        self.bytes[..read].chunks_exact(self.size).for_each(each);
        Ok(())
    }
}

/// Waits for bytes and takes those that are there, and then the rest of the last payload; how many bytes.
pub fn read_frames(mut from: impl Read, bytes: &mut [u8], size: usize) -> io::Result<usize> {
    let mut had = read_some(&mut from, bytes)?;
    while had % size != 0 {
        had += read_some(&mut from, &mut bytes[had..had.next_multiple_of(size)])?;
    }
    Ok(had)
}

/// At least one byte.
pub fn read_some(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and is interrupted before each of them.
    struct Drip<'a>(&'a [u8], bool);

    impl Read for Drip<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let most = bytes.len().min(3);
            self.0.read(&mut bytes[..most])
        }
    }

    #[test]
    fn only_whole_payloads_are_handed_on_however_the_bytes_arrive() {
        let sent: Vec<u8> = (0..40).collect();
        let (mut from, mut bytes) = (Drip(&sent, false), [0; 24]);
        for frame in sent.chunks(8) {
            assert_eq!(read_frames(&mut from, &mut bytes, 8).unwrap(), 8);
            assert_eq!(bytes[..8], *frame);
        }
        let end = read_frames(&mut from, &mut bytes, 8).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    }
}
