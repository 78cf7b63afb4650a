//! One array worked on in place, and one array made of another: nothing is copied, so threads are the ones to compare with.

use super::Figure;
use crate::options::Options;
use crate::race::{Outcome, Shown};
use crate::report::{Goal, Report, time};
use crate::statistics::spread;
use crate::{Result, watchdog};
use gristmill::{ProcessPool, SharedVec};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Instant;

pub const FIGURE: Figure = Figure {
    name: "slices",
    says: "a function over 100 million u64 (about 1 ns an item), and over 2 million (about 1 µs an item), 2 workers",
    run,
};

const WORKERS: usize = 2;

/// Passes of a round, of which the median counts: the first ones find caches and the pool's knowledge of the work cold.
const PASSES: usize = 3;

/// Rayon's time is to be at least so much of ours.
const GOAL: f64 = 0.95;

/// Steps of a function whose items do not wait for each other, and of one whose steps do.
const FEW: u32 = 4;
const MANY: u32 = 500;

/// `steps` rounds of a multiplicative mix.
fn mix(mut x: u64, steps: u32) -> u64 {
    for _ in 0..steps {
        x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    x
}

fn few(x: u64) -> u64 {
    mix(x, FEW)
}

fn many(x: u64) -> u64 {
    mix(x, MANY)
}

type Pool = ProcessPool<u64, u64>;

/// Work over an array, as each of the contenders is given it.
struct Work {
    /// What an item takes, about.
    says: &'static str,
    items: u64,
    item: fn(u64) -> u64,
    in_place: fn(&Pool, &mut SharedVec<u64>) -> Result<()>,
    from_to: fn(&Pool, &SharedVec<u64>, &mut SharedVec<u64>) -> Result<()>,
    rayon_in_place: fn(&mut [u64]),
    rayon_from_to: fn(&[u64], &mut [u64]),
}

pub fn few_in_place(_: usize, items: &mut [u64]) {
    items.iter_mut().for_each(|item| *item = few(*item));
}

pub fn many_in_place(_: usize, items: &mut [u64]) {
    items.iter_mut().for_each(|item| *item = many(*item));
}

pub fn few_from_to(from: &[u64], to: &mut [u64]) {
    from.iter().zip(to).for_each(|(from, to)| *to = few(*from));
}

pub fn many_from_to(from: &[u64], to: &mut [u64]) {
    from.iter().zip(to).for_each(|(from, to)| *to = many(*from));
}

const WORKS: [Work; 2] = [
    Work {
        says: "1 ns",
        items: 100_000_000,
        item: few,
        in_place: |pool, items| Ok(pool.for_each_chunk(few_in_place, items)?),
        from_to: |pool, from, to| Ok(pool.map_slice(few_from_to, from, to)?),
        rayon_in_place: |items| items.par_iter_mut().for_each(|item| *item = few(*item)),
        rayon_from_to: |from, to| from.par_iter().zip(to).for_each(|(from, to)| *to = few(*from)),
    },
    Work {
        says: "1 µs",
        items: 2_000_000,
        item: many,
        in_place: |pool, items| Ok(pool.for_each_chunk(many_in_place, items)?),
        from_to: |pool, from, to| Ok(pool.map_slice(many_from_to, from, to)?),
        rayon_in_place: |items| items.par_iter_mut().for_each(|item| *item = many(*item)),
        rayon_from_to: |from, to| from.par_iter().zip(to).for_each(|(from, to)| *to = many(*from)),
    },
];

/// Measures one contender: nanoseconds an item.
type Contender = (&'static str, fn(&Work, usize, u64) -> Result<f64>);

const IN_PLACE: [Contender; 2] = [("`for_each_chunk`", in_place), ("rayon `par_iter_mut`", rayon_in_place)];
const FROM_TO: [Contender; 2] = [("`map_slice`", from_to), ("rayon `par_iter().zip()`", rayon_from_to)];

fn run(options: &Options, report: &mut Report) -> Result<()> {
    for work in &WORKS {
        let items = options.jobs(work.items) as usize;
        let start = Instant::now();
        let expected = sum((0..items).map(|n| (work.item)(input(n))));
        println!("About {} an item (one thread that adds up besides: {}).\n", work.says, time(per_item(start, items)));
        for contenders in [IN_PLACE, FROM_TO] {
            let mut nanos = contenders.map(|_| vec![]);
            let mut order = [0, 1];
            for round in 1..=options.rounds() {
                order.shuffle(&mut rand::rng());
                for &at in &order {
                    let (name, measure) = contenders[at];
                    let value = measure(work, items, expected)?;
                    eprintln!("  round {round}: {name}: {value:.2} ns an item");
                    nanos[at].push(value);
                }
            }
            let outcome = |((name, _), nanos): (&Contender, Vec<f64>)| Outcome {
                name: format!("{name}, {}", work.says),
                jobs: items as u64,
                shown: Shown::Nanos(nanos),
            };
            let outcomes: Vec<_> = contenders.iter().zip(nanos).map(outcome).collect();
            report.race(&outcomes, &[Goal { rival: &outcomes[1].name, times: GOAL, says: "0.95 × rayon's speed" }]);
        }
    }
    Ok(())
}

fn input(n: usize) -> u64 {
    n as u64
}

fn sum(items: impl Iterator<Item = u64>) -> u64 {
    items.fold(0, u64::wrapping_add)
}

fn per_item(start: Instant, items: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / items as f64
}

/// Passes over an array, each of which `fill` prepares, unmeasured, and `check` sums up.
fn passes<A>(
    array: &mut A,
    items: usize,
    expected: u64,
    fill: impl Fn(&mut A),
    pass: impl Fn(&mut A) -> Result<()>,
    check: impl Fn(&A) -> u64,
) -> Result<f64> {
    let mut nanos = vec![];
    for _ in 0..PASSES {
        watchdog::moved();
        fill(array);
        let start = Instant::now();
        pass(array)?;
        nanos.push(per_item(start, items));
        let sum = check(array);
        if sum != expected {
            return Err(format!("an item was left out, done twice or wrong: the sum is {sum}, not {expected}").into());
        }
    }
    Ok(spread(nanos).map_or(f64::NAN, |spread| spread.median))
}

fn refill(items: &mut [u64]) {
    items.iter_mut().enumerate().for_each(|(n, item)| *item = input(n));
}

fn pool() -> Result<Pool> {
    Ok(ProcessPool::builder().workers(WORKERS).build(crate::contenders::square)?)
}

fn threads() -> Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(WORKERS).build()?)
}

