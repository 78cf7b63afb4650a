//! The Event.

use crate::support::*;
use gristmill::sync::{Counter, Event};
use gristmill::{Task, tasks};

tests![
    all_who_wait_go_on_when_it_is_set,
    who_comes_while_it_is_set_does_not_wait,
    the_timeout_is_told,
    one_that_is_cleared_at_once_is_not_missed,
    a_killed_waiter_disturbs_nobody,
    what_was_written_before_it_is_seen_after_it,
];

pub fn tasks() -> Vec<Task> {
    tasks![wait_for_it, wait_and_look]
}

fn wait_for_it(event: &Event, about_to: &Counter, after: &Counter) {
    about_to.add(1);
    event.wait().unwrap();
    after.add(1);
}

fn wait_and_look(event: &Event, value: &Counter) {
    event.wait().unwrap();
    assert_eq!(value.get(), 42);
}

fn all_who_wait_go_on_when_it_is_set() {
    let mill = mill();
    let event = Event::new(&mill).unwrap();
    let (before, after) = (Counter::new(&mill, 0).unwrap(), Counter::new(&mill, 0).unwrap());
    let processes: Vec<_> = (0..4).map(|_| start(&mill, wait_for_it, (&event, &before, &after))).collect();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| {
            scope.spawn(|| wait_for_it(&event, &before, &after));
        });
        until(|| before.get() == 7);
        std::thread::sleep(SOON);
        assert_eq!(after.get(), 0);
        assert!(!event.is_set());
        event.set();
    });
    processes.iter().for_each(ended_well);
    assert_eq!(after.get(), 7);
    assert!(event.is_set());
}

fn who_comes_while_it_is_set_does_not_wait() {
    let mill = mill();
    let event = Event::new(&mill).unwrap();
    event.set();
    event.set();
    event.wait().unwrap();
    event.clear();
    assert!(!event.is_set());
    assert!(!event.wait_timeout(SOON).unwrap());
    event.set();
    event.wait().unwrap();
}

fn the_timeout_is_told() {
    let mill = mill();
    let event = Event::new(&mill).unwrap();
    let begin = std::time::Instant::now();
    assert!(!event.wait_timeout(SOON).unwrap());
    assert!(begin.elapsed() >= SOON);
    event.set();
    assert!(event.wait_timeout(LONG).unwrap());
}

/// Sets and clears with nothing between: a waiter that only looked at the flag when it woke would sleep again, for ever.
fn one_that_is_cleared_at_once_is_not_missed() {
    let mill = mill();
    for _ in 0..5 {
        let event = Event::new(&mill).unwrap();
        let (before, after) = (Counter::new(&mill, 0).unwrap(), Counter::new(&mill, 0).unwrap());
        let processes: Vec<_> = (0..4).map(|_| start(&mill, wait_for_it, (&event, &before, &after))).collect();
        until(|| before.get() == 4);
        // Long enough for all to have begun to wait, also on a busy machine.
        std::thread::sleep(20 * SOON);
        event.set();
        event.clear();
        processes.iter().for_each(ended_well);
    }
}

fn a_killed_waiter_disturbs_nobody() {
    let mill = mill();
    let event = Event::new(&mill).unwrap();
    let (before, after) = (Counter::new(&mill, 0).unwrap(), Counter::new(&mill, 0).unwrap());
    let processes: Vec<_> = (0..4).map(|_| start(&mill, wait_for_it, (&event, &before, &after))).collect();
    until(|| before.get() == 4);
    std::thread::sleep(SOON);
    kill(&processes[1]);
    kill(&processes[2]);
    event.set();
    ended_well(&processes[0]);
    ended_well(&processes[3]);
    assert_eq!(after.get(), 2);
}

fn what_was_written_before_it_is_seen_after_it() {
    let mill = mill();
    let event = Event::new(&mill).unwrap();
    let value = Counter::new(&mill, 0).unwrap();
    let processes: Vec<_> = (0..4).map(|_| start(&mill, wait_and_look, (&event, &value))).collect();
    value.set(42);
    event.set();
    processes.iter().for_each(ended_well);
}
