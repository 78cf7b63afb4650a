//! The one thread of the parent that starts processes, sees them die, repairs the region and replaces them.
//!
//! It alone starts processes, because the kernel ends a worker when the *thread* that started it ends (see sys/spawn.rs). It sleeps in
//! `poll` on the pidfds and its bell. It takes none of the mutexes that another thread keeps while it waits for a lock of the region (rule 8):
//! those below are held for a push or a clone.

use super::group::Group;
use super::handle::{Life, deadline};
use super::launch::{BELL_FD, INIT_FAILED, LAUNCH_FD, Launch, REGION_FD, VARIABLE, WORDS, Work};
use super::{Error, Result};
use crate::layout::State;
use crate::layout::presence;
use crate::lock::Holder;
use crate::queue::Attached;
use crate::ring::frame::Kind as OutcomeKind;
use crate::ring::recovery::{self, Dead, Report, Watch};
use crate::ring::{Channel, Condition, Kind, Region, Stop};
use crate::sys::clock;
use crate::sys::fork::Template;
use crate::sys::pidfd::{Exit, Pidfd};
use crate::sys::poll::{self, EventFd};
use crate::sys::thread::Thread;
use crate::sys::{mapping, spawn};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

/// A worker that lived so long after it had attached, or finished a job, did not die at once.
const SETTLED: Duration = Duration::from_secs(1);

/// The parent's private record of the jobs in a pool's channel.
pub(crate) trait Ledger: Send + Sync {
    /// The channel.
    fn channel(&self) -> u32;
    /// Whether an accepted job without outcome is in this slot in this generation. Takes no mutex.
    fn knows(&self, slot: u32, generation: u32) -> bool;
    /// Counts a death in this slot: see [`Deaths::count`](crate::ring::recovery::Deaths::count). Takes no mutex.
    fn death(&self, slot: u32, done: u32, in_hand: bool) -> Option<u32>;
    /// Why the job in hand of this slot was condemned. Takes no mutex.
    fn condemned(&self, slot: u32) -> OutcomeKind;
}

/// What the parent's threads and the supervisor share.
pub(crate) struct Shared {
    pub(crate) region: Arc<Region>,
    /// Whether workers close themselves to others.
    pub(crate) hardened: bool,
    pub(crate) channels: Mutex<Vec<Arc<Channel>>>,
    pub(crate) ledgers: Mutex<Vec<Arc<dyn Ledger>>>,
    /// The queues of this process, for the thread that puts items back.
    pub(super) attached: OnceLock<Weak<Attached>>,
    pub(super) bell: EventFd,
    /// `None` when nobody listens any more.
    commands: Mutex<Option<VecDeque<Command>>>,
    /// How often the bell was rung for a command, or is about to be.
    commanded: AtomicU64,
    pub(super) counts: Counts,
    /// Held from the first step of a recovery until everything about it is counted. Who reads the counts takes it, so that a job's
    /// outcome is never there before the deaths that it has cost. Nobody waits for a lock of the region with it but the supervisor.
    pub(super) recovering: Mutex<()>,
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
pub(crate) enum Command {
    Start {
        life: Arc<Life>,
        reply: Sender<Result<()>>,
    },
    /// A job in hand has been condemned: end its worker.
    Condemned {
        channel: Arc<Channel>,
        slot: u32,
        generation: u32,
    },
    /// Look whether the owners of a pool's slots are workers; `scan`: repair everything as after a death.
    Patrol {
        channel: Arc<Channel>,
        scan: bool,
    },
    /// Send a signal that ends them to all members of a group that are alive, and replace none.
    Signal {
        group: Arc<Group>,
        signal: i32,
    },
    /// End all daemons, wait for the others, and stop.
    Quit,
}

impl Shared {
    pub(super) fn new(region: Arc<Region>, bell: EventFd, hardened: bool) -> Arc<Self> {
        Arc::new(Shared {
            region,
            hardened,
            channels: Mutex::default(),
            ledgers: Mutex::default(),
            attached: OnceLock::new(),
            bell,
            commands: Mutex::new(Some(VecDeque::new())),
            commanded: AtomicU64::new(0),
            counts: Counts::default(),
            recovering: Mutex::default(),
            last: Mutex::default(),
            others: Mutex::default(),
        })
    }

