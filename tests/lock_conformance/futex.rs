//! What the engine's lock alone promises: it names its owner, it can be taken over from the dead, and who gives up waiting harms nobody.

use crate::processes::*;
use gristmill::lock::{FutexLock, Holder, RawLock, WAITERS};
use std::sync::atomic::Ordering::*;

fn is_awaited(lock: &FutexLock) -> bool {
    lock.observe().0 & WAITERS != 0
}

/// An owner that is killed while two others sleep on its lock; what the supervisor does then.
#[test]
fn taken_over_from_the_dead_it_keeps_its_waiters_and_they_get_it() {
    let shared = Shared::<FutexLock>::new();
    let (dead, supervisor) = (holder(0), Holder::new(4095, 1));
    let owner = spawn(|| {
        shared.a.lock(dead);
        shared.stage(1);
        pause(LIMIT * 1_000_000);
    });
    shared.until_stage(1);
    assert_eq!(shared.a.owner(), Some(dead.id()));
    let waiters = [1, 2].map(|who| {
        let shared = &shared;
        spawn(move || {
            shared.a.lock(holder(who));
            shared.counts[0].store(shared.counts[0].load(Relaxed) + 1, Relaxed);
            // SAFETY: locked above, by this thread.
            unsafe { shared.a.unlock(holder(who)) };
        })
    });
    until(|| is_awaited(&shared.a));
    pause(20_000);
    owner.kill();
    assert!(shared.a.try_lock(supervisor).is_none(), "a death alone does not free the lock");
    let (_, acquisitions) = shared.a.observe();
    // SAFETY: the owner was killed and waited for.
    assert!(unsafe { shared.a.take_over(dead, supervisor) });
    assert!(is_awaited(&shared.a), "the waiters were forgotten");
    assert_eq!(shared.a.owner(), Some(supervisor.id()));
    assert_eq!(shared.a.observe().1, acquisitions.wrapping_add(1));
    // SAFETY: as above.
    assert!(!unsafe { shared.a.take_over(dead, supervisor) }, "it was taken over twice");
    assert_eq!(shared.counts[0].load(Relaxed), 0, "a waiter came in while the supervisor held the lock");
    // SAFETY: taken over above.
    unsafe { shared.a.unlock(supervisor) };
    waiters.into_iter().for_each(Child::finish);
    assert_eq!(shared.counts[0].load(Relaxed), 2);
    assert_eq!(shared.a.owner(), None);
}

/// Others may sleep beside one that has slept, and it cannot know.
#[test]
fn who_has_slept_takes_it_with_the_waiters_bit() {
    let lock = FutexLock::new();
    lock.lock(holder(0));
    let kept = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            lock.lock(holder(1));
            let kept = is_awaited(&lock);
            // SAFETY: locked above, by this thread.
            unsafe { lock.unlock(holder(1)) };
            kept
        });
        until(|| is_awaited(&lock));
        pause(20_000);
        // SAFETY: locked above, by this thread.
        unsafe { lock.unlock(holder(0)) };
        waiter.join().unwrap()
    });
    assert!(kept, "the others were forgotten");
}

#[test]
fn taking_over_what_nobody_awaits_leaves_no_waiters_bit() {
    let shared = Shared::<FutexLock>::new();
    spawn(|| {
        shared.a.lock(holder(0));
        die();
    })
    .killed();
    // SAFETY: the owner was killed and waited for.
    assert!(unsafe { shared.a.take_over(holder(0), holder(1)) });
    assert!(!is_awaited(&shared.a));
    // SAFETY: taken over above.
    unsafe { shared.a.unlock(holder(1)) };
    assert_eq!(shared.a.observe().0, 0);
}

/// Nothing is taken from the free, from the living, or from the successor of the dead, who has its number.
#[test]
fn it_is_taken_over_from_its_owner_only() {
    let shared = Shared::<FutexLock>::new();
    let (owner, supervisor) = (Holder::new(3, 8), Holder::new(1, 1));
    // SAFETY: none of the holders named as dead below was ever a process.
    let takes_from = |dead| unsafe { shared.a.take_over(dead, supervisor) };
    assert!(!takes_from(owner), "it was free");
    assert_eq!(shared.a.observe(), (0, 0));
    shared.a.lock(owner);
    let before = shared.a.observe();
    assert!(!takes_from(Holder::new(4, 8)), "another participant");
    assert!(!takes_from(Holder::new(3, 7)), "the same number in an earlier epoch");
    assert!(!takes_from(Holder::new(3, 9)), "the same number in a later epoch");
    assert!(!takes_from(Holder::new(3 | 1 << 11, 8)), "a number with one bit more");
    assert_eq!(shared.a.observe(), before);
    assert!(takes_from(owner));
}

