//! What cannot start says why: functions, sizes, types; and workers that cannot live are given up.

use crate::harness::{list, wait_for};
use crate::workers::{check_results, square, swallow};
use gristmill::{Error, GetError, JoinError, JoinableQueue, Mill, PutError, Queue, Task, init, tasks};
use serde::{Deserialize, Serialize};
use std::process::Command;
use std::time::Duration;

list! {
    a_function_that_is_not_registered_is_refused
    a_function_registered_twice_is_refused
    a_mill_inside_a_worker_is_refused
    a_worker_without_a_parent_says_so
    capacities_that_cannot_be_are_refused
    sizes_that_cannot_be_are_refused
    more_queues_or_processes_than_planned_are_refused
    workers_of_a_group_that_could_not_start_whole_are_not_left
    a_queue_of_another_type_is_refused
    a_queue_of_another_mill_is_refused
    workers_that_exit_at_once_are_given_up_and_join_says_how_they_ended
    workers_that_crash_at_once_are_given_up_and_join_says_how_they_ended
    a_worker_that_can_live_keeps_its_group_alive
}

pub fn tasks() -> Vec<Task> {
    tasks![mill_inside, sneaky, exit_at_once, crash_at_once, one_lives]
}

fn unknown(_jobs: &JoinableQueue<u64>) {}

