//! `map`: results in order, lazily, with bounded memory.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn results_come_in_the_order_of_the_arguments() {
    let pool = two().build(square).unwrap();
    let results: Result<Vec<_>, _> = pool.map(0..100_000).unwrap().collect();
    assert!(results.unwrap().into_iter().eq((0..100_000).map(|n: u64| n * n)));
    assert_eq!(pool.map([]).unwrap().count(), 0);
}

fn results_come_in_order_although_the_first_takes_longest() {
    let pool = pool();
    let input = [60, 40, 20, 0, 30, 10].map(Do::Sleep);
    let results: Result<Vec<_>, _> = pool.map(input).unwrap().chunk_size(1).collect();
    assert_eq!(results.unwrap(), [60, 40, 20, 0, 30, 10]);
}

fn an_error_takes_the_place_of_its_result_and_the_others_come() {
    let pool = pool();
    let input = (0..1000).map(|n| if n % 100 == 33 { Do::Panic(n.to_string()) } else { Do::Value(n) });
    for (n, result) in (0..).zip(pool.map(input).unwrap()) {
        match result {
            Ok(value) => assert_eq!((value, n % 100 != 33), (n, true)),
            Err(JobError::Panicked { job, message, .. }) => assert_eq!((job, message, n % 100), (n, n.to_string(), 33)),
            other => panic!("{other:?}"),
        }
    }
}

/// Numbers are begun many at once, and each panic ends such a step after its first value: outcomes take the most bytes then.
fn every_second_number_of_a_chunk_may_panic() {
    let pool = build(ProcessPool::builder().workers(1));
    let squares = pool.task(square).unwrap();
    assert_eq!(squares.map(0..300_000).unwrap().filter(Result::is_ok).count(), 300_000);
    for chunk in [220, 2000] {
        let results = pool.task(even).unwrap().map(0..2000).unwrap().chunk_size(chunk);
        for (n, result) in (0..2000u64).zip(results) {
            match result {
                Ok(value) => assert_eq!((value, n % 2), (n, 0)),
                Err(JobError::Panicked { job, .. }) => assert_eq!((job, n % 2), (n, 1)),
                other => panic!("{n}: {other:?}"),
            }
        }
    }
    assert_eq!(pool.stats().worker_deaths, 0);
}

/// Draws from an endless input, and tells how far it was ahead of what was taken at most.
fn most_ahead(ahead: impl FnOnce(&Cell<u64>, &Cell<u64>) -> u64) -> u64 {
    let (drawn, taken) = (Cell::new(0), Cell::new(0));
    ahead(&drawn, &taken)
}

fn an_endless_input_is_drawn_only_a_bounded_number_ahead() {
    let pool = two().build(square).unwrap();
    let most = most_ahead(|drawn, taken| {
        let input = (0u64..).inspect(|n| drawn.set(n + 1));
        let mut most = 0;
        for (n, result) in (0..400_000).zip(pool.map(input).unwrap()) {
            assert_eq!(result, Ok(n * n));
            taken.set(n + 1);
            most = most.max(drawn.get() - taken.get());
        }
        most
    });
    // Eight chunks for each worker; a chunk of numbers is at most 8192 of them, however fast they are.
    assert!(most <= 8 * 2 * 8192, "{most} ahead");
}

fn no_more_than_the_buffer_is_drawn() {
    let pool = two().build(square).unwrap();
    for (buffer, chunk) in
        [(1, None), (2, None), (7, None), (7, Some(3)), (7, Some(100)), (100, None), (100, Some(1)), (5_000, None)]
    {
        let most = most_ahead(|drawn, taken| {
            let mut map = pool.map((0u64..).inspect(|n| drawn.set(n + 1))).unwrap().buffer_size(buffer);
            if let Some(chunk) = chunk {
                map = map.chunk_size(chunk);
            }
            assert_eq!(drawn.get(), 0, "nothing is drawn before the first result is asked for");
            let mut most = 0;
            for n in 0..20_000 {
                assert_eq!(map.next(), Some(Ok(n * n)));
                // What `next` has just given counts as not taken while it drew.
                most = most.max(drawn.get() - taken.get());
                taken.set(n + 1);
            }
            most
        });
        assert!(most <= buffer as u64, "{most} drawn ahead, the buffer is {buffer}, the chunk {chunk:?}");
    }
}

