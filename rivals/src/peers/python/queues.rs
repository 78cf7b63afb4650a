//! Python's queues, between processes that one Python has forked.

use super::{CALIBRATES, Script};
use gristmill::bench::contender::{Contender, Family, Info, Opened, Result, Shape, Started, Waits};
use gristmill::bench::control::Control;
use gristmill::sys::clock::Deadline;
use gristmill::sys::{pidfd::Pidfd, poll};
use std::os::fd::AsFd;

const SCRIPT: &str = include_str!("queues.py");

/// The contenders.
pub fn all() -> impl Iterator<Item = Box<dyn Contender>> {
    let all = [
        ("python-queue", "queue", "multiprocessing.Queue: a pipe behind a thread that sends"),
        (
            "python-simple-queue",
            "simple_queue",
            "multiprocessing.SimpleQueue: a pipe with two locks; its capacity is the pipe's",
        ),
        (
            "python-joinable-queue",
            "joinable_queue",
            "multiprocessing.JoinableQueue, with task_done for each and join at the end",
        ),
        (
            "faster-fifo",
            "faster_fifo",
            "faster-fifo for Python: a ring of bytes in shared memory, a mutex, condition variables",
        ),
    ];
    all.into_iter().map(|(name, means, says)| Box::new(Python { name, means, says }) as Box<dyn Contender>)
}

struct Python {
    name: &'static str,
    means: &'static str,
    says: &'static str,
}

impl Contender for Python {
    fn info(&self) -> Info {
        Info::new(self.name, &format!("{}; {CALIBRATES}", self.says), Family::Peer, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, control: &Control) -> Result<Opened> {
        let mut script = Script::start(SCRIPT, self.means, shape, control.address())?;
        let watched =
            script.said::<Vec<u32>>()?.into_iter().map(|pid| Ok((pid, Pidfd::open(pid)?))).collect::<Result<Vec<_>>>()?;
        Ok(Opened::Started(Box::new(Running {
            watched,
            killed: vec![],
            bounded: self.means != "simple_queue",
            _script: script,
        })))
    }
}

struct Running {
    watched: Vec<(u32, Pidfd)>,
    killed: Vec<u32>,
    /// Whether the queue takes a number of items.
    bounded: bool,
    _script: Script,
}

impl Started for Running {
    fn pids(&self) -> Vec<u32> {
        self.watched.iter().map(|(pid, _)| *pid).collect()
    }

    /// A pipe's bytes hold more or fewer of what Python makes of payloads: nobody says how many.
    fn room(&self, asked: usize) -> Option<usize> {
        self.bounded.then_some(asked)
    }

    /// They are Python's children, so how they ended is not known here; what they had to say is on standard error.
    fn look_after(&self) -> Result<()> {
        let alive: Vec<_> =
            self.watched.iter().filter(|(pid, _)| !self.killed.contains(pid)).map(|(_, fd)| fd.as_fd()).collect();
        match poll::poll(&alive, Some(Deadline(0)))?.contains(&true) {
            true => Err("a participant in Python ended".into()),
            false => Ok(()),
        }
    }

    fn expect_death(&mut self, pid: u32) {
        self.killed.push(pid);
    }
}
