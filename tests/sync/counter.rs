//! The Counter.

use crate::support::*;
use gristmill::sync::Counter;
use gristmill::{Task, tasks};

tests![processes_and_threads_lose_no_change, values_wrap_and_are_set];

pub fn tasks() -> Vec<Task> {
    tasks![change]
}

fn change(counter: &Counter, times: &u32) {
    for _ in 0..*times {
        counter.add(3);
        counter.sub(2);
    }
}

fn processes_and_threads_lose_no_change() {
    let mill = mill();
    let counter = Counter::new(&mill, -5).unwrap();
    let times = 20_000u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, change, (&counter, &times))).collect();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| {
            scope.spawn(|| change(&counter, &times));
        });
    });
    processes.iter().for_each(ended_well);
    assert_eq!(counter.get(), 7 * 20_000 - 5);
}

fn values_wrap_and_are_set() {
    let mill = mill();
    let counter = Counter::new(&mill, i64::MAX).unwrap();
    assert_eq!(counter.add(1), i64::MIN);
    assert_eq!(counter.sub(1), i64::MAX);
    assert_eq!(counter.set(-7), i64::MAX);
    assert_eq!(counter.clone().get(), -7);
}
