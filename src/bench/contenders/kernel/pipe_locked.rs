//! One pipe, with a length before each payload, and a lock for readers and one for writers: as CPython's `multiprocessing.Queue` does it, whose
//! locks are POSIX semaphores of value 1.

use super::pipe_atomic::{self, set_room};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::contenders::memory::semaphore::{PosixSemaphore, Semaphore};
use crate::bench::control::Control;
use crate::bench::shared::Shared;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

/// The contender.
pub struct PipeLocked;

impl Contender for PipeLocked {
    fn info(&self) -> Info {
        let most = std::fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap_or_default();
        let room = match most.trim() {
            "" => String::new(),
            most => format!("; without rights room for {most} B at most (fs.pipe-max-size)"),
        };
        let says =
            format!("a pipe, length prefix, POSIX semaphores as locks for readers and writers, as CPython's queue{room}");
        Info::new("pipe-locked", &says, Family::Kernel, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let (reader, writer) = pipe()?;
        set_room(&writer, shape.capacity, LENGTH + shape.payload);
        let room = pipe_atomic::room(&writer, LENGTH + shape.payload);
        Ok(Opened::Processes(Box::new(Pipe { reader, writer, room, readers: lock()?, writers: lock()? })))
    }
}

/// Bytes before each payload.
const LENGTH: usize = 4;

fn lock() -> Result<Shared<PosixSemaphore>> {
    // SAFETY: the place is valid for writes, nobody else has it yet, and it stays where it is.
    Shared::new(|place| unsafe { Ok(PosixSemaphore::init(place, 1)?) })
}

/// Does something while the lock is held.
fn with<T>(lock: &PosixSemaphore, act: impl FnOnce() -> Result<T>) -> Result<T> {
    lock.acquire(1)?;
    let done = act();
    lock.release(1)?;
    done
}

struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    room: Option<usize>,
    readers: Shared<PosixSemaphore>,
    writers: Shared<PosixSemaphore>,
}

impl Queue for Pipe {
    fn room(&self, _: usize) -> Option<usize> {
        self.room
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing { pipe: self, frame: vec![] }))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading { pipe: self, payload: vec![] }))
    }
}

struct Writing<'a> {
    pipe: &'a Pipe,
    frame: Vec<u8>,
}

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            self.frame.clear();
            self.frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            self.frame.extend_from_slice(payload);
            with(&self.pipe.writers, || Ok((&self.pipe.writer).write_all(&self.frame)?))?;
        }
        Ok(())
    }
}

struct Reading<'a> {
    pipe: &'a Pipe,
    payload: Vec<u8>,
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        with(&self.pipe.readers, || {
            let mut length = [0; LENGTH];
            (&self.pipe.reader).read_exact(&mut length)?;
            self.payload.resize(u32::from_be_bytes(length) as usize, 0);
            Ok((&self.pipe.reader).read_exact(&mut self.payload)?)
        })?;
        each(&self.payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::Pattern;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    /// Payloads that go in until one has to wait for room.
    fn room(capacity: usize) -> usize {
        let shape = Shape { pattern: Pattern::OneWay, payload: 64, producers: 1, consumers: 1, batch: 1, capacity, work: 0 };
        let Ok(Opened::Processes(queue)) = PipeLocked.open(&shape, &Control::create(0).unwrap()) else { panic!("not opened") };
        let queue: &'static dyn Queue = Box::leak(queue);
        let (sent, count) = channel();
        std::thread::spawn(move || {
            let mut sender = queue.sender(0).unwrap();
            while sender.send(Payloads::new(&[7; 64], 64)).is_ok() && sent.send(()).is_ok() {}
        });
        let mut room = 0;
        loop {
            match count.recv_timeout(Duration::from_millis(300)) {
                Ok(()) => room += 1,
                Err(RecvTimeoutError::Timeout) => return room,
                Err(RecvTimeoutError::Disconnected) => panic!("the sender failed"),
            }
        }
    }

    #[test]
    fn there_is_as_much_room_as_was_asked_for_in_whole_pages() {
        let page = crate::sys::page_size();
        assert!((8..=page / 64).contains(&room(8)), "one page");
        assert!(room(4096) >= 4096, "more than a pipe has by default");
    }
}
