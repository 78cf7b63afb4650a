//! The participants of a turn, whatever they are: forked processes, threads, or what a contender has started itself.

use super::contender::{Contender, Opened, Pattern, Payloads, Queue, Receiver, Result, Sender, Shape, Started};
use super::control::Control;
use super::measure::Who;
use super::payload::Checker;
use super::{isolate, participant};
use crate::sys::spawn;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// What a participant does.
#[derive(Clone, Copy)]
enum Role {
    Producer(usize),
    Consumer(usize),
    /// Takes a job and sends its result back.
    Worker(usize),
}

/// The queues that participants use: the results' only where jobs have results.
struct Queues {
    jobs: Box<dyn Queue>,
    results: Option<Box<dyn Queue>>,
}

/// All participants of a turn.
pub struct Participants {
    control: &'static Control,
    shape: Shape,
    pids: Vec<u32>,
    /// What was forked here, and is watched here.
    forked: Vec<i32>,
    started: Option<Box<dyn Started>>,
    /// None if a contender has started them itself.
    queues: Option<&'static Queues>,
}

/// The shape of the queue that brings results back.
fn results_of(shape: &Shape) -> Shape {
    Shape { pattern: Pattern::OneWay, payload: 8, producers: shape.consumers, consumers: 1, work: 0, ..*shape }
}

