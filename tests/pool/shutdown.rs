//! The end of a pool: `shutdown`, `terminate_workers`, `kill_workers`, and being dropped.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, JobHandle, ProcessPool, SubmitError};

/// A pool with one worker that waits at the gate, and ten jobs behind that.
fn busy(place: &Place) -> (ProcessPool<Do, u64>, JobHandle<u64>, Vec<JobHandle<u64>>) {
    let pool = build(ProcessPool::builder().workers(1));
    let running = pool.submit(place.gate("gate")).unwrap();
    place.until_begun("gate");
    let waiting = (0..10).map(|n| pool.submit(place.noted("runs", Do::Value(n))).unwrap()).collect();
    (pool, running, waiting)
}

fn takes_no_more(pool: &ProcessPool<Do, u64>) {
    for refused in [pool.submit(Do::Value(77)), pool.try_submit(Do::Value(77)), pool.clone().submit(Do::Value(77))] {
        match refused {
            Err(SubmitError::Shutdown(Do::Value(77))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(pool.map([Do::Value(1)]).is_err());
}

fn opened_later(place: &Place, during: impl FnOnce()) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            place.open("gate");
        });
        during();
    });
}

fn waiting_for_all_it_returns_when_all_are_done() {
    let place = Place::new();
    let (pool, running, waiting) = busy(&place);
    let pids = pool.worker_pids();
    opened_later(&place, || pool.shutdown(true, false));
    assert!(running.done() && waiting.iter().all(|job| job.done()));
    assert_eq!(running.result(), Ok(1));
    assert!((0..).zip(&waiting).all(|(n, job)| job.result() == Ok(n)));
    assert!(pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()), "the workers have ended");
    takes_no_more(&pool);
}

fn without_waiting_it_returns_at_once_and_the_jobs_complete() {
    let place = Place::new();
    let (pool, running, waiting) = busy(&place);
    pool.shutdown(false, false);
    assert!(!running.done(), "the gate is closed, so it cannot have waited");
    takes_no_more(&pool);
    place.open("gate");
    assert_eq!(running.result(), Ok(1));
    assert!((0..).zip(&waiting).all(|(n, job)| job.result() == Ok(n)));
}

fn cancelling_and_waiting_only_what_runs_completes() {
    let place = Place::new();
    let (pool, running, waiting) = busy(&place);
    opened_later(&place, || pool.shutdown(true, true));
    assert_eq!(running.result(), Ok(1));
    assert!(waiting.iter().all(|job| matches!(job.result(), Err(JobError::Cancelled { .. })) && job.cancelled()));
    assert_eq!(place.runs("runs"), 0);
    takes_no_more(&pool);
}

fn cancelling_without_waiting_returns_at_once() {
    let place = Place::new();
    let (pool, running, waiting) = busy(&place);
    pool.shutdown(false, true);
    assert!(!running.done() && waiting.iter().all(|job| job.cancelled()));
    place.open("gate");
    assert_eq!(running.result(), Ok(1));
    assert_eq!(place.runs("runs"), 0);
}

fn it_may_be_called_again_and_from_several_threads() {
    let place = Place::new();
    let (pool, _running, _waiting) = busy(&place);
    opened_later(&place, || {
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| pool.shutdown(true, false)))));
    });
    pool.shutdown(true, true);
    pool.shutdown(false, false);
    assert!(pool.worker_pids().is_empty());
}

/// Many times, since a replacement would have to be quick to run what waits before the pool has ended.
fn terminated_or_killed_workers_end_every_job_and_are_not_replaced() {
    for how in [ProcessPool::terminate_workers, ProcessPool::kill_workers].repeat(15) {
        let place = Place::new();
        let (pool, running, waiting) = busy(&place);
        let pids = pool.worker_pids();
        how(&pool);
        for job in [&running].into_iter().chain(&waiting) {
            match job.result() {
                Err(JobError::PoolEnded { .. } | JobError::WorkerDied { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()));
        assert_eq!(place.runs("runs"), 0);
        takes_no_more(&pool);
    }
}

fn dropped_with_jobs_running_and_waiting_it_ends() {
    let place = Place::new();
    let (pool, running, waiting) = busy(&place);
    let pids = pool.worker_pids();
    drop(pool);
    assert!([&running].into_iter().chain(&waiting).all(|job| matches!(job.result(), Err(JobError::PoolEnded { .. }))));
    assert!(pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()));
}

fn the_last_clone_ends_the_pool_and_not_the_first() {
    let pool = pool();
    let squares = pool.task(square).unwrap();
    drop(pool);
    assert_eq!(squares.submit(4).unwrap().result(), Ok(16));
}

/// Threads wait for results, in every way there is, when the workers are killed; handles of other jobs are gone already.
fn whoever_waits_is_told_when_the_workers_are_killed() {
    for round in 0..25 {
        let (pool, place) = (build(ProcessPool::builder().workers(3)), Place::new());
        warm(&pool);
        let jobs: Vec<_> = (0..3).map(|_| pool.submit(place.gate("gate")).unwrap()).collect();
        for n in 0..200 {
            drop(pool.submit(Do::Value(n)).unwrap());
        }
        let more = pool.submit_many((0..200).map(Do::Value)).unwrap();
        std::thread::scope(|scope| {
            for job in &jobs {
                scope.spawn(|| assert!(job.result().is_err() || round >= 15));
            }
            scope.spawn(|| more.iter().for_each(|job| drop(job.result())));
            scope.spawn(|| gristmill::wait(&more, gristmill::ReturnWhen::AllCompleted, None));
            scope.spawn(|| pool.map((0..1000).map(Do::Value)).map(|map| map.count()));
            if round >= 15 {
                place.open("gate");
            }
            std::thread::sleep(std::time::Duration::from_micros(round * 200));
            pool.kill_workers();
        });
        assert!(more.iter().all(|job| job.done()));
        assert_eq!(pool.unfinished(), 0, "round {round}");
    }
}

tests![
    waiting_for_all_it_returns_when_all_are_done,
    without_waiting_it_returns_at_once_and_the_jobs_complete,
    cancelling_and_waiting_only_what_runs_completes,
    cancelling_without_waiting_returns_at_once,
    it_may_be_called_again_and_from_several_threads,
    terminated_or_killed_workers_end_every_job_and_are_not_replaced,
    dropped_with_jobs_running_and_waiting_it_ends,
    the_last_clone_ends_the_pool_and_not_the_first,
    whoever_waits_is_told_when_the_workers_are_killed,
];
