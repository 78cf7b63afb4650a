//! Puts outcomes, which arrive in any order, back into the order of the input and writes them: values to the output, messages
//! to whoever shows them.
//!
//! A ring holds the jobs between the oldest that has no outcome and the newest that was given out, one entry each. What arrives
//! for the oldest is written without being held. `may_take` bounds the ring and the bytes held, so the memory of a run does not
//! depend on the length of its input. When order does not matter every outcome is written at once, and the ring's entries are
//! taken in any order, so that one long job holds up nobody.

use std::collections::TryReserveError;
use std::io::{self, BufWriter, Write};

use super::engine::Outcome;
use super::input::Place;
use crate::cli::text::shown;

/// The most jobs between reading and writing. A power of two.
pub const WINDOW: usize = 1 << 16;

/// The most bytes of values and of unanswered jobs that are held, give or take one job's.
pub const MOST_HELD: usize = 16 << 20;

const BUFFER: usize = 64 << 10;

/// A held value's buffer that grew beyond this is not kept for the next one.
const SPARE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Waiting,
    Value,
    Message,
}

#[derive(Default)]
struct Entry {
    state: State,
    file: u32,
    line: u64,
    /// Bytes of the job, counted as held until its outcome is here.
    promised: usize,
    bytes: Vec<u8>,
}

enum Order {
    /// Ids count up; `oldest` is the first that is not written.
    Input { oldest: u64, next: u64 },
    /// Ids are the indices of ring entries; these are free.
    Any { free: Vec<u32> },
}

/// The writing end of a run.
pub struct Output<W: Write, M: FnMut(&str)> {
    to: BufWriter<W>,
    tell: M,
    names: Vec<String>,
    ring: Box<[Entry]>,
    order: Order,
    held: usize,
    spare: Vec<Vec<u8>>,
    failed_write: Option<io::Error>,
    /// Jobs that have an outcome.
    pub done: u64,
    /// Those whose outcome is no value.
    pub failed: u64,
    /// Files that could not be read.
    pub unread: u64,
}

impl<W: Write, M: FnMut(&str)> Output<W, M> {
    /// `names` are the input files, as messages call them; `tell` shows a message of one line.
    ///
    /// # Errors
    ///
    /// If there is no memory for the ring, the greatest part of what a run needs.
    pub fn new(to: W, tell: M, names: Vec<String>, unordered: bool) -> Result<Output<W, M>, TryReserveError> {
        let mut ring = Vec::new();
        ring.try_reserve_exact(WINDOW)?;
        ring.resize_with(WINDOW, Entry::default);
        let order = match unordered {
            true => Order::Any { free: (0..WINDOW as u32).rev().collect() },
            false => Order::Input { oldest: 0, next: 0 },
        };
        Ok(Output {
            to: BufWriter::with_capacity(BUFFER, to),
            tell,
            names,
            ring: ring.into_boxed_slice(),
            order,
            held: 0,
            spare: Vec::new(),
            failed_write: None,
            done: 0,
            failed: 0,
            unread: 0,
        })
    }

    /// Whether one more job may be taken from the input. If not, outcomes must be collected first.
    #[inline]
    pub fn may_take(&self) -> bool {
        let room = match &self.order {
            Order::Input { oldest, next } => next - oldest < WINDOW as u64,
            Order::Any { free } => !free.is_empty(),
        };
        room && self.held < MOST_HELD
    }

    /// Takes the next job, of so many bytes: its outcome is expected under the id that this gives.
    ///
    /// # Panics
    ///
    /// If [`Output::may_take`] says no for lack of entries.
    #[inline]
    pub fn take(&mut self, place: Place, bytes: usize) -> u64 {
        let id = match &mut self.order {
            Order::Input { next, .. } => {
                *next += 1;
                *next - 1
            }
            Order::Any { free } => u64::from(free.pop().expect("may_take was asked")),
        };
        let entry = &mut self.ring[id as usize % WINDOW];
        assert!(entry.state == State::Free, "job taken before there was room");
        entry.state = State::Waiting;
        (entry.file, entry.line, entry.promised) = (place.file, place.line, bytes);
        self.held += bytes;
        id
    }

