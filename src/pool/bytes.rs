//! A pool of bytes: jobs go out as bytes with a number, outcomes come back as bytes with that number, in any order.

use super::ledger::SlotLedger;
use super::worker::{DIED, FAILED, PANICKED, REFUSED, VALUE};
use crate::layout::{SlotWord, State};
use crate::process::{Daemons, Error, IntoTask, Mill, MillBuilder, MillStats, Result, lock, name_of};
use crate::ring::channel::MAX_BATCH;
use crate::ring::{Channel, Entry, Filling, NoRoom, Popped, Stop, event};
use crate::sys::clock::Deadline;
use crate::sys::futex::Wait;
use crate::sys::pidfd::Exit;
use std::sync::Arc;

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The bytes that the task made.
    Value(&'a [u8]),
    /// The task's own error.
    Failed(&'a str),
    /// The panic's message and place.
    Panicked(&'a str),
    /// Each worker that ran it died; how the last one did, and how many there were.
    Died {
        /// The end of the last one.
        exit: Exit,
        /// How many workers it has cost.
        attempts: u16,
    },
    /// The result cannot be carried.
    Refused(&'a str),
}

/// A pool whose jobs and results are bytes. One thread submits and collects; each job has exactly one outcome.
///
/// A job whose worker dies is run again, as often as the builder's `retries` say.
pub struct BytePool {
    mill: Mill,
    daemons: Daemons,
    channel: Arc<Channel>,
    ledger: Arc<SlotLedger>,
    /// Filled and not yet published: write combining.
    filled: Vec<Filling>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    pending: usize,
}

impl BytePool {
    /// Starts `workers` processes that run `task`, with slots for `capacity` jobs of `job` and results of `result` bytes; larger ones go to the arenas.
    ///
    /// # Errors
    /// If the task is not registered, or the region or a process cannot be had.
    pub fn new<Shape, F: IntoTask<Shape>>(
        mill: MillBuilder,
        workers: usize,
        capacity: usize,
        job: usize,
        result: usize,
        _task: F,
    ) -> Result<BytePool> {
        let mill = mill.build()?;
        let channel = mill.pool_channel(capacity, job, result)?;
        let ledger = Arc::new(SlotLedger::new(channel.index(), channel.capacity()));
        lock(&mill.shared.ledgers).push(ledger.clone());
        let daemons = mill.spawn_pool(workers, name_of::<F>(), channel.index())?;
        Ok(BytePool { mill, daemons, channel, ledger, filled: vec![], entries: vec![], bytes: vec![], pending: 0 })
    }

    /// Gives job number `job` to the workers, who see it at the next [`flush`](Self::flush) or when 64 have come together. `false`: there is no
    /// room until outcomes are collected.
    ///
    /// # Errors
    /// If the payload is larger than an arena, or the region has ended.
    pub fn submit(&mut self, job: u64, payload: &[u8]) -> Result<bool> {
        let mut found = None;
        self.channel.take(1, |f| found = Some(f));
        let Some(filling) = found else {
            self.flush()?;
            return Ok(false);
        };
        match self.channel.write_payload(filling, payload) {
            Ok(()) => {}
            Err(no) => {
                self.channel.give_back([filling].into_iter());
                return match no {
                    NoRoom::Now(_) => {
                        self.flush()?;
                        Ok(false)
                    }
                    NoRoom::Ever(limit) => Err(Error::TooLarge { size: payload.len(), limit }),
                    NoRoom::Stopped(why) => Err(self.stopped(why)),
                };
            }
        }
        self.ledger.note(filling.slot, filling.word.generation(), job);
        self.filled.push(filling);
        self.pending += 1;
        if self.filled.len() >= MAX_BATCH as usize {
            self.flush()?;
        }
        Ok(true)
    }

    /// Lets workers see all that was submitted.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn flush(&mut self) -> Result<()> {
        if !self.filled.is_empty() {
            self.channel.publish(&self.filled).map_err(|why| self.stopped(why))?;
            self.filled.clear();
        }
        Ok(())
    }

    /// Hands all outcomes that are there to `each`, with their jobs' numbers; waits for the first until `deadline`, `None` for ever. Returns how many.
    /// Does not wait if no job is pending.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn collect(&mut self, deadline: Option<Deadline>, mut each: impl FnMut(u64, Outcome<'_>)) -> Result<usize> {
        self.flush()?;
        let mut got = 0;
        while self.pending > 0 {
            self.entries.clear();
            let popped = self.channel.pop_results(MAX_BATCH, &mut self.entries).map_err(|why| self.stopped(why))?;
            let Popped::Empty(seen) = popped else {
                got += self.take(&mut each)?;
                continue;
            };
            if got > 0 || deadline.is_some_and(Deadline::passed) {
                break;
            }
            self.channel.check().map_err(|why| self.stopped(why))?;
            let d = self.channel.desc();
            let waited = event::wait(self.channel.region(), &d.done, seen, deadline, || self.channel.help());
            if waited == Wait::TimedOut && deadline.is_some_and(Deadline::passed) {
                break;
            }
        }
        Ok(got)
    }

    /// Copies out what was popped, then frees the slots. Nothing that stands in the region is believed: the ledger decides whose
    /// outcome it is, and whether it has been taken.
    fn take(&mut self, each: &mut impl FnMut(u64, Outcome<'_>)) -> Result<usize> {
        let mut collected: Vec<(u32, SlotWord)> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            if entry.slot >= self.channel.capacity() {
                return Err(self.stopped(self.channel.corrupted()));
            }
            let word = self.channel.word(entry.slot); // A4 ↔ R4 in `deliver_done`
            if !word.is(State::Done) || word.generation() != entry.generation {
                continue;
            }
            let Some(job) = self.ledger.claim(entry.slot, entry.generation) else { continue };
            let (kind, detail, payload) = self.channel.result(entry.slot).map_err(|why| self.stopped(why))?;
            self.bytes.clear();
            payload.append_to(&mut self.bytes);
            collected.push((entry.slot, word));
            let text = || std::str::from_utf8(&self.bytes).unwrap_or("a message that is not UTF-8");
            let outcome = match kind {
                VALUE => Outcome::Value(&self.bytes),
                FAILED => Outcome::Failed(text()),
                PANICKED => Outcome::Panicked(text()),
                DIED => Outcome::Died { exit: exit(detail), attempts: word.attempt() },
                REFUSED => Outcome::Refused(text()),
                _ => return Err(self.stopped(self.channel.corrupted())),
            };
            each(job, outcome);
        }
        self.channel.free_done(&collected);
        self.pending -= collected.len();
        Ok(collected.len())
    }

    fn stopped(&self, why: Stop) -> Error {
        self.mill.shared.stopped(why)
    }

    /// Jobs submitted whose outcome has not been collected.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// What has happened so far.
    pub fn stats(&self) -> MillStats {
        self.mill.stats()
    }

    /// The workers.
    pub fn workers(&self) -> &Daemons {
        &self.daemons
    }
}

/// What the supervisor has written of a worker's end.
fn exit(detail: u32) -> Exit {
    match detail {
        0xFFFF => Exit::Unknown,
        code @ 0..0x1_0000 => Exit::Code(code as i32),
        signal => Exit::Signal { signal: (signal & 0xFF) as i32, core_dumped: false },
    }
}
