//! Short jobs are put together in bundles; nobody who waits for one of them is to notice.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, ProcessPool, WaitPolicy};
use std::time::Duration;

fn one() -> (ProcessPool<Do, u64>, Place) {
    (build(ProcessPool::builder().workers(1)), Place::new())
}

fn single_submissions_are_put_together_once_jobs_are_known_to_be_short() {
    let pool = pool();
    warm(&pool);
    let before = pool.stats().bundles;
    let jobs = pool.submit_many((0..20_000).map(Do::Value)).unwrap();
    assert!((0..).zip(&jobs).all(|(n, job)| job.result() == Ok(n)));
    let bundles = pool.stats().bundles - before;
    assert!(bundles < 15_000, "{bundles} bundles for 20,000 jobs");
}

/// Many short jobs, then one that waits, then many more. While it waits, the others complete: those in its bundle too.
fn jobs_behind_a_long_one_are_given_to_an_idle_worker() {
    let (pool, place) = (pool(), Place::new());
    warm(&pool);
    for round in 0..10 {
        let gate = format!("gate {round}");
        let mut list: Vec<_> = (0..1000).map(Do::Value).collect();
        list[500 + round] = place.gate(&gate);
        let jobs = pool.submit_many(list).unwrap();
        for (n, job) in jobs.iter().enumerate().filter(|(n, _)| *n != 500 + round) {
            assert_eq!(job.result(), Ok(n as u64), "while the other waits");
        }
        assert!(!jobs[500 + round].done());
        place.open(&gate);
        assert_eq!(jobs[500 + round].result(), Ok(1));
    }
    assert_eq!(pool.stats().worker_deaths, 0);
}

/// Nobody waits: the idle worker itself has the rest fetched. Both workers are kept busy while the bundle is put together, so that all five are
/// in it; then one comes for it, gets stuck in its first job, and the other one comes free.
fn jobs_behind_a_long_one_are_given_away_although_nobody_waits() {
    let (pool, place) = (pool(), Place::new());
    warm(&pool);
    let gates = ["one", "other"].map(|name| pool.submit(place.gate(name)).unwrap());
    ["one", "other"].iter().for_each(|name| place.until_begun(name));
    until_kept_back(&pool);
    let before = pool.stats().bundles;
    let mut list = vec![place.gate("long")];
    list.extend((0..4).map(|n| place.noted("runs", Do::Value(n))));
    let jobs = pool.submit_many(list).unwrap();
    assert_eq!(pool.stats().bundles, before, "they are kept back, since both workers are busy");
    place.open("one");
    place.until_begun("long");
    assert_eq!(place.runs("runs"), 0);
    place.open("other");
    until(|| place.runs("runs") == 4);
    assert!(!jobs[0].done());
    place.open("long");
    assert!(jobs.iter().chain(&gates).all(|job| job.result().is_ok()));
}

fn a_job_that_is_done_is_seen_while_the_next_of_its_bundle_runs() {
    let (pool, place) = one();
    let jobs = in_one_bundle(&pool, &place, "first", vec![Do::Value(5), place.gate("second")]);
    place.open("first");
    place.until_begun("second");
    assert_eq!(jobs[0].result(), Ok(5));
    place.open("second");
    assert_eq!(jobs[1].result(), Ok(1));
}

fn done_is_asked_again_and_again_while_the_next_of_the_bundle_runs() {
    let (pool, place) = one();
    let jobs = in_one_bundle(&pool, &place, "first", vec![Do::Value(5), place.gate("second")]);
    place.open("first");
    place.until_begun("second");
    until(|| jobs[0].done());
    assert!(!jobs[0].running() && jobs[1].running() && !jobs[1].done());
    place.open("second");
}

fn a_callback_is_called_while_the_next_of_the_bundle_runs() {
    let (pool, place) = one();
    let jobs = in_one_bundle(&pool, &place, "first", vec![Do::Value(5), place.gate("second")]);
    let (told, ends) = std::sync::mpsc::channel();
    jobs[0].add_done_callback(move |job| told.send(job.result()).unwrap());
    place.open("first");
    assert_eq!(ends.recv(), Ok(Ok(5)));
    place.open("second");
}

/// One thread collects for all; it waits for the second job itself, and has to wake the one that waits for the first.
fn one_who_waits_is_woken_by_one_who_waits_longer() {
    let (pool, place) = one();
    let jobs = in_one_bundle(&pool, &place, "first", vec![place.gate("short"), place.gate("long")]);
    place.open("first");
    place.until_begun("short");
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(jobs[1].result(), Ok(1)));
        // It collects by now, and has become impatient.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let short = scope.spawn(|| assert_eq!(jobs[0].result(), Ok(1)));
        std::thread::sleep(std::time::Duration::from_millis(50));
        place.open("short");
        short.join().unwrap();
        place.until_begun("long");
        place.open("long");
    });
}

