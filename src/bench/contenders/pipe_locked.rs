//! One pipe, with a length before each payload, and a lock for readers and one for writers: as CPython's `multiprocessing.Queue` does it.

use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::shared::Shared;
use crate::lock::{Holder, PthreadLock, RawLock};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

/// The contender.
pub struct PipeLocked;

impl Contender for PipeLocked {
    fn info(&self) -> Info {
        Info::new(
            "pipe-locked",
            "a pipe, length prefix, locks for readers and writers, as CPython's queue",
            Family::Kernel,
            Waits::Block,
        )
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, _: &Shape, _: &Control) -> Result<Opened> {
        let (reader, writer) = pipe()?;
        let locks = Shared::new(|place| {
            // SAFETY: the place is aligned, valid for writes, nobody else has it yet, and it stays where it is.
            unsafe { Ok(Locks::init(place)?) }
        })?;
        Ok(Opened::Processes(Box::new(Pipe { reader, writer, locks })))
    }
}

struct Locks {
    readers: PthreadLock,
    writers: PthreadLock,
}

impl Locks {
    /// # Safety
    /// As [`RawLock::init`].
    unsafe fn init(place: *mut Locks) -> std::io::Result<()> {
        // SAFETY: both fields are inside the place, for which the caller vouches.
        unsafe {
            PthreadLock::init(&raw mut (*place).readers)?;
            PthreadLock::init(&raw mut (*place).writers)
        }
    }
}

struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    locks: Shared<Locks>,
}

impl Queue for Pipe {
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

/// This kind of lock does not say who holds it.
fn anybody() -> Holder {
    Holder::new(1, 1)
}

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            self.frame.clear();
            self.frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            self.frame.extend_from_slice(payload);
            self.pipe.locks.writers.lock(anybody());
            let written = (&self.pipe.writer).write_all(&self.frame);
            // SAFETY: locked above, by this thread.
            unsafe { self.pipe.locks.writers.unlock(anybody()) };
            written?;
        }
        Ok(())
    }
}

struct Reading<'a> {
    pipe: &'a Pipe,
    payload: Vec<u8>,
}

impl Reading<'_> {
    fn read(&mut self) -> std::io::Result<()> {
        let mut length = [0; 4];
        (&self.pipe.reader).read_exact(&mut length)?;
        self.payload.resize(u32::from_be_bytes(length) as usize, 0);
        (&self.pipe.reader).read_exact(&mut self.payload)
    }
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.pipe.locks.readers.lock(anybody());
        let read = self.read();
        // SAFETY: locked above, by this thread.
        unsafe { self.pipe.locks.readers.unlock(anybody()) };
        read?;
        each(&self.payload);
        Ok(())
    }
}
