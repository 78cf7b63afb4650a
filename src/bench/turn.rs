//! One turn: a contender, a shape, in a process of its own. Participants start, warm up, and are measured; the host looks on.

use super::contender::{Contender, Opened, Pattern, Pool, Result, Shape};
use super::control::{Control, Orders};
use super::measure::{self, Calls, Used, Who};
use super::participants::Participants;
use super::payload;
use crate::sys::clock;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nothing has moved for so long: it hangs.
const STILL: Duration = Duration::from_secs(5);

/// The first payload that is sent at a pace is due so many nanoseconds after the order: by then all have been woken, and none begins late.
const LEAD: u64 = 5_000_000;

/// So many nanoseconds before that, what participants have used is read: by then who spins has done so in vain.
const SHORTLY: u64 = 1_000_000;

/// The longest time between two looks at whether a phase is over.
const LOOK: Duration = Duration::from_millis(1);

/// Samples of each participant, at most.
const SAMPLES: usize = 200_000;

/// How many times as long a measured part is at the command line.
pub const COMMANDS: f64 = 4.0;

/// How long the parts of a turn take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Before anything is measured, at least.
    pub warm_up: Duration,
    /// The measured part, about.
    pub measured: Duration,
    /// The same where it is measured how late payloads are: percentiles need many of them.
    pub paced: Duration,
    /// With nothing to do; zero to leave that out.
    pub idle: Duration,
}

/// What a turn measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Aim {
    /// As many as can be.
    Throughput,
    /// How late each is at so many a second, from the moment it was due.
    Latency {
        /// Payloads a second, of all producers.
        rate: f64,
    },
}

/// What one turn found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// From nothing to all participants ready, in nanoseconds.
    pub start_up: u64,
    /// Payloads that there is room for, which may not be what was asked for; `None` where that is not bounded by a number of them, or
    /// nobody can tell.
    pub room: Option<u64>,
    /// Payloads that were measured.
    pub jobs: u64,
    /// How long they took, in nanoseconds.
    pub wall: u64,
    /// What all participants used for them.
    pub used: Used,
    /// Their system calls for them, if those can be counted here.
    pub calls: Option<u64>,
    /// Bytes of memory of all participants and of the turn's own process after it.
    pub memory: u64,
    /// CPU of consumers without anything to do, as a share of one CPU; if that was measured.
    pub idle: Option<f64>,
    /// How late payloads were, if that was measured.
    pub late: Option<Late>,
}

/// How late payloads were, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// How many were noted.
    pub samples: u64,
    /// Half of them at most.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// The latest.
    pub max: u64,
}

impl Late {
    fn of(samples: impl Iterator<Item = u64>) -> Result<Late> {
        let mut histogram = Histogram::<u64>::new(3)?;
        for late in samples {
            histogram.record(late.max(1))?;
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        let (p50, p90, p99, p999) = (at(0.5), at(0.9), at(0.99), at(0.999));
        Ok(Late { samples: histogram.len(), p50, p90, p99, p999, max: histogram.max() })
    }
}

/// Plays a turn in this process, which is the turn's own. What it has started must be ended by whoever ends this process.
///
/// # Errors
/// If the contender cannot start, breaks, hangs, or hands over anything but what it was given.
pub fn play(contender: &dyn Contender, shape: &Shape, lengths: &Lengths, aim: Aim) -> Result<Played> {
    let start = clock::now();
    let control = Control::create(SAMPLES)?;
    match contender.open(shape, &control)? {
        Opened::Pool(pool) => {
            let start_up = clock::now() - start;
            match (shape.pattern, aim) {
                (Pattern::Calls | Pattern::Commands, Aim::Throughput) => {
                    Box::leak(Box::new(Caller { pool, next: 0 })).play(shape, lengths, start_up)
                }
                _ => Err("a pool is called: nothing is sent at a pace".into()),
            }
        }
        opened => {
            // Left as it is: they end with this process, and none of them has to be told.
            let participants = Box::leak(Box::new(Participants::start(contender, opened, shape, control)?));
            participants.wait_until_ready(Duration::from_secs(30))?;
            let start_up = clock::now() - start;
            Host::new(participants, shape, 0).play(lengths, aim, start_up)
        }
    }
}

/// One who gives orders and looks on.
pub struct Host<'a> {
    participants: &'a Participants,
    shape: &'a Shape,
    phase: u32,
}