    pub(crate) fn command(&self, command: Command) {
        // Without a listener the command is dropped, and with it the sender of its reply: who waits for that is told.
        if let Some(commands) = &mut *lock(&self.commands) {
            commands.push_back(command);
        }
        self.commanded.fetch_add(1, Relaxed);
        self.bell.signal();
    }

    /// Jobs that were run again, and processes that died. If a death is being dealt with, this waits until it is.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let _counted = lock(&self.recovering);
        (self.counts.run_again.load(Relaxed), self.counts.deaths.load(Relaxed))
    }

    /// How the last worker ended, when workers cannot live.
    pub(crate) fn last_end(&self) -> Option<String> {
        lock(&self.last).clone()
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
    exit: Option<Exit>,
    /// Whether it was asleep, waiting for something to do, when it ended.
    idle: bool,
    /// Whether its death has been counted, if it was one.
    counted: bool,
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
    /// Forks workers, if they are not to be spawned.
    template: Option<Template>,
    /// Where workers that cannot start leave the reason.
    words: File,
    /// Threads that put items back into Queues.
    putters: Vec<Thread>,
}

impl Child {
    /// Whether it has ended as it should. A job that calls exit(0) takes its worker along: that is a death like any other.
    fn ended_well(&self, region: &Region) -> bool {
        let state = region.participant(self.who.id()).map_or(presence::UNUSED, |p| p.state.load(Relaxed));
        let leaving = state == presence::LEAVING || state == presence::RETIRING;
        self.exit == Some(Exit::Code(0)) && (leaving || self.life.group.is_none())
    }
}

struct Certain<'a> {
    region: &'a Region,
    counts: &'a Counts,
    quit: bool,
    /// What has been counted of the report.
    told: Report,
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

/// How a worker ended, in the words that it left if it left any.
fn last_words(words: &File, who: Holder, exit: Exit) -> String {
    let mut text = [0; WORDS];
    let left = matches!(exit, Exit::Code(code) if code >= LEAVES_WORDS);
    let at = (usize::from(who.id()) * WORDS) as u64;
    let read = if left { words.read_at(&mut text, at) } else { Ok(0) };
    match text[..read.unwrap_or(0)].split(|&byte| byte == 0).next() {
        Some(said) if !said.is_empty() => format!("{exit}: {}", String::from_utf8_lossy(said)),
        _ => exit.explained(),
    }
}

/// Exit codes of workers that could not start begin here.
const LEAVES_WORDS: i32 = 70;

impl Watch for Certain<'_> {
    fn dead(&mut self, id: u16) -> Option<Dead> {
        let child = self.children.iter_mut().find(|c| c.who.id() == id)?;
        if child.exit.is_none() {
            child.exit = child.pidfd.wait_or_look();
            child.idle = self.region.participant(id).is_some_and(|p| p.sleeps_on.load(Acquire) != 0);
        }
        Some(Dead { who: child.who, status: status(child.exit?) })
    }

    fn stuck(&mut self, id: u16) -> bool {
        let child = self.children.iter().find(|c| c.who.id() == id);
        if let Some(child) = child {
            let _ = child.pidfd.kill(libc::SIGKILL);
        }
        child.is_some()
    }

    fn repaired(&mut self, report: &Report) {
        for child in self.children.iter_mut().filter(|c| c.exit.is_some() && !c.counted) {
            child.counted = true;
            if child.life.group.is_some() {
                // Who hears of the death must not meet the old number.
                child.life.gone();
            }
            // Those that we end do not count.
            let ours = self.quit || child.life.group.as_ref().is_some_and(|group| group.dismissed());
            if !child.ended_well(self.region) && !ours {
                self.counts.deaths.fetch_add(1, Relaxed);
                if let Some(group) = child.life.group.as_ref() {
                    group.deaths.fetch_add(1, Relaxed);
                }
            }
        }
        self.counts.run_again.fetch_add(report.run_again - self.told.run_again, Relaxed);
        self.counts.given_up.fetch_add(report.given_up - self.told.given_up, Relaxed);
        self.told = *report;
    }

