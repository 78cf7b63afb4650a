//! More workers than cores: speed must not collapse.

use super::Figure;
use crate::Result;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::options::Options;
use crate::race::{Lane, race};
use crate::report::{Report, digits};

pub const FIGURE: Figure = Figure {
    name: "workers",
    says: "single jobs of 8 bytes, and `map`, with more and more workers on the cores there are",
    run,
};

const WORKERS: [usize; 5] = [2, 4, 8, 16, 32];

/// The least rate is to be so much of the best.
const GOAL: f64 = 0.5;

fn run(options: &Options, report: &mut Report) -> Result<()> {
    for (name, calls, jobs) in [("`submit`", Calls::Submit, 2_000_000), ("`map`", Calls::Map, 10_000_000)] {
        let lane = |workers| {
            Lane::new(format!("{name}, {workers} workers"), options.jobs(jobs), move || Gristmill::start(workers, calls))
        };
        let outcomes = race(options, WORKERS.map(lane).into());
        report.race(&outcomes, &[]);
        let medians = outcomes.iter().filter_map(|outcome| outcome.spread()).map(|s| s.median);
        let (least, greatest) = medians.fold((f64::INFINITY, 0.0f64), |(low, high), m| (low.min(m), high.max(m)));
        let part = least / greatest;
        let reached = report.goal(&format!("worst rate against the best, {name}"), "at least 0.5", &digits(part), part >= GOAL);
        println!("The worst rate is {} of the best; goal: at least {GOAL}; reached: {reached}.\n", digits(part));
    }
    Ok(())
}
