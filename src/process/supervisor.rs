//! The one thread of the parent that starts processes, sees them die, repairs the region and replaces them.
//!
//! It alone starts processes, because the kernel ends a worker when the *thread* that started it ends (see sys/spawn.rs). It sleeps in
//! `poll` on the pidfds and its bell. It takes none of the mutexes that another thread keeps while it waits for a lock of the region (rule 8):
//! those below are held for a push or a clone.

use super::handle::{Life, deadline};
use super::launch::{BELL_FD, LAUNCH_FD, Launch, REGION_FD, VARIABLE};
use super::{Error, Result};
use crate::lock::Holder;
use crate::ring::recovery::{self, Dead, Watch};
use crate::ring::{Channel, Condition, Region, Stop};
use crate::sys::pidfd::{Exit, Pidfd};
use crate::sys::poll::{self, EventFd};
use crate::sys::{mapping, spawn};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// A worker that lived so long, or finished a job, did not die at once.
const SETTLED: Duration = Duration::from_secs(1);

/// The parent's private record of the jobs in a pool's channel.
pub(crate) trait Ledger: Send + Sync {
    /// The channel.
    fn channel(&self) -> u32;
    /// Whether an accepted job without outcome is in this slot in this generation. Takes no mutex.
    fn knows(&self, slot: u32, generation: u32) -> bool;
}

/// What the parent's threads and the supervisor share.
pub(crate) struct Shared {
    pub(crate) region: Arc<Region>,
    pub(crate) channels: Mutex<Vec<Arc<Channel>>>,
    pub(crate) ledgers: Mutex<Vec<Arc<dyn Ledger>>>,
    pub(super) bell: EventFd,
    commands: Mutex<VecDeque<Command>>,
    pub(super) counts: Counts,
    /// How the last worker ended, when workers cannot live.
    pub(super) last: Mutex<Option<String>>,
    /// Processes that are not replaced: those that are no daemons are waited for at the end.
    pub(super) others: Mutex<Vec<Weak<Life>>>,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) deaths: AtomicU64,
    pub(crate) run_again: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) recoveries: AtomicU64,
    pub(crate) longest_recovery: AtomicU64,
}

/// What the supervisor is asked for.
pub(super) enum Command {
    Start {
        life: Arc<Life>,
        reply: Sender<Result<()>>,
    },
    /// End all daemons, wait for the others, and stop.
    Quit,
}

impl Shared {
    pub(super) fn new(region: Arc<Region>, bell: EventFd) -> Arc<Self> {
        Arc::new(Shared {
            region,
            channels: Mutex::default(),
            ledgers: Mutex::default(),
            bell,
            commands: Mutex::default(),
            counts: Counts::default(),
            last: Mutex::default(),
            others: Mutex::default(),
        })
    }

    pub(super) fn command(&self, command: Command) {
        lock(&self.commands).push_back(command);
        self.bell.signal();
    }

    /// Why the region has ended, with how the last worker did if that is why.
    pub(crate) fn stopped(&self, why: Stop) -> Error {
        let last = (why == Stop::NoWorkers).then(|| lock(&self.last).clone()).flatten();
        Error::Stopped { why, last }
    }

    fn end(&self, why: Condition) {
        self.region.condemn(why);
        recovery::wake_everybody(&self.region, &lock(&self.channels).clone());
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// A live process.
struct Child {
    life: Arc<Life>,
    pidfd: Arc<Pidfd>,
    who: Holder,
    started: Instant,
    exit: Option<Exit>,
}

/// The supervisor's own state.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    children: Vec<Child>,
    /// Replacements and when they are due.
    due: Vec<(Instant, Arc<Life>)>,
    /// Numbers that no live process has, lowest last.
    free: Vec<u16>,
    /// The epoch of each number's next user.
    epochs: Vec<u32>,
    quit: bool,
}

struct Certain<'a> {
    children: &'a mut Vec<Child>,
    ledgers: Vec<Arc<dyn Ledger>>,
}

fn status(exit: Exit) -> u32 {
    match exit {
        Exit::Code(code) => code as u32 & 0xFFFF,
        Exit::Signal { signal, .. } => 0x1_0000 + signal as u32,
        Exit::Unknown => 0xFFFF,
    }
}