fn a_small_buffer_still_keeps_all_workers_busy() {
    let pool = two().build(square).unwrap();
    let bundles = || pool.stats().bundles;
    assert_eq!(pool.map(0..200_000).unwrap().count(), 200_000, "now it knows that jobs are short");
    let before = bundles();
    assert_eq!(pool.map(0..1_000).unwrap().buffer_size(20).count(), 1_000);
    let each = 1_000 / (bundles() - before);
    assert!(each <= 10, "with {each} of 20 arguments to a chunk only one worker has something to do");
}

fn chunks_have_the_size_that_was_asked_for() {
    let pool = two().build(square).unwrap();
    for (jobs, size, chunks) in [(1000, 1, 1000), (1000, 10, 100), (1000, 64, 16), (5, 64, 1)] {
        let before = pool.stats().bundles;
        assert_eq!(pool.map(0..jobs).unwrap().chunk_size(size).count(), jobs as usize);
        assert_eq!(pool.stats().bundles - before, chunks, "{jobs} jobs in chunks of {size}");
    }
}

fn a_chunk_runs_in_one_worker() {
    let pool = pool();
    let pids: Vec<u64> = pool.map((0..40).map(|_| Do::Pid)).unwrap().chunk_size(10).map(Result::unwrap).collect();
    for chunk in pids.chunks(10) {
        assert_eq!(chunk.iter().collect::<HashSet<_>>().len(), 1);
    }
}

fn a_chunk_or_a_buffer_of_nothing_is_refused_in_words() {
    let pool = two().build(square).unwrap();
    let says = |what: &dyn Fn()| {
        let why = catch_unwind(AssertUnwindSafe(what)).unwrap_err();
        why.downcast_ref::<&str>().unwrap().to_string()
    };
    assert_eq!(says(&|| drop(pool.map(0..9).unwrap().chunk_size(0))), "a chunk has at least 1 argument");
    assert_eq!(says(&|| drop(pool.map(0..9).unwrap().buffer_size(0))), "a buffer holds at least 1 argument");
    assert_eq!(pool.map(0..9).unwrap().count(), 9, "the pool goes on");
}

fn dropped_early_what_has_not_begun_is_never_run() {
    let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
    let input = [place.gate("gate")].into_iter().chain((0..).map(|n| place.noted("runs", Do::Value(n))));
    let mut map = pool.map(input).unwrap().chunk_size(1).buffer_size(20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            place.until_begun("gate");
            place.open("gate");
        });
        assert_eq!(map.next(), Some(Ok(1)));
    });
    // The worker goes on with what is there; it is stopped at the next gate.
    drop(map);
    pool.shutdown(true, false);
    let runs = place.runs("runs");
    let stopped = {
        let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
        let blocker = pool.submit(place.gate("gate")).unwrap();
        place.until_begun("gate");
        let mut map = pool.map((0..).map(|n| place.noted("runs", Do::Value(n)))).unwrap().chunk_size(3).buffer_size(30);
        map = map.timeout(Duration::from_millis(20));
        assert_eq!(map.next(), None, "all wait behind the gate");
        drop(map);
        place.open("gate");
        assert_eq!(blocker.result(), Ok(1));
        pool.shutdown(true, false);
        place.runs("runs")
    };
    assert!(runs <= 20, "{runs} runs of at most 20 drawn");
    assert_eq!(stopped, 0, "none had begun");
}