impl Participants {
    /// Starts all participants of what `contender` has opened. This process is the turn's own: what is made here lives as long as it does.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start(contender: &dyn Contender, opened: Opened, shape: &Shape, control: Control) -> Result<Participants> {
        let control: &'static Control = Box::leak(Box::new(control));
        let mut all = Participants { control, shape: *shape, pids: vec![], forked: vec![], started: None, queues: None };
        let (jobs, threads) = match opened {
            Opened::Started(started) => {
                all.pids = started.pids();
                all.started = Some(started);
                return Ok(all);
            }
            Opened::Processes(queue) => (queue, false),
            Opened::Threads(queue) => (queue, true),
            Opened::Pool(_) => return Err("a pool has no participants of ours".into()),
        };
        let results = match shape.pattern {
            Pattern::OneWay => None,
            Pattern::Commands => return Err("a command has no participants of ours".into()),
            Pattern::Calls => match contender.open(&results_of(shape), control)? {
                Opened::Processes(queue) | Opened::Threads(queue) => Some(queue),
                _ => return Err("there is no queue for results".into()),
            },
        };
        let queues: &'static Queues = Box::leak(Box::new(Queues { jobs, results }));
        all.queues = Some(queues);
        // Consumers first: none of them can miss anything, and a named queue has its readers when writers come.
        for role in roles(shape) {
            let shape = *shape;
            let live = move || live(queues, control, &shape, role);
            if threads {
                std::thread::Builder::new().spawn(move || failed(live()))?;
            } else {
                all.forked.push(fork(live)?);
            }
        }
        if !threads {
            queues.jobs.forked();
            queues.results.iter().for_each(|results| results.forked());
        }
        all.pids = all.forked.iter().map(|&pid| pid as u32).collect();
        Ok(all)
    }

    /// Waits until everybody is ready for the first phase.
    ///
    /// # Errors
    /// If that takes too long, or somebody dies.
    pub fn wait_until_ready(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while (0..self.seats() + self.workers()).any(|seat| self.control.seat(seat).done.load(Relaxed) == 0) {
            self.look_after()?;
            if Instant::now() > end {
                return Err(format!("not ready after {} s", limit.as_secs()).into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// The page that all share.
    pub fn control(&self) -> &Control {
        self.control
    }

    /// Payloads that the queue of jobs has room for, if it can tell. It may have to fill another one to know: not while anything is measured.
    pub fn room(&self) -> Option<usize> {
        let asked = self.shape.capacity;
        match &self.started {
            Some(started) => started.room(asked),
            None => self.queues?.jobs.room(asked),
        }
    }

    /// Whose use is measured: all of them, and what threads this process has for them.
    pub fn who(&self) -> Who {
        Who::without_host(&self.pids)
    }

    /// The process of a consumer, if it has one of its own.
    pub fn pid_of_consumer(&self, consumer: usize) -> Option<u32> {
        let pids = self.started.as_ref().map_or_else(|| self.pids.clone(), |started| started.pids());
        let at = match self.started {
            Some(_) => self.shape.producers + consumer,
            // In the order of `roles`.
            None => consumer,
        };
        (pids.len() > 1).then(|| pids.get(at).copied()).flatten()
    }

    /// Seats that count: producers and whoever receives at the end.
    fn seats(&self) -> usize {
        self.shape.producers + self.receivers()
    }

    fn receivers(&self) -> usize {
        match self.shape.pattern {
            Pattern::OneWay => self.shape.consumers,
            Pattern::Calls => 1,
            Pattern::Commands => 0,
        }
    }

    /// Those who only stand between others: their seats come last, and say no more than that they are ready.
    fn workers(&self) -> usize {
        if self.shape.pattern == Pattern::Calls { self.shape.consumers } else { 0 }
    }

    fn receiving(&self) -> std::ops::Range<usize> {
        self.shape.producers..self.seats()
    }

    /// Payloads received so far.
    pub fn received(&self) -> u64 {
        self.receiving().map(|seat| self.control.seat(seat).count.load(Acquire)).sum()
    }

    /// Payloads sent so far.
    pub fn sent(&self) -> u64 {
        (0..self.shape.producers).map(|seat| self.control.seat(seat).count.load(Relaxed)).sum()
    }

    /// Whether all producers have said what they have sent in this phase.
    pub fn producers_are_done(&self, phase: u32) -> bool {
        (0..self.shape.producers).all(|seat| self.control.seat(seat).done.load(Acquire) > phase)
    }

    /// What was received since the start is what was sent, and whole.
    ///
    /// # Errors
    /// If not.
    pub fn compare(&self) -> Result<()> {
        let wrong = self.wrong();
        if wrong > 0 {
            return Err(format!("{wrong} payloads were not as they were sent").into());
        }
        let sum = |seats: std::ops::Range<usize>| {
            seats.fold(0u64, |sum, seat| sum.wrapping_add(self.control.seat(seat).digest.load(Acquire)))
        };
        if sum(0..self.shape.producers) != sum(self.receiving()) {
            return Err("a payload is missing and another one doubled".into());
        }
        Ok(())
    }

    /// Payloads received that were not as they were sent.
    pub fn wrong(&self) -> u64 {
        self.receiving().map(|seat| self.control.seat(seat).wrong.load(Relaxed)).sum()
    }

    /// How late payloads were in this phase.
    pub fn samples(&self) -> impl Iterator<Item = u64> {
        self.receiving().flat_map(|seat| self.control.noted(seat))
    }

    /// Sees whether somebody has died.
    ///
    /// # Errors
    /// If so.
    pub fn look_after(&self) -> Result<()> {
        for &pid in &self.forked {
            let mut status = 0;
            // SAFETY: `status` is valid to write to; the child is left to be waited for again.
            let ended = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
            if ended == pid {
                use std::os::unix::process::ExitStatusExt;
                return Err(format!("a participant ended: {}", std::process::ExitStatus::from_raw(status)).into());
            }
        }
        self.started.as_ref().map_or(Ok(()), |started| started.look_after())
    }

    /// Forgets a process that was killed on purpose, once it has ended.
    pub fn expect_death(&mut self, pid: u32) {
        if let Some(at) = self.forked.iter().position(|&forked| forked as u32 == pid) {
            self.forked.swap_remove(at);
            isolate::reap(pid as i32);
        }
        if let Some(started) = &mut self.started {
            started.expect_death(pid);
        }
    }
}

fn roles(shape: &Shape) -> Vec<Role> {
    let producers = (0..shape.producers).map(Role::Producer);
    match shape.pattern {
        Pattern::OneWay => (0..shape.consumers).map(Role::Consumer).chain(producers).collect(),
        Pattern::Calls => (0..shape.consumers).map(Role::Worker).chain([Role::Consumer(0)]).chain(producers).collect(),
        Pattern::Commands => vec![],
    }
}

fn live(queues: &'static Queues, control: &'static Control, shape: &Shape, role: Role) -> Result<Infallible> {
    let last = queues.results.as_ref().unwrap_or(&queues.jobs);
    match role {
        Role::Producer(n) => participant::produce(control, n, shape, &mut *queues.jobs.sender(n)?),
        Role::Consumer(n) if queues.results.is_some() => {
            let shape = Shape { payload: 8, work: 0, ..*shape };
            participant::consume(control, n, &shape, &mut *last.receiver(n)?)
        }
        Role::Consumer(n) => participant::consume(control, n, shape, &mut *last.receiver(n)?),
        Role::Worker(n) => work(control, n, shape, &mut *queues.jobs.receiver(n)?, &mut *last.sender(n)?),
    }
}

/// A worker's life: a job's result is its number again, so that the one who collects can tell what is missing. A job that is not as it was sent
/// has none, and is missed.
pub fn work(
    control: &Control,
    worker: usize,
    shape: &Shape,
    jobs: &mut dyn Receiver,
    results: &mut dyn Sender,
) -> Result<Infallible> {
    let (checker, work) = (Checker::new(shape.payload, shape.producers), control.work(shape.work));
    let mut out = Vec::with_capacity(8 * shape.batch);
    // After those of producers and of the one who collects.
    control.seat(shape.producers + 1 + worker).done.store(1, Relaxed);
    loop {
        out.clear();
        jobs.receive(shape.batch, &mut |bytes| {
            if let Some(seen) = checker.check(bytes) {
                work.run(seen.number);
                out.extend_from_slice(&seen.number.to_ne_bytes());
            }
        })?;
        if !out.is_empty() {
            results.send(Payloads::new(&out, 8))?;
        }
    }
}

/// What is said by a participant that cannot go on; its host sees that it has ended, or that nothing moves.
pub fn failed(ended: Result<Infallible>) {
    let Err(why) = ended;
    eprintln!("gristmill bench: a participant: {why}");
}

fn fork(live: impl FnOnce() -> Result<Infallible>) -> io::Result<i32> {
    let parent = std::process::id();
    // SAFETY: the host has one thread as long as it forks, so the child is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            failed(spawn::die_with_parent(parent).map_err(Into::into).and_then(|()| live()));
            // SAFETY: ends the process without what its parent has registered for its own end.
            unsafe { libc::_exit(1) }
        }
        pid => Ok(pid),
    }
}
