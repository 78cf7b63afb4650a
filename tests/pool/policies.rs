//! Ways to wait, CPUs, many workers, and counters that wrap around.

use crate::support::*;
use crate::tasks::*;
use gristmill::{ProcessPool, WaitPolicy};

fn all_right(pool: &ProcessPool<Do, u64>) {
    assert!((0..).zip(pool.map((0..3000).map(Do::Value)).unwrap()).all(|(n, r)| r == Ok(n)));
    let jobs = pool.submit_many((0..3000).map(Do::Value)).unwrap();
    assert!((0..).zip(&jobs).all(|(n, job)| job.result() == Ok(n)));
    (0..50).for_each(|n| assert_eq!(pool.submit(Do::Value(n)).unwrap().result(), Ok(n)));
    assert!(pool.submit(Do::Die(Death::Abort)).unwrap().result().is_err());
    assert_eq!(pool.submit(Do::Value(1)).unwrap().result(), Ok(1));
}

fn every_way_to_wait_gives_the_same_results() {
    for policy in [WaitPolicy::Spin, WaitPolicy::Adaptive, WaitPolicy::Block] {
        all_right(&build(two().wait_policy(policy)));
    }
}

fn workers_stay_on_their_cpus() {
    let allowed = gristmill::sys::limits::cpu_numbers();
    let pool = two().pin_workers(&[]).build(affinity).unwrap();
    for result in pool.map((0..50).map(|_| ())).unwrap().chunk_size(1) {
        let cpus = result.unwrap();
        assert!(cpus.len() == 1 && allowed.contains(&cpus[0]), "{cpus:?}");
    }
    let first = allowed[0];
    let pool = two().pin_workers(&[first]).build(affinity).unwrap();
    assert_eq!(pool.submit(()).unwrap().result(), Ok(vec![first]));
}

/// The worker cannot start, and says why; the pool ends with its words.
fn a_cpu_that_there_is_not_ends_the_pool_with_the_reason() {
    let pool = two().pin_workers(&[1000]).build(affinity).unwrap();
    let error = pool.submit(()).unwrap().result().unwrap_err().to_string();
    assert!(error.contains("CPU 1000"), "{error}");
}

fn sixty_four_workers_share_few_cores() {
    let pool = build(ProcessPool::builder().workers(64));
    all_right(&pool);
    until(|| pool.worker_pids().len() == 64);
}

fn one_worker_is_a_pool_too() {
    all_right(&build(ProcessPool::builder().workers(1)));
}

fn counters_wrap_around() {
    for from in [u32::MAX, u32::MAX - 1, u32::MAX - 500, u32::MAX / 2 - 100] {
        all_right(&build(two().counters_from(from)));
    }
}

fn a_small_region_carries_many_jobs() {
    all_right(&build(two().region_size(512 << 10).arena_size(64 << 10)));
}

tests![
    every_way_to_wait_gives_the_same_results,
    workers_stay_on_their_cpus,
    a_cpu_that_there_is_not_ends_the_pool_with_the_reason,
    sixty_four_workers_share_few_cores,
    one_worker_is_a_pool_too,
    counters_wrap_around,
    a_small_region_carries_many_jobs,
];