    /// Accepts the outcome of a job.
    ///
    /// # Panics
    ///
    /// If no outcome is expected under this id.
    #[inline]
    pub fn outcome(&mut self, id: u64, outcome: Outcome<'_>) {
        self.done += 1;
        match outcome {
            Outcome::Value(value) => self.settle(id, State::Value, value),
            Outcome::Failed(message) => self.job_failed(id, &message),
            Outcome::Panicked(message) => self.job_failed(id, &format!("the task panicked: {message}")),
            Outcome::Died { how, attempts: 1 } => self.job_failed(id, &format!("its worker died: {how}")),
            Outcome::Died { how, attempts } => {
                self.job_failed(id, &format!("killed each of the {attempts} workers that tried it; the last died: {how}"));
            }
            Outcome::Refused(why) => self.job_failed(id, &why),
        }
    }

    /// Tells, in its turn, that a file of the input could not be read.
    pub fn unreadable(&mut self, file: u32, why: &str) {
        self.unread += 1;
        let message = format!("gristmill: cannot read {}: {why}", self.names[file as usize]);
        let id = self.take(Place { file, line: 0 }, 0);
        self.settle(id, State::Message, message.as_bytes());
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) {
        let result = self.to.flush();
        self.note(result);
    }

    /// The first error of writing. Nothing is written after it.
    pub fn write_error(&self) -> Option<&io::Error> {
        self.failed_write.as_ref()
    }

    #[cold]
    fn job_failed(&mut self, id: u64, message: &str) {
        self.failed += 1;
        let entry = &self.ring[id as usize % WINDOW];
        let name = &self.names[entry.file as usize];
        let message = format!("gristmill: {name}:{}: {}", entry.line, shown(message.as_bytes()));
        self.settle(id, State::Message, message.as_bytes());
    }

    #[inline]
    fn settle(&mut self, id: u64, state: State, bytes: &[u8]) {
        let index = id as usize % WINDOW;
        let entry = &mut self.ring[index];
        assert!(entry.state == State::Waiting, "no outcome is expected for this job");
        self.held -= std::mem::take(&mut entry.promised);
        let first = match &mut self.order {
            Order::Any { free } => {
                free.push(index as u32);
                true
            }
            Order::Input { oldest, next } => {
                assert!((*oldest..*next).contains(&id), "an outcome of another job");
                *oldest += u64::from(*oldest == id);
                *oldest == id + 1
            }
        };
        if first {
            entry.state = State::Free;
            self.write(state, bytes);
            self.write_held();
        } else {
            entry.state = state;
            entry.bytes = self.spare.pop().unwrap_or_default();
            entry.bytes.extend_from_slice(bytes);
            self.held += bytes.len();
        }
    }

    /// Writes what was held only because an older job had no outcome.
    #[inline]
    fn write_held(&mut self) {
        while let Order::Input { oldest, .. } = &mut self.order {
            let entry = &mut self.ring[*oldest as usize % WINDOW];
            if !matches!(entry.state, State::Value | State::Message) {
                return;
            }
            *oldest += 1;
            let state = std::mem::take(&mut entry.state);
            let mut bytes = std::mem::take(&mut entry.bytes);
            self.held -= bytes.len();
            self.write(state, &bytes);
            if bytes.capacity() <= SPARE_BYTES {
                bytes.clear();
                self.spare.push(bytes);
            }
        }
    }

    #[inline]
    fn write(&mut self, state: State, bytes: &[u8]) {
        if state == State::Message {
            // It was made from text.
            (self.tell)(&String::from_utf8_lossy(bytes));
        } else if self.failed_write.is_none() {
            let result = self.to.write_all(bytes);
            self.note(result);
        }
    }

    #[inline]
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failed_write.get_or_insert(error);
        }
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
