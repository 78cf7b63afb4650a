//! The Condvar.

use crate::support::*;
use gristmill::sync::{Condvar, Counter, LockError, Mutex};
use gristmill::{Task, tasks};

tests![
    processes_and_threads_hand_over_every_token,
    one_notification_for_each_token_is_enough,
    all_who_wait_are_notified,
    the_timeout_is_told_and_the_mutex_is_locked_again,
    wait_while_looks_before_it_waits,
    a_killed_waiter_does_not_take_the_notification_of_a_live_one,
    the_death_of_an_owner_is_told_to_one_who_waited,
];

pub fn tasks() -> Vec<Task> {
    tasks![consume, wait_for_start, take_and_hold]
}

/// Tokens to be taken, and whether there will be more.
type Tokens = [u32; 2];

fn consume(tokens: &Mutex<Tokens>, more: &Condvar, taken: &Counter) {
    let mut guard = tokens.lock().unwrap();
    loop {
        guard = more.wait_while(guard, |t| *t == [0, 0]).unwrap();
        if guard[0] == 0 {
            return;
        }
        guard[0] -= 1;
        taken.add(1);
    }
}

fn wait_for_start(started: &Mutex<Tokens>, change: &Condvar, waiting: &Counter) {
    let guard = started.lock().unwrap();
    waiting.add(1);
    drop(change.wait_while(guard, |t| t[1] == 0).unwrap());
}

fn take_and_hold(tokens: &Mutex<Tokens>, change: &Condvar) {
    let mut guard = tokens.lock().unwrap();
    guard[0] = 1;
    change.notify_all();
    forever();
}

fn stop(tokens: &Mutex<Tokens>, more: &Condvar) {
    tokens.lock().unwrap()[1] = 1;
    more.notify_all();
}

fn processes_and_threads_hand_over_every_token() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let more = Condvar::new(&mill).unwrap();
    let taken = Counter::new(&mill, 0).unwrap();
    let processes: Vec<_> = (0..4).map(|_| start(&mill, consume, (&tokens, &more, &taken))).collect();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| {
            scope.spawn(|| consume(&tokens, &more, &taken));
        });
        for k in 0..3000 {
            tokens.lock().unwrap()[0] += 1;
            if k % 2 == 0 { more.notify_one() } else { more.notify_all() }
        }
        stop(&tokens, &more);
    });
    processes.iter().for_each(ended_well);
    assert_eq!((taken.get(), *tokens.lock().unwrap()), (3000, [0, 1]));
}

/// Each token is taken before the next is made, so there is never a second notification to make up for a lost one.
fn one_notification_for_each_token_is_enough() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let more = Condvar::new(&mill).unwrap();
    let taken = Counter::new(&mill, 0).unwrap();
    let processes: Vec<_> = (0..4).map(|_| start(&mill, consume, (&tokens, &more, &taken))).collect();
    for k in 1..=300 {
        tokens.lock().unwrap()[0] += 1;
        more.notify_one();
        until(|| taken.get() == k);
    }
    stop(&tokens, &more);
    processes.iter().for_each(ended_well);
}

fn all_who_wait_are_notified() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let change = Condvar::new(&mill).unwrap();
    let waiting = Counter::new(&mill, 0).unwrap();
    let processes: Vec<_> = (0..4).map(|_| start(&mill, wait_for_start, (&tokens, &change, &waiting))).collect();
    until(|| waiting.get() == 4);
    stop(&tokens, &change);
    processes.iter().for_each(ended_well);
}

fn the_timeout_is_told_and_the_mutex_is_locked_again() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let change = Condvar::new(&mill).unwrap();
    let mut guard = tokens.lock().unwrap();
    guard[0] = 5;
    let begin = std::time::Instant::now();
    let (guard, late) = change.wait_timeout(guard, SOON).unwrap();
    assert!(late && begin.elapsed() >= SOON);
    assert_eq!(*guard, [5, 0]);
    assert!(matches!(tokens.try_lock(), Err(LockError::WouldBlock)));
    let (guard, late) = change.wait_timeout_while(guard, SOON, |t| t[0] == 5).unwrap();
    assert!(late);
    drop(guard);
    drop(tokens.try_lock().unwrap());
}

fn wait_while_looks_before_it_waits() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [1, 0]).unwrap();
    let change = Condvar::new(&mill).unwrap();
    let guard = change.wait_while(tokens.lock().unwrap(), |t| t[0] == 0).unwrap();
    let (guard, late) = change.wait_timeout_while(guard, LONG, |t| t[0] == 0).unwrap();
    assert!(!late);
    drop(guard);
}

/// Three workers sleep. One token is made and one notification sent; the kernel gives it to one of them, which is killed before it can make
/// use of it. The token must be taken all the same, by another, and nobody sends a second notification.
fn a_killed_waiter_does_not_take_the_notification_of_a_live_one() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let more = Condvar::new(&mill).unwrap();
    let taken = Counter::new(&mill, 0).unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| start(&mill, consume, (&tokens, &more, &taken))).collect();
    for round in 0..60 {
        std::thread::sleep(SOON);
        // Whoever has waited for longest is the one that is woken: the oldest worker.
        let victim = waiters.remove(0);
        match tokens.lock() {
            Ok(mut guard) => guard[0] = 1,
            Err(e) => {
                let mut guard = e.into_guard().expect("the mutex works");
                guard[0] = 1;
                guard.repair();
            }
        }
        // Before and after the notification in turn: a signal takes some microseconds.
        if round % 2 == 0 {
            victim.kill().unwrap();
            more.notify_one();
        } else {
            more.notify_one();
            victim.kill().unwrap();
        }
        waiters.push(start(&mill, consume, (&tokens, &more, &taken)));
        // The victim had the mutex for a moment. A worker that is told so ends with a panic, which is not what this test is about; all may.
        let mut told = false;
        until(|| {
            let gone = match tokens.try_lock() {
                Ok(guard) => guard[0] == 0,
                Err(LockError::OwnerDied(mut guard)) => {
                    guard.repair();
                    told = true;
                    false
                }
                _ => false,
            };
            if told && !gone {
                waiters.retain(|w| w.is_alive());
                while waiters.len() < 3 {
                    waiters.push(start(&mill, consume, (&tokens, &more, &taken)));
                }
            }
            gone
        });
        victim.join().unwrap();
        waiters.retain(|w| w.is_alive());
        while waiters.len() < 3 {
            waiters.push(start(&mill, consume, (&tokens, &more, &taken)));
        }
    }
    stop(&tokens, &more);
}

fn the_death_of_an_owner_is_told_to_one_who_waited() {
    let mill = mill();
    let tokens = Mutex::new(&mill, [0, 0]).unwrap();
    let change = Condvar::new(&mill).unwrap();
    std::thread::scope(|scope| {
        let waiting = Counter::new(&mill, 0).unwrap();
        let (tokens, change, count) = (&tokens, &change, waiting.clone());
        let waiter = scope.spawn(move || {
            let guard = tokens.lock().unwrap();
            count.add(1);
            matches!(change.wait(guard), Err(LockError::OwnerDied(_)))
        });
        until(|| waiting.get() == 1);
        let owner = start(&mill, take_and_hold, (tokens, change));
        // It notifies with the mutex held, so the waiter goes to sleep again, at the mutex.
        until(|| matches!(tokens.try_lock(), Err(LockError::WouldBlock)));
        std::thread::sleep(SOON);
        kill(&owner);
        assert!(waiter.join().unwrap());
    });
}
