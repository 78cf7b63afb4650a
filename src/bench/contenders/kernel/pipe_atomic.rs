//! One pipe without locks and without lengths: what is written in one call of up to `PIPE_BUF` bytes stays together.
//!
//! Nor is a payload ever read in parts. A pipe is pages; a write that does not fit whole into what is left of the last one starts a new one, and
//! waits while there is none. So whenever nobody is at the pipe there are whole payloads in it, and a read takes as many of them as it has room
//! for. POSIX does not promise this second part; a read of anything else is told as an error.

use super::stream::{Writing, read_some};
use super::sys;
use crate::bench::contender::{Contender, Family, Info, Opened, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::sys::page_size;
use libc::PIPE_BUF;
use std::fs::File;
use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};

/// The contender.
pub struct PipeAtomic;

impl Contender for PipeAtomic {
    fn info(&self) -> Info {
        let says = "a pipe, payloads up to PIPE_BUF (4096 B), no locks; its room is whole pages";
        Info::new("pipe-atomic", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        too_large(shape)
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let (reader, writer) = ends(shape.capacity, shape.payload)?;
        Ok(Opened::Processes(Box::new(Pipe { reader, writer, size: shape.payload })))
    }
}

/// Why payloads of this shape cannot be written without locks.
pub fn too_large(shape: &Shape) -> Option<String> {
    (shape.payload > PIPE_BUF).then(|| format!("payloads of more than {PIPE_BUF} B (PIPE_BUF) are not written in one piece"))
}

/// A new pipe with room for so many payloads of `size` bytes, at least, if this user may have as much.
pub fn ends(payloads: usize, size: usize) -> Result<(File, File)> {
    let (reader, writer) = pipe()?;
    set_room(&writer, payloads, size);
    Ok((OwnedFd::from(reader).into(), OwnedFd::from(writer).into()))
}

/// Sets a pipe's room. The kernel makes a power of two pages of it; without rights it gives 1 MiB (`pipe-max-size`) at most, if as much.
pub fn set_room(pipe: &impl AsFd, payloads: usize, size: usize) {
    let page = page_size();
    // No payload that fits into a page lies in two of them.
    let pages = if size <= page { payloads.div_ceil(page / size) } else { payloads * size.div_ceil(page) };
    let mut bytes = pages * page;
    while sys::set_pipe_size(pipe.as_fd(), bytes).is_err() && bytes > page {
        bytes /= 2;
    }
}

/// Payloads of `size` bytes that it has room for: none of those that fit into a page lies in two of them.
pub fn room(pipe: &impl AsFd, size: usize) -> Option<usize> {
    let page = page_size();
    let pages = sys::pipe_size(pipe.as_fd()).ok()? / page;
    Some(if size <= page { pages * (page / size) } else { pages / size.div_ceil(page) })
}

/// A pipe, with or without a name.
pub struct Pipe {
    pub reader: File,
    pub writer: File,
    pub size: usize,
}

impl Queue for Pipe {
    fn room(&self, _: usize) -> Option<usize> {
        room(&self.writer, self.size)
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing { to: &self.writer, lock: None, piece: piece(self.size) }))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading { pipe: self, bytes: vec![] }))
    }
}

/// As many bytes of whole payloads as a pipe takes in one piece.
pub fn piece(size: usize) -> usize {
    (PIPE_BUF / size).max(1) * size
}

struct Reading<'a> {
    pipe: &'a Pipe,
    bytes: Vec<u8>,
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let size = self.pipe.size;
        self.bytes.resize(most * size, 0);
        let read = read_some(&mut &self.pipe.reader, &mut self.bytes)?;
        if read % size != 0 {
            return Err(format!("a read took {read} B, and payloads have {size}").into());
        }
        self.bytes[..read].chunks_exact(size).for_each(each);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::Payloads;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread::spawn;
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Says that there is nothing more.
    const LAST: u8 = 255;

    fn read_all(pipe: &Pipe, most: usize) -> usize {
        let mut receiver = pipe.receiver(0).unwrap();
        let (mut count, mut last) = (0, false);
        while !last {
            let mut whole = |bytes: &[u8]| {
                assert!(bytes.len() == pipe.size && bytes.iter().all(|byte| *byte == bytes[0]), "mixed");
                if bytes[0] == LAST { last = true } else { count += 1 }
            };
            receiver.receive(most, &mut whole).unwrap();
        }
        // For the next reader; one is left at the end.
        write(pipe, LAST, 1);
        count
    }

    fn write(pipe: &Pipe, byte: u8, batch: usize) {
        let bytes = vec![byte; pipe.size * batch];
        pipe.sender(0).unwrap().send(Payloads::new(&bytes, pipe.size)).unwrap();
    }

    #[test]
    fn it_has_the_room_that_it_says_it_has() {
        for (size, asked) in [(64, 8), (64, 200), (1000, 5), (4096, 3)] {
            let (reader, writer) = ends(asked, size).unwrap();
            let pipe = Pipe { reader, writer, size };
            sys::set_nonblocking(pipe.writer.as_fd(), true).unwrap();
            let (bytes, mut sender) = (vec![1; size], pipe.sender(0).unwrap());
            let sent = (0..).take_while(|_| sender.send(Payloads::new(&bytes, size)).is_ok()).count();
            assert_eq!((pipe.room(asked), sent >= asked), (Some(sent), true), "{size} B, {asked} asked for");
        }
    }

    /// Sizes that fill a page evenly and that do not, in the smallest pipe there is, so that writers and readers wait all the time.
    #[test]
    fn no_read_ever_takes_a_part_of_a_payload() {
        for (size, batch) in [(8, 1), (24, 400), (64, 64), (1000, 20), (1368, 2), (2056, 1), (4088, 1), (4096, 1)] {
            let (reader, writer) = ends(1, size).unwrap();
            let pipe = Arc::new(Pipe { reader, writer, size });
            let batches = 10_000 / batch;
            let (counts, ended) = (channel(), channel());
            for most in [1, batch + 3] {
                let (pipe, count) = (Arc::clone(&pipe), counts.0.clone());
                spawn(move || count.send(read_all(&pipe, most)).unwrap());
            }
            for byte in [1, 2, 3] {
                let (pipe, end) = (Arc::clone(&pipe), ended.0.clone());
                spawn(move || {
                    (0..batches).for_each(|_| write(&pipe, byte, batch));
                    end.send(()).unwrap();
                });
            }
            // Whoever finds a part is gone, and then the others hang.
            let hangs = "a payload was read in parts, see above";
            (0..3).for_each(|_| ended.1.recv_timeout(LIMIT).expect(hangs));
            write(&pipe, LAST, 1);
            let received: usize = (0..2).map(|_| counts.1.recv_timeout(LIMIT).expect(hangs)).sum();
            assert_eq!(received, 3 * batches * batch, "{size} B in batches of {batch}");
        }
    }
}
