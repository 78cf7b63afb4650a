//! How long it takes until a pool of eight can be used.

use super::Figure;
use crate::contenders::Contender;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::contenders::pipe::Pipe;
use crate::contenders::procspawn::Procspawn;
use crate::contenders::python::{Means, Python};
use crate::contenders::square;
use crate::options::Options;
use crate::report::{Report, time};
use crate::statistics::spread;
use crate::{Result, watchdog};
use gristmill::ProcessPool;
use rand::seq::SliceRandom;
use std::thread;
use std::time::{Duration, Instant};

pub const FIGURE: Figure = Figure {
    name: "ready",
    says: "from nothing to a pool of 8 workers: the first result, and (gristmill) all 8 attached",
    run,
};

const WORKERS: usize = 8;

/// Pools a round.
const POOLS: u64 = 10;

const GOAL: Duration = Duration::from_millis(20);

/// A kind of pool and the time that it takes; `None` if it is absent.
type Kind = (&'static str, fn() -> Result<Option<Duration>>);

const KINDS: [Kind; 5] = [
    ("gristmill, first result", || first_result(|| Ok(Some(Gristmill::start(WORKERS, Calls::Submit)?)))),
    ("gristmill, all attached", all_attached),
    ("pipe", || first_result(|| Ok(Some(Pipe::start(WORKERS)?)))),
    ("procspawn", || first_result(|| Ok(Some(Procspawn::start(WORKERS)?)))),
    ("`ProcessPoolExecutor`", || first_result(|| Python::start(Means::Executor, WORKERS))),
];

fn run(options: &Options, report: &mut Report) -> Result<()> {
    // Looked for once: not in the first pool's time.
    gristmill_rivals::python::interpreter();
    let mut times = KINDS.map(|_| Vec::new());
    let mut order: Vec<usize> = (0..KINDS.len()).collect();
    for round in 1..=options.rounds() {
        for _ in 0..options.jobs(POOLS) {
            order.shuffle(&mut rand::rng());
            for &at in &order {
                watchdog::moved();
                times[at].push(KINDS[at].1()?);
            }
        }
        eprintln!("  round {round}");
    }
    let mut rows = Vec::new();
    for (at, ((name, _), times)) in KINDS.iter().zip(&times).enumerate() {
        let nanos = times.iter().flatten().map(|time: &Duration| time.as_nanos() as f64);
        let Some(s) = spread(nanos) else {
            rows.push(vec![name.to_string(), "absent".into(), "–".into(), String::new(), String::new()]);
            continue;
        };
        let mut row = vec![name.to_string(), time(s.median), format!("{} – {}", time(s.least), time(s.greatest))];
        if at < 2 {
            let goal = time(GOAL.as_nanos() as f64);
            row.push(goal.clone());
            row.push(report.goal(name, &goal, &time(s.median), s.median <= GOAL.as_nanos() as f64));
        } else {
            row.extend([String::new(), String::new()]);
        }
        rows.push(row);
    }
    report.table(&["pool", "time", "least – greatest", "goal", "reached"], &rows);
    Ok(())
}

/// The time until all workers have attached. No job is under way, which would take CPU time from those that start.
fn all_attached() -> Result<Option<Duration>> {
    let start = Instant::now();
    let pool = ProcessPool::builder().workers(WORKERS).build(square)?;
    while pool.stats().workers.len() < WORKERS {
        // Each look takes the pool's lock, and the cores are the workers'.
        thread::sleep(Duration::from_micros(100));
    }
    Ok(Some(start.elapsed()))
}

/// The time until a pool's first result; `None` if it is absent.
fn first_result<C: Contender>(pool: impl Fn() -> Result<Option<C>>) -> Result<Option<Duration>> {
    let start = Instant::now();
    let Some(mut pool) = pool()? else { return Ok(None) };
    let sum = pool.run(3..4)?;
    let elapsed = start.elapsed();
    if sum != square(3) {
        return Err(format!("the square of 3 is not {sum}").into());
    }
    Ok(Some(elapsed))
}
