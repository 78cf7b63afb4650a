//! The Mutex.

use crate::support::*;
use gristmill::sync::{Event, LockError, Mutex};
use gristmill::{Exit, Task, tasks};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

tests![
    processes_and_threads_lose_no_change,
    what_is_held_is_refused_at_once_and_after_the_timeout,
    a_killed_owner_is_told_to_each_until_the_value_is_repaired,
    a_waiter_is_woken_by_the_death_of_the_owner,
    a_killed_waiter_leaves_the_mutex_usable,
    a_panic_is_told_and_the_value_is_as_it_was_left,
    a_worker_that_panics_is_told_as_a_panic,
    a_guard_dropped_in_a_later_panic_is_none,
    a_thread_that_locks_twice_runs_into_its_timeout,
    clear_poison_ends_the_warnings,
    a_value_of_some_kib_is_whole,
    waiting_is_one_sleep,
];

pub fn tasks() -> Vec<Task> {
    tasks![count, hold, panic_inside, wait_for_it]
}

type Cells = [u64; 16];

fn add_one(mutex: &Mutex<Cells>) {
    let mut cells = mutex.lock().unwrap();
    let first = cells[0];
    for cell in cells.iter_mut() {
        assert_eq!(*cell, first, "somebody else was inside");
        *cell += 1;
    }
}

fn count(mutex: &Mutex<Cells>, times: &u32) {
    (0..*times).for_each(|_| add_one(mutex));
}

fn hold(mutex: &Mutex<Cells>, held: &Event) {
    let mut guard = mutex.lock().unwrap();
    guard[0] += 1;
    held.set();
    forever();
}

fn panic_inside(mutex: &Mutex<Cells>) {
    let mut guard = mutex.lock().unwrap();
    guard[0] = 7;
    // Without the message, which would only be in the way of the tests' output.
    std::panic::resume_unwind(Box::new(()));
}

fn wait_for_it(mutex: &Mutex<Cells>, about_to: &Event) {
    about_to.set();
    drop(mutex.lock().unwrap());
}

fn processes_and_threads_lose_no_change() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    let times = 3000u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, count, (&mutex, &times))).collect();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| {
            scope.spawn(|| count(&mutex, &times));
        });
    });
    processes.iter().for_each(ended_well);
    assert_eq!(*mutex.lock().unwrap(), [7 * u64::from(times); 16]);
}

fn what_is_held_is_refused_at_once_and_after_the_timeout() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    drop(mutex.try_lock().unwrap());
    let _holder = start(&mill, hold, (&mutex, &held));
    held.wait().unwrap();
    assert!(matches!(mutex.try_lock(), Err(LockError::WouldBlock)));
    let begin = Instant::now();
    assert!(matches!(mutex.lock_timeout(Duration::from_millis(50)), Err(LockError::TimedOut)));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert!(matches!(mutex.lock_timeout(Duration::ZERO), Err(LockError::TimedOut)));
}

/// A worker takes the mutex, changes its copy and is killed. The change was never written, but nobody can know: each who locks is warned, until
/// one of them says that the value is well.
fn a_killed_owner_is_told_to_each_until_the_value_is_repaired() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [3; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let holder = start(&mill, hold, (&mutex, &held));
    held.wait().unwrap();
    kill(&holder);
    for _ in 0..2 {
        match mutex.try_lock() {
            Err(LockError::OwnerDied(guard)) => assert_eq!(*guard, [3; 16]),
            other => panic!("{other:?}"),
        }
        assert!(mutex.is_poisoned());
    }
    let mut guard = mutex.lock_timeout(LONG).unwrap_err().into_guard().unwrap();
    guard[0] = 4;
    guard.repair();
    drop(guard);
    assert!(!mutex.is_poisoned());
    assert_eq!(mutex.lock().unwrap()[0], 4);
}

fn a_waiter_is_woken_by_the_death_of_the_owner() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let holder = start(&mill, hold, (&mutex, &held));
    held.wait().unwrap();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| matches!(mutex.lock(), Err(LockError::OwnerDied(_))))).collect();
        std::thread::sleep(SOON);
        kill(&holder);
        assert!(waiters.into_iter().all(|w| w.join().unwrap()));
    });
}

