//! No faults, and very many jobs: `GRISTMILL_SOAK_JOBS=1000000000 cargo test --release --test faults soak::`. Every sum is
//! right, and memory stays.

use crate::held::{Held, Watchdog, resident_of};
use gristmill::{Mill, PodJoinableQueue, PodQueue, ProcessPool};
use std::time::{Duration, Instant};

/// Jobs of one turn, by the way in which they travel.
const SUBMITTED: u64 = 5_000;
const QUEUED: u64 = 20_000;
const MAPPED: u64 = 225_000;
const A_TURN: u64 = SUBMITTED + QUEUED + MAPPED;

/// What a job gives.
pub fn scramble(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n >> 3
}

pub fn scramble_all(jobs: &PodJoinableQueue<u64>, results: &PodQueue<[u64; 2]>) {
    while let Ok(taken) = jobs.get_many(64) {
        if results.put_many(taken.iter().map(|&n| [n, scramble(n)])).is_err() {
            return;
        }
        taken.task_done();
    }
}

fn a_soak_without_faults_is_exact_and_takes_no_memory() {
    let total = crate::amount("GRISTMILL_SOAK_JOBS", 2_000_000);
    let before = Held::now();
    let dog = Watchdog::new(Duration::from_secs(120), "soak");
    let pool = ProcessPool::builder().workers(2).build(scramble).unwrap();
    let mill = Mill::builder().build().unwrap();
    let (jobs, results) = (mill.pod_joinable_queue::<u64>(1024).unwrap(), mill.pod_queue::<[u64; 2]>(1024).unwrap());
    let daemons = mill.spawn_daemons(2, scramble_all, (&jobs, &results)).unwrap();
    let workers: Vec<u32> = pool.worker_pids().into_iter().chain(daemons.pids()).collect();
    let memory = || resident_of(std::process::id()) + workers.iter().map(|&pid| resident_of(pid)).sum::<u64>();
    let (start, mut said, mut done, mut warm) = (Instant::now(), Instant::now(), 0, 0);
    let mut most = 0;
    while done < total {
        let (mut sum, mut expected) = (0u64, 0u64);
        let range = done..(done + SUBMITTED).min(total);
        for (n, job) in range.clone().zip(pool.submit_many(range.clone()).unwrap()) {
            assert_eq!(job.result(), Ok(scramble(n)));
        }
        done = range.end;
        let range = done..(done + QUEUED).min(total);
        jobs.put_many(range.clone()).unwrap();
        jobs.join().unwrap();
        let got = results.drain().unwrap();
        assert_eq!(got.len() as u64, range.end - range.start);
        for [n, value] in got {
            assert!(value == scramble(n) && range.contains(&n), "{n}: {value}");
            sum = sum.wrapping_add(n);
        }
        range.clone().for_each(|n| expected = expected.wrapping_add(n));
        assert_eq!(sum, expected, "one came twice, and another did not");
        done = range.end;
        let range = done..(done + MAPPED).min(total);
        for (n, result) in range.clone().zip(pool.map(range.clone()).unwrap()) {
            assert_eq!(result, Ok(scramble(n)));
        }
        done = range.end;
        dog.feed(format!("job {done} of {total}"));
        // Two turns fill what is kept.
        if done <= 2 * A_TURN {
            warm = memory();
        }
        most = most.max(memory());
        if said.elapsed() > Duration::from_secs(5) {
            said = Instant::now();
            eprintln!("soak: {done} of {total} jobs, {} s", start.elapsed().as_secs());
        }
    }
    assert_eq!(
        (pool.stats().submitted, pool.stats().failed, pool.unfinished(), jobs.pending()),
        (total - queued(total), 0, 0, 0)
    );
    assert_eq!((pool.stats().worker_deaths, mill.stats().deaths), (0, 0));
    let grown = most.saturating_sub(warm);
    println!("soak: {total} jobs, every sum right, memory grew by {} KiB, {:.1} s", grown >> 10, start.elapsed().as_secs_f64());
    assert!(grown < 16 << 20, "memory has grown by {grown} bytes");
    drop((pool, jobs, results, daemons, mill, dog));
    before.compare();
}

/// How many of so many jobs go through the queues.
fn queued(total: u64) -> u64 {
    let rest = (total % A_TURN).saturating_sub(SUBMITTED).min(QUEUED);
    total / A_TURN * QUEUED + rest
}

pub const TESTS: crate::Tests =
    &[("a_soak_without_faults_is_exact_and_takes_no_memory", a_soak_without_faults_is_exact_and_takes_no_memory)];
