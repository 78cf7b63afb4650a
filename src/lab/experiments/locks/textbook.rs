//! Two locks as textbooks have them: one that never gives up its CPU, and one that always does.

use crate::lock::{Acquired, Holder, RawLock};
use crate::sys::futex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};

/// The lock of the first textbook page: tries, and tries again, and never gives up its CPU.
#[repr(C)]
pub struct TestAndSet {
    held: AtomicBool,
}

// SAFETY: only a swap from false (acquire) takes the lock, and only `unlock` (release) makes it false.
unsafe impl RawLock for TestAndSet {
    const NAME: &'static str = "test-and-set";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { place.write(TestAndSet { held: AtomicBool::new(false) }) };
        Ok(())
    }

    #[inline]
    fn lock(&self, me: Holder) -> Acquired {
        loop {
            if let Some(acquired) = self.try_lock(me) {
                return acquired;
            }
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        // With the store in `unlock`: what the last owner wrote is seen.
        (!self.held.swap(true, Acquire)).then_some(Acquired::Clean)
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // With the swap in `try_lock`.
        self.held.store(false, Release);
    }
}

/// Sleeps at once when it is held (Drepper's second mutex): never looks again, whatever a sleep costs.
#[repr(C)]
pub struct SleepsAtOnce {
    word: AtomicU32,
}

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Somebody may sleep on it.
const WAITED_FOR: u32 = 2;

// SAFETY: only a change from `FREE` (acquire) takes the lock, and only `unlock` (release) makes it `FREE`.
unsafe impl RawLock for SleepsAtOnce {
    const NAME: &'static str = "futex, sleeps at once";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { place.write(SleepsAtOnce { word: AtomicU32::new(FREE) }) };
        Ok(())
    }

    #[inline]
    fn lock(&self, me: Holder) -> Acquired {
        if self.try_lock(me).is_none() {
            // With the swap in `unlock`. Whoever comes this way says that others may still sleep.
            while self.word.swap(WAITED_FOR, Acquire) != FREE {
                futex::wait(&self.word, WAITED_FOR, None);
            }
        }
        Acquired::Clean
    }

    #[inline]
    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        // With the swap in `unlock`: what the last owner wrote is seen.
        self.word.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok().then_some(Acquired::Clean)
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // With those in `lock` and `try_lock`.
        if self.word.swap(FREE, Release) == WAITED_FOR {
            futex::wake(&self.word, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::crew::{Crew, Members};
    use crate::lab::gate::Gate;
    use crate::lab::laboratory::tests::lab;
    use crate::lab::tally::Ended;
    use std::time::Duration;

    /// While one has it nobody else gets it, and none is lost behind it.
    fn keeps_others_out<L: RawLock>(lock: L) {
        let me = Holder::new(1, 1);
        lock.lock(me);
        assert_eq!(lock.try_lock(me), None);
        // SAFETY: taken above.
        unsafe { lock.unlock(me) };
        assert_eq!(lock.try_lock(me), Some(Acquired::Clean));

        let gate = Gate::<L, u64>::new().unwrap();
        let crew = Crew { members: Members::Threads, size: 3 };
        let round = crew.work(&lab(1), L::NAME, Duration::from_millis(30), &*gate, |worker, gate| {
            while worker.on() {
                worker.note(
                    0,
                    gate.with(worker, |value, _| {
                        *value += 1;
                        *value
                    }),
                );
                worker.did(1);
            }
        });
        let round = round.unwrap();
        assert_eq!(round.ended(Ended::Well), 3, "whoever sleeps is woken");
        assert_eq!(round.tallies.iter().map(|tally| tally.notes[0]).max(), Some(round.done()));
    }

    #[test]
    fn test_and_set_keeps_others_out() {
        keeps_others_out(TestAndSet { held: AtomicBool::new(false) });
    }

    #[test]
    fn sleeping_at_once_keeps_others_out_and_wakes_them() {
        keeps_others_out(SleepsAtOnce { word: AtomicU32::new(FREE) });
    }
}
