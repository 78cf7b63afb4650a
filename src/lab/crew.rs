//! A crew: workers that begin at the same moment, do the same until they are told to stop, and say what they have done.
//!
//! They are processes, forked from this one, or threads of it. Those that do not end (they wait for a lock that nobody will give back) are killed,
//! which is noted and no error: it is what some experiments are about.

use super::host::{Host, forked};
use super::laboratory::Lab;
use super::seat::{Board, Lane, SEATS, Seat};
use super::tally::Round;
use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lock::Holder;
use crate::sys::{clock, futex, limits};
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

/// A worker, as it sees itself.
pub struct Worker<'a> {
    board: &'a Board,
    seat: &'a Seat,
    /// From 0.
    pub number: usize,
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

    /// What it is doing, if somebody watches.
    #[inline]
    pub fn lane(&self) -> Lane {
        if self.watched { Lane::ALL[self.seat.lane.load(Relaxed) as usize % Lane::COUNT] } else { Lane::Working }
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
        self.seat.stage.store(1, Release); // with the host's looks at the stage
        // Acquire ↔ the host's begin.
        while self.board.begin.load(Acquire) == 0 {
            futex::wait(&self.board.begin, 0, None);
        }
        self.seat.since.store(clock::now(), Relaxed);
    }

    fn end(&self, cpu: u64) {
        self.goes(Lane::Working);
        self.seat.cpu.store(cpu, Relaxed);
        self.seat.ended.store(clock::now(), Relaxed);
        self.seat.stage.store(2, Release); // with the host's looks at the stage
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
            Worker { board: &board, seat: &board.seats[number], number, watched, done: Cell::new(0) }
        };
        let theirs = lab.workers_cpus(self.size);
        let live = |number| {
            if let Some(cpus) = theirs {
                // If they cannot be kept apart they run anyway.
                let _ = limits::keep_on(cpus);
            }
            let worker = worker(number);
            worker.wait_for_the_start();
            let before = limits::thread_cpu();
            body(&worker, shared);
            worker.end(limits::thread_cpu().saturating_sub(before));
        };
        let mut host = Host::new(&board, lab, at, self.size);
        let _apart = lab.apart(self.size);
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
