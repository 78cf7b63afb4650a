//! A POSIX message queue. Without rights it has room for `fs.mqueue.msg_max` messages at most, 10 unless somebody has raised it.

use super::sys::{self, PosixQueue};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::io;

/// The contender.
pub struct PosixMq;

impl Contender for PosixMq {
    fn info(&self) -> Info {
        let room =
            limit("msg_max").map_or(String::new(), |most| format!("; without rights room for {most} (fs.mqueue.msg_max)"));
        Info::new("posix-mq", &format!("a POSIX message queue{room}"), Family::Kernel, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        sys::lift_message_queue_limit();
        let size = shape.payload;
        let with_room = |room: usize| Ok((PosixQueue::new(room, size)?, room));
        let queue = with_room(shape.capacity).or_else(|why| match limit("msg_max") {
            Some(most) if most < shape.capacity => with_room(most),
            _ => Err(why),
        });
        let (queue, room) = queue.map_err(|why| refused(&why, size))?;
        Ok(Opened::Processes(Box::new(Messages { queue, size, room })))
    }
}

fn limit(name: &str) -> Option<usize> {
    std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}")).ok()?.trim().parse().ok()
}

/// What the system does not allow, and what to do about it.
fn refused(error: &io::Error, size: usize) -> String {
    let told = match (error.raw_os_error(), limit("msgsize_max")) {
        (Some(libc::EINVAL), Some(most)) if most < size => {
            format!("raise the limit: sysctl fs.mqueue.msgsize_max={size} (is {most})")
        }
        (Some(libc::EMFILE | libc::ENOMEM), _) => "raise the limit of bytes: RLIMIT_MSGQUEUE (ulimit -q)".into(),
        (Some(libc::ENOSYS), _) => "this kernel has none".into(),
        _ => error.to_string(),
    };
    format!("a POSIX queue of messages of {size} B: {told}")
}

struct Messages {
    queue: PosixQueue,
    size: usize,
    room: usize,
}

impl Queue for Messages {
    fn room(&self, _: usize) -> Option<usize> {
        Some(self.room)
    }
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        Ok(Box::new(Writing(&self.queue)))
    }
    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        Ok(Box::new(Reading { queue: &self.queue, bytes: vec![0; self.size] }))
    }
}

struct Writing<'a>(&'a PosixQueue);

impl Sender for Writing<'_> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        Ok(payloads.iter().try_for_each(|payload| self.0.send(payload))?)
    }
}

struct Reading<'a> {
    queue: &'a PosixQueue,
    bytes: Vec<u8>,
}

impl Receiver for Reading<'_> {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let length = self.queue.receive(&mut self.bytes)?;
        each(&self.bytes[..length]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_what_to_raise() {
        let error = io::Error::from_raw_os_error;
        if limit("msgsize_max").is_some() {
            let huge = refused(&error(libc::EINVAL), 1 << 40);
            assert!(huge.contains("sysctl fs.mqueue.msgsize_max=1099511627776 (is "), "{huge}");
        }
        assert!(refused(&error(libc::EMFILE), 9).ends_with("RLIMIT_MSGQUEUE (ulimit -q)"));
    }
}
