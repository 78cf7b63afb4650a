//! A System V message queue. It outlives its processes: `left` removes it after the turn.
//!
//! Without rights it has room for `kernel.msgmnb` bytes at most, 16 KiB unless somebody has raised it.

use super::sys::SystemQueue;
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use libc::c_long;

/// The contender.
pub struct SystemVMq;

impl Contender for SystemVMq {
    fn info(&self) -> Info {
        let room = limit("msgmnb").map_or(String::new(), |most| format!("; without rights room for {most} B (kernel.msgmnb)"));
        Info::new("sysv-mq", &format!("a System V message queue{room}"), Family::Kernel, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let size = shape.payload;
        for name in ["msgmax", "msgmnb"] {
            // A message that is larger than a queue would be waited with for ever.
            if let Some(limit) = limit(name).filter(|limit| *limit < size) {
                return Err(format!("a message of {size} B: raise the limit: sysctl kernel.{name}={size} (is {limit})").into());
            }
        }
        let queue = new()?;
        // If this user may not have so much it stays as large as it was made, which is the limit.
        let _ = queue.set_room(shape.capacity * size);
        Ok(Opened::Processes(Box::new(Messages { queue, size })))
    }
}

fn limit(name: &str) -> Option<usize> {
    std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse().ok()
}

/// A new queue, or why there is none.
fn new() -> Result<SystemQueue> {
    SystemQueue::new().map_err(|why| match why.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no System V message queues".into(),
        Some(libc::ENOSPC) => "there are too many queues: see ipcs -q, and kernel.msgmni".into(),
        _ => why.into(),
    })
}

struct Messages {
    queue: SystemQueue,
    size: usize,
}

impl Messages {
    /// A message's type, and room for what is in it.
    fn message(&self) -> Vec<c_long> {
        vec![1; 1 + self.size / size_of::<c_long>()]
    }
}

impl Queue for Messages {
    fn room(&self, _: usize) -> Option<usize> {
        Some(self.queue.room().ok()? / self.size)
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing { queue: &self.queue, message: self.message() }))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading { queue: &self.queue, message: self.message() }))
    }
}

struct Writing<'a> {
    queue: &'a SystemQueue,
    message: Vec<c_long>,
}

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            bytemuck::cast_slice_mut(&mut self.message[1..]).copy_from_slice(payload);
            self.queue.send(&self.message)?;
        }
        Ok(())
    }
}

struct Reading<'a> {
    queue: &'a SystemQueue,
    message: Vec<c_long>,
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let length = self.queue.receive(&mut self.message)?;
        each(&bytemuck::cast_slice(&self.message[1..])[..length]);
        Ok(())
    }
}
