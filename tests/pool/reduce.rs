//! `map_unordered`, `for_each` and `map_reduce`.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool};
use std::collections::HashSet;

fn unordered_results_come_as_they_are_done() {
    let (pool, place) = (pool(), Place::new());
    let input = [place.gate("gate"), Do::Value(10), Do::Value(11), Do::Value(12)];
    let mut map = pool.map_unordered(input).unwrap().chunk_size(1);
    let mut first = [0; 3].map(|_| map.next().unwrap().unwrap());
    first.sort();
    assert_eq!(first, [10, 11, 12], "what waits at the gate is overtaken");
    place.open("gate");
    assert_eq!((map.next(), map.next()), (Some(Ok(1)), None));
}

fn unordered_results_are_all_there_and_none_twice() {
    let pool = two().build(square).unwrap();
    let results: Vec<_> = pool.map_unordered(0..50_000).unwrap().map(Result::unwrap).collect();
    assert_eq!(results.len(), 50_000);
    assert_eq!(results.into_iter().collect::<HashSet<_>>(), (0..50_000).map(|n: u64| n * n).collect());
}

fn an_unordered_error_says_whose_it_is() {
    let pool = pool();
    let input = (0..100).map(|n| if n == 42 { Do::Panic("42".into()) } else { Do::Value(n) });
    let (good, bad): (Vec<_>, Vec<_>) = pool.map_unordered(input).unwrap().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (99, 1));
    assert!(matches!(&bad[0], Err(JobError::Panicked { job: 42, .. })), "{bad:?}");
}

fn for_each_counts_and_stops_at_the_first_error() {
    let (pool, place) = (pool(), Place::new());
    assert_eq!(pool.for_each((0..1000).map(|n| place.noted("runs", Do::Value(n)))), Ok(1000));
    assert_eq!(place.runs("runs"), 1000);
    assert_eq!(pool.for_each([]), Ok(0));
    let input = (0..).map(|n| if n == 10 { Do::Panic("ten".into()) } else { place.noted("more", Do::Value(n)) });
    assert!(matches!(pool.for_each(input), Err(JobError::Panicked { job: 10, .. })), "an endless input, ended by an error");
    pool.shutdown(true, false);
}

fn a_sum_is_what_it_is_in_one_process() {
    let pool = two().build(square).unwrap();
    for jobs in [0u64, 1, 2, 3, 100, 100_003] {
        let sum = (0..jobs).map(|n| n * n).reduce(|a, b| a + b);
        assert_eq!(pool.map_reduce(0..jobs, add), Ok(sum), "{jobs} jobs");
    }
}

fn a_fold_that_does_not_commute_keeps_the_order() {
    let pool = two().build(label).unwrap();
    let expected: String = (0..20_000).map(|n| format!("{n} ")).collect();
    assert_eq!(pool.map_reduce(0..20_000, concat).unwrap().unwrap(), expected);
}

fn workers_fold_what_they_have_run() {
    let pool = two().build(square).unwrap();
    assert!(pool.map_reduce(0..200_000, add).is_ok());
    let stats = pool.stats();
    assert!(stats.completed < 100_000, "{} outcomes came back for 200,000 jobs", stats.completed);
}

fn an_error_in_a_part_ends_the_whole() {
    let pool = pool();
    let input = |bad| (0..5000).map(move |n| if n == bad { Do::Panic("a bad part".into()) } else { Do::Value(n) });
    for bad in [0, 1, 1234, 4999] {
        match pool.map_reduce(input(bad), add) {
            Err(JobError::Panicked { job, message, .. }) => {
                assert!(job <= bad && message == "a bad part", "job {job} for {bad}: {message}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pool.map_reduce(input(5000), add), Ok(Some(4999 * 5000 / 2)), "the pool goes on");
}

fn a_fold_that_panics_in_a_worker_is_told() {
    let pool = pool();
    // The input has no end: sooner or later chunks are large enough that a worker folds.
    match pool.map_reduce((0..).map(Do::Value), worse) {
        Err(JobError::Panicked { message, place, .. }) => {
            assert_eq!(message, "it does not fold");
            assert!(place.contains("tasks.rs"), "{place}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.submit(Do::Value(1)).unwrap().result(), Ok(1), "the pool goes on");
}

fn a_fold_that_panics_here_is_a_panic_here() {
    let pool = two().build(label).unwrap();
    let folded = std::panic::catch_unwind(|| pool.map_reduce(0..3, quarrel));
    assert!(folded.is_err(), "the first results come one by one, and are folded here");
    assert_eq!(pool.submit(1).unwrap().result(), Ok("1 ".into()), "the pool goes on");
}

fn a_fold_that_was_not_registered_is_named() {
    fn least(a: u64, b: u64) -> u64 {
        a.min(b)
    }
    let error = two().build(square).unwrap().map_reduce(0..10, least).unwrap_err();
    assert!(error.to_string().contains("least is not registered"), "{error}");
}

fn a_part_that_kills_its_worker_costs_its_chunk_alone() {
    let (pool, place) = (build(ProcessPool::builder().workers(2).retries(1)), Place::new());
    let once = Do::DieOnce(place.path("once"), Death::Abort, Box::new(Do::Value(500)));
    let input = (0..1000).map(|n| if n == 500 { once.clone() } else { Do::Value(n) });
    assert_eq!(pool.map_reduce(input, add), Ok(Some(999 * 500)), "run again, and folded from the start of its chunk");
}

tests![
    unordered_results_come_as_they_are_done,
    unordered_results_are_all_there_and_none_twice,
    an_unordered_error_says_whose_it_is,
    for_each_counts_and_stops_at_the_first_error,
    a_sum_is_what_it_is_in_one_process,
    a_fold_that_does_not_commute_keeps_the_order,
    workers_fold_what_they_have_run,
    an_error_in_a_part_ends_the_whole,
    a_fold_that_panics_in_a_worker_is_told,
    a_fold_that_panics_here_is_a_panic_here,
    a_fold_that_was_not_registered_is_named,
    a_part_that_kills_its_worker_costs_its_chunk_alone,
];