    fn knows(&mut self, channel: u32, slot: u32, generation: u32) -> bool {
        self.ledgers.iter().any(|l| l.channel() == channel && l.knows(slot, generation))
    }

    fn death(&mut self, channel: u32, slot: u32, done: u32, in_hand: bool) -> Option<u32> {
        self.ledgers.iter().find(|l| l.channel() == channel)?.death(slot, done, in_hand)
    }

    fn condemned(&mut self, channel: u32, slot: u32) -> OutcomeKind {
        self.ledgers.iter().find(|l| l.channel() == channel).map_or(OutcomeKind::Cancelled, |l| l.condemned(slot))
    }
}

impl Supervisor {
    /// Starts the thread; epochs start after `epoch`.
    pub(super) fn run(shared: Arc<Shared>, template: Option<Template>, epoch: u32) -> std::io::Result<Thread> {
        let limit = shared.region.participant_limit();
        let mut supervisor = Supervisor {
            shared,
            children: vec![],
            due: vec![],
            free: (2..=limit).rev().collect(),
            epochs: vec![epoch; usize::from(limit) + 1],
            quit: false,
            template,
            words: mapping::memory_file(&[])?,
            putters: vec![],
        };
        Thread::start(c"gristmill", move || supervisor.serve())
    }

    fn serve(&mut self) {
        // Signals of the bell that were not for a command, less those that are still to come for one.
        let mut rings = 0u64;
        loop {
            let commands = lock(&self.shared.commands).as_mut().map(std::mem::take).unwrap_or_default();
            for command in commands {
                match command {
                    Command::Start { life, reply } => {
                        let _ = reply.send(self.start(&life));
                    }
                    Command::Condemned { channel, slot, generation } => self.end_condemned(&channel, slot, generation),
                    Command::Patrol { channel, scan } => self.patrol(&channel, scan),
                    Command::Signal { group, signal } => self.signal(&group, signal),
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
            let Ok(ready) = poll::poll(&fds, next) else {
                // No memory to wait with. Until there is some, those who may have died are looked at one by one.
                std::thread::sleep(Duration::from_millis(1));
                self.shared.bell.drain();
                self.put_back();
                self.recover();
                continue;
            };
            let rung = ready.first() == Some(&true);
            if rung {
                rings += self.shared.bell.drain();
                self.put_back();
            }
            let died = ready.iter().skip(1).any(|&r| r);
            // However many commands come: a worker's ring must not get lost among them.
            let commanded = self.shared.commanded.load(Relaxed);
            let asked = rings > commanded;
            if asked {
                rings = commanded;
            }
            if died || asked {
                // Rung by another: a worker waits for a lock for too long. The scan finds who has it.
                self.recover();
            }
        }
        *lock(&self.shared.commands) = None;
        for putter in self.putters.drain(..) {
            putter.join();
        }
        for (_, life) in self.due.drain(..) {
            life.ended(Exit::Unknown);
        }
    }

    /// If workers take from a Queue of which the parent has items in its own memory: has them put back. Not by this thread, which must not wait
    /// for the region's locks or slots.
    fn put_back(&mut self) {
        let wanted = |c: &Arc<Channel>| c.kind() == Kind::Queue && c.workers_take() && c.outside();
        if !lock(&self.shared.channels).iter().any(wanted) {
            return;
        }
        self.putters.retain(|p| !p.is_finished());
        let Some(attached) = self.shared.attached.get().and_then(Weak::upgrade) else { return };
        // If there is no thread to be had, the worker rings again.
        self.putters.extend(Thread::start(c"gristmill-put", move || attached.hand_back()));
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
                self.children.push(Child { life: life.clone(), pidfd, who, exit: None, idle: false, counted: false });
                self.count_workers();
                Ok(())
            }
            Err(e) => {
                if let Some(entry) = self.shared.region.participant(id) {
                    entry.state.store(presence::ENDED, Relaxed);
                }
                self.free.push(id);
                Err(e)
            }
        }
    }

    fn count_workers(&self) {
        self.shared.region.header().workers.store(self.children.len() as u32, Relaxed);
    }

