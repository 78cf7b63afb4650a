//! `completions()`: jobs with keys, more of them while results come.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, SubmitError};
use std::collections::HashMap;
use std::time::Duration;

fn a_bounded_number_of_jobs_is_kept_under_way() {
    let pool = pool();
    let mut jobs = pool.completions();
    let (mut next, mut got) = (0u64, HashMap::new());
    while got.len() < 20_000 {
        while jobs.len() < 100 && next < 20_000 {
            jobs.submit(format!("key {next}"), Do::Value(next)).unwrap();
            next += 1;
        }
        let (key, value) = jobs.next_result().unwrap();
        assert_eq!(got.insert(key, value.unwrap()), None, "each comes once");
    }
    assert!(jobs.is_empty() && jobs.next_result().is_none());
    assert!((0..20_000).all(|n| got[&format!("key {n}")] == n));
}

fn the_one_that_is_done_comes_first_and_errors_come_with_their_keys() {
    let (pool, place) = (pool(), Place::new());
    let mut jobs = pool.completions();
    jobs.submit('a', place.gate("gate")).unwrap();
    jobs.submit('b', Do::Panic("b".into())).unwrap();
    let (key, result) = jobs.next_result().unwrap();
    assert!(key == 'b' && matches!(result, Err(JobError::Panicked { job: 1, .. })), "{key} {result:?}");
    assert_eq!(jobs.next_timeout(Duration::from_millis(20)), None);
    assert_eq!((jobs.len(), jobs.next_timeout(Duration::ZERO)), (1, None), "it is still under way");
    place.open("gate");
    assert_eq!(jobs.next_result(), Some(('a', Ok(1))));
}

fn a_full_pool_gives_the_job_back() {
    let (pool, place) = (build(two().capacity(2)), Place::new());
    let mut jobs = pool.completions();
    (0..2).for_each(|key| jobs.try_submit(key, place.gate("gate")).unwrap());
    assert!(matches!(jobs.try_submit(2, Do::Value(2)), Err(SubmitError::Full(Do::Value(2)))));
    place.open("gate");
    assert_eq!((0..2).map(|_| jobs.next_result().unwrap().1).collect::<Vec<_>>(), [Ok(1), Ok(1)]);
    assert!(jobs.is_empty(), "what was refused is not waited for");
}

fn dropped_with_jobs_under_way_they_still_run() {
    let (pool, place) = (pool(), Place::new());
    let mut jobs = pool.completions();
    for n in 0..100 {
        jobs.submit(n, place.noted("runs", Do::Value(n))).unwrap();
    }
    drop(jobs);
    pool.shutdown(true, false);
    assert_eq!(place.runs("runs"), 100);
}

tests![
    a_bounded_number_of_jobs_is_kept_under_way,
    the_one_that_is_done_comes_first_and_errors_come_with_their_keys,
    a_full_pool_gives_the_job_back,
    dropped_with_jobs_under_way_they_still_run,
];
