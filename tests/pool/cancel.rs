//! Cancelling: a waiting job is never run, a running one is stopped with its worker, one that is done stays as it is.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool};

fn one() -> ProcessPool<Do, u64> {
    build(ProcessPool::builder().workers(1))
}

fn a_waiting_job_is_never_run() {
    let (pool, place) = (one(), Place::new());
    let blocker = pool.submit(place.gate("gate")).unwrap();
    place.until_begun("gate");
    let jobs: Vec<_> = (0..100).map(|n| pool.submit(place.noted(&n.to_string(), Do::Value(n))).unwrap()).collect();
    for (_, job) in jobs.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        assert!(job.cancel());
        assert!(job.cancelled() && job.done() && !job.running());
        assert!(!job.cancel(), "it is over already");
    }
    place.open("gate");
    assert_eq!(blocker.result(), Ok(1));
    for (n, job) in jobs.iter().enumerate() {
        let name = n.to_string();
        if n % 3 == 0 {
            assert_eq!(job.result(), Err(JobError::Cancelled { job: n as u64 + 1 }));
            assert_eq!(place.runs(&name), 0, "job {n}");
        } else {
            assert_eq!((job.result(), place.runs(&name), job.cancelled()), (Ok(n as u64), 1, false));
        }
    }
    assert_eq!(pool.stats().worker_deaths, 0);
}

fn a_waiting_job_of_a_published_bundle_is_never_run() {
    let (pool, place) = (one(), Place::new());
    let mut list = vec![place.gate("second")];
    list.extend((0..3).map(|n| place.noted("runs", Do::Value(n))));
    let jobs = in_one_bundle(&pool, &place, "first", list);
    place.open("first");
    place.until_begun("second");
    assert!(jobs[2].cancel());
    assert!(jobs[2].cancelled());
    place.open("second");
    assert_eq!((jobs[0].result(), jobs[1].result(), jobs[3].result()), (Ok(1), Ok(0), Ok(2)));
    assert!(matches!(jobs[2].result(), Err(JobError::Cancelled { .. })));
    assert_eq!(place.runs("runs"), 2);
}

fn a_running_job_is_stopped_and_the_pool_stays_whole() {
    let (pool, place) = (pool(), Place::new());
    let before = pool.worker_pids();
    let job = pool.submit(place.gate("never")).unwrap();
    place.until_begun("never");
    assert!(job.cancel());
    assert!(matches!(job.result(), Err(JobError::Cancelled { .. })), "{:?}", job.result());
    assert!(job.cancelled() && !job.running());
    assert!(pool.map((0..1000).map(Do::Value)).unwrap().all(|r| r.is_ok()));
    until(|| pool.worker_pids().len() == 2 && pool.worker_pids() != before);
    assert_eq!(place.begun("never"), 1, "and it was not run again");
}

/// Two jobs before it are done, two behind it wait; the one that runs is cancelled, and its worker is killed with all five in hand.
fn a_running_job_costs_no_other_of_its_bundle() {
    let (pool, place) = (build(ProcessPool::builder().workers(1).retries(3)), Place::new());
    let mut list: Vec<_> = (0..2).map(|n| place.noted("before", Do::Value(n))).collect();
    list.push(place.gate("never"));
    list.extend((3..5).map(|n| place.noted("behind", Do::Value(n))));
    let jobs = in_one_bundle(&pool, &place, "first", list);
    place.open("first");
    place.until_begun("never");
    assert!(jobs[2].cancel());
    for n in [0, 1, 3, 4] {
        assert_eq!(jobs[n].result(), Ok(n as u64), "job {n} of the bundle");
    }
    assert!(matches!(jobs[2].result(), Err(JobError::Cancelled { .. })));
    assert_eq!((place.runs("before"), place.runs("behind"), place.begun("never")), (2, 2, 1), "each ran once");
}

fn a_job_that_is_done_cannot_be_cancelled() {
    let pool = pool();
    let job = pool.submit(Do::Value(1)).unwrap();
    assert_eq!(job.result(), Ok(1));
    assert!(!job.cancel() && !job.cancelled());
    assert_eq!(job.result(), Ok(1));
}

/// Cancels hit jobs at every moment of their lives. Whatever `cancel` says, each job has one outcome: its value, or that it was cancelled.
fn cancels_at_any_moment_leave_each_job_one_outcome() {
    let pool = build(ProcessPool::builder().workers(3));
    let mut numbers = Numbers(1);
    for round in 0..20 {
        let jobs: Vec<_> = (0..300)
            .map(|n| {
                let what =
                    if numbers.below(20) == 0 { Do::Noted("/dev/null".into(), Box::new(Do::Value(n))) } else { Do::Value(n) };
                (n, pool.submit(what).unwrap())
            })
            .collect();
        let cancelled: Vec<bool> = jobs.iter().map(|(_, job)| numbers.below(4) == 0 && job.cancel()).collect();
        for ((n, job), cancelled) in jobs.iter().zip(cancelled) {
            match job.result() {
                Ok(value) => assert_eq!(value, *n),
                Err(JobError::Cancelled { .. }) => assert!(cancelled, "round {round}, job {n}: nobody cancelled it"),
                Err(other) => panic!("round {round}, job {n}: {other}"),
            }
        }
    }
    assert_eq!(pool.unfinished(), 0);
}

fn several_running_jobs_are_cancelled_at_once() {
    let (pool, place) = (build(ProcessPool::builder().workers(4)), Place::new());
    for round in 0..5 {
        let names: Vec<_> = (0..4).map(|n| format!("gate-{round}-{n}")).collect();
        let jobs: Vec<_> = names.iter().map(|name| pool.submit(place.gate(name)).unwrap()).collect();
        names.iter().for_each(|name| place.until_begun(name));
        assert!(jobs.iter().all(|job| job.cancel()));
        assert!(jobs.iter().all(|job| matches!(job.result(), Err(JobError::Cancelled { .. }))));
    }
    assert_eq!(pool.submit(Do::Value(1)).unwrap().result(), Ok(1));
}

tests![
    a_waiting_job_is_never_run,
    a_waiting_job_of_a_published_bundle_is_never_run,
    a_running_job_is_stopped_and_the_pool_stays_whole,
    a_running_job_costs_no_other_of_its_bundle,
    a_job_that_is_done_cannot_be_cancelled,
    cancels_at_any_moment_leave_each_job_one_outcome,
    several_running_jobs_are_cancelled_at_once,
];