    fn launch(&self, life: &Life, id: u16, epoch: u32) -> Result<spawn::Child> {
        let launch = Launch {
            parent: std::process::id(),
            participant: id,
            epoch,
            task: life.task.into(),
            work: life.work.clone(),
            words: self.words.as_raw_fd(),
            hardened: self.shared.hardened,
        };
        let bytes = postcard::to_allocvec(&launch).map_err(|e| Error::Arguments { why: e.to_string() })?;
        if let Some(entry) = self.shared.region.participant(id) {
            entry.state.store(presence::STARTING, Release);
            entry.jobs.store(0, Relaxed);
            entry.attached_at.store(0, Relaxed);
            self.shared.region.header().participants_used.fetch_max(u32::from(id), Relaxed);
        }
        if let Some(template) = &self.template {
            let system = |source| Error::System { what: "cannot fork a worker", source };
            return template.fork(&bytes).map_err(system);
        }
        let record = mapping::memory_file(&bytes)
            .map_err(|source| Error::System { what: "cannot write a worker's launch record", source })?;
        let inherit =
            [(self.shared.region.mapping().fd(), REGION_FD), (record.as_fd(), LAUNCH_FD), (self.shared.bell.as_fd(), BELL_FD)];
        Ok(spawn::spawn(None, &[], &[(VARIABLE.into(), "1".into())], &inherit)?)
    }

    fn is_ending(&self, life: &Life) -> bool {
        self.quit || life.group.as_ref().is_some_and(|group| group.dismissed())
    }