/// Several workers sleep at the mutex; it is given back at the moment when one of them is killed, which may be the one that was woken.
fn a_killed_waiter_leaves_the_mutex_usable() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    for _ in 0..20 {
        let begun: Vec<_> = (0..3).map(|_| Event::new(&mill).unwrap()).collect();
        let guard = mutex.lock().unwrap();
        let waiters: Vec<_> = begun.iter().map(|b| start(&mill, wait_for_it, (&mutex, b))).collect();
        begun.iter().for_each(|b| b.wait().unwrap());
        std::thread::sleep(SOON);
        waiters[0].kill().unwrap();
        drop(guard);
        for waiter in &waiters[1..] {
            let exit = waiter.join().unwrap();
            // The second may meet the death of the first, if that one had the mutex for a moment.
            assert!(matches!(exit, Exit::Code(0 | 101)), "{exit}");
        }
        waiters[0].join().unwrap();
        mutex.clear_poison();
        drop(mutex.try_lock().unwrap());
    }
}

fn a_panic_is_told_and_the_value_is_as_it_was_left() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| panic_inside(&mutex)));
    assert!(panicked.is_err());
    match mutex.lock() {
        Err(LockError::Panicked(mut guard)) => {
            assert_eq!(guard[0], 7);
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    drop(mutex.lock().unwrap());
}

fn a_worker_that_panics_is_told_as_a_panic() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    assert_eq!(start(&mill, panic_inside, (&mutex,)).join().unwrap(), Exit::Code(101));
    match mutex.lock() {
        Err(LockError::Panicked(guard)) => assert_eq!(guard[0], 7),
        other => panic!("{other:?}"),
    }
}

/// As in `std`: a guard that is made while the thread unwinds already, by a destructor, is no sign of damage.
fn a_guard_dropped_in_a_later_panic_is_none() {
    struct LocksInDrop(Mutex<u64>);
    impl Drop for LocksInDrop {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u64).unwrap();
    let locker = LocksInDrop(mutex.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _locker = locker;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.lock().unwrap(), 1);
}

fn a_thread_that_locks_twice_runs_into_its_timeout() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 5u32).unwrap();
    let guard = mutex.lock().unwrap();
    assert!(matches!(mutex.lock_timeout(SOON), Err(LockError::TimedOut)));
    assert!(matches!(mutex.try_lock(), Err(LockError::WouldBlock)));
    assert_eq!(*guard, 5);
}

fn clear_poison_ends_the_warnings() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 16]).unwrap();
    let held = Event::new(&mill).unwrap();
    let holder = start(&mill, hold, (&mutex, &held));
    held.wait().unwrap();
    kill(&holder);
    assert!(mutex.is_poisoned());
    mutex.clear_poison();
    drop(mutex.lock().unwrap());
}

fn a_value_of_some_kib_is_whole() {
    let mill = mill();
    let mut value = [0u8; 8191];
    value.iter_mut().enumerate().for_each(|(k, byte)| *byte = k as u8);
    let mutex = Mutex::new(&mill, value).unwrap();
    let neighbour = Mutex::new(&mill, 1u8).unwrap();
    mutex.lock().unwrap()[8190] = 99;
    value[8190] = 99;
    assert_eq!(*mutex.lock().unwrap(), value);
    assert_eq!(*neighbour.lock().unwrap(), 1);
}

/// A thread that waits leaves its CPU once, to sleep; one that looks again and again does so each time. CPU time says less: on a busy machine everything
/// takes longer.
fn waiting_is_one_sleep() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u32).unwrap();
    let guard = mutex.lock().unwrap();
    let sleeps = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let before = sleeps_of_this_thread();
            assert!(matches!(mutex.lock_timeout(Duration::from_millis(500)), Err(LockError::TimedOut)));
            sleeps_of_this_thread() - before
        });
        waiter.join().unwrap()
    });
    drop(guard);
    assert!((1..=20).contains(&sleeps), "{sleeps} sleeps within 500 ms");
}

/// How often this thread has left its CPU of its own accord.
fn sleeps_of_this_thread() -> i64 {
    // SAFETY: all zeroes is a valid rusage, and it is valid to write to.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage.ru_nvcsw
    }
}
