//! A crew: workers that begin at the same moment, do the same until they are told to stop, and say what they have done.
//!
//! They are processes, forked from this one, or threads of it. Those that do not end (they wait for a lock that nobody will give back) are killed,
//! which is noted and no error: it is what some experiments are about.

use super::laboratory::{Lab, Shares, Snapshot};
use super::seat::{Board, Lane, NOTES, SEATS, Seat};
use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lock::Holder;
use crate::sys::clock::{self, Deadline};
use crate::sys::{fork, futex, limits, spawn};
use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// What workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Forked processes.
    Processes,
    /// Threads of this process.
    Threads,
}

/// Who has not ended so long after it was told to never will.
const GRACE: Duration = Duration::from_secs(2);

/// The time to get ready.
const START: Duration = Duration::from_secs(20);

/// Between two snapshots of the lanes.
const LOOK: Duration = Duration::from_millis(125);

/// How often it is looked whether to go on.
const NAP: Duration = Duration::from_millis(20);

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was told to.
    Well,
    /// It did not, and was killed.
    Hung,
    /// It died.
    Died,
}

/// What a worker has done.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How it ended.
    pub ended: Ended,
    /// What it has done, in units of the experiment.
    pub done: u64,
    /// Its longest wait in nanoseconds, if that was measured.
    pub longest: u64,
    /// Nanoseconds of CPU that it used, if it ended well.
    pub cpu: u64,
    /// What the experiment has noted.
    pub notes: [u64; NOTES],
}

/// What a crew has done.
#[derive(Clone, Debug)]
pub struct Round {
    /// From the start to the order to stop.
    pub seconds: f64,
    /// Each worker.
    pub tallies: Vec<Tally>,
}

impl Round {
    /// What all have done.
    pub fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.done).sum()
    }

    /// What all have done in a second.
    pub fn rate(&self) -> f64 {
        self.done() as f64 / self.seconds
    }

    /// Nanoseconds of CPU for each unit that was done.
    pub fn cpu_each(&self) -> f64 {
        self.tallies.iter().map(|tally| tally.cpu).sum::<u64>() as f64 / self.done().max(1) as f64
    }

    /// How many ended like that.
    pub fn ended(&self, how: Ended) -> usize {
        self.tallies.iter().filter(|tally| tally.ended == how).count()
    }
}

/// A worker, as it sees itself.
pub struct Worker<'a> {
    board: &'a Board,
    seat: &'a Seat,
    /// From 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    watched: bool,
    done: Cell<u64>,
}

impl Worker<'_> {
    /// Whether to go on. To be asked each time around.
    #[inline]
    pub fn on(&self) -> bool {
        !self.board.stop.load(Relaxed)
    }

    /// Counts what it has done.
    #[inline]
    pub fn did(&self, count: u64) {
        let done = self.done.get() + count;
        self.done.set(done);
        self.seat.done.store(done, Relaxed);
    }

    /// Takes notice of a wait, for the longest.
    #[inline]
    pub fn waited(&self, nanos: u64) {
        if nanos > self.seat.longest.load(Relaxed) {
            self.seat.longest.store(nanos, Relaxed);
        }
    }

    /// Notes a figure of the experiment.
    #[inline]
    pub fn note(&self, which: usize, value: u64) {
        self.seat.notes[which].store(value, Relaxed);
    }

    /// What it does from now on. Costs nothing but a look at a flag if nobody watches.
    #[inline]
    pub fn goes(&self, lane: Lane) {
        if self.watched {
            self.went(lane);
        }
    }

    #[cold]
    fn went(&self, lane: Lane) {
        let (now, seat) = (clock::now(), self.seat);
        let spent = &seat.spent[seat.lane.load(Relaxed) as usize % Lane::COUNT];
        // Nobody else writes here.
        spent.store(spent.load(Relaxed) + now.saturating_sub(seat.since.load(Relaxed)), Relaxed);
        seat.since.store(now, Relaxed);
        seat.lane.store(lane as u32, Relaxed);
    }

    /// Who it is to a lock that names its owner.
    pub fn holder(&self) -> Holder {
        Holder::new(self.number as u16 + 1, 1)
    }

    /// Nanoseconds since all began.
    pub fn now(&self) -> u64 {
        clock::now().saturating_sub(self.board.began.load(Relaxed))
    }

    /// Dies on the spot, of SIGKILL.
    pub fn die(&self) -> ! {
        loop {
            // SAFETY: sends a signal to this process; touches no memory.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    }

    fn wait_for_the_start(&self) {
        self.seat.stage.store(1, Release); // with the host's look whether all are ready
        while self.board.begin.load(Acquire) == 0 {
            futex::wait(&self.board.begin, 0, None);
        }
        self.seat.since.store(clock::now(), Relaxed);
    }

    fn end(&self, cpu: u64) {
        self.goes(Lane::Working);
        self.seat.cpu.store(cpu, Relaxed);
        self.seat.stage.store(2, Release); // with the host's look at what it has done
    }
}

/// A number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    /// What they are.
    pub members: Members,
    /// How many; at most [`SEATS`].
    pub size: usize,
}

