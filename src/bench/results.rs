//! What a run found: all of it, as it is kept in JSON. `benches/schema.md` says what each field is.

use super::contender::{Info, Shape, Waits};
use super::environment::Environment;
use super::kill::Fate;
use super::statistics::Interval;
use super::turn::{Aim, Played};
use serde::{Deserialize, Serialize};

/// The version of this format. A reader refuses others.
pub const SCHEMA: u32 = 3;

/// What is varied in a group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Nothing: the shape that all others are variations of.
    Base,
    /// Bytes of a payload.
    Payload,
    /// Producers and consumers.
    Participants,
    /// Payloads in a call.
    Batch,
    /// Room in the queue.
    Capacity,
    /// Work on each payload.
    Work,
    /// Jobs whose results come back.
    Calls,
    /// Lines through a program, at the command line.
    Commands,
    /// How late payloads are at a fixed rate.
    Latency,
}

/// The rate at which latency was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// This share of the contender's own maximum.
    Share(f64),
    /// The same for all: so many a second.
    Common(f64),
}

/// One contender in one shape, in all rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub contender: String,
    /// What is varied.
    pub axis: Axis,
    /// What was asked of it.
    pub shape: Shape,
    /// What was measured.
    pub aim: Aim,
    /// In the group on latency: at which rate.
    pub pace: Option<Pace>,
    /// Each round, in the order in which they were played.
    pub rounds: Vec<Played>,
    /// Why rounds are missing, if any are.
    pub failures: Vec<String>,
    /// What the rounds say together; `None` without rounds.
    pub summary: Option<Summary>,
}

/// Medians of the rounds, with the bounds within which 95 of 100 medians of other such rounds would be (bootstrap); of few rounds, with their range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Payloads a second.
    pub rate: Interval,
    /// Nanoseconds of CPU time for a payload, of all participants.
    pub cpu: Interval,
    /// Context switches for a million payloads.
    pub switches: Interval,
    /// System calls for a million payloads, if they could be counted.
    pub calls: Option<Interval>,
    /// CPU of idle participants, as a share of one CPU.
    pub idle: Option<Interval>,
    /// Bytes of memory of all participants and of the turn's own process.
    pub memory: Interval,
    /// Nanoseconds until all participants were ready.
    pub start_up: Interval,
    /// Half of the payloads were not later than this, in nanoseconds; the clock's own cost is subtracted.
    pub p50: Option<Interval>,
    /// 99 of 100; `None` if the rounds had too few payloads for that.
    pub p99: Option<Interval>,
    /// 999 of 1000; likewise.
    pub p999: Option<Interval>,
}

/// A contender that did not take part in something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub contender: String,
    /// In which shape; `None` for all.
    pub shape: Option<Shape>,
    /// Why.
    pub why: String,
}

/// A check of the method itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// What must hold.
    pub says: String,
    /// What was found.
    pub found: String,
    /// What that means.
    pub verdict: Verdict,
}

/// What a self-test says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it must be.
    Holds,
    /// It is not.
    Fails,
    /// What was measured varies too much to tell.
    Undecided,
    /// What it needs was not measured.
    NotRun,
}

/// From which length of a job on the choice makes no difference, among contenders that cross a process boundary and wait alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossover {
    /// How all of them wait.
    pub waits: Waits,
    /// Nanoseconds of the longest work measured.
    pub longest: u64,
    /// The greatest length of a job at which the choice still matters.
    pub length: Length,
    /// From which length on each of them has 95 % of the fastest one's rate.
    pub contenders: Vec<Crossing>,
}

/// See [`Crossover::contenders`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// The contender that is compared with the fastest one.
    pub contender: String,
    /// From where on it is like that.
    pub length: Length,
}

/// Nanoseconds of work, with the bounds of its interval (bootstrap over rounds); `None` is more than the longest measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Length {
    /// By the medians of the rounds.
    pub median: Option<f64>,
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
}

/// What a killed consumer costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    /// The contender.
    pub contender: String,
    /// What happened in each try.
    pub fates: Vec<Fate>,
}

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of gristmill.
    pub version: String,
    /// The command that repeats it.
    pub command: String,
    /// What the order of turns and the moments of kills were drawn from.
    pub seed: u64,
    /// Whether the run was stopped before its end.
    pub partial: bool,
    /// The machine.
    pub environment: Environment,
    /// Checks of the method.
    pub self_tests: Vec<SelfTest>,
    /// Why the machine is called noisy; none if it is not.
    pub noise: Vec<String>,
    /// Nanoseconds that it takes to read the clock, which are subtracted from how late payloads are.
    pub clock: f64,
    /// Who took part.
    pub contenders: Vec<Info>,
    /// Who did not, and where.
    pub skipped: Vec<Skipped>,
    /// The figures.
    pub entries: Vec<Entry>,
    /// See [`Crossover`].
    pub crossovers: Vec<Crossover>,
    /// See [`Kill`].
    pub kills: Vec<Kill>,
}
