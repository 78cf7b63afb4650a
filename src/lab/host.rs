//! The one that lets a crew begin, looks on, tells it to stop, counts, and leaves nobody behind.

use super::laboratory::{Lab, Shares, Snapshot};
use super::seat::{Board, Lane, Seat};
use super::tally::{Ended, Round, Tally};
use crate::bench::contender::Result;
use crate::bench::isolate::reap;
use crate::sys::clock::{self, Deadline};
use crate::sys::{fork, futex, spawn};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Who has not ended so long after it was told to never will.
pub const GRACE: Duration = Duration::from_secs(2);

/// The time to get ready.
const START: Duration = Duration::from_secs(20);

/// Between two snapshots of the lanes.
const LOOK: Duration = Duration::from_millis(125);

/// How often it is looked whether to go on.
const NAP: Duration = Duration::from_millis(20);

/// The one that starts, stops and counts.
pub struct Host<'a> {
    board: &'a Board,
    lab: &'a Lab<'a>,
    at: &'a str,
    /// Those that have not been waited for; none if they are threads.
    pub processes: Vec<Option<i32>>,
    size: usize,
}

impl<'a> Host<'a> {
    /// Of a crew that has nobody yet.
    pub fn new(board: &'a Board, lab: &'a Lab<'a>, at: &'a str, size: usize) -> Host<'a> {
        Host { board, lab, at, processes: vec![], size }
    }

    /// Lets them begin.
    pub fn begin(&self, now: u64) {
        self.board.began.store(now, Relaxed);
        self.board.begin.store(1, Release); // with the workers' wait for the start
        futex::wake_all(&self.board.begin);
    }

    /// Tells them to stop.
    pub fn stop(&self) {
        self.board.stop.store(true, Relaxed);
    }

    /// Waits until all are ready, lets them begin, and has them stop after so long.
    ///
    /// # Errors
    /// If they are not ready in time.
    pub fn look_on(&mut self, time: Duration) -> Result<Round> {
        // Acquire ↔ the workers' stores of their stage, here and below.
        let ready = self.until(Deadline::after(START), |seat| seat.stage.load(Acquire) >= 1);
        let began = clock::now();
        self.begin(began);
        let end = Deadline::after(time);
        let mut last = vec![[0; Lane::COUNT]; self.size];
        while ready && !end.passed() && !self.lab.watcher.interrupted() && self.any_at_work() {
            let left = time.saturating_sub(Duration::from_nanos(clock::now() - began));
            std::thread::sleep(left.min(if self.lab.watcher.watches() { LOOK } else { NAP }));
            // Also of a crew that is at work for less than that.
            if self.lab.watcher.watches() {
                let snapshot = self.snapshot(&mut last);
                self.lab.watcher.lanes(&snapshot);
            }
        }
        self.stop();
        let stopped = clock::now();
        let all = self.until(Deadline::after(GRACE), |seat| seat.stage.load(Acquire) == 2);
        // What was begun before the order to stop is done after it, and counts: so does its time. Who hangs would count for ever.
        let ended = self.board.seats[..self.size].iter().map(|seat| seat.ended.load(Relaxed)).max().filter(|_| all);
        let seconds = (ended.unwrap_or(stopped).saturating_sub(began)) as f64 / 1e9;
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
            reap(pid);
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
    fn snapshot(&mut self, last: &mut [[u64; Lane::COUNT]]) -> Snapshot {
        // Whoever has not begun yet has done nothing since the others did.
        let (now, began) = (clock::now(), self.board.began.load(Relaxed));
        let lanes = (0..self.size).map(|number| {
            let seat = &self.board.seats[number];
            if self.is_gone(number) || seat.stage.load(Acquire) == 2 {
                return Shares::gone();
            }
            let lane = seat.lane.load(Relaxed) as usize % Lane::COUNT;
            let mut spent: [u64; Lane::COUNT] = std::array::from_fn(|n| seat.spent[n].load(Relaxed));
            spent[lane] += now.saturating_sub(seat.since.load(Relaxed).max(began));
            let lately = std::array::from_fn(|n| spent[n].saturating_sub(last[number][n]));
            last[number] = spent;
            let asleep =
                lane == Lane::Waiting as usize && self.processes.get(number).is_some_and(|pid| pid.is_some_and(sleeps));
            Shares::of(lately, asleep)
        });
        let lanes = lanes.collect();
        Snapshot { lanes, at: self.at.to_owned() }
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // After an error: nobody is left behind.
        for pid in self.processes.iter().flatten() {
            // SAFETY: as in `tally`.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
            reap(*pid);
        }
    }
}

/// Whether the kernel says that a process sleeps.
fn sleeps(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// Does something in a process of its own, which then ends.
///
/// # Errors
/// If this process has several threads, or the system refuses.
pub fn forked(body: impl FnOnce()) -> Result<i32> {
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

#[cfg(test)]
mod tests {
    use crate::lab::crew::{Crew, Members};
    use crate::lab::laboratory::tests::lab;
    use std::time::Duration;

    #[test]
    fn what_was_begun_before_the_order_to_stop_counts_with_its_time() {
        let long = Duration::from_millis(60);
        let crew = Crew { members: Members::Threads, size: 2 };
        let round = crew.work(&lab(1), "one long job", Duration::from_millis(5), &(), |worker, ()| {
            // Whoever begins late on a busy machine has one, too.
            loop {
                std::thread::sleep(long);
                worker.did(1);
                if !worker.on() {
                    break;
                }
            }
        });
        let round = round.unwrap().whole("one long job").unwrap();
        assert!(round.done() >= 2, "{round:?}");
        assert!(round.seconds >= long.as_secs_f64(), "{} s", round.seconds);
    }
}