#[test]
fn holders_differ_in_number_and_in_19_bits_of_the_epoch() {
    assert_eq!(Holder::new(5, 0), Holder::new(5, 1 << 19));
    assert_ne!(Holder::new(5, 0), Holder::new(5, 1 << 18));
    assert_eq!(Holder::new(4095, u32::MAX).id(), 4095);
    let shared = Shared::<FutexLock>::new();
    shared.a.lock(Holder::new(4095, u32::MAX));
    assert_eq!(shared.a.owner(), Some(4095));
    assert!(!is_awaited(&shared.a), "an epoch reached the waiters' bit");
}

#[test]
fn who_gives_up_does_not_have_the_lock_and_says_how_long_it_waited() {
    let shared = Shared::<FutexLock>::new();
    spawn(|| {
        check!(shared.a.lock_unless(holder(0), || true) == Ok(0));
        let waited = shared.a.lock_unless(holder(1), || true);
        check!(waited.is_err_and(|nanoseconds| nanoseconds > 0));
        check!(shared.a.owner() == Some(holder(0).id()));
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(0)) };
        check!(shared.a.observe().0 == 0);
    })
    .finish();
}

/// One process sleeps on the lock, and a second behind it. The owner unlocks, which wakes the first, and locks again before that one looks.
/// The first gives up; the second still sleeps, and the owner, who came in through the open door, does not know of it.
///
/// A lost wake-up costs a round 100 ms, and there are enough rounds to run into the limit.
#[test]
fn who_gives_up_passes_its_wake_up_on() {
    const ROUNDS: u32 = 1_500;
    let shared = Shared::<FutexLock>::new();
    in_processes(3, |who| {
        let me = holder(who);
        for round in 0..ROUNDS {
            let at = round * 4;
            match who {
                0 => {
                    shared.until_stage(at);
                    shared.a.lock(me);
                    shared.stage(at + 1);
                    shared.until_stage(at + 3);
                    pause(150);
                    // SAFETY: locked above, by this thread.
                    unsafe { shared.a.unlock(me) };
                    shared.a.lock(me);
                    until(|| shared.marks[0].load(Acquire) == round + 1);
                    // SAFETY: locked above, by this thread.
                    unsafe { shared.a.unlock(me) };
                    until(|| shared.marks[1].load(Acquire) == round + 1);
                    shared.stage(at + 4);
                }
                1 => {
                    shared.until_stage(at + 1);
                    shared.stage(at + 2);
                    if shared.a.lock_unless(me, || true).is_ok() {
                        // SAFETY: locked above, by this thread.
                        unsafe { shared.a.unlock(me) };
                    }
                    // Release ↔ the acquires above.
                    shared.marks[0].store(round + 1, Release);
                }
                _ => {
                    shared.until_stage(at + 2);
                    pause(150);
                    shared.stage(at + 3);
                    shared.a.lock(me);
                    // SAFETY: locked above, by this thread.
                    unsafe { shared.a.unlock(me) };
                    // Release ↔ the acquires above.
                    shared.marks[1].store(round + 1, Release);
                }
            }
        }
    });
}

/// The count of acquisitions is the second word; see the layout.
#[test]
fn the_count_of_acquisitions_wraps_around() {
    let mut shared = Shared::<FutexLock>::new();
    // SAFETY: a repr(C) struct of two u32 words, free and at the last count.
    shared.put(unsafe { std::mem::transmute::<[u32; 2], FutexLock>([0, u32::MAX]) });
    for count in 0..2 {
        shared.a.lock(holder(0));
        assert_eq!(shared.a.observe().1, count);
        assert!(shared.a.try_lock(holder(1)).is_none());
        // SAFETY: locked above, by this thread.
        unsafe { shared.a.unlock(holder(0)) };
        assert_eq!(shared.a.observe(), (0, count));
    }
    assert!(shared.a.try_lock(holder(0)).is_some());
    assert_eq!(shared.a.observe().1, 2, "try_lock counts as well");
}