/// The thread that collects is called away by a callback. Another one collects meanwhile, and goes on being told of single outcomes when the
/// first one comes back and leaves.
fn one_who_leaves_does_not_take_the_impatience_of_another() {
    let (pool, place) = one();
    let names = ["called", "leaves", "stays", "last"];
    let jobs = in_one_bundle(&pool, &place, "first", names.map(|name| place.gate(name)).into());
    let (told, called) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel();
    place.open("first");
    place.until_begun("called");
    let pause = || std::thread::sleep(std::time::Duration::from_millis(50));
    std::thread::scope(|scope| {
        let leaves = scope.spawn(|| assert_eq!(jobs[1].result(), Ok(1)));
        // It collects by now.
        pause();
        jobs[0].add_done_callback(move |_| {
            // As a rule not.
            told.send(std::thread::current().name() == Some("gristmill-pool")).unwrap();
            waits.recv().unwrap();
        });
        place.open("called");
        let free = called.recv().unwrap();
        let stays = scope.spawn(|| assert_eq!(jobs[2].result(), Ok(1)));
        pause();
        place.open("leaves");
        pause();
        if !free {
            assert!(!leaves.is_finished());
        }
        go_on.send(()).unwrap();
        leaves.join().unwrap();
        place.open("stays");
        stays.join().unwrap();
        assert!(!jobs[3].done());
        place.open("last");
    });
}

/// The job that kills stands in the middle: those before it are done, those behind it are run by the replacement.
fn a_death_in_a_bundle_costs_its_own_job_alone() {
    for retries in [0, 2] {
        let (pool, place) = (build(ProcessPool::builder().workers(1).retries(retries)), Place::new());
        let mut list: Vec<_> = (0..5).map(|n| place.noted(&n.to_string(), Do::Value(n))).collect();
        list[2] = place.noted("2", Do::Die(Death::Abort));
        let jobs = in_one_bundle(&pool, &place, "first", list);
        place.open("first");
        for (n, job) in (0..).zip(&jobs) {
            match job.result() {
                Ok(value) => {
                    assert_eq!((value, place.runs(&n.to_string())), (n, 1), "run once, though its bundle lost a worker")
                }
                Err(JobError::WorkerDied { attempts, .. }) => {
                    assert_eq!((n, attempts, place.runs("2")), (2, retries + 1, retries as usize + 1));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn every_job_of_a_bundle_may_kill() {
    let (pool, place) = (build(ProcessPool::builder().workers(1).retries(1)), Place::new());
    let list: Vec<_> = (0..4).map(|n| place.noted(&n.to_string(), Do::Die(Death::Exit(n)))).collect();
    let jobs = in_one_bundle(&pool, &place, "first", list);
    place.open("first");
    for (n, job) in (0..).zip(&jobs) {
        match job.result() {
            Err(JobError::WorkerDied { attempts: 2, exit: gristmill::Exit::Code(code), .. }) => assert_eq!(code, n),
            other => panic!("job {n}: {other:?}"),
        }
        assert_eq!(place.runs(&n.to_string()), 2);
    }
}

fn a_job_is_not_kept_from_an_idle_worker_although_nobody_asks() {
    let (pool, place) = (pool(), Place::new());
    warm(&pool);
    for n in 0..50 {
        drop(pool.submit(place.noted("runs", Do::Value(n))).unwrap());
        until(|| place.runs("runs") == n as usize + 1);
    }
}

/// The average of many short jobs says that one alone is worth keeping back, but nobody looks for it any more: the workers sleep, in the end
/// with the exception of one that is stuck in a job.
fn a_job_for_workers_that_sleep_is_not_kept_back() {
    for policy in [WaitPolicy::Adaptive, WaitPolicy::Block, WaitPolicy::Spin] {
        let (pool, place) = (build(two().wait_policy(policy)), Place::new());
        for n in 1..=4 {
            if n == 3 {
                drop(pool.submit(place.gate("busy")).unwrap());
                place.until_begun("busy");
            }
            assert_eq!(pool.task(square).unwrap().map(0..30_000).unwrap().filter(Result::is_ok).count(), 30_000);
            // Longer than they look for jobs before they sleep.
            std::thread::sleep(Duration::from_millis(50));
            drop(pool.submit(place.noted("runs", Do::Value(n))).unwrap());
            until(|| place.runs("runs") == n as usize);
        }
        place.open("busy");
    }
}

tests![
    single_submissions_are_put_together_once_jobs_are_known_to_be_short,
    jobs_behind_a_long_one_are_given_to_an_idle_worker,
    jobs_behind_a_long_one_are_given_away_although_nobody_waits,
    a_job_that_is_done_is_seen_while_the_next_of_its_bundle_runs,
    done_is_asked_again_and_again_while_the_next_of_the_bundle_runs,
    a_callback_is_called_while_the_next_of_the_bundle_runs,
    one_who_waits_is_woken_by_one_who_waits_longer,
    one_who_leaves_does_not_take_the_impatience_of_another,
    a_death_in_a_bundle_costs_its_own_job_alone,
    every_job_of_a_bundle_may_kill,
    a_job_is_not_kept_from_an_idle_worker_although_nobody_asks,
    a_job_for_workers_that_sleep_is_not_kept_back,
];