impl Crew {
    /// So many processes.
    pub fn processes(size: usize) -> Crew {
        Crew { members: Members::Processes, size }
    }

    /// So many threads.
    pub fn threads(size: usize) -> Crew {
        Crew { members: Members::Threads, size }
    }

    /// Has all do `body` for so long. `at` is what watchers are told that they do.
    ///
    /// A `body` that goes round asks [`Worker::on`] each time.
    ///
    /// # Errors
    /// If the system refuses to start them.
    ///
    /// # Panics
    /// If there are more than [`SEATS`].
    pub fn work<T: Sync>(
        self,
        lab: &Lab<'_>,
        at: &str,
        time: Duration,
        shared: &T,
        body: impl Fn(&Worker<'_>, &T) + Sync,
    ) -> Result<Round> {
        assert!(self.size <= SEATS, "a crew of {}", self.size);
        // Zeroes are valid for atomics: nobody is ready, nothing is done.
        let board = Shared::<Board>::new(|_| Ok(()))?;
        board.watched.store(lab.watcher.watches(), Relaxed);
        let worker = |number| {
            let watched = board.watched.load(Relaxed);
            Worker { board: &board, seat: &board.seats[number], number, of: self.size, watched, done: Cell::new(0) }
        };
        let live = |number| {
            let worker = worker(number);
            worker.wait_for_the_start();
            body(&worker, shared);
            worker.end(limits::thread_cpu());
        };
        let mut host = Host { board: &board, lab, at, processes: vec![], size: self.size };
        match self.members {
            Members::Processes => {
                for number in 0..self.size {
                    host.processes.push(Some(forked(|| live(number))?));
                }
                host.look_on(time)
            }
            Members::Threads => std::thread::scope(|scope| {
                for number in 0..self.size {
                    let live = &live;
                    if let Err(why) = std::thread::Builder::new().spawn_scoped(scope, move || live(number)) {
                        host.stop();
                        host.begin(0);
                        return Err(why.into());
                    }
                }
                host.look_on(time)
            }),
        }
    }
}

/// The one that starts, stops and counts.
struct Host<'a> {
    board: &'a Board,
    lab: &'a Lab<'a>,
    at: &'a str,
    /// Those that have not been waited for; none if they are threads.
    processes: Vec<Option<i32>>,
    size: usize,
}

