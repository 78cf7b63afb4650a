//! Workers are killed from outside, at any moment.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Kills a worker of the pool; whether there was one.
pub fn kill_one<A, R>(pool: &ProcessPool<A, R>, numbers: &mut Numbers, signal: i32) -> bool {
    let pids = pool.worker_pids();
    if pids.is_empty() {
        return false;
    }
    let pid = pids[numbers.below(pids.len() as u64) as usize];
    // It may have ended since, and its number may be another's: ours has us as its parent.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = status.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).map(String::from);
    if parent != Some(std::process::id().to_string()) {
        return false;
    }
    // SAFETY: a signal to a child of ours touches no memory.
    unsafe { libc::kill(pid as i32, signal) == 0 }
}

/// Runs `work` while workers die at random moments, about one every few milliseconds; tells how many were killed.
fn under_fire<A, R: Send>(pool: &ProcessPool<A, R>, seed: u64, work: impl FnOnce(&AtomicU64)) -> u64
where
    ProcessPool<A, R>: Sync,
{
    let (over, kills) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut numbers = Numbers(seed);
            while !over.load(Relaxed) {
                std::thread::sleep(Duration::from_micros(numbers.below(16_000)));
                if kill_one(pool, &mut numbers, libc::SIGKILL) {
                    kills.fetch_add(1, Relaxed);
                }
            }
        });
        // Ends the fire even if the work panics.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Relaxed);
            }
        }
        let _over = Over(&over);
        work(&kills);
    });
    kills.into_inner()
}

/// Short ones, some that sleep, and some that wait for others in a bundle.
fn mixed(numbers: &mut Numbers, n: u64) -> Do {
    match numbers.below(200) {
        0 => Do::Sleep(2 + n % 3),
        _ => Do::Value(n),
    }
}

fn value_of(job: &Do) -> u64 {
    match job {
        Do::Value(n) | Do::Sleep(n) => *n,
        other => unreachable!("{other:?}"),
    }
}

fn with_retries_all_values_are_right_whatever_is_killed() {
    let pool = build(ProcessPool::builder().workers(4).retries(1000));
    let kills = under_fire(&pool, 3, |kills| {
        let mut numbers = Numbers(4);
        while kills.load(Relaxed) < 200 {
            let list: Vec<_> = (0..3000).map(|n| mixed(&mut numbers, n)).collect();
            let jobs = pool.submit_many(list.iter().cloned()).unwrap();
            for (what, job) in list.iter().zip(jobs) {
                assert_eq!(job.result(), Ok(value_of(what)));
            }
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.failed, stats.unfinished), (0, 0));
    assert!(kills >= 200 && stats.worker_deaths <= kills, "{kills} kills, {} deaths", stats.worker_deaths);
}

fn without_retries_no_more_jobs_fail_than_workers_were_killed() {
    let pool = build(ProcessPool::builder().workers(4));
    let mut failed = 0;
    let kills = under_fire(&pool, 5, |kills| {
        let mut numbers = Numbers(6);
        while kills.load(Relaxed) < 200 {
            let list: Vec<_> = (0..3000).map(|n| mixed(&mut numbers, n)).collect();
            let jobs = pool.submit_many(list.iter().cloned()).unwrap();
            for (what, job) in list.iter().zip(jobs) {
                match job.result() {
                    Ok(value) => assert_eq!(value, value_of(what)),
                    Err(JobError::WorkerDied { attempts: 1, .. }) => failed += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    });
    assert!(failed <= kills, "{failed} jobs failed by {kills} kills");
    assert_eq!(pool.stats().failed, failed);
}

fn a_map_under_fire_gives_every_result_in_order() {
    let pool = ProcessPool::builder().workers(4).retries(1000).build(square).unwrap();
    under_fire(&pool, 7, |kills| {
        while kills.load(Relaxed) < 100 {
            let map = pool.map(0..100_000).unwrap();
            assert_eq!((0..).zip(map).inspect(|(n, result)| assert_eq!(*result, Ok(n * n))).count(), 100_000);
        }
    });
}

/// Waiters that take parts of bundles and give rests away meet recovery, which hands the same bundles on.
fn rests_are_given_away_while_their_worker_is_killed() {
    let pool = build(ProcessPool::builder().workers(4).retries(1000));
    under_fire(&pool, 8, |kills| {
        let mut numbers = Numbers(9);
        while kills.load(Relaxed) < 150 {
            warm(&pool);
            // Each bundle has one that sleeps: what is behind it is given to others while kills come.
            let list: Vec<_> = (0..400).map(|n| if numbers.below(12) == 0 { Do::Sleep(3) } else { Do::Value(n) }).collect();
            let jobs = pool.submit_many(list.iter().cloned()).unwrap();
            for (what, job) in list.iter().zip(jobs) {
                assert_eq!(job.result(), Ok(value_of(what)));
            }
        }
    });
}

fn a_stopped_worker_that_goes_on_has_lost_nothing() {
    let pool = pool();
    let mut numbers = Numbers(10);
    for _ in 0..20 {
        let jobs = pool.submit_many((0..200).map(Do::Value)).unwrap();
        kill_one(&pool, &mut numbers, libc::SIGSTOP);
        let more = pool.submit_many((0..200).map(Do::Value)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        for pid in pool.worker_pids() {
            // SAFETY: a signal to a child of ours touches no memory.
            unsafe { libc::kill(pid as i32, libc::SIGCONT) };
        }
        for (n, job) in (0..200).chain(0..200).zip(jobs.into_iter().chain(more)) {
            assert_eq!(job.result(), Ok(n));
        }
    }
}

tests![
    with_retries_all_values_are_right_whatever_is_killed,
    without_retries_no_more_jobs_fail_than_workers_were_killed,
    a_map_under_fire_gives_every_result_in_order,
    rests_are_given_away_while_their_worker_is_killed,
    a_stopped_worker_that_goes_on_has_lost_nothing,
];
