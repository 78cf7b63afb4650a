//! What every lock kind promises, written once and run for each kind; and what two kinds promise beyond that.
//!
//! The lists of kinds and of promises are at the end.

mod futex;
mod processes;
mod ticket;

use gristmill::lock::*;
use gristmill::sys::clock::Deadline;
use processes::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Adds to the count of `a` so that a second owner at the same time would lose some; and how often to the first mark. Fewer rounds than were asked
/// for on a machine with other work: a lock that hands over to a fixed next one then waits a time slice for each.
fn add_up<L: RawLock>(board: &Board<L>, who: usize, rounds: u32) {
    let enough = Deadline::after(Duration::from_secs((LIMIT / 3).into()));
    for round in 0..rounds {
        if enough.passed() {
            board.marks[0].fetch_add(round, Relaxed);
            return;
        }
        check!(board.a.lock(holder(who)) == Acquired::Clean);
        let count = board.counts[0].load(Relaxed);
        std::hint::spin_loop();
        board.counts[0].store(count + 1, Relaxed);
        // SAFETY: locked above, by this thread.
        unsafe { board.a.unlock(holder(who)) };
    }
    board.marks[0].fetch_add(rounds, Relaxed);
}

/// What [`add_up`] has counted: each round once.
fn added_up<L>(board: &Board<L>) {
    let rounds = board.marks[0].load(Relaxed);
    assert!(rounds >= 1_000, "{rounds} rounds are no test");
    assert_eq!(board.counts[0].load(Relaxed), u64::from(rounds));
}

/// The lock is made over garbage bytes.
fn is_free_after_init<L: RawLock>() {
    let shared = Shared::<L>::new();
    spawn(|| {
        for _ in 0..3 {
            check!(shared.a.try_lock(holder(0)) == Some(Acquired::Clean));
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(0)) };
            check!(shared.a.lock(holder(0)) == Acquired::Clean);
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(0)) };
        }
    })
    .finish();
}

fn excludes_processes<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(4, |who| {
        shared.meet(4);
        add_up(&shared, who, 50_000);
    });
    added_up(&shared);
}

fn excludes_threads<L: RawLock + 'static>() {
    let shared = Arc::new(Shared::<L>::new());
    in_threads(4, shared.clone(), |board, who| {
        board.meet(4);
        add_up(board, who, 50_000);
    });
    added_up(&shared);
}

/// Four processes for each processor: most of the time the owner, or the next in line, is not running.
fn survives_more_processes_than_processors<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(8, |who| {
        on_two_processors();
        shared.meet(8);
        add_up(&shared, who, 3_000);
    });
    added_up(&shared);
}

fn try_lock_tells_held_from_free<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(2, |who| {
        if who == 0 {
            shared.a.lock(holder(0));
            check!(shared.a.try_lock(holder(0)).is_none());
            shared.stage(1);
            shared.until_stage(2);
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(0)) };
            shared.stage(3);
        } else {
            shared.until_stage(1);
            for _ in 0..1000 {
                check!(shared.a.try_lock(holder(1)).is_none());
            }
            shared.stage(2);
            shared.until_stage(3);
            check!(shared.a.try_lock(holder(1)) == Some(Acquired::Clean));
            check!(shared.a.try_lock(holder(1)).is_none());
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(1)) };
        }
    });
}

/// `try_lock` excludes as `lock` does, also while others use `lock`.
fn try_lock_excludes<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(4, |who| {
        shared.meet(4);
        if who % 2 == 0 {
            return add_up(&shared, who, 5_000);
        }
        for _ in 0..5_000 {
            while shared.a.try_lock(holder(who)).is_none() {
                std::thread::yield_now();
            }
            let count = shared.counts[0].load(Relaxed);
            std::hint::spin_loop();
            shared.counts[0].store(count + 1, Relaxed);
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(who)) };
        }
    });
    shared.marks[0].fetch_add(2 * 5_000, Relaxed);
    added_up(&shared);
}

/// What an owner wrote into ordinary memory is what the next owner reads, all of it.
fn shows_the_writes_of_the_last_owner<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(3, |who| {
        shared.meet(3);
        for _ in 0..10_000 {
            shared.a.lock(holder(who));
            // SAFETY: valid, aligned, and the lock makes this process the only one that uses it; if it does not, the check fails.
            unsafe {
                let words = shared.plain.get();
                let now = words.read();
                check!(now.iter().all(|&word| word == now[0]));
                words.write([now[0] + 1; 8]);
                shared.a.unlock(holder(who));
            }
        }
    });
    // SAFETY: all users have ended.
    assert_eq!(unsafe { *shared.plain.get() }, [30_000; 8]);
}

