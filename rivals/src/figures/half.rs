//! The smallest job worth handing over: at which two workers reach half of the ideal speed.

use super::Figure;
use crate::contenders::gristmill::{map_all, submit_all};
use crate::options::Options;
use crate::report::{Report, time};
use crate::statistics::{Crossing, crossing, spread};
use crate::{Result, busy, watchdog};
use gristmill::ProcessPool;
use rand::seq::SliceRandom;
use std::time::Instant;

pub const FIGURE: Figure = Figure {
    name: "half",
    says: "speed of 2 workers as a part of the ideal (2 jobs in the time of one), by the length of a job; half of it is the goal",
    run,
};

const WORKERS: usize = 2;

/// Lengths of jobs, in nanoseconds.
const LENGTHS: [f64; 9] = [12.5, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0];

/// A pass takes about so long on one CPU.
const PASS_NANOS: f64 = 400e6;

/// Sums the results of all its jobs.
type Run = fn(&ProcessPool<u64, u64>, Box<dyn Iterator<Item = u64>>) -> Result<u64>;

/// A way to hand jobs over: its name, the goal in nanoseconds, and what it calls.
type Way = (&'static str, f64, Run);

fn run(options: &Options, report: &mut Report) -> Result<()> {
    let ways: [Way; 2] =
        [("`map`", 100.0, |pool, jobs| map_all(pool, jobs)), ("`submit`", 1000.0, |pool, jobs| submit_all(pool, jobs))];
    // For each way: a curve for each round.
    let mut curves = ways.map(|_| Vec::new());
    let mut order = [0, 1];
    for round in 1..=options.rounds() {
        let step = busy::nanos_a_step();
        order.shuffle(&mut rand::rng());
        for &at in &order {
            let (name, _, run) = ways[at];
            let pool = ProcessPool::builder().workers(WORKERS).build(busy::busy)?;
            curves[at].push(curve(options, &pool, run, step)?);
            eprintln!("  round {round}: {name}");
        }
    }
    let mut rows = Vec::new();
    for (at, nanos) in LENGTHS.iter().enumerate() {
        let mut row = vec![time(*nanos)];
        for curves in &curves {
            let part = spread(curves.iter().map(|curve: &Vec<(f64, f64)>| curve[at].1));
            row.push(part.map_or("–".into(), |s| {
                format!("{:.0} % ({:.0} – {:.0})", 100.0 * s.median, 100.0 * s.least, 100.0 * s.greatest)
            }));
        }
        rows.push(row);
    }
    report.table(&["a job takes", "`map`", "`submit`"], &rows);
    for ((name, goal, _), curves) in ways.iter().zip(&curves) {
        let crossings: Vec<Crossing> = curves.iter().filter_map(|curve| crossing(curve, 0.5)).collect();
        let Some(s) = spread(crossings.iter().map(|crossing| crossing.value())) else { continue };
        let sign = match crossings.iter().find(|crossing| crossing.value() == s.median) {
            Some(Crossing::Below(_)) => "under ",
            Some(Crossing::Above(_)) => "over ",
            _ => "",
        };
        let measured = format!("{sign}{} ({} – {})", time(s.median), time(s.least), time(s.greatest));
        let reached = s.median <= *goal && sign != "over ";
        let reached =
            report.goal(&format!("half of the ideal with {name}"), &format!("at most {}", time(*goal)), &measured, reached);
        println!("Half of the ideal with {name}: jobs of {measured}; goal: at most {}; reached: {reached}.\n", time(*goal));
    }
    Ok(())
}

/// The part of the ideal speed for each length.
fn curve(options: &Options, pool: &ProcessPool<u64, u64>, run: Run, step: f64) -> Result<Vec<(f64, f64)>> {
    let mut curve = Vec::new();
    for nanos in LENGTHS {
        let steps = (nanos / step).round().max(1.0) as u64;
        let nanos = steps as f64 * step;
        let starts = 1..1 + options.jobs((PASS_NANOS / nanos) as u64);
        // The pool adapts to the length of the jobs before it is measured.
        run(pool, Box::new(busy::jobs(1..1 + (starts.end - starts.start) / 10, steps)))?;
        let expected = busy::sum(starts.clone(), steps);
        let start = Instant::now();
        let sum = run(pool, Box::new(busy::jobs(starts.clone(), steps)))?;
        let elapsed = start.elapsed().as_nanos() as f64;
        watchdog::moved();
        if sum != expected {
            return Err(format!("a result was lost, doubled or wrong: the sum is {sum}, not {expected}").into());
        }
        curve.push((nanos, (starts.end - starts.start) as f64 * nanos / WORKERS as f64 / elapsed));
    }
    Ok(curve)
}