/// A phase that is on.
struct Begun {
    /// Payloads received before it.
    had: u64,
    jobs: u64,
    /// When the first one is due.
    start: u64,
}

/// A phase that is over.
struct Phase {
    jobs: u64,
    wall: u64,
}

impl<'a> Host<'a> {
    /// For participants that are ready; `phase` is the last one they were told of, 0 if there was none.
    pub fn new(participants: &'a Participants, shape: &'a Shape, phase: u32) -> Self {
        Host { participants, shape, phase }
    }

    /// The last phase that participants were told of.
    pub fn phase(&self) -> u32 {
        self.phase
    }

    fn play(&mut self, lengths: &Lengths, aim: Aim, start_up: u64) -> Result<Played> {
        let rate = self.warm_up(lengths.warm_up)?;
        let who = self.participants.who();
        let (pace, measured) = match aim {
            Aim::Throughput => (None, rate * lengths.measured.as_secs_f64()),
            Aim::Latency { rate } => (Some(rate), rate * lengths.paced.as_secs_f64()),
        };
        let counter = Calls::count(&who);
        let mut before = Used::by(&who);
        let begun = self.begin((measured as u64).max(1), pace);
        if pace.is_some() {
            std::thread::sleep(Duration::from_nanos(begun.start.saturating_sub(clock::now() + SHORTLY)));
            before = Used::by(&who);
        }
        let phase = self.finish(&begun, pace.unwrap_or(rate))?;
        let used = Used::by(&who).since(before);
        let calls = counter.and_then(Calls::so_far);
        let late = match aim {
            Aim::Throughput => None,
            Aim::Latency { .. } => Some(Late::of(self.participants.samples())?),
        };
        let memory = measure::memory(&who);
        let idle = idle(&who, lengths.idle);
        let room = self.participants.room().map(|room| room as u64);
        Ok(Played { start_up, room, jobs: phase.jobs, wall: phase.wall, used, calls, memory, idle, late })
    }

    /// More and more payloads until they take as long as that; payloads a second of the last part.
    pub fn warm_up(&mut self, least: Duration) -> Result<f64> {
        let mut jobs = 16 * self.shape.batch as u64;
        let start = clock::now();
        loop {
            let begun = self.begin(jobs, None);
            let phase = self.finish(&begun, 0.0)?;
            let rate = phase.jobs as f64 * 1e9 / phase.wall as f64;
            if clock::now() - start >= least.as_nanos() as u64 {
                return Ok(rate);
            }
            jobs = (jobs * 2).min((rate * least.as_secs_f64()) as u64 + 1);
        }
    }

    /// Has about so many payloads sent, at a pace or as fast as can be.
    fn begin(&mut self, jobs: u64, pace: Option<f64>) -> Begun {
        let producers = self.shape.producers as u64;
        let each = jobs.div_ceil(producers);
        let had = self.participants.received();
        Begun { had, jobs: each * producers, start: self.order(each, pace) }
    }

    /// Waits until all are received and checked. `expected` is what to expect of a second, 0 if nobody knows.
    fn finish(&self, begun: &Begun, expected: f64) -> Result<Phase> {
        let Begun { had, jobs, start } = *begun;
        let (mut last, mut moved) = (had, start);
        loop {
            let received = self.participants.received();
            let now = clock::now();
            if received - had >= jobs {
                self.compare(received - had, jobs)?;
                return Ok(Phase { jobs, wall: now.saturating_sub(start).max(1) });
            }
            if received != last {
                (last, moved) = (received, now);
            } else if now.saturating_sub(moved) > STILL.as_nanos() as u64 {
                return Err(format!("hangs: {} of {jobs} payloads are missing", jobs - (received - had)).into());
            }
            self.participants.look_after()?;
            let left = (jobs - (received - had)) as f64 / expected.max(1.0);
            let nap = if expected > 0.0 { left / 2.0 } else { 0.0 };
            std::thread::sleep(Duration::from_secs_f64(nap.clamp(50e-6, LOOK.as_secs_f64())));
        }
    }

