//! What a contender is: one trait, one file for each in `contenders`.

use super::control::Control;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Why something could not be done, for a reader.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// With [`Failure`].
pub type Result<T> = std::result::Result<T, Failure>;

/// What contenders are compared within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// This crate.
    Engine,
    /// Pipes and other queues of the kernel.
    Kernel,
    /// Other ways to use shared memory, each of which isolates one cause.
    Memory,
    /// Threads: the reference for "no processes".
    Threads,
    /// Other libraries and programs.
    Peer,
}

/// What who finds nothing does. Costs and latency are compared only with those of whoever waits alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// Sleeps at once, or after a microsecond, until it is woken.
    Block,
    /// Looks again for a bounded time, then sleeps.
    Adaptive,
    /// Looks again and again.
    Spin,
}

/// What is known of a contender before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its name on the command line and in reports: lower case, words joined by `-`.
    pub name: String,
    /// What it is, in a few words.
    pub says: String,
    /// See [`Family`].
    pub family: Family,
    /// See [`Waits`].
    pub waits: Waits,
    /// Whether several payloads can go in one call.
    pub batches: bool,
}

impl Info {
    /// Of a contender that sends one payload in a call.
    pub fn new(name: &str, says: &str, family: Family, waits: Waits) -> Info {
        Info { name: name.into(), says: says.into(), family, waits, batches: false }
    }

    /// Of one that can send several in a call.
    pub fn batching(self) -> Info {
        Info { batches: true, ..self }
    }
}

/// Whether payloads go one way, or are jobs whose results come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// From producers to consumers.
    OneWay,
    /// From a producer to workers, and a result of 8 bytes from each back to one who collects.
    Calls,
    /// Lines through a program, at the command line: numbers that it factors. A payload is a line, see `contenders::commands`.
    Commands,
}

/// What is asked of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// See [`Pattern`].
    pub pattern: Pattern,
    /// Bytes of a payload, a multiple of 8.
    pub payload: usize,
    /// Who sends.
    pub producers: usize,
    /// Who receives.
    pub consumers: usize,
    /// Payloads in one call; 1 is a call for each.
    pub batch: usize,
    /// Payloads that the queue has room for, as far as the contender can be told.
    pub capacity: usize,
    /// Nanoseconds of work on each payload.
    pub work: u64,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} B, {}x{}", self.payload, self.producers, self.consumers)?;
        match self.pattern {
            Pattern::OneWay => {}
            Pattern::Calls => f.write_str(", there and back")?,
            Pattern::Commands => {
                return write!(
                    f,
                    ", lines of numbers through a program, {} a process where it starts one for some",
                    self.batch
                );
            }
        }
        if self.batch > 1 {
            write!(f, ", batches of {}", self.batch)?;
        }
        write!(f, ", room for {}", self.capacity)?;
        if self.work > 0 {
            write!(f, ", {} us of work", self.work as f64 / 1e3)?;
        }
        Ok(())
    }
}

/// Payloads of one size, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl<'a> Payloads<'a> {
    /// Of `size` bytes each.
    pub fn new(bytes: &'a [u8], size: usize) -> Self {
        debug_assert!(bytes.len().is_multiple_of(size));
        Payloads { bytes, size }
    }

    /// All of them.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many they are.
    pub fn count(self) -> usize {
        self.bytes.len() / self.size
    }

    /// One after the other.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.bytes.chunks_exact(self.size)
    }
}

/// A producer's end of a queue.
pub trait Sender {
    /// Sends all payloads, and waits for room. A contender that does not batch is given one at a time.
    ///
    /// # Errors
    /// If the queue is broken.
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()>;
}

/// A consumer's end.
pub trait Receiver {
    /// Waits for a payload, and hands it and others that are there to `each`: at most `most`.
    ///
    /// # Errors
    /// If the queue is broken.
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()>;
}

/// A queue whose ends can be taken in any process that is forked from this one, or in any thread.
pub trait Queue: Sync {
    /// The end of a producer, counted from 0; called in its process.
    ///
    /// # Errors
    /// If the system refuses.
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>>;

    /// The end of a consumer, counted from 0; called in its process.
    ///
    /// # Errors
    /// If the system refuses.
    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>>;

    /// Payloads of the turn's size that it has room for, of so many that were asked for; `None` if nobody can tell.
    fn room(&self, asked: usize) -> Option<usize> {
        Some(asked)
    }

    /// Lets go of what only participants need, now that they are forked: a dead one's end must not live on in who never uses it.
    fn forked(&self) {}
}

/// Participants that a contender starts itself, since they are no copies of this process.
pub trait Started {
    /// Their processes: producers first, in the order of their seats.
    fn pids(&self) -> Vec<u32>;

    /// See [`Queue::room`].
    fn room(&self, asked: usize) -> Option<usize> {
        Some(asked)
    }

    /// Sees whether one of them has died, as far as the contender can tell.
    ///
    /// # Errors
    /// If so.
    fn look_after(&self) -> Result<()> {
        Ok(())
    }

    /// Has [`look_after`](Started::look_after) forget one that was killed on purpose.
    fn expect_death(&mut self, _pid: u32) {}
}

/// Jobs whose results come back to the caller.
pub trait Pool {
    /// Has all payloads of the numbers worked on, `batch` in one call where the pool can, and gives the wrapping sum of the results.
    ///
    /// # Errors
    /// If a job failed.
    fn call(&mut self, numbers: Range<u64>) -> Result<u64>;

    /// Payloads that can be under way at a time, if there is such a bound.
    fn room(&self) -> Option<usize> {
        None
    }

    /// The workers' processes; none if they are threads.
    fn pids(&self) -> Vec<u32>;

    /// How many steps there are from this process down to a worker: 1 if it is a child, 0 if it is a thread.
    fn generations(&self) -> usize {
        1
    }

    /// The name of the program that workers execute, where other processes come and go beside them.
    fn program(&self) -> Option<&'static str> {
        None
    }
}

/// A contender that is ready to run.
pub enum Opened {
    /// Participants are to be forked.
    Processes(Box<dyn Queue>),
    /// Participants are to be threads of this process.
    Threads(Box<dyn Queue>),
    /// Participants run already.
    Started(Box<dyn Started>),
    /// This process calls.
    Pool(Box<dyn Pool>),
}

/// One way to hand payloads over.
pub trait Contender: Sync {
    /// What it is.
    fn info(&self) -> Info;

    /// Whether it does what the pattern is about: if not, nobody would look for it there, and it is not named as skipped.
    fn is_about(&self, pattern: Pattern) -> bool {
        pattern != Pattern::Commands
    }

    /// Why it has no part in figures of this shape, if so: what it does not do at all, without asking the system.
    fn refuses(&self, shape: &Shape) -> Option<String>;

    /// Makes what it needs. The process has one thread and is this turn's own: what is left behind ends with it, but for what has a name.
    ///
    /// # Errors
    /// What the system refused: the contender is skipped, with this reason.
    fn open(&self, shape: &Shape, control: &Control) -> Result<Opened>;
}
