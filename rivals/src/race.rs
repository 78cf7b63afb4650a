//! A race: the same work for several contenders, in rounds, so that what disturbs the machine disturbs all.

use crate::contenders::{Contender, sum_of_squares};
use crate::options::Options;
use crate::statistics::{Spread, spread};
use crate::{Result, watchdog};
use rand::seq::SliceRandom;
use std::time::Instant;

/// Starts a contender; `None` if what it needs is not on this machine.
type Start = Box<dyn Fn() -> Result<Option<Box<dyn Contender>>>>;

/// One contender in a race.
pub struct Lane {
    pub name: String,
    /// Jobs of one pass: fewer for a slow one.
    pub jobs: u64,
    /// Passes in a round, of which the median counts.
    pub passes: u32,
    start: Start,
}

impl Lane {
    pub fn new<C: Contender + 'static>(name: impl Into<String>, jobs: u64, start: impl Fn() -> Result<C> + 'static) -> Self {
        let start: Start = Box::new(move || Ok(Some(Box::new(start()?))));
        Lane { name: name.into(), jobs, passes: 1, start }
    }

    /// One that may be missing.
    pub fn optional<C: Contender + 'static>(
        name: impl Into<String>,
        jobs: u64,
        start: impl Fn() -> Result<Option<C>> + 'static,
    ) -> Self {
        let start: Start = Box::new(move || Ok(start()?.map(|contender| Box::new(contender) as Box<dyn Contender>)));
        Lane { name: name.into(), jobs, passes: 1, start }
    }

    pub fn passes(mut self, passes: u32) -> Self {
        self.passes = passes;
        self
    }
}

/// What a contender has shown.
pub struct Outcome {
    pub name: String,
    pub jobs: u64,
    pub shown: Shown,
}

pub enum Shown {
    /// Nanoseconds a job, for each round.
    Nanos(Vec<f64>),
    Absent,
    Failed(String),
}

impl Outcome {
    pub fn nanos(&self) -> Option<&[f64]> {
        match &self.shown {
            Shown::Nanos(nanos) => Some(nanos),
            _ => None,
        }
    }

    pub fn spread(&self) -> Option<Spread> {
        spread(self.nanos()?.iter().copied())
    }

    /// How many times as long as `other` it takes, round by round.
    pub fn times(&self, other: &Outcome) -> Option<Spread> {
        spread(self.nanos()?.iter().zip(other.nanos()?).map(|(mine, others)| mine / others))
    }

    /// The same by the least times alone: what others do on the machine makes times longer, never shorter.
    pub fn least_times(&self, other: &Outcome) -> Option<f64> {
        Some(self.spread()?.least / other.spread()?.least)
    }
}

/// Runs all lanes in each round, in an order of chance. Each is started anew, so that none waits, or spins, beside another, and runs some jobs before
/// it is measured.
pub fn race(options: &Options, mut lanes: Vec<Lane>) -> Vec<Outcome> {
    lanes.retain(|lane| options.takes_part(&lane.name));
    let mut outcomes: Vec<Outcome> = Vec::new();
    for lane in &lanes {
        outcomes.push(Outcome { name: lane.name.clone(), jobs: lane.jobs, shown: Shown::Nanos(vec![]) });
    }
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    for round in 1..=options.rounds() {
        order.shuffle(&mut rand::rng());
        for &at in &order {
            let Shown::Nanos(nanos) = &mut outcomes[at].shown else { continue };
            match pass(&lanes[at]) {
                Ok(Some(value)) => {
                    eprintln!("  round {round}: {}: {value:.0} ns a job", lanes[at].name);
                    nanos.push(value);
                }
                Ok(None) => outcomes[at].shown = Shown::Absent,
                Err(why) => {
                    eprintln!("  round {round}: {}: {why}", lanes[at].name);
                    outcomes[at].shown = Shown::Failed(why.to_string());
                }
            }
        }
    }
    outcomes
}

fn pass(lane: &Lane) -> Result<Option<f64>> {
    watchdog::moved();
    let Some(mut contender) = (lane.start)()? else { return Ok(None) };
    contender.run(1..1 + (lane.jobs / 10).clamp(1, 100_000))?;
    watchdog::moved();
    let mut nanos = Vec::new();
    for _ in 0..lane.passes {
        let jobs = 1..1 + lane.jobs;
        let expected = sum_of_squares(&jobs);
        let start = Instant::now();
        let sum = contender.run(jobs)?;
        let elapsed = start.elapsed();
        watchdog::moved();
        if sum != expected {
            return Err(format!("a result was lost, doubled or wrong: the sum is {sum}, not {expected}").into());
        }
        nanos.push(elapsed.as_nanos() as f64 / lane.jobs as f64);
    }
    Ok(spread(nanos).map(|spread| spread.median))
}