impl Watch for Certain<'_> {
    fn dead(&mut self, id: u16) -> Option<Dead> {
        let child = self.children.iter_mut().find(|c| c.who.id() == id)?;
        if child.exit.is_none() {
            child.exit = child.pidfd.wait().unwrap_or(Some(Exit::Unknown));
        }
        Some(Dead { who: child.who, status: status(child.exit?) })
    }

    fn stuck(&mut self, id: u16) {
        if let Some(child) = self.children.iter().find(|c| c.who.id() == id && id != 1) {
            let _ = child.pidfd.kill(libc::SIGKILL);
        }
    }

    fn knows(&mut self, channel: u32, slot: u32, generation: u32) -> bool {
        self.ledgers.iter().any(|l| l.channel() == channel && l.knows(slot, generation))
    }
}

impl Supervisor {
    /// Starts the thread.
    pub(super) fn run(shared: Arc<Shared>) -> std::io::Result<std::thread::JoinHandle<()>> {
        let limit = shared.region.participant_limit();
        let mut supervisor = Supervisor {
            shared,
            children: vec![],
            due: vec![],
            free: (2..=limit).rev().collect(),
            epochs: vec![0; usize::from(limit) + 1],
            quit: false,
        };
        // What it needs is little, and the thread is there for as long as the Mill is.
        let builder = std::thread::Builder::new().name("gristmill".into()).stack_size(256 * 1024);
        builder.spawn(move || supervisor.serve())
    }

    fn serve(&mut self) {
        loop {
            let commands = std::mem::take(&mut *lock(&self.shared.commands));
            let idle = commands.is_empty();
            for command in commands {
                match command {
                    Command::Start { life, reply } => {
                        let _ = reply.send(self.start(&life));
                    }
                    Command::Quit => self.quit(),
                }
            }
            if self.quit && self.children.is_empty() {
                break;
            }
            self.start_due();
            let next = self.due.iter().map(|d| d.0).min().map(deadline);
            let fds: Vec<BorrowedFd<'_>> =
                [self.shared.bell.as_fd()].into_iter().chain(self.children.iter().map(|c| c.pidfd.as_fd())).collect();
            // An error here (out of memory) is tried again.
            let ready = poll::poll(&fds, next).unwrap_or_default();
            let rung = ready.first() == Some(&true);
            if rung {
                self.shared.bell.drain();
            }
            let died = ready.iter().skip(1).any(|&r| r);
            let asked = rung && idle && lock(&self.shared.commands).is_empty();
            if died || asked {
                // Rung without a command: a worker waits for a lock for too long. The scan finds who has it.
                self.recover();
            }
        }
        for (_, life) in self.due.drain(..) {
            life.ended(Exit::Unknown);
        }
    }

    /// Starts one process.
    fn start(&mut self, life: &Arc<Life>) -> Result<()> {
        if self.quit {
            return Err(Stop::Shutdown.into());
        }
        let max = usize::from(self.shared.region.participant_limit()) - 1;
        let id = self.free.pop().ok_or(Error::Processes { asked: max + 1, max })?;
        let epoch = self.epochs[usize::from(id)].wrapping_add(1);
        let started = self.launch(life, id, epoch);
        match started {
            Ok(child) => {
                self.epochs[usize::from(id)] = epoch;
                life.started(child.pid, Arc::new(child.pidfd));
                let pidfd = life.now().pidfd.clone().expect("just set");
                let who = Holder::new(id, epoch);
                self.children.push(Child { life: life.clone(), pidfd, who, started: Instant::now(), exit: None });
                self.count_workers();
                Ok(())
            }
            Err(e) => {
                self.free.push(id);
                Err(e)
            }
        }
    }

    fn count_workers(&self) {
        self.shared.region.header().workers.store(self.children.len() as u32, Relaxed);
    }

    fn launch(&self, life: &Life, id: u16, epoch: u32) -> Result<spawn::Child> {
        let launch =
            Launch { parent: std::process::id(), participant: id, epoch, task: life.task.into(), work: life.work.clone() };
        let bytes = postcard::to_allocvec(&launch).map_err(|e| Error::Arguments { why: e.to_string() })?;
        let record = mapping::memory_file(&bytes)
            .map_err(|source| Error::System { what: "cannot write a worker's launch record", source })?;
        if let Some(entry) = self.shared.region.participant(id) {
            entry.state.store(1, Relaxed);
            entry.jobs.store(0, Relaxed);
        }
        let inherit =
            [(self.shared.region.mapping().fd(), REGION_FD), (record.as_fd(), LAUNCH_FD), (self.shared.bell.as_fd(), BELL_FD)];
        Ok(spawn::spawn(None, &[], &[(VARIABLE.into(), "1".into())], &inherit)?)
    }