    /// Starts the replacements whose time has come.
    fn start_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition(|d: &(Instant, _)| d.0 <= now);
        self.due = later;
        for (_, life) in due {
            if self.shared.region.condition() != Condition::Open || self.is_ending(&life) {
                life.ended(Exit::Unknown);
            } else if let Err(e) = self.start(&life) {
                self.failed(life, None, e.to_string());
            }
        }
    }

    /// A member of a group died at once or could not be started: later again, or the end.
    fn failed(&mut self, life: Arc<Life>, exit: Option<Exit>, how: String) {
        let group = life.group.clone().unwrap_or_default();
        match group.failed(matches!(exit, Some(Exit::Signal { signal: libc::SIGKILL, .. }))) {
            Some(delay) => self.due.push((Instant::now() + delay, life)),
            None => {
                let fit = |c: &Child| self.has_settled(c.who) && c.life.group.as_ref().is_some_and(|g| Arc::ptr_eq(g, &group));
                if self.children.iter().any(fit) {
                    // Somebody can live: go on trying, at the slowest pace.
                    self.due.push((Instant::now() + SETTLED, life));
                    return;
                }
                self.give_up(life, exit, how);
            }
        }
    }

    /// Whether it has been attached for so long that workers can live. To start takes as long as it takes, and shows nothing.
    fn has_settled(&self, who: Holder) -> bool {
        let attached_at = self.shared.region.participant(who.id()).map_or(0, |entry| entry.attached_at.load(Relaxed));
        attached_at != 0 && clock::now().saturating_sub(attached_at) > SETTLED.as_nanos() as u64
    }

    fn give_up(&mut self, life: Arc<Life>, exit: Option<Exit>, how: String) {
        *lock(&self.shared.last) = Some(how);
        self.shared.region.note_last_end(exit.unwrap_or(Exit::Unknown));
        life.ended(Exit::Unknown);
        self.shared.end(Condition::NoWorkers);
    }

    /// After a death: repair, then tell, then replace.
    fn recover(&mut self) {
        let begin = Instant::now();
        let shared = self.shared.clone();
        let _counting = lock(&shared.recovering);
        let mut certain = Certain {
            region: &self.shared.region,
            counts: &self.shared.counts,
            quit: self.quit,
            told: Report::default(),
            children: &mut self.children,
            ledgers: lock(&self.shared.ledgers).clone(),
        };
        let ids: Vec<u16> = certain.children.iter().map(|c| c.who.id()).collect();
        let mut dead: Vec<Dead> = ids.into_iter().filter_map(|id| certain.dead(id)).collect();
        let channels = lock(&self.shared.channels).clone();
        let result = recovery::recover(&self.shared.region, &channels, &mut dead, &mut certain);
        let counts = &self.shared.counts;
        counts.recoveries.fetch_add(1, Relaxed);
        counts.longest_recovery.fetch_max(begin.elapsed().as_nanos() as u64, Relaxed);
        // A worker that dies of its job has shown that workers can live. It is the job's retries that end such deaths, not the
        // group's patience: however many retries there are, the other jobs get their turn.
        let of_a_job = result.is_ok_and(|report| report.run_again + report.given_up + report.delivered > 0);
        if result.is_err() {
            self.kill_all();
        }
        // Only those whose end came before the scan: a later one has its own recovery (rule 24).
        let gone = |c: &Child| dead.iter().any(|d| d.who == c.who);
        let (ended, live): (Vec<Child>, Vec<Child>) = std::mem::take(&mut self.children).into_iter().partition(gone);
        self.children = live;
        self.count_workers();
        for child in ended {
            self.bury(child, of_a_job);
        }
    }

    /// `of_a_job`: it, or another that died with it, was running a job.
    fn bury(&mut self, child: Child, of_a_job: bool) {
        let well = child.ended_well(&self.shared.region);
        let Child { life, who, exit, idle, .. } = child;
        let exit = exit.unwrap_or(Exit::Unknown);
        let entry = self.shared.region.participant(who.id()).expect("the supervisor gave out this number");
        let state = entry.state.swap(presence::ENDED, Relaxed);
        // A pool's worker returns when the region ends. If one says so before that, something else has written it.
        let pools = matches!(life.work, Work::Jobs(_)) && self.shared.region.condition() == Condition::Open;
        let replace = well && (state == presence::RETIRING || pools);
        let normal = well && !replace;
        // Nobody dies of itself while asleep.
        let settled = idle || of_a_job || entry.jobs.load(Relaxed) > 0 || self.has_settled(who);
        let useful = matches!(state, presence::STARTING | presence::ATTACHED) && settled;
        self.free.push(who.id());
        let Some(group) = life.group.clone().filter(|_| !normal && !self.quit) else {
            life.ended(exit);
            return;
        };
        if self.shared.region.condition() != Condition::Open || group.dismissed() {
            life.ended(exit);
        } else if exit == Exit::Code(INIT_FAILED) && !group.has_served() {
            // What fails in the first worker fails in all.
            self.give_up(life, Some(exit), last_words(&self.words, who, exit));
        } else if replace || useful {
            group.progressed();
            if let Err(e) = self.start(&life) {
                self.failed(life, None, e.to_string());
            }
        } else {
            self.failed(life, Some(exit), last_words(&self.words, who, exit));
        }
    }

    /// Ends the worker that has a condemned job in hand, if it still has it. Whoever has the number now is that worker: a word that
    /// names a dead one is repaired before the number is given out again.
    fn end_condemned(&self, channel: &Channel, slot: u32, generation: u32) {
        let word = channel.word(slot);
        if !word.is(State::Running) || word.generation() != generation || !channel.progress(slot).condemned() {
            return;
        }
        if let Some(child) = self.children.iter().find(|c| c.who.id() == word.owner()) {
            let _ = child.pidfd.kill(libc::SIGKILL);
        }
    }

    /// Words that name a dead worker are repaired by this thread before it forgets that worker: one that names nobody has been written over.
    fn patrol(&mut self, channel: &Channel, scan: bool) {
        let ledgers = lock(&self.shared.ledgers).clone();
        let known = |slot, generation| ledgers.iter().any(|l| l.channel() == channel.index() && l.knows(slot, generation));
        let nobodys = |slot: u32| {
            let word = channel.word(slot);
            let owned = word.is(State::Running) || word.is(State::Finished);
            // Once more: it may have been delivered and taken meanwhile.
            owned
                && self.children.iter().all(|c| c.who.id() != word.owner())
                && known(slot, word.generation())
                && channel.word(slot) == word
        };
        if (0..channel.capacity()).any(nobodys) {
            self.shared.end(Condition::Corrupt);
        } else if scan {
            self.recover();
        }
    }

    fn signal(&self, group: &Arc<Group>, signal: i32) {
        group.dismiss();
        for child in &self.children {
            if child.life.group.as_ref().is_some_and(|g| Arc::ptr_eq(g, group)) {
                let _ = child.pidfd.kill(signal);
            }
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