fn in_place(work: &Work, items: usize, expected: u64) -> Result<f64> {
    let pool = pool()?;
    let mut array = SharedVec::from_fn(items, input)?;
    let pass = |array: &mut SharedVec<u64>| (work.in_place)(&pool, array);
    passes(&mut array, items, expected, |array| refill(array), pass, |array| sum(array.iter().copied()))
}

fn rayon_in_place(work: &Work, items: usize, expected: u64) -> Result<f64> {
    let threads = threads()?;
    let mut array: Vec<u64> = (0..items).map(input).collect();
    let pass = |array: &mut Vec<u64>| {
        threads.install(|| (work.rayon_in_place)(array));
        Ok(())
    };
    passes(&mut array, items, expected, |array| refill(array), pass, |array| sum(array.iter().copied()))
}

fn from_to(work: &Work, items: usize, expected: u64) -> Result<f64> {
    let pool = pool()?;
    let from = SharedVec::from_fn(items, input)?;
    let mut to = SharedVec::from_fn(items, |_| 0u64)?;
    let pass = |to: &mut SharedVec<u64>| (work.from_to)(&pool, &from, to);
    passes(&mut to, items, expected, |to| to.fill(0), pass, |to| sum(to.iter().copied()))
}

fn rayon_from_to(work: &Work, items: usize, expected: u64) -> Result<f64> {
    let threads = threads()?;
    let from: Vec<u64> = (0..items).map(input).collect();
    let mut to = vec![0; items];
    let pass = |to: &mut Vec<u64>| {
        threads.install(|| (work.rayon_from_to)(&from, to));
        Ok(())
    };
    passes(&mut to, items, expected, |to| to.fill(0), pass, |to| sum(to.iter().copied()))
}
