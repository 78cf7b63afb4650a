//! `submit`: one job in, one handle out.

use crate::support::*;
use crate::tasks::*;
use gristmill::{Error, JobError, ProcessPool, SubmitError};
use std::time::Duration;

fn a_job_gives_its_value() {
    let pool = two().build(square).unwrap();
    let job = pool.submit(12).unwrap();
    assert_eq!(job.result().unwrap(), 144);
    assert_eq!(job.result().unwrap(), 144, "as often as one likes");
    assert_eq!(job.exception(), None);
    assert!(job.done() && !job.running() && !job.cancelled());
}

fn jobs_know_their_place_in_the_order_of_submissions() {
    let pool = pool();
    for n in 0..100 {
        let job = pool.submit(Do::Value(n)).unwrap();
        assert_eq!((job.index(), job.result().unwrap()), (n, n));
    }
    let error = pool.submit(Do::Panic("no".into())).unwrap().result().unwrap_err();
    assert_eq!(error.job(), 100);
}

fn many_jobs_each_give_their_own_value() {
    let pool = pool();
    let jobs = pool.submit_many((0..30_000).map(Do::Value)).unwrap();
    // Backwards, so that most have come when they are asked for.
    for (n, job) in jobs.iter().enumerate().rev() {
        assert_eq!(job.result().unwrap(), n as u64);
    }
    assert_eq!(pool.unfinished(), 0);
}

fn more_jobs_than_the_pool_holds_go_through() {
    let pool = build(two().capacity(50));
    let jobs = pool.submit_many((0..5_000).map(Do::Value)).unwrap();
    assert!((0..5_000).zip(jobs).all(|(n, job)| job.result() == Ok(n)));
}

fn a_full_pool_gives_the_job_back_to_one_who_does_not_wait() {
    let (pool, place) = (build(two().capacity(3)), Place::new());
    let jobs: Vec<_> = (0..3).map(|_| pool.try_submit(place.gate("gate")).unwrap()).collect();
    match pool.try_submit(Do::Value(7)) {
        Err(SubmitError::Full(Do::Value(7))) => {}
        other => panic!("{other:?}"),
    }
    place.open("gate");
    assert!(jobs.iter().all(|job| job.result() == Ok(1)));
    assert_eq!(pool.try_submit(Do::Value(7)).unwrap().result(), Ok(7));
}

fn a_result_that_is_not_there_in_time_is_none_and_comes_later() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    assert_eq!(job.result_timeout(Duration::ZERO), None);
    assert_eq!(job.result_timeout(Duration::from_millis(30)), None);
    place.open("gate");
    assert_eq!(job.result_timeout(Duration::MAX), Some(Ok(1)));
    assert_eq!(job.result_timeout(Duration::ZERO), Some(Ok(1)));
}

fn a_job_is_waiting_then_running_then_done() {
    let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
    let first = pool.submit(place.gate("first")).unwrap();
    let second = pool.submit(place.gate("second")).unwrap();
    until(|| first.running());
    assert!(!first.done());
    assert!(!second.running() && !second.done(), "one worker runs one job at a time");
    place.open("first");
    until(|| second.running());
    assert!(first.done() && !first.running());
    place.open("second");
    assert_eq!(second.result(), Ok(1));
    assert!(!second.running());
}

fn a_dropped_handle_does_not_keep_its_job_from_running() {
    let (pool, place) = (pool(), Place::new());
    for n in 0..200 {
        drop(pool.submit(place.noted("runs", Do::Value(n))).unwrap());
    }
    pool.shutdown(true, false);
    assert_eq!(place.runs("runs"), 200);
}

fn a_clone_is_the_same_job() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.noted("runs", Do::Value(5))).unwrap();
    let other = job.clone();
    drop(job);
    assert_eq!((other.result(), other.clone().result()), (Ok(5), Ok(5)));
    assert_eq!(place.runs("runs"), 1);
}

fn one_pool_runs_jobs_of_several_functions() {
    let pool = pool();
    let (squares, bytes) = (pool.task(square).unwrap(), pool.task(echo).unwrap());
    let numbers = pool.fallible_task(parse).unwrap();
    let jobs: Vec<_> = (0..300u64)
        .map(|n| {
            let text = numbers.submit(n.to_string()).unwrap();
            (n, pool.submit(Do::Value(n)).unwrap(), squares.submit(n).unwrap(), bytes.submit(vec![n as u8; 3]).unwrap(), text)
        })
        .collect();
    for (n, value, squared, bytes, text) in jobs {
        assert_eq!((value.result(), squared.result(), text.result()), (Ok(n), Ok(n * n), Ok(n)));
        assert_eq!(bytes.result(), Ok(vec![n as u8; 3]));
    }
}

fn a_function_that_was_not_registered_is_named_in_the_error() {
    let named = |result: Result<(), Error>| match result {
        Err(Error::NotRegistered { name }) => assert!(name.ends_with("tasks::stranger"), "{name}"),
        other => panic!("{other:?}"),
    };
    named(two().build(stranger).map(drop));
    named(pool().task(stranger).map(drop));
}

fn numbers_that_cannot_be_are_refused() {
    assert!(matches!(ProcessPool::builder().workers(0).build(square), Err(Error::Processes { asked: 0, .. })));
    assert!(matches!(ProcessPool::builder().workers(10_000).build(square), Err(Error::Processes { asked: 10_000, .. })));
    assert!(matches!(two().capacity(0).build(square), Err(Error::Capacity { .. })));
    assert!(two().region_size(1).build(square).is_err());
}

fn a_pool_inside_a_worker_is_an_error() {
    let pool = two().build(make_a_pool).unwrap();
    assert_eq!(pool.submit(()).unwrap().result().unwrap(), "a Mill cannot be made inside a worker");
}

fn handles_that_outlive_the_pool_keep_their_outcomes() {
    let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
    let done = pool.submit(Do::Value(3)).unwrap();
    assert_eq!(done.result(), Ok(3));
    let failed = pool.submit(Do::Panic("so it is".into())).unwrap();
    assert!(failed.exception().is_some());
    let running = pool.submit(place.gate("gate")).unwrap();
    let waiting = pool.submit(Do::Value(4)).unwrap();
    place.until_begun("gate");
    drop(pool);
    assert_eq!(done.result(), Ok(3));
    assert!(matches!(failed.result(), Err(JobError::Panicked { .. })));
    for job in [running, waiting] {
        assert!(job.done() && !job.cancel() && !job.running());
        assert!(matches!(job.result(), Err(JobError::PoolEnded { .. })), "{:?}", job.result());
    }
}

tests![
    a_job_gives_its_value,
    jobs_know_their_place_in_the_order_of_submissions,
    many_jobs_each_give_their_own_value,
    more_jobs_than_the_pool_holds_go_through,
    a_full_pool_gives_the_job_back_to_one_who_does_not_wait,
    a_result_that_is_not_there_in_time_is_none_and_comes_later,
    a_job_is_waiting_then_running_then_done,
    a_dropped_handle_does_not_keep_its_job_from_running,
    a_clone_is_the_same_job,
    one_pool_runs_jobs_of_several_functions,
    a_function_that_was_not_registered_is_named_in_the_error,
    numbers_that_cannot_be_are_refused,
    a_pool_inside_a_worker_is_an_error,
    handles_that_outlive_the_pool_keep_their_outcomes,
];
