//! What the ticket lock alone promises: order, and counters that wrap around.

use crate::processes::*;
use gristmill::lock::{RawLock, TicketLock};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The lock's two words, next and serving, are its documented layout.
fn words(lock: &TicketLock) -> &[AtomicU32; 2] {
    const { assert!(size_of::<TicketLock>() == size_of::<[AtomicU32; 2]>()) };
    // SAFETY: a repr(C) struct of two AtomicU32.
    unsafe { &*std::ptr::from_ref(lock).cast() }
}

fn starting_at(start: u32) -> Shared<TicketLock> {
    let shared = Shared::<TicketLock>::new();
    words(&shared.a).iter().for_each(|word| word.store(start, Relaxed));
    shared
}

#[test]
fn counters_wrap_around_while_processes_queue() {
    let shared = starting_at(u32::MAX - 1_000);
    in_processes(4, |who| {
        shared.meet(4);
        crate::add_up(&shared, who, 1_000);
    });
    assert_eq!(shared.counts[0].load(Relaxed), 4_000);
    assert_eq!(words(&shared.a).each_ref().map(|word| word.load(Relaxed)), [2_999; 2]);
}

#[test]
fn try_lock_works_at_the_wrap() {
    let shared = starting_at(u32::MAX);
    spawn(|| {
        for _ in 0..2 {
            check!(shared.a.try_lock(holder(0)).is_some());
            check!(shared.a.try_lock(holder(1)).is_none());
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(0)) };
        }
    })
    .finish();
}

/// Six processes queue one after the other while the lock is held; they get it in that order, also across the wrap.
#[test]
fn first_come_is_first_served() {
    let start = u32::MAX - 2;
    let shared = starting_at(start);
    let owner = spawn(|| {
        shared.a.lock(holder(9));
        shared.until_stage(1);
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(9)) };
    });
    let tickets = |n: u32| until(|| words(&shared.a)[0].load(Relaxed) == start.wrapping_add(n));
    tickets(1);
    let queue: Vec<Child> = (0..6)
        .map(|place| {
            let child = spawn(|| {
                shared.a.lock(holder(0));
                check!(shared.counts[0].load(Relaxed) == u64::from(place));
                shared.counts[0].store(u64::from(place) + 1, Relaxed);
                // SAFETY: locked above, by this thread.
                unsafe { shared.a.unlock(holder(0)) };
            });
            tickets(place + 2);
            child
        })
        .collect();
    shared.stage(1);
    owner.finish();
    queue.into_iter().for_each(Child::finish);
    assert_eq!(shared.counts[0].load(Relaxed), 6);
}
