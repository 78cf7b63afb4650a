//! A job that takes its worker along.

use crate::support::*;
use crate::tasks::*;
use gristmill::{Exit, JobError, ProcessPool};

const SIGNALS: [(Death, i32); 7] = [
    (Death::NullPointer, libc::SIGSEGV),
    (Death::Signal(libc::SIGKILL), libc::SIGKILL),
    (Death::Signal(libc::SIGSEGV), libc::SIGSEGV),
    (Death::Signal(libc::SIGTERM), libc::SIGTERM),
    (Death::Abort, libc::SIGABRT),
    (Death::StackOverflow, libc::SIGABRT),
    (Death::OutOfMemory, libc::SIGABRT),
];

/// The job dies; the error says how, and the pool goes on with as many workers.
fn each_way_to_die_is_told_as_what_it_was() {
    let pool = pool();
    let signals = SIGNALS.map(|(how, signal)| (how, Err(signal)));
    let codes = [0, 1, 3, 70, 78, 255].map(|code| (Death::Exit(code), Ok(code)));
    for (how, expected) in signals.into_iter().chain(codes) {
        match (pool.submit(Do::Die(how)).unwrap().result(), expected) {
            (Err(JobError::WorkerDied { exit: Exit::Signal { signal, .. }, attempts: 1, .. }), Err(expected)) => {
                assert_eq!(signal, expected, "{how:?}");
            }
            (Err(JobError::WorkerDied { exit: Exit::Code(code), attempts: 1, .. }), Ok(expected)) => {
                assert_eq!(code, expected, "{how:?}");
            }
            other => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(pool.submit(Do::Value(1)).unwrap().result(), Ok(1), "after {how:?}");
    }
    assert_eq!(pool.stats().worker_deaths, 13);
    until(|| pool.worker_pids().len() == 2);
}

fn a_job_that_kills_is_run_again_as_often_as_it_may_and_no_more() {
    for retries in 0..4 {
        let (pool, place) = (build(two().retries(retries)), Place::new());
        let job = pool.submit(place.noted("runs", Do::Die(Death::Signal(libc::SIGKILL)))).unwrap();
        match job.result() {
            Err(JobError::WorkerDied { attempts, .. }) => assert_eq!(attempts, retries + 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(place.runs("runs"), retries as usize + 1);
        let stats = pool.stats();
        assert_eq!((stats.retried, stats.worker_deaths), (u64::from(retries), u64::from(retries) + 1));
        assert_eq!(pool.submit(Do::Value(4)).unwrap().result(), Ok(4));
    }
}

fn a_job_that_dies_once_gives_its_value_in_the_second_run() {
    let (pool, place) = (build(two().retries(1)), Place::new());
    let jobs: Vec<_> = (0..20)
        .map(|n| {
            let once = Do::DieOnce(place.path(&n.to_string()), Death::Exit(0), Box::new(Do::Value(n)));
            pool.submit(place.noted(&format!("runs {n}"), once)).unwrap()
        })
        .collect();
    for (n, job) in (0..).zip(jobs) {
        assert_eq!((job.result(), place.runs(&format!("runs {n}"))), (Ok(n), 2));
    }
}

fn without_retries_no_job_that_has_begun_is_run_again() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(Do::DieOnce(place.path("once"), Death::Exit(3), Box::new(Do::Value(1)))).unwrap();
    assert!(matches!(job.result(), Err(JobError::WorkerDied { exit: Exit::Code(3), attempts: 1, .. })));
}

fn the_error_is_one_line_that_says_how_it_died() {
    let pool = pool();
    let text = |how| pool.submit(Do::Die(how)).unwrap().result().unwrap_err().to_string();
    assert!(text(Death::Signal(libc::SIGSEGV)).contains("died by signal 11"), "{}", text(Death::Signal(libc::SIGSEGV)));
    assert!(text(Death::Exit(3)).contains("died by exit code 3"), "{}", text(Death::Exit(3)));
}

fn deaths_in_a_map_cost_their_own_places() {
    let pool = build(ProcessPool::builder().workers(3));
    let bad = |n: u64| n % 97 == 5;
    let input = (0..2000).map(|n| if bad(n) { Do::Die(Death::Abort) } else { Do::Value(n) });
    let mut count = 0;
    for (n, result) in (0..).zip(pool.map(input).unwrap()) {
        match result {
            Ok(value) => assert!(value == n && !bad(n)),
            Err(JobError::WorkerDied { job, .. }) => assert!(job == n && bad(n), "job {job} at {n}"),
            other => panic!("{other:?}"),
        }
        count += 1;
    }
    assert_eq!(count, 2000);
}

/// Thousands of short jobs are put together in bundles, some kill their worker: exactly these fail, and nothing is run twice.
fn among_thousands_in_bundles_exactly_the_killers_fail() {
    let (pool, place) = (build(ProcessPool::builder().workers(3)), Place::new());
    warm(&pool);
    let before = pool.stats();
    let mut numbers = Numbers(2);
    let list: Vec<_> = (0..12_000u64).map(|n| (n, numbers.below(150) == 0)).collect();
    let killers = list.iter().filter(|(_, kills)| *kills).count();
    assert!(killers > 40);
    let jobs: Vec<_> = list
        .iter()
        .map(|&(n, kills)| {
            let what = if kills { place.noted(&n.to_string(), Do::Die(Death::Signal(libc::SIGKILL))) } else { Do::Value(n) };
            pool.submit(what).unwrap()
        })
        .collect();
    for (&(n, kills), job) in list.iter().zip(jobs) {
        match job.result() {
            Ok(value) => assert!(value == n && !kills),
            Err(JobError::WorkerDied { attempts: 1, .. }) if kills => assert_eq!(place.runs(&n.to_string()), 1, "job {n}"),
            other => panic!("job {n}, which kills: {kills}: {other:?}"),
        }
    }
    let stats = pool.stats();
    assert!(stats.bundles - before.bundles < 11_000, "they were put together: {} bundles", stats.bundles - before.bundles);
    assert_eq!(stats.worker_deaths, killers as u64);
    assert_eq!((stats.failed, stats.retried), (killers as u64, 0));
}

/// Numbers travel side by side, thousands to a chunk and a hundred to a step, and each is its own job all the same: exactly those fail that panic
/// or kill, and no number is run more often than it may be, whichever of its neighbours died.
fn each_number_of_a_map_is_a_job_of_its_own() {
    const NUMBERS: u64 = 60_000;
    let place = Place::new();
    let (kills, panics) = (|n: u64| n % 1009 == 17, |n: u64| n % 1013 == 5);
    for retries in [0, 1] {
        let file = place.path(&format!("tally-{retries}"));
        std::fs::write(&file, vec![0; NUMBERS as usize]).unwrap();
        let pool = two().retries(retries).initializer(tally_in, file.clone()).build(tally).unwrap();
        // So that workers know how short they are.
        assert!(pool.map(18..500).unwrap().all(|result| result.is_ok()));
        std::fs::write(&file, vec![0; NUMBERS as usize]).unwrap();
        for (n, result) in (0..).zip(pool.map(0..NUMBERS).unwrap()) {
            match result {
                Ok(value) => assert!(value == n * n && !panics(n) && (retries == 1 || !kills(n)), "{n}: {value}"),
                Err(JobError::Panicked { job, message, .. }) => assert!(job == n && message == n.to_string() && panics(n)),
                Err(JobError::WorkerDied { job, attempts: 1, .. }) => assert!(job == n && kills(n) && retries == 0, "{n}"),
                other => panic!("{n}: {other:?}"),
            }
        }
        let killers = (0..NUMBERS).filter(|n| kills(*n)).count() as u64;
        assert_eq!(pool.stats().worker_deaths, killers);
        for (n, count) in (0..).zip(std::fs::read(&file).unwrap()) {
            assert_eq!(u64::from(count), 1 + u64::from(kills(n) && retries == 1), "runs of {n}, with {retries} retries");
        }
    }
}

tests![
    each_number_of_a_map_is_a_job_of_its_own,
    each_way_to_die_is_told_as_what_it_was,
    a_job_that_kills_is_run_again_as_often_as_it_may_and_no_more,
    a_job_that_dies_once_gives_its_value_in_the_second_run,
    without_retries_no_job_that_has_begun_is_run_again,
    the_error_is_one_line_that_says_how_it_died,
    deaths_in_a_map_cost_their_own_places,
    among_thousands_in_bundles_exactly_the_killers_fail,
];
