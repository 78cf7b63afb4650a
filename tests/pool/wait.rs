//! `wait` and `as_completed`.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobHandle, ReturnWhen::*, as_completed, wait};
use std::time::Duration;

const SHORT: Option<Duration> = Some(Duration::from_millis(30));

fn the_first_that_is_done_ends_the_wait() {
    let (pool, place) = (pool(), Place::new());
    let jobs = pool.submit_many([place.gate("gate"), Do::Value(2)]).unwrap();
    let waited = wait(&jobs, FirstCompleted, None);
    assert_eq!((waited.done, waited.not_done), (vec![1], vec![0]));
    place.open("gate");
    assert_eq!(wait(&jobs[..1], FirstCompleted, None).done, [0]);
}

fn the_first_that_fails_ends_the_wait() {
    let (pool, place) = (pool(), Place::new());
    let jobs = pool.submit_many([Do::Value(1), place.gate("gate"), Do::Panic("no".into())]).unwrap();
    let waited = wait(&jobs, FirstFailed, None);
    assert!(waited.done.contains(&2) && waited.not_done.contains(&1), "{waited:?}");
    place.open("gate");
    let jobs = pool.submit_many((0..50).map(Do::Value)).unwrap();
    let waited = wait(&jobs, FirstFailed, None);
    assert_eq!((waited.done.len(), waited.not_done.len()), (50, 0), "none failed: all are waited for");
}

fn a_task_s_own_error_and_a_cancelled_job_are_failures() {
    let (pool, place) = (pool(), Place::new());
    let parser = pool.fallible_task(parse).unwrap();
    let blocked: Vec<_> = (0..2).map(|_| pool.submit(place.gate("gate")).unwrap()).collect();
    let jobs = parser.submit_many(["12".into(), "twelve".into()]).unwrap();
    assert!(jobs[0].cancel());
    assert_eq!(wait(&jobs, FirstFailed, None).done, [0], "cancelled");
    place.open("gate");
    assert_eq!(wait(&jobs[1..], FirstFailed, None).done, [0]);
    assert_eq!(wait(&blocked, AllCompleted, None).done.len(), 2);
}

fn all_are_waited_for_and_the_timeout_ends_it() {
    let (pool, place) = (pool(), Place::new());
    let jobs = pool.submit_many([Do::Value(1), place.gate("gate"), Do::Value(3)]).unwrap();
    for when in [AllCompleted, FirstFailed] {
        let mut waited = wait(&jobs, when, SHORT);
        // On a busy machine the short ones may take longer.
        while waited.done.len() < 2 {
            waited = wait(&jobs, when, SHORT);
        }
        waited.done.sort();
        assert_eq!((waited.done, waited.not_done), (vec![0, 2], vec![1]));
    }
    assert_eq!(wait(&jobs, AllCompleted, Some(Duration::ZERO)).not_done, [1]);
    place.open("gate");
    let waited = wait(&jobs, AllCompleted, None);
    assert_eq!((waited.done.len(), waited.not_done), (3, vec![]));
}

fn jobs_that_are_done_already_are_told_at_once_in_their_order() {
    let pool = pool();
    let jobs = pool.submit_many((0..10).map(Do::Value)).unwrap();
    jobs.iter().for_each(|job| drop(job.result()));
    for when in [FirstCompleted, FirstFailed, AllCompleted] {
        assert_eq!(wait(&jobs, when, None).done, (0..10).collect::<Vec<_>>(), "{when:?}");
    }
    let values: Vec<_> = as_completed(jobs).map(|job| job.result().unwrap()).collect();
    assert_eq!(values, (0..10).collect::<Vec<_>>());
}

fn a_job_that_is_there_twice_is_told_twice() {
    let pool = pool();
    let job = pool.submit(Do::Sleep(20)).unwrap();
    let jobs = vec![job.clone(), job.clone(), job];
    let mut waited = wait(&jobs, AllCompleted, None);
    waited.done.sort();
    assert_eq!(waited.done, [0, 1, 2]);
    assert_eq!(as_completed(jobs).map(|job| job.result()).collect::<Vec<_>>(), [Ok(20), Ok(20), Ok(20)]);
}

fn nothing_to_wait_for_is_no_wait() {
    let none: [JobHandle<u64>; 0] = [];
    for when in [FirstCompleted, FirstFailed, AllCompleted] {
        assert!(wait(&none, when, None).done.is_empty());
    }
    assert_eq!(as_completed(none).count(), 0);
}

fn tens_of_thousands_of_jobs_are_waited_for() {
    let pool = pool();
    let jobs = pool.submit_many((0..40_000).map(Do::Value)).unwrap();
    let waited = wait(&jobs, AllCompleted, None);
    assert_eq!((waited.done.len(), waited.not_done.len()), (40_000, 0));
}

fn jobs_come_as_they_are_completed() {
    let (pool, place) = (pool(), Place::new());
    let jobs = pool.submit_many([place.gate("gate"), Do::Value(2), Do::Value(3), Do::Panic("4".into())]).unwrap();
    let mut completed = as_completed(jobs);
    let mut indices: Vec<_> = completed.by_ref().take(3).map(|job| job.index()).collect();
    indices.sort();
    assert_eq!((indices, completed.left()), (vec![1, 2, 3], 1));
    place.open("gate");
    assert_eq!(completed.next().unwrap().index(), 0);
    assert!(completed.next().is_none());
}

fn as_completed_ends_at_its_timeout_and_says_how_many_are_left() {
    let (pool, place) = (pool(), Place::new());
    let jobs = pool.submit_many([place.gate("gate"), Do::Value(2)]).unwrap();
    jobs[1].result().unwrap();
    let mut completed = as_completed(jobs.clone()).timeout(Duration::from_millis(50));
    assert_eq!(completed.next().unwrap().index(), 1);
    assert!(completed.next().is_none());
    assert_eq!(completed.left(), 1);
    place.open("gate");
    let mut completed = as_completed(jobs).timeout(Duration::ZERO);
    assert_eq!(completed.next().unwrap().index(), 1, "a timeout of nothing gives what is done");
}

fn several_threads_wait_for_the_same_jobs() {
    let (pool, place) = (pool(), Place::new());
    let mut jobs = pool.submit_many((0..2000).map(Do::Value)).unwrap();
    jobs.push(pool.submit(place.gate("gate")).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(wait(&jobs, AllCompleted, None).done.len(), 2001));
            scope.spawn(|| assert_eq!(as_completed(jobs.clone()).count(), 2001));
        }
        place.open("gate");
    });
}

fn jobs_of_two_pools_are_refused_in_words() {
    let (one, other) = (pool(), pool());
    let jobs = [one.submit(Do::Value(1)).unwrap(), other.submit(Do::Value(1)).unwrap()];
    let why = std::panic::catch_unwind(|| wait(&jobs, AllCompleted, None)).unwrap_err();
    assert!(why.downcast_ref::<&str>().is_some_and(|why| why.contains("different pools")));
}

tests![
    the_first_that_is_done_ends_the_wait,
    the_first_that_fails_ends_the_wait,
    a_task_s_own_error_and_a_cancelled_job_are_failures,
    all_are_waited_for_and_the_timeout_ends_it,
    jobs_that_are_done_already_are_told_at_once_in_their_order,
    a_job_that_is_there_twice_is_told_twice,
    nothing_to_wait_for_is_no_wait,
    tens_of_thousands_of_jobs_are_waited_for,
    jobs_come_as_they_are_completed,
    as_completed_ends_at_its_timeout_and_says_how_many_are_left,
    several_threads_wait_for_the_same_jobs,
    jobs_of_two_pools_are_refused_in_words,
];