fn a_function_that_is_not_registered_is_refused() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    for error in [mill.spawn_daemons(2, unknown, (&jobs,)).unwrap_err(), mill.process(unknown, (&jobs,)).unwrap_err()] {
        assert!(matches!(error, Error::NotRegistered { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("starts::unknown is not registered") && text.contains("gristmill::init"), "{text}");
    }
    assert_eq!(mill.stats().processes, 0);
}

fn a_function_registered_twice_is_refused() {
    let twice = std::panic::catch_unwind(|| init(tasks![square, swallow, square])).unwrap_err();
    let text = twice.downcast::<String>().unwrap();
    assert!(text.contains("two tasks are named") && text.contains("workers::square"), "{text}");
}

fn mill_inside(said: &Queue<String>) {
    let error = Mill::builder().build().map(drop).unwrap_err();
    said.put(error.to_string()).unwrap();
}

fn a_mill_inside_a_worker_is_refused() {
    let mill = Mill::builder().build().unwrap();
    let said = mill.queue::<String>(4).unwrap();
    mill.spawn_daemons(1, mill_inside, (&said,)).unwrap();
    assert_eq!(said.get().unwrap(), "a Mill cannot be made inside a worker");
}

/// The variable that makes a program a worker may be left over in somebody's environment.
fn a_worker_without_a_parent_says_so() {
    let out = Command::new("/proc/self/exe").env("GRISTMILL_WORKER", "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(76), "{text}");
    assert!(text.contains("launch record") && text.lines().count() == 1, "{text}");
    assert!(out.stdout.is_empty());
}

fn capacities_that_cannot_be_are_refused() {
    let mill = Mill::builder().build().unwrap();
    let refused = |capacity: usize| {
        let [a, b] = [mill.queue::<u64>(capacity).map(drop), mill.joinable_queue::<u64>(capacity).map(drop)];
        let [c, d] = [mill.pod_queue::<u64>(capacity).map(drop), mill.pod_joinable_queue::<u64>(capacity).map(drop)];
        [a, b, c, d].map(|r| r.expect_err("refused").to_string())
    };
    for capacity in [0, (1 << 24) + 1, usize::MAX] {
        for text in refused(capacity) {
            assert_eq!(text, format!("the capacity of a queue or a pool is 1 to 16777216, not {capacity}"));
        }
    }
    for text in refused(1 << 24) {
        assert!(text.contains("16777216 slots takes") && text.contains("region_size"), "{text}");
    }
    // And the Mill is as good as before.
    let one = mill.queue::<u64>(1).unwrap();
    one.put(1).unwrap();
    assert_eq!(one.get().unwrap(), 1);
}

fn sizes_that_cannot_be_are_refused() {
    let text = |b: gristmill::MillBuilder| b.build().map(drop).expect_err("refused").to_string();
    for size in [0, 1, 4096, 64 << 10] {
        let said = text(Mill::builder().region_size(size));
        assert!(said.contains("too small") && said.contains("at least"), "{said}");
    }
    for size in [usize::MAX, usize::MAX - 4096, 1 << 60, 1 << 50] {
        let said = text(Mill::builder().region_size(size));
        assert_eq!(said.lines().count(), 1, "{said}");
        let said = text(Mill::builder().arena_size(size));
        assert!(said.contains("too small"), "{said}");
    }
    for count in [0, 4095, usize::MAX] {
        let said = text(Mill::builder().max_processes(count));
        assert_eq!(
            said,
            format!("there can be 1 to 4094 processes at a time, not {count} (a Mill has max_processes, 4094 at most)")
        );
    }
    Mill::builder().max_processes(4094).max_queues(u32::MAX).region_size(64 << 20).build().unwrap();
    Mill::builder().arena_size(0).max_queues(0).build().unwrap();
}

fn more_queues_or_processes_than_planned_are_refused() {
    let mill = Mill::builder().max_queues(2).max_processes(2).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    let results = mill.queue::<(u64, u64)>(4).unwrap();
    assert_eq!(mill.queue::<u64>(4).map(drop).unwrap_err().to_string(), "the region has room for 2 queues");
    for count in [0, 3, usize::MAX] {
        let text = mill.spawn_daemons(count, square, (&jobs, &results)).unwrap_err().to_string();
        assert!(text.starts_with(&format!("there can be 1 to 2 processes at a time, not {count}")), "{text}");
    }
    let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let late = mill.process(square, (&jobs, &results)).unwrap();
    let text = late.start().unwrap_err().to_string();
    assert!(text.starts_with("there can be 1 to 2 processes at a time, not 3"), "{text}");
    late.join().unwrap();
    jobs.put(5).unwrap();
    jobs.join().unwrap();
    assert_eq!(daemons.pids().len(), 2);
}

/// Two of three find room. They are not left to run unseen, and not replaced when they are ended.
fn workers_of_a_group_that_could_not_start_whole_are_not_left() {
    let mill = Mill::builder().max_processes(4).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    let results = mill.queue::<(u64, u64)>(4).unwrap();
    let first = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    mill.spawn_daemons(3, square, (&jobs, &results)).map(drop).unwrap_err();
    wait_for(|| mill.stats().processes == 2);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(mill.stats().processes, 2, "the ended ones were replaced");
    let second = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    assert_eq!((first.pids().len(), second.pids().len(), first.deaths()), (2, 2, 0));
}

/// A type that passes itself off as another: what the worker makes of it is not what the parent made.
#[derive(Clone)]
enum Sneaky {
    Parent(Queue<u64>),
    Worker(Queue<u32>),
}

impl Serialize for Sneaky {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Sneaky::Parent(queue) => queue.serialize(to),
            Sneaky::Worker(queue) => queue.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Sneaky {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Queue::deserialize(from).map(Sneaky::Worker)
    }
}

fn sneaky(queue: &Sneaky, said: &Queue<u32>) {
    if let Sneaky::Worker(queue) = queue {
        said.put(queue.get().unwrap()).unwrap();
    }
}

/// How a group of workers was given up.
fn given_up(jobs: &JoinableQueue<u64>, exit: &str) {
    jobs.put(1).unwrap();
    let error = jobs.join().unwrap_err();
    assert!(matches!(error, JoinError::Stopped(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("no worker can live") && text.contains(exit), "{text}");
    // Everything else says so, too, and nothing hangs; but what is in the queue can be had.
    assert!(matches!(jobs.put(2), Err(PutError::Stopped { item: 2, .. })));
    assert!(jobs.join_timeout(Duration::from_secs(1)).unwrap_err().to_string().contains(exit));
    let left = jobs.get().unwrap();
    assert_eq!(*left, 1);
    left.task_done();
    assert!(matches!(jobs.get().map(drop), Err(GetError::Stopped(_))));
}

fn a_queue_of_another_type_is_refused() {
    let mill = Mill::builder().build().unwrap();
    let (queue, said) = (mill.queue::<u64>(4).unwrap(), mill.queue::<u32>(4).unwrap());
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    queue.put(u64::MAX).unwrap();
    mill.spawn_daemons(1, sneaky, (&Sneaky::Parent(queue.clone()), &said)).unwrap();
    given_up(&jobs, "exit code 70");
    assert!(said.empty());
}

fn a_queue_of_another_mill_is_refused() {
    let [mill, other] = [(); 2].map(|()| Mill::builder().build().unwrap());
    let (jobs, foreign) = (mill.joinable_queue::<u64>(4).unwrap(), other.joinable_queue::<u64>(4).unwrap());
    foreign.put(1).unwrap();
    mill.spawn_daemons(1, swallow, (&foreign,)).unwrap();
    given_up(&jobs, "exit code 70");
    assert_eq!(foreign.qsize(), 1);
}

fn exit_at_once(_jobs: &JoinableQueue<u64>) {
    std::process::exit(3);
}

fn workers_that_exit_at_once_are_given_up_and_join_says_how_they_ended() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    let daemons = mill.spawn_daemons(2, exit_at_once, (&jobs,)).unwrap();
    given_up(&jobs, "exit code 3");
    daemons.join();
    assert!(daemons.deaths() < 40, "with pauses that grow: {}", daemons.deaths());
}

fn crash_at_once(jobs: &JoinableQueue<u64>) {
    let _ = jobs.try_get().map(drop);
    std::process::abort();
}

fn workers_that_crash_at_once_are_given_up_and_join_says_how_they_ended() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    let daemons = mill.spawn_daemons(1, crash_at_once, (&jobs,)).unwrap();
    given_up(&jobs, "signal 6 (SIGABRT)");
    daemons.join();
}

/// The first works; any other crashes at once.
fn one_lives(jobs: &JoinableQueue<u64>, turn: &Queue<()>, results: &Queue<(u64, u64)>) {
    if turn.try_get().is_err() {
        std::process::exit(1);
    }
    square(jobs, results);
}

fn a_worker_that_can_live_keeps_its_group_alive() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    let turn = mill.queue::<()>(1).unwrap();
    let results = mill.queue::<(u64, u64)>(4).unwrap();
    turn.put(()).unwrap();
    let daemons = mill.spawn_daemons(2, one_lives, (&jobs, &turn, &results)).unwrap();
    wait_for(|| daemons.deaths() > 13);
    (0..100).for_each(|n| jobs.put(n).unwrap());
    jobs.join().unwrap();
    check_results(results.drain().unwrap().into_iter().map(|r| r.0), 100, |_| false);
}