impl Host<'_> {
    fn begin(&self, now: u64) {
        self.board.began.store(now, Relaxed);
        self.board.begin.store(1, Release); // with the workers' wait for the start
        futex::wake_all(&self.board.begin);
    }

    fn stop(&self) {
        self.board.stop.store(true, Relaxed);
    }

    fn look_on(&mut self, time: Duration) -> Result<Round> {
        let ready = self.until(Deadline::after(START), |seat| seat.stage.load(Acquire) >= 1);
        let began = clock::now();
        self.begin(began);
        let end = Deadline::after(time);
        let (mut last, mut looked) = (vec![[0; Lane::COUNT]; self.size], clock::now());
        while ready && !end.passed() && !self.lab.watcher.interrupted() && self.any_at_work() {
            let left = time.saturating_sub(Duration::from_nanos(clock::now() - began));
            std::thread::sleep(left.min(if self.lab.watcher.watches() { LOOK } else { NAP }));
            if self.lab.watcher.watches() && clock::now() - looked >= LOOK.as_nanos() as u64 {
                looked = clock::now();
                self.lab.watcher.lanes(&self.snapshot(&mut last));
            }
        }
        self.stop();
        let seconds = (clock::now() - began) as f64 / 1e9;
        self.until(Deadline::after(GRACE), |seat| seat.stage.load(Acquire) == 2);
        let tallies = (0..self.size).map(|number| self.tally(number)).collect();
        if ready { Ok(Round { seconds, tallies }) } else { Err("the workers were not ready in time".into()) }
    }

    /// Whether anybody has not come to the end, or died.
    fn any_at_work(&mut self) -> bool {
        (0..self.size).any(|number| self.board.seats[number].stage.load(Acquire) < 2 && !self.is_gone(number))
    }

    /// Waits until it is so of all who live.
    fn until(&mut self, deadline: Deadline, so: impl Fn(&Seat) -> bool) -> bool {
        loop {
            if (0..self.size).all(|number| so(&self.board.seats[number]) || self.is_gone(number)) {
                return true;
            }
            if deadline.passed() {
                return false;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Whether it is a process that has ended.
    fn is_gone(&mut self, number: usize) -> bool {
        match self.processes.get(number) {
            None => false,
            Some(None) => true,
            Some(&Some(pid)) => {
                let mut status = 0;
                // SAFETY: `status` is valid to write to; the process is a child that was not waited for.
                let ended = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } != 0;
                if ended {
                    self.processes[number] = None;
                }
                ended
            }
        }
    }

    fn tally(&mut self, number: usize) -> Tally {
        let seat = &self.board.seats[number];
        let well = seat.stage.load(Acquire) == 2;
        let gone = self.is_gone(number);
        if let Some(Some(pid)) = self.processes.get(number).copied() {
            if !well {
                // SAFETY: sends a signal; the process is a child that was not waited for, so the number is its own.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            crate::bench::isolate::reap(pid);
            self.processes[number] = None;
        }
        Tally {
            ended: match (well, gone) {
                (true, _) => Ended::Well,
                (false, true) => Ended::Died,
                (false, false) => Ended::Hung,
            },
            done: seat.done.load(Relaxed),
            longest: seat.longest.load(Relaxed),
            cpu: seat.cpu.load(Relaxed),
            notes: std::array::from_fn(|n| seat.notes[n].load(Relaxed)),
        }
    }

    /// What each has done since `last`.
    fn snapshot(&self, last: &mut [[u64; Lane::COUNT]]) -> Snapshot {
        let now = clock::now();
        let lanes = (0..self.size).map(|number| {
            let seat = &self.board.seats[number];
            let lane = seat.lane.load(Relaxed) as usize % Lane::COUNT;
            let mut spent: [u64; Lane::COUNT] = std::array::from_fn(|n| seat.spent[n].load(Relaxed));
            spent[lane] += now.saturating_sub(seat.since.load(Relaxed));
            let lately = std::array::from_fn(|n| spent[n].saturating_sub(last[number][n]));
            last[number] = spent;
            let asleep = lane == Lane::Waiting as usize && self.processes.get(number).is_some_and(|pid| pid.is_some_and(sleeps));
            Shares::of(lately, asleep)
        });
        Snapshot { lanes: lanes.collect(), at: self.at.to_owned() }
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // After an error: nobody is left behind.
        for pid in self.processes.iter().flatten() {
            // SAFETY: as in `tally`.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
            crate::bench::isolate::reap(*pid);
        }
    }
}

/// Whether the kernel says that a process sleeps.
fn sleeps(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// Does something in a process of its own, which then ends.
fn forked(body: impl FnOnce()) -> Result<i32> {
    // A crew of threads has done before its threads are gone.
    let deadline = Deadline::after(Duration::from_secs(1));
    while fork::threads()? != 1 {
        if deadline.passed() {
            return Err("workers cannot be forked: this process has several threads".into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let parent = std::process::id();
    // SAFETY: this process has one thread, so the child is whole.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().into()),
        0 => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if spawn::die_with_parent(parent).is_ok() {
                    body();
                }
            }));
            // SAFETY: ends the process without what its parent has registered for its own end.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        pid => Ok(pid),
    }
}
