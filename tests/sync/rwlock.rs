//! The RwLock.

use crate::support::*;
use gristmill::sync::{Barrier, Event, LockError, RwLock};
use gristmill::{Task, tasks};
use std::panic::{AssertUnwindSafe, catch_unwind};

tests![
    writers_exclude_everybody_and_readers_see_whole_values,
    readers_are_inside_together,
    what_is_held_is_refused_at_once_and_after_the_timeout,
    a_killed_reader_lets_writers_in_and_damages_nothing,
    a_killed_writer_is_told_to_readers_and_writers_until_repaired,
    a_killed_waiting_writer_lets_readers_in,
    a_writer_that_gives_up_lets_readers_in,
    a_waiting_writer_comes_before_new_readers,
    the_end_of_a_read_and_of_a_write_wakes_those_who_sleep,
    a_panic_is_told_for_a_write_and_not_for_a_read,
];

pub fn tasks() -> Vec<Task> {
    tasks![work, read_and_hold, write_and_hold, write_once, meet_inside]
}

type Cells = [u64; 16];

fn work(lock: &RwLock<Cells>, times: &u32) {
    for k in 0..*times {
        if k % 4 == 0 {
            let mut cells = lock.write().unwrap();
            let first = cells[0];
            for cell in cells.iter_mut() {
                assert_eq!(*cell, first, "somebody else was inside");
                *cell += 1;
            }
        } else {
            let cells = lock.read().unwrap();
            assert_eq!(*cells, [cells[0]; 16], "a writer was inside");
        }
    }
}

fn read_and_hold(lock: &RwLock<Cells>, held: &Event) {
    let _guard = lock.read().unwrap();
    held.set();
    forever();
}

fn write_and_hold(lock: &RwLock<Cells>, held: &Event) {
    let mut guard = lock.write().unwrap();
    guard[0] += 1;
    held.set();
    forever();
}

fn write_once(lock: &RwLock<Cells>, about_to: &Event) {
    about_to.set();
    lock.write().unwrap()[0] += 1;
}

fn meet_inside(lock: &RwLock<Cells>, meet: &Barrier) {
    let _guard = lock.read().unwrap();
    meet.wait().unwrap();
}

fn writers_exclude_everybody_and_readers_see_whole_values() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let times = 2000u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, work, (&lock, &times))).collect();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| {
            scope.spawn(|| work(&lock, &times));
        });
    });
    processes.iter().for_each(ended_well);
    assert_eq!(*lock.read().unwrap(), [7 * 500; 16]);
    drop(lock.try_write().unwrap());
}

/// All readers wait for each other while they read: if one kept another out, none would get on.
fn readers_are_inside_together() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let meet = Barrier::new(&mill, 5).unwrap();
    let processes: Vec<_> = (0..4).map(|_| start(&mill, meet_inside, (&lock, &meet))).collect();
    meet_inside(&lock, &meet);
    processes.iter().for_each(ended_well);
}

fn what_is_held_is_refused_at_once_and_after_the_timeout() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let reader = start(&mill, read_and_hold, (&lock, &held));
    held.wait().unwrap();
    drop(lock.try_read().unwrap());
    assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(SOON), Err(LockError::TimedOut)));
    drop(lock.try_read().unwrap());
    kill(&reader);
    held.clear();
    let _writer = start(&mill, write_and_hold, (&lock, &held));
    held.wait().unwrap();
    assert!(matches!(lock.try_read(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.read_timeout(SOON), Err(LockError::TimedOut)));
    assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(SOON), Err(LockError::TimedOut)));
}

fn a_killed_reader_lets_writers_in_and_damages_nothing() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let reader = start(&mill, read_and_hold, (&lock, &held));
    held.wait().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| lock.write().map(|mut cells| cells[0] = 1).is_ok());
        std::thread::sleep(SOON);
        kill(&reader);
        assert!(writer.join().unwrap());
    });
    assert_eq!(lock.read().unwrap()[0], 1);
}

fn a_killed_writer_is_told_to_readers_and_writers_until_repaired() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let writer = start(&mill, write_and_hold, (&lock, &held));
    held.wait().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| matches!(lock.read(), Err(LockError::OwnerDied(_))));
        std::thread::sleep(SOON);
        kill(&writer);
        assert!(reader.join().unwrap());
    });
    assert!(lock.is_poisoned());
    assert!(matches!(lock.try_write(), Err(LockError::OwnerDied(_))));
    let mut guard = lock.write().unwrap_err().into_guard().unwrap();
    guard[0] = 9;
    guard.repair();
    drop(guard);
    assert_eq!(lock.read().unwrap()[0], 9);
}

/// A writer waits for a reader, and so new readers wait for the writer. The writer is killed: nobody would ever come to let them in.
fn a_killed_waiting_writer_lets_readers_in() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let begun = Event::new(&mill).unwrap();
    let guard = lock.read().unwrap();
    let writer = start(&mill, write_once, (&lock, &begun));
    begun.wait().unwrap();
    until(|| matches!(lock.try_read(), Err(LockError::WouldBlock)));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| lock.read().is_ok());
        std::thread::sleep(SOON);
        kill(&writer);
        assert!(reader.join().unwrap());
    });
    drop(guard);
}

fn a_writer_that_gives_up_lets_readers_in() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let guard = lock.read().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| matches!(lock.write_timeout(4 * SOON), Err(LockError::TimedOut)));
        until(|| matches!(lock.try_read(), Err(LockError::WouldBlock)));
        assert!(lock.read().is_ok());
        assert!(writer.join().unwrap());
    });
    drop(guard);
}

/// Two readers hand over to each other so that there is always one inside. A writer that waited for a moment without readers would wait for ever.
fn a_waiting_writer_comes_before_new_readers() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 16]).unwrap();
    let begun = Event::new(&mill).unwrap();
    let mut guard = Some(lock.read().unwrap());
    let writer = start(&mill, write_once, (&lock, &begun));
    begun.wait().unwrap();
    while let Ok(next) = lock.try_read() {
        drop(guard.replace(next));
    }
    drop(guard.take());
    ended_well(&writer);
    assert_eq!(lock.read().unwrap()[0], 1);
}

/// No process ends meanwhile: that would wake everybody.
fn the_end_of_a_read_and_of_a_write_wakes_those_who_sleep() {
    let mill = mill();
    let lock = RwLock::new(&mill, 0u64).unwrap();
    std::thread::scope(|scope| {
        let write = || lock.write().map(|mut value| *value += 1).is_ok();
        let read = || lock.read().is_ok();
        let reading = lock.read().unwrap();
        let writer = scope.spawn(write);
        std::thread::sleep(SOON);
        drop(reading);
        assert!(writer.join().unwrap());
        let writing = lock.write().unwrap();
        let waiters = [scope.spawn(write), scope.spawn(read), scope.spawn(read)];
        std::thread::sleep(SOON);
        drop(writing);
        assert!(waiters.into_iter().all(|w| w.join().unwrap()));
        // Without readers, whose end would wake the writer too.
        let writing = lock.write().unwrap();
        let writer = scope.spawn(write);
        std::thread::sleep(SOON);
        drop(writing);
        assert!(writer.join().unwrap());
    });
    assert_eq!(*lock.read().unwrap(), 3);
}

fn a_panic_is_told_for_a_write_and_not_for_a_read() {
    let mill = mill();
    let lock = RwLock::new(&mill, 0u64).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.read().unwrap();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    drop(lock.try_write().unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        *lock.write().unwrap() = 3;
        let _guard = lock.write().unwrap();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert!(matches!(lock.read(), Err(LockError::Panicked(guard)) if *guard == 3));
}
