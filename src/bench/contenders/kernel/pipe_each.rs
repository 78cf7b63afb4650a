//! A pipe for each worker. A producer gives to them in turn, and to the next one instead of one whose pipe is full (see `spread`).
//!
//! Payloads up to `PIPE_BUF` need no lock. Of larger ones the bytes of several producers would mix: then there is a lock for those who write to a
//! pipe. What lies in the pipe of a worker that dies is lost, and once it is full nothing more is given to it.

use super::lock::Lock;
use super::pipe_atomic::{self, ends, piece};
use super::spread::{End, Spread};
use super::stream::{Reading, Writing};
use super::sys;
use crate::bench::contender::{Contender, Family, Info, Opened, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use libc::PIPE_BUF;
use std::fs::File;
use std::os::fd::AsFd;

/// The contender.
pub struct PipeEach;

impl Contender for PipeEach {
    fn info(&self) -> Info {
        let says = "a pipe for each worker, in turn, past full ones; the room is shared out among them";
        Info::new("pipe-each", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let large = shape.payload > PIPE_BUF;
        let pipe = |_| {
            let (reader, writer) = ends(shape.capacity.div_ceil(shape.consumers), shape.payload)?;
            sys::set_nonblocking(writer.as_fd(), shape.consumers > 1)?;
            Ok(Pipe { reader, writer, lock: Lock::among(if large { shape.producers } else { 1 })? })
        };
        let pipes = (0..shape.consumers).map(pipe).collect::<Result<_>>()?;
        Ok(Opened::Processes(Box::new(Pipes { pipes, size: shape.payload })))
    }
}

struct Pipe {
    reader: File,
    writer: File,
    lock: Option<Lock>,
}

struct Pipes {
    pipes: Vec<Pipe>,
    size: usize,
}

impl Queue for Pipes {
    fn room(&self, _: usize) -> Option<usize> {
        self.pipes.iter().map(|pipe| pipe_atomic::room(&pipe.writer, self.size)).sum()
    }
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        let piece = piece(self.size);
        let ends = self.pipes.iter().map(|pipe| End { to: &pipe.writer, lock: pipe.lock.as_ref() });
        Ok(match &self.pipes[..] {
            [only] => Box::new(Writing { to: &only.writer, lock: only.lock.as_ref(), piece }),
            _ => Box::new(Spread::new(ends.collect(), self.size, piece, producer)),
        })
    }
    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading::new(&self.pipes[consumer].reader, None, self.size)))
    }
}
