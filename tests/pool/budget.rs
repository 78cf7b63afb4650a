//! `max_tasks_per_worker`: a worker is replaced after so many jobs.

use crate::support::*;
use crate::tasks::*;
use gristmill::ProcessPool;
use std::collections::HashMap;

/// How many jobs each process has run.
fn by_process(pids: impl Iterator<Item = u64>) -> HashMap<u64, u64> {
    let mut counts = HashMap::new();
    pids.for_each(|pid| *counts.entry(pid).or_default() += 1);
    counts
}

fn check(pool: &ProcessPool<Do, u64>, pids: Vec<u64>, jobs: usize, budget: u64) {
    assert_eq!(pids.len(), jobs, "no job is lost");
    let counts = by_process(pids.into_iter());
    let most = counts.values().max().unwrap();
    assert!(*most <= budget, "a worker ran {most} jobs of {budget}");
    // All but the workers that are there at the end have run exactly as many as they may.
    let short = counts.values().filter(|&&n| n < budget).count();
    assert!(short <= pool.workers(), "{short} workers ended early: {counts:?}");
    assert_eq!(pool.stats().worker_deaths, 0, "none of them died");
}

fn single_jobs_are_counted() {
    for budget in [1, 2, 7] {
        let pool = build(two().max_tasks_per_worker(budget));
        let jobs = pool.submit_many((0..60).map(|_| Do::Pid)).unwrap();
        check(&pool, jobs.iter().map(|job| job.result().unwrap()).collect(), 60, budget);
    }
}

fn jobs_of_a_bundle_are_counted_one_by_one_and_the_rest_goes_on_elsewhere() {
    let pool = build(two().max_tasks_per_worker(50));
    let pids = pool.map((0..1000).map(|_| Do::Pid)).unwrap().chunk_size(64).map(Result::unwrap).collect();
    check(&pool, pids, 1000, 50);
}

fn thousands_of_jobs_go_through_hundreds_of_workers_and_keep_their_values() {
    let pool = build(two().max_tasks_per_worker(40));
    let jobs = pool.submit_many((0..6000).map(Do::Value)).unwrap();
    assert!((0..).zip(&jobs).all(|(n, job)| job.result() == Ok(n)));
    assert_eq!(pool.stats().worker_deaths, 0);
}

fn deaths_are_told_apart_from_replacements() {
    let pool = build(two().max_tasks_per_worker(3));
    for n in 0..30 {
        let what = if n % 10 == 9 { Do::Die(Death::Abort) } else { Do::Value(n) };
        assert_eq!(pool.submit(what).unwrap().result().is_err(), n % 10 == 9);
    }
    assert_eq!(pool.stats().worker_deaths, 3);
}

/// The story: a worker has run some jobs of its bundle, may run no more, and puts the rest back behind all other bundles. The outcomes of those jobs
/// fill the arena, so whoever else runs a job waits for room, and nobody will ever come to the bundle that was put back. The parent takes its
/// outcomes as it takes those of bundles that run.
fn outcomes_of_a_rest_that_was_put_back_make_room_for_others() {
    let pool = two().max_tasks_per_worker(7).arena_size(64 << 10).build(fill).unwrap();
    let results = pool.map(vec![40_000; 200]).unwrap().chunk_size(5);
    assert_eq!(results.map(|result| result.unwrap().len()).sum::<usize>(), 200 * 40_000);
}

tests![
    single_jobs_are_counted,
    jobs_of_a_bundle_are_counted_one_by_one_and_the_rest_goes_on_elsewhere,
    thousands_of_jobs_go_through_hundreds_of_workers_and_keep_their_values,
    deaths_are_told_apart_from_replacements,
    outcomes_of_a_rest_that_was_put_back_make_room_for_others,
];
