//! The Semaphore.

use crate::support::*;
use gristmill::sync::{AcquireError, Counter, Event, ReleaseError, Semaphore};
use gristmill::{Error, Task, tasks};

tests![
    never_more_inside_than_permits,
    none_left_is_refused_at_once_and_after_the_timeout,
    a_release_and_a_dropped_permit_wake_one_who_sleeps,
    another_process_releases_what_one_acquires,
    forgotten_permits_are_used_up_even_by_one_that_dies,
    a_bounded_one_takes_no_more_than_it_had,
    a_killed_holder_gives_its_permits_back,
    a_killed_waiter_takes_no_permit_along,
    too_many_permits_are_refused,
];

pub fn tasks() -> Vec<Task> {
    tasks![enter, hold_two, release_some, use_up_and_hold, wait_for_one]
}

fn enter(semaphore: &Semaphore, inside: &Counter, most: &Counter, times: &u32) {
    for k in 0..*times {
        let permit = semaphore.acquire().unwrap();
        let now = inside.add(1);
        assert!(now <= 3, "{now} inside");
        if now > most.get() {
            most.set(now);
        }
        if k % 8 == 0 {
            std::thread::yield_now();
        }
        inside.sub(1);
        drop(permit);
    }
}

fn hold_two(semaphore: &Semaphore, held: &Event) {
    let _permits = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
    held.set();
    forever();
}

fn release_some(semaphore: &Semaphore, times: &u32) {
    (0..*times).for_each(|_| semaphore.release(1).unwrap());
}

fn use_up_and_hold(semaphore: &Semaphore, held: &Event) {
    semaphore.acquire().unwrap().forget();
    let _permit = semaphore.acquire().unwrap();
    held.set();
    forever();
}

fn wait_for_one(semaphore: &Semaphore, about_to: &Event, got: &Counter) {
    about_to.set();
    let _permit = semaphore.acquire().unwrap();
    got.add(1);
    forever();
}

/// All permits can be had, and not one more.
fn exactly(semaphore: &Semaphore, permits: usize) {
    assert_eq!(semaphore.available() as usize, permits);
    let all: Vec<_> = (0..permits).map(|_| semaphore.try_acquire().unwrap()).collect();
    assert_eq!(semaphore.try_acquire().unwrap_err(), AcquireError::WouldBlock);
    drop(all);
}

fn never_more_inside_than_permits() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 3).unwrap();
    let (inside, most) = (Counter::new(&mill, 0).unwrap(), Counter::new(&mill, 0).unwrap());
    let times = 2000u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, enter, (&semaphore, &inside, &most, &times))).collect();
    std::thread::scope(|scope| {
        (0..3).for_each(|_| {
            scope.spawn(|| enter(&semaphore, &inside, &most, &times));
        });
    });
    processes.iter().for_each(ended_well);
    assert!(most.get() > 1, "nobody was ever inside with another");
    exactly(&semaphore, 3);
}

fn none_left_is_refused_at_once_and_after_the_timeout() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 1).unwrap();
    let permit = semaphore.acquire().unwrap();
    assert_eq!(semaphore.try_acquire().unwrap_err(), AcquireError::WouldBlock);
    assert_eq!(semaphore.acquire_timeout(SOON).unwrap_err(), AcquireError::TimedOut);
    drop(permit);
    drop(semaphore.acquire_timeout(LONG).unwrap());
    exactly(&semaphore, 1);
}

/// No process ends meanwhile: that would wake everybody.
fn a_release_and_a_dropped_permit_wake_one_who_sleeps() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 1).unwrap();
    let got = Counter::new(&mill, 0).unwrap();
    let begun: Vec<_> = (0..2).map(|_| Event::new(&mill).unwrap()).collect();
    let permit = semaphore.acquire().unwrap();
    let _waiters: Vec<_> = begun.iter().map(|b| start(&mill, wait_for_one, (&semaphore, b, &got))).collect();
    begun.iter().for_each(|b| b.wait().unwrap());
    std::thread::sleep(SOON);
    semaphore.release(1).unwrap();
    until(|| got.get() == 1);
    drop(permit);
    until(|| got.get() == 2);
}

fn another_process_releases_what_one_acquires() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 0).unwrap();
    let each = 500u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, release_some, (&semaphore, &each))).collect();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| {
            scope.spawn(|| (0..1000).for_each(|_| semaphore.acquire().unwrap().forget()));
        });
    });
    processes.iter().for_each(ended_well);
    exactly(&semaphore, 0);
}

/// A consumer uses up one of three things, takes another and dies before it has used that one: two are left.
fn forgotten_permits_are_used_up_even_by_one_that_dies() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 3).unwrap();
    let held = Event::new(&mill).unwrap();
    let consumer = start(&mill, use_up_and_hold, (&semaphore, &held));
    held.wait().unwrap();
    assert_eq!(semaphore.available(), 1);
    kill(&consumer);
    exactly(&semaphore, 2);
}

fn a_bounded_one_takes_no_more_than_it_had() {
    let mill = mill();
    let semaphore = Semaphore::bounded(&mill, 2).unwrap();
    let permit = semaphore.acquire().unwrap();
    assert_eq!(semaphore.release(1), Err(ReleaseError::TooMany { limit: 2 }));
    permit.forget();
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.release(1), Err(ReleaseError::TooMany { limit: 2 }));
    exactly(&semaphore, 2);
}

fn a_killed_holder_gives_its_permits_back() {
    let mill = mill();
    let semaphore = Semaphore::new(&mill, 2).unwrap();
    let held = Event::new(&mill).unwrap();
    let holder = start(&mill, hold_two, (&semaphore, &held));
    held.wait().unwrap();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..2).map(|_| scope.spawn(|| semaphore.acquire().map(std::mem::forget).is_ok())).collect();
        std::thread::sleep(SOON);
        kill(&holder);
        assert!(waiters.into_iter().all(|w| w.join().unwrap()));
    });
    exactly(&semaphore, 0);
}

/// Two workers sleep; one permit comes, and one of the workers is killed at that moment. Either it is the other's, or it comes back.
fn a_killed_waiter_takes_no_permit_along() {
    let mill = mill();
    for _ in 0..20 {
        let semaphore = Semaphore::new(&mill, 0).unwrap();
        let got = Counter::new(&mill, 0).unwrap();
        let begun: Vec<_> = (0..2).map(|_| Event::new(&mill).unwrap()).collect();
        let waiters: Vec<_> = begun.iter().map(|b| start(&mill, wait_for_one, (&semaphore, b, &got))).collect();
        begun.iter().for_each(|b| b.wait().unwrap());
        std::thread::sleep(SOON);
        semaphore.release(1).unwrap();
        waiters[0].kill().unwrap();
        waiters[0].join().unwrap();
        // The first may have had it for a moment and counted; then the second has it now.
        until(|| got.get() >= 1 && semaphore.available() == 0);
        kill(&waiters[1]);
        exactly(&semaphore, 1);
    }
}

fn too_many_permits_are_refused() {
    let mill = mill();
    assert!(matches!(Semaphore::new(&mill, 1 << 31), Err(Error::Count { asked: 0x8000_0000, .. })));
    let semaphore = Semaphore::new(&mill, i32::MAX as u32).unwrap();
    assert!(matches!(semaphore.release(u32::MAX), Err(ReleaseError::TooMany { .. })));
}
