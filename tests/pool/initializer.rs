//! `initializer`: a state that each worker makes once and hands to its jobs.

use crate::support::*;
use crate::tasks::*;
use gristmill::{Error, JobError, SubmitError};
use std::collections::HashMap;

fn the_state_lives_as_long_as_its_worker() {
    let pool = two().initializer(start_at, 1000).build(count).unwrap();
    let mut last: HashMap<u32, u64> = HashMap::new();
    for result in pool.map((0..2000).map(|_| 1)).unwrap() {
        let (pid, counted) = result.unwrap();
        let last = last.entry(pid).or_insert(1000);
        assert!(counted > *last, "each worker counts on");
        *last = counted;
    }
    assert_eq!(last.values().map(|n| n - 1000).sum::<u64>(), 2000, "and nothing is counted twice");
}

fn a_replacement_makes_its_state_anew() {
    let pool = two().workers(1).initializer(start_at, 10).build(count).unwrap();
    let (first, counted) = pool.submit(1).unwrap().result().unwrap();
    assert_eq!(counted, 11);
    let dies = pool.task(run).unwrap();
    assert!(dies.submit(Do::Die(Death::Abort)).unwrap().result().is_err());
    let (second, counted) = pool.submit(1).unwrap().result().unwrap();
    assert!(first != second && counted == 11);
}

fn jobs_without_state_run_beside_those_with() {
    let pool = two().initializer(start_at, 0).build(count).unwrap();
    let plain = pool.task(square).unwrap();
    assert_eq!((plain.submit(3).unwrap().result(), pool.submit(1).unwrap().result().unwrap().1), (Ok(9), 1));
}

fn a_job_with_a_state_that_no_initializer_makes_is_refused() {
    match two().build(count).map(drop) {
        Err(Error::WorkerState { made: None, needs, .. }) => assert!(needs.ends_with("Counter")),
        other => panic!("{other:?}"),
    }
    match two().initializer(start_at, 0).build(add_to).map(drop) {
        Err(Error::WorkerState { made: Some(made), needs, .. }) => {
            assert!(made.ends_with("Counter") && needs.ends_with("String"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(pool().task(count).map(drop), Err(Error::WorkerState { .. })));
}

fn an_initializer_that_was_not_registered_is_named() {
    fn unknown(n: u64) -> Result<u64, String> {
        Ok(n)
    }
    match two().initializer(unknown, 0).build(square).map(drop) {
        Err(Error::NotRegistered { name }) => assert!(name.ends_with("unknown"), "{name}"),
        other => panic!("{other:?}"),
    }
}

/// Every job gets the reason, the pool takes no more, and nothing is started over and over.
fn ends_with(pool: gristmill::ProcessPool<u64, (u32, u64)>, words: &str) {
    let job = pool.submit(1);
    if let Ok(job) = job {
        match job.result() {
            Err(error @ JobError::PoolEnded { .. }) => {
                let text = error.to_string();
                assert!(text.contains(words) && !text.contains('\n'), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    until(|| match pool.submit(2) {
        Err(SubmitError::Ended { argument: 2, last, .. }) => {
            assert!(last.as_ref().is_some_and(|last| last.contains(words)), "{last:?}");
            true
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => false,
    });
    until(|| pool.worker_pids().is_empty());
    assert!(pool.stats().worker_deaths <= 2, "the first workers, and no replacements");
}

fn one_that_fails_ends_the_pool_with_its_words() {
    ends_with(
        two().initializer(refuse, "the model is missing".to_string()).build(count).unwrap(),
        "refuse failed: the model is missing",
    );
}

fn one_that_panics_ends_the_pool_with_its_words() {
    let pool = two().initializer(burst, "the model is broken".to_string()).build(count).unwrap();
    ends_with(pool, "the model is broken");
}

/// It has worked in the first workers; a replacement finds that the file is gone, tries again, and works when it is back.
fn one_that_fails_in_a_replacement_is_tried_again() {
    let place = Place::new();
    let pool = two().workers(1).initializer(refuse_later, place.path("file")).build(count).unwrap();
    pool.submit(1).unwrap().result().unwrap();
    place.open("file");
    let dies = pool.task(run).unwrap();
    let dies = dies.submit(Do::Die(Death::Abort)).unwrap();
    let job = pool.submit(5).unwrap();
    until(|| lines(&place.path("file").with_extension("starts")) >= 3);
    std::fs::remove_file(place.path("file")).unwrap();
    assert!(matches!(dies.result(), Err(JobError::WorkerDied { .. })));
    assert_eq!(job.result().unwrap().1, 5);
}

tests![
    the_state_lives_as_long_as_its_worker,
    a_replacement_makes_its_state_anew,
    jobs_without_state_run_beside_those_with,
    a_job_with_a_state_that_no_initializer_makes_is_refused,
    an_initializer_that_was_not_registered_is_named,
    one_that_fails_ends_the_pool_with_its_words,
    one_that_panics_ends_the_pool_with_its_words,
    one_that_fails_in_a_replacement_is_tried_again,
];
