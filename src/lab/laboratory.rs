//! What an experiment runs in: how much time there is, on which machine, and who looks on.

use super::seat::Lane;
use crate::bench::contender::Result;
use crate::sys::limits;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::time::Duration;

/// What workers have done lately: shares of time in each lane, for each worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// A line for each worker.
    pub lanes: Vec<Shares>,
    /// What they are at.
    pub at: String,
}

/// Shares of a worker's time since the last snapshot; together 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Working without the lock.
    pub working: f64,
    /// Waiting for it, on a CPU or ready to run.
    pub waiting: f64,
    /// Having it.
    pub holding: f64,
    /// Asleep while it waits.
    pub asleep: f64,
    /// Ended, or dead.
    pub gone: f64,
}

impl Shares {
    /// From nanoseconds in each lane, and whether it was asleep when it was looked at.
    pub fn of(spent: [u64; Lane::COUNT], asleep: bool) -> Shares {
        let all = spent.iter().sum::<u64>().max(1) as f64;
        let [working, waiting, holding] = spent.map(|nanos| nanos as f64 / all);
        let (waiting, asleep) = if asleep { (0.0, waiting) } else { (waiting, 0.0) };
        Shares { working, waiting, holding, asleep, gone: 0.0 }
    }

    /// Of one who is no more.
    pub fn gone() -> Shares {
        Shares { gone: 1.0, ..Shares::default() }
    }
}

/// Who looks on while an experiment runs.
pub trait Watcher {
    /// Whether lanes are to be kept and shown. They cost the workers some time.
    fn watches(&self) -> bool;

    /// What they are doing, a few times a second.
    fn lanes(&self, snapshot: &Snapshot);

    /// How much of the experiment is done, from 0 to 1.
    fn progress(&self, done: f64);

    /// Whether it is to end.
    fn interrupted(&self) -> bool;
}

/// What an experiment runs in.
pub struct Lab<'a> {
    /// How long it may take in all.
    pub budget: Duration,
    /// CPUs that it may use.
    pub cores: usize,
    /// Their numbers.
    pub cpus: Vec<usize>,
    /// Who looks on.
    pub watcher: &'a dyn Watcher,
    /// What the order of measurements comes from.
    pub random: RefCell<SmallRng>,
}

/// Rounds of a sweep: few, but enough for an interval that is more than a range.
pub const ROUNDS: usize = 6;

/// A share of the budget is left for starts and ends.
const OWN: f64 = 0.7;

/// The shortest time that says anything: several turns of the scheduler.
const LEAST: Duration = Duration::from_millis(30);

/// Keeps the one who looks on away from the workers, until it is dropped.
pub struct Apart<'a>(&'a [usize]);

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        // Who could be kept on one of them may use all.
        let _ = limits::keep_on(self.0);
    }
}

impl Lab<'_> {
    /// Where so many workers run if the one who looks on can have a CPU of its own.
    pub fn workers_cpus(&self, workers: usize) -> Option<&[usize]> {
        let enough = self.cores > workers && self.cpus.len() > workers;
        self.cpus.split_last().map(|(_, rest)| rest).filter(|_| enough)
    }

    /// Keeps this thread on a CPU where so many workers are not, if there are enough.
    pub fn apart(&self, workers: usize) -> Option<Apart<'_>> {
        self.workers_cpus(workers)?;
        let own = self.cpus.last()?;
        limits::pin(*own).ok().map(|()| Apart(&self.cpus))
    }

    /// How long each of so many measurements may take, for the budget to suffice.
    pub fn each(&self, measurements: usize) -> Duration {
        (self.budget.mul_f64(OWN) / measurements.max(1) as u32).max(LEAST)
    }

    /// Measures at each of so many places, round by round, in random order within a round: what disturbs the machine disturbs all alike. For each
    /// place its values, one a round.
    ///
    /// # Errors
    /// As `measure`, or if it was interrupted.
    pub fn sweep(&self, places: usize, rounds: usize, mut measure: impl FnMut(usize) -> Result<f64>) -> Result<Vec<Vec<f64>>> {
        let mut values = vec![vec![]; places];
        let mut order: Vec<usize> = (0..places).collect();
        for round in 0..rounds {
            order.shuffle(&mut *self.random.borrow_mut());
            for (n, &place) in order.iter().enumerate() {
                if self.watcher.interrupted() {
                    return Err("it was interrupted".into());
                }
                values[place].push(measure(place)?);
                self.watcher.progress((round * places + n + 1) as f64 / (rounds * places) as f64);
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Looks away.
    pub struct Nobody;

    impl Watcher for Nobody {
        fn watches(&self) -> bool {
            false
        }

        fn lanes(&self, _: &Snapshot) {}

        fn progress(&self, _: f64) {}

        fn interrupted(&self) -> bool {
            false
        }
    }

    /// With so many milliseconds.
    pub fn lab(millis: u64) -> Lab<'static> {
        Lab {
            budget: Duration::from_millis(millis),
            cores: limits::cpus(),
            cpus: limits::cpu_numbers(),
            watcher: &Nobody,
            random: RefCell::new(SmallRng::seed_from_u64(1)),
        }
    }

    #[test]
    fn who_looks_on_has_a_cpu_of_its_own_if_workers_leave_one() {
        let of = |cores, cpus: &[usize]| Lab { cores, cpus: cpus.to_vec(), ..lab(1) };
        assert_eq!(of(4, &[0, 2, 4, 6]).workers_cpus(3), Some(&[0, 2, 4][..]));
        assert_eq!(of(4, &[0, 2, 4, 6]).workers_cpus(4), None);
        assert_eq!(of(2, &[0, 2, 4, 6]).workers_cpus(2), None, "a quota leaves two");
        assert_eq!((of(1, &[]).workers_cpus(0), of(2, &[0, 1]).workers_cpus(2)), (None, None));
        let before = limits::cpu_numbers();
        let all = of(before.len(), &before);
        if let Some(apart) = all.apart(before.len() - 1) {
            assert_eq!(limits::cpu_numbers(), before[before.len() - 1..]);
            drop(apart);
        }
        assert_eq!(limits::cpu_numbers(), before);
    }

    #[test]
    fn a_sweep_measures_each_place_once_a_round_in_another_order_each_time() {
        let mut order = vec![];
        let values = lab(1).sweep(8, 5, |place| {
            order.push(place);
            Ok(place as f64)
        });
        let values = values.unwrap();
        assert!(values.iter().enumerate().all(|(place, rounds)| *rounds == [place as f64; 5]), "{values:?}");
        assert_ne!(order[..8], order[8..16]);
    }

    #[test]
    fn shares_are_of_the_whole_and_a_wait_asleep_is_no_wait_awake() {
        let shares = Shares::of([50, 25, 25], false);
        assert_eq!((shares.working, shares.waiting, shares.holding, shares.asleep), (0.5, 0.25, 0.25, 0.0));
        assert_eq!((Shares::of([0, 10, 0], true).waiting, Shares::of([0, 10, 0], true).asleep), (0.0, 1.0));
    }
}
