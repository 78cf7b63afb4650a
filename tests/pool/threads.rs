//! A pool is used from many threads, and a program has many pools.

use crate::support::*;
use crate::tasks::*;
use gristmill::{ProcessPool, as_completed};

fn eight_threads_submit_thousands_of_jobs_each() {
    let pool = build(two().capacity(5000));
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..3 {
                    let numbers = (0..1000).map(|n| thread << 32 | round << 16 | n);
                    let jobs = pool.submit_many(numbers.clone().map(Do::Value)).unwrap();
                    for (n, job) in numbers.zip(jobs) {
                        assert_eq!(job.result(), Ok(n));
                    }
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.submitted, stats.completed, stats.failed), (24_000, 24_000, 0));
}

fn threads_use_one_pool_in_different_ways_at_once() {
    let pool = build(ProcessPool::builder().workers(3));
    let squares = pool.task(square).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(squares.map(0..50_000).unwrap().zip(0..).all(|(r, n)| r == Ok(n * n))));
        scope.spawn(|| assert_eq!(squares.map_unordered(0..50_000).unwrap().count(), 50_000));
        scope.spawn(|| assert_eq!(squares.map_reduce(0..50_000, add), Ok(Some((0..50_000u64).map(|n| n * n).sum()))));
        scope.spawn(|| {
            let jobs = pool.submit_many((0..5000).map(Do::Value)).unwrap();
            assert_eq!(as_completed(jobs).map(|job| job.result().unwrap()).sum::<u64>(), 4999 * 2500);
        });
        scope.spawn(|| (0..2000).for_each(|n| assert_eq!(pool.submit(Do::Value(n)).unwrap().result(), Ok(n))));
        scope.spawn(|| {
            for n in 0..500 {
                let job = pool.submit(Do::Value(n)).unwrap();
                until(|| job.done());
                assert_eq!(job.result(), Ok(n));
            }
        });
        scope.spawn(|| {
            for _ in 0..10 {
                assert!(pool.submit(Do::Die(Death::Abort)).unwrap().result().is_err());
            }
        });
    });
}

fn handles_are_asked_in_other_threads_than_they_were_made_in() {
    let pool = pool();
    let (sender, jobs) = std::sync::mpsc::sync_channel(100);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..5000 {
                sender.send((n, pool.submit(Do::Value(n)).unwrap())).unwrap();
            }
            pool.shutdown(true, false);
        });
        scope.spawn(move || jobs.iter().for_each(|(n, job)| assert_eq!(job.result(), Ok(n))));
    });
}

fn several_pools_work_side_by_side() {
    std::thread::scope(|scope| {
        for n in 0..5 {
            scope.spawn(move || {
                let (numbers, bytes) = (pool(), two().build(echo).unwrap());
                for k in 0..300 {
                    let (number, text) =
                        (numbers.submit(Do::Value(n * k)).unwrap(), bytes.submit(vec![n as u8; k as usize]).unwrap());
                    assert_eq!((number.result(), text.result()), (Ok(n * k), Ok(vec![n as u8; k as usize])));
                }
            });
        }
    });
}

/// A pool that was made in a thread that has ended since: its workers would die with that thread, were they its children.
fn a_pool_outlives_the_thread_that_made_it() {
    let pool = std::thread::spawn(pool).join().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(pool.map((0..1000).map(Do::Value)).unwrap().all(|r| r.is_ok()));
    assert_eq!(pool.stats().worker_deaths, 0);
}

tests![
    eight_threads_submit_thousands_of_jobs_each,
    threads_use_one_pool_in_different_ways_at_once,
    handles_are_asked_in_other_threads_than_they_were_made_in,
    several_pools_work_side_by_side,
    a_pool_outlives_the_thread_that_made_it,
];
