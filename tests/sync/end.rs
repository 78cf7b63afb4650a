//! The Mill ends while somebody waits: an error for each, and no hang.

use crate::support::*;
use gristmill::sync::{AcquireError, Barrier, BarrierError, Condvar, Event, LockError, Mutex, RwLock, Semaphore, Stop};
use std::thread::ScopedJoinHandle;

tests![whoever_waits_when_the_mill_is_dropped_is_told, whoever_comes_after_the_mill_was_dropped_is_told];

fn whoever_waits_when_the_mill_is_dropped_is_told() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u8).unwrap();
    let rwlock = RwLock::new(&mill, 0u8).unwrap();
    let read = RwLock::new(&mill, 0u8).unwrap();
    let semaphore = Semaphore::new(&mill, 0).unwrap();
    let event = Event::new(&mill).unwrap();
    let condvar = Condvar::new(&mill).unwrap();
    let free = Mutex::new(&mill, 0u8).unwrap();
    let barrier = Barrier::new(&mill, 2).unwrap();
    let guard = mutex.lock().unwrap();
    let writing = rwlock.write().unwrap();
    let reading = read.read().unwrap();
    std::thread::scope(|scope| {
        let stopped: Vec<ScopedJoinHandle<'_, bool>> = vec![
            scope.spawn(|| matches!(mutex.lock(), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(mutex.lock_timeout(LONG), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(rwlock.read(), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(rwlock.write(), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(read.write(), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(semaphore.acquire(), Err(AcquireError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(event.wait(), Err(Stop::Shutdown))),
            scope.spawn(|| matches!(condvar.wait(free.lock().unwrap()), Err(LockError::Stopped(Stop::Shutdown)))),
            scope.spawn(|| matches!(barrier.wait(), Err(BarrierError::Stopped(Stop::Shutdown)))),
        ];
        std::thread::sleep(4 * SOON);
        assert!(stopped.iter().all(|s| !s.is_finished()));
        drop(mill);
        for (k, waiter) in stopped.into_iter().enumerate() {
            assert!(waiter.join().unwrap(), "waiter {k}");
        }
    });
    drop((guard, writing, reading));
}

fn whoever_comes_after_the_mill_was_dropped_is_told() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u8).unwrap();
    let rwlock = RwLock::new(&mill, 0u8).unwrap();
    let semaphore = Semaphore::new(&mill, 1).unwrap();
    let event = Event::new(&mill).unwrap();
    let barrier = Barrier::new(&mill, 1).unwrap();
    let permit = semaphore.acquire().unwrap();
    drop(mill);
    assert!(matches!(mutex.lock(), Err(LockError::Stopped(_))));
    assert!(matches!(mutex.try_lock(), Err(LockError::Stopped(_))));
    assert!(matches!(rwlock.read(), Err(LockError::Stopped(_))));
    assert!(matches!(rwlock.try_write(), Err(LockError::Stopped(_))));
    assert!(matches!(semaphore.try_acquire(), Err(AcquireError::Stopped(_))));
    assert!(semaphore.release(1).is_err() && event.wait().is_err());
    assert!(matches!(barrier.wait(), Err(BarrierError::Stopped(_))));
    assert!(barrier.reset().is_err() && barrier.abort().is_err());
    drop(permit);
}
