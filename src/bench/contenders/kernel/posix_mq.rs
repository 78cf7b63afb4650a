//! A POSIX message queue.

use super::sys::{self, PosixQueue};
use crate::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use crate::bench::control::Control;
use std::io;

/// The contender.
pub struct PosixMq;

impl Contender for PosixMq {
    fn info(&self) -> Info {
        Info::new("posix-mq", "a POSIX message queue", Family::Kernel, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        sys::lift_message_queue_limit();
        let (messages, size) = (shape.capacity, shape.payload);
        let queue = PosixQueue::new(messages, size).map_err(|e| refused(&e, messages, size))?;
        Ok(Opened::Processes(Box::new(Messages { queue, size })))
    }
}

/// What the system does not allow, and what to do about it.
fn refused(error: &io::Error, messages: usize, size: usize) -> String {
    let told = match error.raw_os_error() {
        Some(libc::EINVAL) => {
            let set = |name, needed: usize| {
                let limit =
                    std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}")).ok()?.trim().parse::<usize>().ok()?;
                (limit < needed).then(|| format!("sysctl fs.mqueue.{name}={needed} (is {limit})"))
            };
            let raise: Vec<_> = [set("msg_max", messages), set("msgsize_max", size)].into_iter().flatten().collect();
            if raise.is_empty() { "it is too large for the system".into() } else { format!("raise it: {}", raise.join(", ")) }
        }
        Some(libc::EMFILE | libc::ENOMEM) => "too many bytes: raise RLIMIT_MSGQUEUE (ulimit -q)".into(),
        Some(libc::ENOSYS) => "this kernel has none".into(),
        _ => error.to_string(),
    };
    format!("a queue of {messages} messages of {size} B: {told}")
}

struct Messages {
    queue: PosixQueue,
    size: usize,
}

impl Queue for Messages {
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
        let huge = refused(&error(libc::EINVAL), 1 << 40, 1 << 40);
        assert!(
            huge.contains("sysctl fs.mqueue.msg_max=1099511627776 (is ")
                || !std::path::Path::new("/proc/sys/fs/mqueue").exists(),
            "{huge}"
        );
        assert!(refused(&error(libc::EMFILE), 9, 9).ends_with("raise RLIMIT_MSGQUEUE (ulimit -q)"));
    }
}