fn at_the_timeout_the_iteration_ends_and_says_why() {
    let (pool, place) = (pool(), Place::new());
    let input = [Do::Value(0), Do::Value(1), place.gate("gate"), Do::Value(3)];
    let mut map = pool.map(input).unwrap().chunk_size(1).timeout(Duration::from_millis(300));
    assert_eq!((map.next(), map.next()), (Some(Ok(0)), Some(Ok(1))));
    assert!(!map.timed_out());
    assert_eq!(map.next(), None);
    assert!(map.timed_out());
    place.open("gate");
    let mut map = pool.map([Do::Value(1)]).unwrap().timeout(Duration::from_secs(100));
    assert_eq!((map.next(), map.next(), map.timed_out()), (Some(Ok(1)), None, false));
}

/// All slots are taken by jobs that wait: the map cannot put anything, and its timeout ends it all the same.
fn the_timeout_holds_although_the_region_is_full() {
    let (pool, place) = (build(two().region_size(1 << 20).arena_size(64 << 10)), Place::new());
    let mut jobs = vec![];
    while let Ok(job) = pool.try_submit(place.gate("gate")) {
        jobs.push(job);
    }
    assert!(jobs.len() < 60_000, "the slots are the bound, not the number of jobs");
    let mut map = pool.map((0..).map(Do::Value)).unwrap().timeout(Duration::from_millis(50));
    assert_eq!(map.next(), None);
    assert!(map.timed_out(), "results are missing, of arguments that were not even drawn");
    place.open("gate");
    assert!(jobs.iter().all(|job| job.result() == Ok(1)));
}

/// Chunks of numbers have blocks of their own, and a buffer that is larger than the arena fills it behind a job that goes on and on. The chunk that
/// found no room is not lost when there is some.
fn the_timeout_holds_although_the_arena_is_full() {
    let pool = two().workers(1).build(nap).unwrap();
    let first_sleeps = (0..3_000_000).map(|n| if n == 0 { 3000 } else { 0 });
    let mut map = pool.map(first_sleeps).unwrap().chunk_size(8192).buffer_size(3_000_000).timeout(Duration::from_millis(300));
    assert_eq!((map.next(), map.timed_out()), (None, true));
    let mut map = map.timeout(Duration::from_secs(100));
    assert_eq!((map.by_ref().filter(|result| result.is_ok()).count(), map.timed_out()), (3_000_000, false));
}

fn arguments_that_fill_a_slot_are_spread_over_several() {
    let pool = two().build(echo).unwrap();
    let input = |n: u64| vec![n as u8; (n * 37 % 3000) as usize];
    let map = pool.map((0..600).map(input)).unwrap().chunk_size(200);
    assert!((0..).zip(map).all(|(n, result)| result == Ok(input(n))));
}

fn an_argument_without_an_encoding_is_an_error_in_its_place() {
    let pool = two().build(picky).unwrap();
    let results: Vec<_> = pool.map((10..20).map(|n| Picky(if n == 13 { 13 } else { 2 * n }))).unwrap().collect();
    assert_eq!(results.len(), 10);
    for (n, result) in (0..).zip(results) {
        match result {
            Ok(value) => assert_eq!(value, 2 * (n + 10)),
            Err(JobError::Argument { job, why }) => assert_eq!((n, job, why.contains("13")), (3, 3, false)),
            other => panic!("{other:?}"),
        }
    }
}