    /// Starts a phase without waiting for its end; the moment it starts.
    pub fn order(&mut self, each: u64, pace: Option<f64>) -> u64 {
        self.phase += 1;
        let interval = pace.map_or(0, |rate| interval(rate, self.shape.producers));
        let control = self.participants.control();
        control.clear();
        let start = clock::now() + if pace.is_some() { LEAD } else { 0 };
        control.begin(&Orders { phase: self.phase, jobs: each, interval, start }, pace.is_some());
        start
    }

    /// What was received is what was sent, and whole.
    fn compare(&self, received: u64, jobs: u64) -> Result<()> {
        if received > jobs {
            return Err(format!("{} payloads too many", received - jobs).into());
        }
        // The last producer may still be about to say what it has sent.
        let deadline = clock::now() + STILL.as_nanos() as u64;
        while !self.participants.producers_are_done(self.phase) && clock::now() < deadline {
            std::thread::sleep(Duration::from_micros(50));
        }
        self.participants.compare()
    }
}

/// Nanoseconds between two payloads of each of so many producers; never 0, which would be as fast as can be.
fn interval(rate: f64, producers: usize) -> u64 {
    ((1e9 * producers as f64 / rate).round() as u64).max(1)
}

/// A pool and the numbers that it has not had.
struct Caller {
    pool: Box<dyn Pool>,
    next: u64,
}

impl Caller {
    /// So many jobs; the nanoseconds they took.
    fn pass(&mut self, jobs: u64) -> Result<u64> {
        let numbers = self.next..self.next + jobs;
        self.next += jobs;
        let expected = numbers.clone().fold(0u64, |sum, n| sum.wrapping_add(payload::mix(n)));
        let start = clock::now();
        let sum = self.pool.call(numbers)?;
        let wall = clock::now() - start;
        if sum == expected { Ok(wall.max(1)) } else { Err("a result is missing, doubled or wrong".into()) }
    }

    fn play(&mut self, shape: &Shape, lengths: &Lengths, start_up: u64) -> Result<Played> {
        let commands = shape.pattern == Pattern::Commands;
        let (mut jobs, start) = (if commands { 4 } else { 16 } * shape.batch as u64, clock::now());
        let rate = loop {
            let rate = jobs as f64 * 1e9 / self.pass(jobs)? as f64;
            if clock::now() - start >= lengths.warm_up.as_nanos() as u64 {
                break rate;
            }
            jobs = (jobs * 2).min((rate * lengths.warm_up.as_secs_f64()) as u64 + 1);
        };
        // A program is started for each call: that is part of what it costs, but not to be most of it.
        let seconds = lengths.measured.as_secs_f64() * if commands { COMMANDS } else { 1.0 };
        let jobs = ((rate * seconds) as u64).max(1);
        // The caller takes part.
        let who = Who::with_caller(&self.pool.pids());
        let counter = Calls::count(&who);
        // Processes that come and go within a call are not among them: what is waited for counts there.
        let (before, ended) = (Used::by(&who), Used::by_ended_children());
        let wall = self.pass(jobs)?;
        let used = Used::by(&who).since(before) + Used::by_ended_children().since(ended);
        let calls = counter.and_then(Calls::so_far);
        let memory = measure::memory(&who);
        let idle = idle(&who, lengths.idle);
        let room = self.pool.room().map(|room| room as u64);
        Ok(Played { start_up, room, jobs, wall, used, calls, memory, idle, late: None })
    }
}

/// The share of a CPU that these processes use when there is nothing to do; `None` if that takes no time.
fn idle(who: &Who, length: Duration) -> Option<f64> {
    if length.is_zero() {
        return None;
    }
    // What looks again for a while does so before it sleeps.
    std::thread::sleep(Duration::from_millis(20));
    let (before, start) = (Used::by(who), clock::now());
    std::thread::sleep(length);
    Some(Used::by(who).since(before).cpu as f64 / (clock::now() - start) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_never_as_fast_as_can_be() {
        assert_eq!([interval(5_000.0, 1), interval(5_000.0, 4)], [200_000, 800_000]);
        assert_eq!(interval(8.5e7, 1), 12);
        assert_eq!(interval(6e8, 1), 2, "rounded, not cut");
        assert_eq!(interval(5e9, 1), 1);
    }
}
