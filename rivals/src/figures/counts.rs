//! Whether speed depends on how many jobs there are.

use super::Figure;
use crate::Result;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::options::Options;
use crate::race::{Lane, race};
use crate::report::{Report, count, digits};

pub const FIGURE: Figure =
    Figure { name: "counts", says: "single jobs of 8 bytes, 2 workers: few, many and very many (left out with --quick)", run };

const WORKERS: usize = 2;

/// The greatest of the rates may be so many times the least.
const GOAL: f64 = 1.2;

fn run(options: &Options, report: &mut Report) -> Result<()> {
    // A pass of few jobs is short, so there are more of them.
    let lane = |jobs, passes| {
        Lane::new(format!("{} jobs", count(jobs)), jobs, || Gristmill::start(WORKERS, Calls::Submit)).passes(passes)
    };
    let mut lanes = vec![lane(10_000, 100), lane(1_000_000, 5)];
    if !options.quick {
        lanes.push(lane(100_000_000, 1));
    }
    let outcomes = race(options, lanes);
    report.race(&outcomes, &[]);
    let medians = outcomes.iter().filter_map(|outcome| outcome.spread()).map(|s| s.median);
    let (least, greatest) = medians.fold((f64::INFINITY, 0.0f64), |(low, high), m| (low.min(m), high.max(m)));
    let reached = report.goal(
        "slowest count against the fastest",
        "within 1.2 ×",
        &format!("{} ×", digits(greatest / least)),
        greatest / least <= GOAL,
    );
    println!("The slowest takes {} times the fastest; goal: at most {GOAL}; reached: {reached}.\n", digits(greatest / least));
    Ok(())
}
