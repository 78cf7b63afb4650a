//! Workers that use one object all the time are killed at random moments, hundreds of times, and replaced; then the accounts must be right.

use crate::numbers::Numbers;
use crate::support::*;
use gristmill::process::{Arguments, Target};
use gristmill::sync::{AcquireError, Counter, LockError, Mutex, RwLock, Semaphore};
use gristmill::{Mill, Task, tasks};
use std::time::Duration;

tests![
    mutex_values_stay_whole_and_no_change_is_lost,
    rwlock_values_stay_whole_and_no_change_is_lost,
    semaphore_permits_are_neither_lost_nor_made,
];

pub fn tasks() -> Vec<Task> {
    tasks![change, write_and_read, acquire]
}

const WORKERS: usize = 4;
const KILLS: usize = 300;

/// So many cells that a good part of the time goes into writing them back: many deaths fall into that.
type Cells = [u64; 512];

/// Starts workers, kills one after the other at random moments and replaces it, while `meanwhile` goes on in this process; in the end kills all.
fn under_fire<F, R>(mill: &Mill, target: F, arguments: R, meanwhile: impl Fn())
where
    R: Arguments + Copy,
    F: Target<R::Owned>,
{
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start(mill, target, arguments)).collect();
    let mut random = Numbers::new();
    for _ in 0..KILLS {
        meanwhile();
        std::thread::sleep(Duration::from_micros(random.below(3000)));
        let victim = random.below(WORKERS as u64) as usize;
        kill(&workers[victim]);
        workers[victim] = start(mill, target, arguments);
    }
    workers.iter().for_each(kill);
}

/// One more in every cell; a death in the middle of the writing leaves some cells with it and some without. Whoever learns of it completes the change.
fn one_more(cells: &mut Cells) {
    let next = cells[0] + 1;
    cells.fill(next);
}

fn completed(cells: &mut Cells) {
    let (low, high) = (cells.iter().min().copied().unwrap_or(0), cells.iter().max().copied().unwrap_or(0));
    assert!(high - low <= 1, "cells from {low} to {high}: two owners at once");
    cells.fill(high);
}

fn whole(cells: &Cells) {
    assert!(cells.iter().all(|c| *c == cells[0]), "a value that was not whole came without a warning");
}

/// Locks, as every user of a mutex should who cares for its value. `inside` proves that nobody else is there; one who died inside has left it at 1.
fn locked(mutex: &Mutex<Cells>, inside: &Counter, repairs: &Counter, then: impl FnOnce(&mut Cells)) {
    let mut guard = match mutex.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(mut guard)) => {
            completed(&mut guard);
            inside.set(0);
            guard.repair();
            repairs.add(1);
            guard
        }
        Err(e) => panic!("{e}"),
    };
    assert_eq!(inside.add(1), 1, "two owners at once, or a death was not told");
    whole(&guard);
    then(&mut guard);
    inside.sub(1);
}

fn change(mutex: &Mutex<Cells>, inside: &Counter, done: &Counter, repairs: &Counter) {
    loop {
        locked(mutex, inside, repairs, one_more);
        done.add(1);
    }
}

/// Each change that was reported is there, and at most one more for each death (between the change and its report).
fn mutex_values_stay_whole_and_no_change_is_lost() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 512]).unwrap();
    let new = || Counter::new(&mill, 0).unwrap();
    let (inside, done, repairs) = (new(), new(), new());
    under_fire(&mill, change, (&mutex, &inside, &done, &repairs), || {
        locked(&mutex, &inside, &repairs, one_more);
        done.add(1);
    });
    locked(&mutex, &inside, &repairs, |cells| {
        let (value, reported) = (cells[0] as i64, done.get());
        assert!((reported..=reported + (KILLS + WORKERS) as i64).contains(&value), "{value}, {reported} reported");
    });
    assert!(repairs.get() > 0, "no death fell into the time of a lock");
    drop(mutex.try_lock().unwrap());
}

fn write_and_read(lock: &RwLock<Cells>, inside: &Counter, done: &Counter, repairs: &Counter) {
    for k in 0u64.. {
        if k.is_multiple_of(3) {
            write(lock, inside, repairs);
            done.add(1);
        } else {
            match lock.read() {
                Ok(guard) => whole(&guard),
                Err(LockError::OwnerDied(_)) => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
}

fn write(lock: &RwLock<Cells>, inside: &Counter, repairs: &Counter) {
    let mut guard = match lock.write() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(mut guard)) => {
            completed(&mut guard);
            inside.set(0);
            guard.repair();
            repairs.add(1);
            guard
        }
        Err(e) => panic!("{e}"),
    };
    assert_eq!(inside.add(1), 1, "two writers at once, or a death was not told");
    whole(&guard);
    one_more(&mut guard);
    inside.sub(1);
}

fn rwlock_values_stay_whole_and_no_change_is_lost() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 512]).unwrap();
    let new = || Counter::new(&mill, 0).unwrap();
    let (inside, done, repairs) = (new(), new(), new());
    under_fire(&mill, write_and_read, (&lock, &inside, &done, &repairs), || {
        write(&lock, &inside, &repairs);
        done.add(1);
    });
    write(&lock, &inside, &repairs);
    let (value, reported) = (lock.read().unwrap()[0] as i64 - 1, done.get());
    assert!((reported..=reported + (KILLS + WORKERS) as i64).contains(&value), "{value}, {reported} reported");
    assert!(repairs.get() > 0, "no death fell into the time of a write");
    // No reader and no waiting writer has been left behind.
    drop(lock.try_write().unwrap());
    drop(lock.try_read().unwrap());
}

fn acquire(semaphore: &Semaphore) {
    loop {
        let one = semaphore.acquire().unwrap();
        if let Ok(another) = semaphore.try_acquire() {
            drop(one);
            drop(another);
        }
    }
}

fn semaphore_permits_are_neither_lost_nor_made() {
    let mill = mill();
    let semaphore = Semaphore::bounded(&mill, 3).unwrap();
    under_fire(&mill, acquire, (&semaphore,), || drop(semaphore.acquire().unwrap()));
    let all: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    assert_eq!(semaphore.try_acquire().unwrap_err(), AcquireError::WouldBlock);
    drop(all);
    assert_eq!(semaphore.available(), 3);
    // And all of them are there to be had: none is counted as held by one of the dead.
    assert!(semaphore.release(1).is_err());
}