    /// Starts the replacements whose time has come.
    fn start_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition(|d: &(Instant, _)| d.0 <= now);
        self.due = later;
        for (_, life) in due {
            if let Err(e) = self.start(&life) {
                self.failed(life, e.to_string());
            }
        }
    }

    /// A member of a group died at once or could not be started: later again, or the end.
    fn failed(&mut self, life: Arc<Life>, how: String) {
        let group = life.group.clone().unwrap_or_default();
        match group.failed() {
            Some(delay) => self.due.push((Instant::now() + delay, life)),
            None => {
                let fit =
                    |c: &Child| c.started.elapsed() > SETTLED && c.life.group.as_ref().is_some_and(|g| Arc::ptr_eq(g, &group));
                if self.children.iter().any(fit) {
                    // Somebody can live: go on trying, at the slowest pace.
                    self.due.push((Instant::now() + SETTLED, life));
                    return;
                }
                *lock(&self.shared.last) = Some(how);
                life.ended(Exit::Unknown);
                self.shared.end(Condition::NoWorkers);
            }
        }
    }

    /// After a death: repair, then tell, then replace.
    fn recover(&mut self) {
        let begin = Instant::now();
        let mut certain = Certain { children: &mut self.children, ledgers: lock(&self.shared.ledgers).clone() };
        let ids: Vec<u16> = certain.children.iter().map(|c| c.who.id()).collect();
        let mut dead: Vec<Dead> = ids.into_iter().filter_map(|id| certain.dead(id)).collect();
        let channels = lock(&self.shared.channels).clone();
        let result = recovery::recover(&self.shared.region, &channels, &mut dead, &mut certain);
        let counts = &self.shared.counts;
        counts.recoveries.fetch_add(1, Relaxed);
        counts.longest_recovery.fetch_max(begin.elapsed().as_nanos() as u64, Relaxed);
        match result {
            Ok(report) => {
                counts.run_again.fetch_add(report.run_again, Relaxed);
                counts.given_up.fetch_add(report.given_up, Relaxed);
            }
            Err(_) => self.kill_all(),
        }
        // Only those whose end came before the scan: a later one has its own recovery (rule 24).
        let gone = |c: &Child| dead.iter().any(|d| d.who == c.who);
        let (ended, live): (Vec<Child>, Vec<Child>) = std::mem::take(&mut self.children).into_iter().partition(gone);
        self.children = live;
        self.count_workers();
        for child in ended {
            self.bury(child);
        }
    }

    fn bury(&mut self, child: Child) {
        let Child { life, who, started, exit, .. } = child;
        let exit = exit.unwrap_or(Exit::Unknown);
        let entry = self.shared.region.participant(who.id()).expect("the supervisor gave out this number");
        let state = entry.state.swap(3, Relaxed);
        let useful = state == 2 && (entry.jobs.load(Relaxed) > 0 || started.elapsed() > SETTLED);
        self.free.push(who.id());
        // A job that calls exit(0) takes its worker along: that is a death like any other.
        let normal = exit == Exit::Code(0) && (state == 4 || life.group.is_none());
        if !normal {
            self.shared.counts.deaths.fetch_add(1, Relaxed);
        }
        let Some(group) = life.group.clone().filter(|_| !normal && !self.quit) else {
            life.ended(exit);
            return;
        };
        group.deaths.fetch_add(1, Relaxed);
        if self.shared.region.condition() != Condition::Open {
            life.ended(exit);
        } else if useful {
            group.progressed();
            if let Err(e) = self.start(&life) {
                self.failed(life, e.to_string());
            }
        } else {
            self.failed(life, exit.to_string());
        }
    }

    fn kill_all(&self) {
        for child in &self.children {
            let _ = child.pidfd.kill(libc::SIGKILL);
        }
    }

    fn quit(&mut self) {
        self.quit = true;
        self.shared.end(Condition::Shutdown);
        self.kill_all();
    }
}