fn an_argument_that_is_too_large_is_an_error_in_its_place() {
    let pool = two().arena_size(64 << 10).build(echo).unwrap();
    let sizes = [10, 1 << 20, 20, 2 << 20, 30];
    let results: Vec<_> = pool.map(sizes.map(|size| vec![1; size])).unwrap().collect();
    assert_eq!(results.len(), 5);
    for n in 0..5 {
        match &results[n] {
            Ok(value) => assert_eq!(value.len(), sizes[n]),
            Err(JobError::ArgumentTooLarge { job, size, .. }) => {
                assert!(n % 2 == 1 && *job == n as u64 && *size > sizes[n] as u64);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn an_input_that_panics_leaves_the_pool_whole() {
    let pool = two().build(square).unwrap();
    let input = (0..).map(|n| if n == 1000 { panic!("the input ends badly") } else { n });
    let drawn = catch_unwind(AssertUnwindSafe(|| pool.map(input).unwrap().count()));
    assert!(drawn.is_err());
    assert_eq!(pool.submit(5).unwrap().result(), Ok(25));
}

fn every_argument_that_was_drawn_has_an_outcome_when_waiting_jobs_are_cancelled() {
    let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
    let drawn = Cell::new(0);
    let input = [place.gate("gate")].into_iter().chain((1..).map(Do::Value)).inspect(|_| drawn.set(drawn.get() + 1));
    let mut map = pool.map(input).unwrap().chunk_size(5).buffer_size(40).timeout(Duration::from_secs(1));
    assert_eq!(map.next(), None, "the gate is closed");
    pool.shutdown(false, true);
    place.open("gate");
    let results: Vec<_> = map.timeout(Duration::from_secs(1000)).collect();
    assert_eq!(results.len(), drawn.get());
    for (n, result) in (0..).zip(results) {
        match result {
            Ok(1) => assert_eq!(n, 0, "the one at the gate"),
            Err(JobError::Cancelled { job }) => assert!(job == n && n < 40),
            // What was drawn after the end.
            Err(JobError::PoolEnded { job, .. }) => assert!(job == n && n >= 40),
            other => panic!("argument {n}: {other:?}"),
        }
    }
}

fn every_argument_that_was_drawn_has_an_outcome_when_the_pool_ends() {
    let (pool, place) = (pool(), Place::new());
    for ordered in [true, false] {
        let pool = if ordered { pool.clone() } else { build(two()) };
        let drawn = Cell::new(0);
        let input = (0..).map(|_| place.gate("gate")).inspect(|_| drawn.set(drawn.get() + 1));
        let map = if ordered { pool.map(input) } else { pool.map_unordered(input) }.unwrap();
        let mut map = map.chunk_size(5).buffer_size(40).timeout(Duration::from_millis(50));
        assert_eq!(map.next(), None, "the gate is closed");
        let had = drawn.get();
        assert_eq!(had, 40);
        pool.kill_workers();
        let mut jobs = HashSet::new();
        for result in map.timeout(Duration::from_secs(1000)).by_ref().take(had) {
            match result {
                Err(JobError::PoolEnded { job, .. }) => assert!(jobs.insert(job)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(jobs, (0..40).collect());
    }
    assert!(pool.map([Do::Value(1)]).is_err(), "a pool that has ended says so");
}

tests![
    results_come_in_the_order_of_the_arguments,
    results_come_in_order_although_the_first_takes_longest,
    an_error_takes_the_place_of_its_result_and_the_others_come,
    every_second_number_of_a_chunk_may_panic,
    an_endless_input_is_drawn_only_a_bounded_number_ahead,
    no_more_than_the_buffer_is_drawn,
    a_small_buffer_still_keeps_all_workers_busy,
    chunks_have_the_size_that_was_asked_for,
    a_chunk_runs_in_one_worker,
    a_chunk_or_a_buffer_of_nothing_is_refused_in_words,
    dropped_early_what_has_not_begun_is_never_run,
    at_the_timeout_the_iteration_ends_and_says_why,
    the_timeout_holds_although_the_region_is_full,
    the_timeout_holds_although_the_arena_is_full,
    arguments_that_fill_a_slot_are_spread_over_several,
    an_argument_without_an_encoding_is_an_error_in_its_place,
    an_argument_that_is_too_large_is_an_error_in_its_place,
    an_input_that_panics_leaves_the_pool_whole,
    every_argument_that_was_drawn_has_an_outcome_when_waiting_jobs_are_cancelled,
    every_argument_that_was_drawn_has_an_outcome_when_the_pool_ends,
];
