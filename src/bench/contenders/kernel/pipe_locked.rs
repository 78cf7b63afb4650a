//! One pipe, with a length before each payload, and a lock for readers and one for writers: as CPython's `multiprocessing.Queue` does it.

use super::lock::Lock;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
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
        Ok(Opened::Processes(Box::new(Pipe { reader, writer, readers: Lock::new()?, writers: Lock::new()? })))
    }
}

struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    readers: Lock,
    writers: Lock,
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

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            self.frame.clear();
            self.frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            self.frame.extend_from_slice(payload);
            let _held = self.pipe.writers.lock();
            (&self.pipe.writer).write_all(&self.frame)?;
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
        let held = self.pipe.readers.lock();
        let mut length = [0; 4];
        (&self.pipe.reader).read_exact(&mut length)?;
        self.payload.resize(u32::from_be_bytes(length) as usize, 0);
        (&self.pipe.reader).read_exact(&mut self.payload)?;
        drop(held);
        each(&self.payload);
        Ok(())
    }
}