/// Two processes take turns in holding the lock until the other waits for it, and mostly sleeps. The pauses vary, so that the unlock meets
/// the waiter before, on and after its way to sleep.
///
/// A kind that wakes by itself after a while (the engine's, after 100 ms) would not hang on a lost wake-up, so there are so many rounds
/// that it would run into the limit.
fn loses_no_wake_up<L: RawLock>() {
    const ROUNDS: u32 = 2_000;
    let shared = Shared::<L>::new();
    in_processes(2, |who| {
        for round in 0..ROUNDS {
            let at = round * 3;
            if round % 2 == who as u32 {
                shared.until_stage(at);
                shared.a.lock(holder(who));
                shared.stage(at + 1);
                shared.until_stage(at + 2);
                if round % 4 < 2 {
                    pause(round % 200);
                }
                // SAFETY: locked above, by this thread.
                unsafe { shared.a.unlock(holder(who)) };
            } else {
                shared.until_stage(at + 1);
                shared.stage(at + 2);
                shared.a.lock(holder(who));
                shared.stage(at + 3);
                // SAFETY: locked above, by this thread.
                unsafe { shared.a.unlock(holder(who)) };
            }
        }
    });
    assert_eq!(shared.stage.load(Relaxed), ROUNDS * 3);
}

/// Many sleepers at once: each wake-up must reach one, and the last must not be forgotten.
fn wakes_all_sleepers_in_turn<L: RawLock>() {
    let shared = Shared::<L>::new();
    in_processes(5, |who| {
        shared.meet(5);
        for _ in 0..300 {
            shared.a.lock(holder(who));
            pause(30);
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(who)) };
        }
    });
    check_free(&shared);
}

fn check_free<L: RawLock>(shared: &Shared<L>) {
    spawn(|| check!(shared.a.try_lock(holder(0)) == Some(Acquired::Clean))).finish();
}

fn two_side_by_side_do_not_meet<L: RawLock>() {
    let shared = Shared::<L>::new();
    spawn(|| {
        shared.a.lock(holder(0));
        for _ in 0..100 {
            shared.b.lock(holder(0));
            check!(shared.a.try_lock(holder(1)).is_none());
            // SAFETY: locked above, by this thread.
            unsafe { shared.b.unlock(holder(0)) };
        }
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(0)) };
        shared.b.lock(holder(0));
        check!(shared.a.try_lock(holder(1)) == Some(Acquired::Clean));
        // SAFETY: both locked above, by this thread.
        unsafe {
            shared.b.unlock(holder(0));
            shared.a.unlock(holder(1));
        }
    })
    .finish();
    in_processes(4, |who| {
        shared.meet(4);
        let (lock, count) = if who % 2 == 0 { (&shared.a, &shared.counts[0]) } else { (&shared.b, &shared.counts[1]) };
        for _ in 0..5_000 {
            lock.lock(holder(who));
            count.store(count.load(Relaxed) + 1, Relaxed);
            // SAFETY: locked above, by this thread.
            unsafe { lock.unlock(holder(who)) };
        }
    });
    assert_eq!(shared.counts.each_ref().map(|count| count.load(Relaxed)), [10_000; 2]);
    assert!(shared.fences_stand(), "a lock wrote outside of its own bytes");
}

/// An owner is killed while it holds the lock. A kind that recovers tells so to the next owner, and to that one only; any other
/// stays held.
fn an_owner_dies<L: RawLock>() {
    let shared = Shared::<L>::new();
    let die_as_owner = |expected| {
        spawn(|| {
            check!(shared.a.lock(holder(0)) == expected);
            die();
        })
        .killed();
    };
    die_as_owner(Acquired::Clean);
    if !L::RECOVERS {
        return spawn(|| check!(shared.a.try_lock(holder(1)).is_none())).finish();
    }
    // The heir dies as well.
    die_as_owner(Acquired::OwnerDied);
    spawn(|| {
        check!(shared.a.lock(holder(1)) == Acquired::OwnerDied);
        check!(shared.a.try_lock(holder(1)).is_none());
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(1)) };
        check!(shared.a.lock(holder(1)) == Acquired::Clean);
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(1)) };
    })
    .finish();
    die_as_owner(Acquired::Clean);
    spawn(|| {
        check!(shared.a.try_lock(holder(1)) == Some(Acquired::OwnerDied));
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(1)) };
        check!(shared.a.try_lock(holder(1)) == Some(Acquired::Clean));
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(1)) };
    })
    .finish();
    // And one is killed while another sleeps on the lock.
    let owner = spawn(|| {
        shared.a.lock(holder(0));
        shared.stage(1);
        pause(LIMIT * 1_000_000);
    });
    let waiter = spawn(|| {
        shared.until_stage(1);
        shared.stage(2);
        check!(shared.a.lock(holder(1)) == Acquired::OwnerDied);
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(1)) };
    });
    shared.until_stage(2);
    pause(20_000);
    owner.kill();
    waiter.finish();
    check_free(&shared);
}

macro_rules! promises {
    ($lock:ident: $($promise:ident)*) => {
        $(#[test] fn $promise() { super::$promise::<gristmill::lock::$lock>() })*
    };
}

macro_rules! suites {
    ($($(#[$on:meta])? $variant:ident $name:ident $lock:ident,)*) => {
        $($(#[$on])? mod $name {
            promises! { $lock:
                is_free_after_init
                excludes_processes
                excludes_threads
                survives_more_processes_than_processors
                try_lock_tells_held_from_free
                try_lock_excludes
                shows_the_writes_of_the_last_owner
                loses_no_wake_up
                wakes_all_sleepers_in_turn
                two_side_by_side_do_not_meet
                an_owner_dies
            }
        })*
    };
}

mod each {
    use super::*;
    gristmill::lock_kinds!(suites);
}
