//! `job_timeout` and `worker_memory`: a job over a bound ends with its worker, and no other.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool};
use std::time::Duration;

fn a_job_that_takes_too_long_is_ended_and_the_others_are_not() {
    let (pool, place) = (build(two().job_timeout(Duration::from_millis(200))), Place::new());
    let list = (0..40).map(|n| if n % 10 == 3 { place.gate(&format!("never {n}")) } else { Do::Value(n) });
    let jobs = pool.submit_many(list).unwrap();
    for (n, job) in (0..).zip(&jobs) {
        match job.result() {
            Ok(value) => assert!(value == n && n % 10 != 3),
            Err(JobError::TimedOut { job }) => assert!(job == n && n % 10 == 3),
            other => panic!("job {n}: {other:?}"),
        }
    }
    assert!((0..40).filter(|n| n % 10 == 3).all(|n| place.begun(&format!("never {n}")) == 1), "none is run again");
}

fn retries_are_not_for_jobs_that_take_too_long() {
    let (pool, place) = (build(two().job_timeout(Duration::from_millis(50)).retries(5)), Place::new());
    assert!(matches!(pool.submit(place.gate("never")).unwrap().result(), Err(JobError::TimedOut { .. })));
    assert_eq!(place.begun("never"), 1);
}

/// Two jobs before it are done, two behind it wait in the same bundle.
fn a_timeout_costs_no_other_job_of_its_bundle() {
    // Long enough for the gate that keeps the bundle back, on a busy machine too.
    let (pool, place) = (build(ProcessPool::builder().workers(1).job_timeout(Duration::from_millis(1500))), Place::new());
    let list =
        vec![Do::Value(0), place.noted("before", Do::Value(1)), place.gate("never"), place.noted("behind", Do::Value(3))];
    let jobs = in_one_bundle(&pool, &place, "first", list);
    place.open("first");
    let results: Vec<_> = jobs.iter().map(|job| job.result()).collect();
    assert!(matches!(results[2], Err(JobError::TimedOut { .. })), "{results:?}");
    assert_eq!((&results[0], &results[1], &results[3]), (&Ok(0), &Ok(1), &Ok(3)));
    assert_eq!((place.runs("before"), place.begun("never"), place.runs("behind")), (1, 1, 1));
}

/// Where a short sleep may take longer than the limit, all have more time: the watchdog ends what never goes.
fn a_waiting_job_s_clock_does_not_run() {
    let took_too_long = |limit: u64| {
        let pool = build(ProcessPool::builder().workers(1).job_timeout(Duration::from_millis(limit)));
        let jobs = pool.submit_many((0..30).map(|_| Do::Sleep(limit / 20))).unwrap();
        let late = jobs.iter().filter(|job| match job.result() {
            Ok(value) => {
                assert_eq!(value, limit / 20);
                false
            }
            Err(JobError::TimedOut { .. }) => true,
            Err(other) => panic!("{other}"),
        });
        late.count()
    };
    let mut limit = 2000;
    // The last one waits for longer than the limit.
    while took_too_long(limit) > 0 {
        limit *= 2;
    }
}

/// Jobs that end just when their time is over have one outcome: the value, or that they were ended.
fn a_job_that_ends_at_the_timeout_has_one_outcome() {
    let pool = build(two().job_timeout(Duration::from_millis(5)));
    let (mut values, mut ended) = (0, 0);
    for round in 0..15 {
        let jobs = pool.submit_many((0..10).map(|n| Do::Sleep(3 + n % 5))).unwrap();
        for (n, job) in (0..).zip(&jobs) {
            match job.result() {
                Ok(value) if value == 3 + n % 5 => values += 1,
                Err(JobError::TimedOut { .. }) => ended += 1,
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(pool.unfinished(), 0);
    }
    assert_eq!(values + ended, 150);
    assert!(values > 0 && ended > 0, "{values} values, {ended} ended: both happen");
}

fn a_worker_that_takes_too_much_memory_is_ended() {
    let (pool, place) = (build(two().worker_memory(64 << 20)), Place::new());
    let large = pool.submit(Do::Memory(256, place.path("never"))).unwrap();
    let small: Vec<_> = (0..20).map(|n| pool.submit(Do::Value(n)).unwrap()).collect();
    assert!(matches!(large.result(), Err(JobError::MemoryExceeded { .. })), "{:?}", large.result());
    assert!((0..).zip(&small).all(|(n, job)| job.result() == Ok(n)));
}

fn a_timeout_of_all_time_never_ends_a_job() {
    let pool = build(two().job_timeout(Duration::MAX));
    assert_eq!(pool.submit(Do::Sleep(10)).unwrap().result(), Ok(10));
}

/// What a worker has mapped of a pool that was built without a word about sizes.
fn the_default_region_is_small() {
    let pool = ProcessPool::builder().workers(1).build(square).unwrap();
    assert_eq!(pool.submit(3).unwrap().result(), Ok(9));
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", pool.worker_pids()[0])).unwrap();
    let regions = maps.lines().filter(|line| line.contains("memfd:gristmill"));
    let size = |line: &str| {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        u64::from_str_radix(to, 16).unwrap() - u64::from_str_radix(from, 16).unwrap()
    };
    let sizes: Vec<u64> = regions.map(size).collect();
    assert!(sizes.len() == 1 && sizes[0] <= 16 << 20, "{sizes:?} bytes");
}

tests![
    the_default_region_is_small,
    a_job_that_takes_too_long_is_ended_and_the_others_are_not,
    retries_are_not_for_jobs_that_take_too_long,
    a_timeout_costs_no_other_job_of_its_bundle,
    a_waiting_job_s_clock_does_not_run,
    a_job_that_ends_at_the_timeout_has_one_outcome,
    a_worker_that_takes_too_much_memory_is_ended,
    a_timeout_of_all_time_never_ends_a_job,
];
