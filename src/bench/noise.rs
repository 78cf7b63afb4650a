//! Reasons not to trust the figures of this machine now.

use super::environment::{Environment, Times};
use super::measure::Used;
use super::results::{Axis, Entry};
use super::statistics::median;
use crate::sys::limits;

/// A share of the machine's time that others may have without a word.
const OTHERS: f64 = 0.1;

/// And one that other machines may have, where this is a virtual one.
const STOLEN: f64 = 0.01;

/// What has been used up to now: looked at before and after a run.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    times: Option<Times>,
    ours: u64,
}

impl Moment {
    /// As it is now. All that a run starts are threads, or children that have been waited for when it ends.
    pub fn now() -> Moment {
        let ours = limits::cpu_of(std::process::id()) + Used::by_ended_children().cpu;
        Moment { times: Times::now(), ours }
    }
}

/// All of them; none if there is no reason.
pub fn noise(environment: &Environment, before: &Moment, after: &Moment, entries: &[Entry]) -> Vec<String> {
    let mut noise = vec![];
    let first = |load: &str| load.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    if first(&environment.load_before) > 0.5 * environment.cores as f64 {
        noise.push(format!("it was busy before the run began: load {}", environment.load_before));
    }
    noise.extend(meanwhile(before, after));
    let spreads = entries.iter().filter(|entry| entry.axis == Axis::Base).filter_map(|entry| {
        let rate = entry.summary.as_ref()?.rate;
        Some((rate.high - rate.low) / rate.median)
    });
    let spread = median(&spreads.collect::<Vec<_>>());
    if let Some(spread) = spread.filter(|spread| *spread > 0.25) {
        noise.push(format!("half of the contenders vary by more than {:.0} % from round to round", spread * 100.0));
    }
    noise
}

/// Reasons that any run may have: who else had the CPUs, and what build this is.
pub fn meanwhile(before: &Moment, after: &Moment) -> Vec<String> {
    let mut noise = during(before, after);
    if cfg!(debug_assertions) {
        noise.push("this is a build without optimization: its figures say nothing".into());
    }
    noise
}

/// Who else had the CPUs while it ran. The kernel's counters may go back.
fn during(before: &Moment, after: &Moment) -> Vec<String> {
    let (Some(from), Some(to)) = (before.times, after.times) else { return vec![] };
    let all = to.all.saturating_sub(from.all).max(1) as f64;
    let stolen = to.stolen.saturating_sub(from.stolen) as f64 / all;
    let busy = to.busy.saturating_sub(from.busy).saturating_sub(after.ours.saturating_sub(before.ours)) as f64 / all;
    let mut noise = vec![];
    if stolen > STOLEN {
        noise.push(format!("other machines took {:.1} % of its CPUs' time", stolen * 100.0));
    }
    if busy > OTHERS {
        noise.push(format!("other programs took {:.0} % of its CPUs' time while it ran", busy * 100.0));
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(all: u64, stolen: u64, busy: u64, ours: u64) -> Moment {
        Moment { times: Some(Times { all, stolen, busy }), ours }
    }

    #[test]
    fn whoever_else_runs_meanwhile_is_seen_and_the_run_itself_is_not() {
        let before = moment(1_000, 100, 500, 50);
        assert!(during(&before, &moment(2_000, 100, 1_400, 900)).is_empty(), "5 % are no reason");
        let said = during(&before, &moment(2_000, 100, 1_500, 550));
        assert_eq!(said, ["other programs took 50 % of its CPUs' time while it ran"]);
        let said = during(&before, &moment(2_000, 300, 500, 50));
        assert_eq!(said, ["other machines took 20.0 % of its CPUs' time"]);
    }

    #[test]
    fn counters_that_go_back_are_no_reason() {
        assert!(during(&moment(1_000, 100, 500, 50), &moment(900, 90, 400, 40)).is_empty());
        assert!(during(&Moment { times: None, ours: 0 }, &moment(900, 90, 400, 40)).is_empty());
    }

    #[test]
    fn this_machine_has_been_busy() {
        let times = Moment::now().times.unwrap();
        assert!(times.all > times.busy && times.busy > 0, "{times:?}");
    }
}
