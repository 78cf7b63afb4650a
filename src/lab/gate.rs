//! A lock and what it protects, in memory that a crew shares.

use super::crew::Worker;
use super::seat::Lane;
use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lock::{Acquired, RawLock};
use crate::sys::clock;
use std::cell::UnsafeCell;

/// A lock of kind `L`, and the value that only its holder may touch.
#[repr(C)]
pub struct Gate<L, T> {
    lock: Aligned<L>,
    value: Aligned<UnsafeCell<T>>,
}

/// On cache lines of its own.
#[repr(C, align(128))]
struct Aligned<T>(T);

// SAFETY: the value is touched only by who holds the lock; it moves from process to process, so it must be `Send`.
unsafe impl<L: RawLock, T: Send> Sync for Gate<L, T> {}

impl<L: RawLock, T: bytemuck::Zeroable + Send> Gate<L, T> {
    /// An open gate before a zeroed value, in shared memory.
    ///
    /// # Errors
    /// If there is no memory, or the system makes no lock.
    pub fn new() -> Result<Shared<Gate<L, T>>> {
        // SAFETY: `place` is valid, aligned and nobody else's, as `Shared::new` says; the value stays zeroed, which is valid for `T`.
        Shared::new(|place: *mut Gate<L, T>| Ok(unsafe { L::init(&raw mut (*place).lock.0) }?))
    }

    /// Waits for the lock, does something with the value, and gives the lock back.
    #[inline]
    pub fn with<R>(&self, worker: &Worker<'_>, body: impl FnOnce(&mut T, Acquired) -> R) -> R {
        // With another lock in hand it holds that one again afterwards.
        let before = worker.lane();
        worker.goes(Lane::Waiting);
        let acquired = self.lock.0.lock(worker.holder());
        worker.goes(Lane::Holding);
        // SAFETY: the lock is ours, so nobody else touches the value.
        let result = body(unsafe { &mut *self.value.0.get() }, acquired);
        // SAFETY: this worker has taken it above.
        unsafe { self.lock.0.unlock(worker.holder()) };
        worker.goes(before);
        result
    }

    /// The same, and notes how long it has waited. It costs two looks at the clock.
    #[inline]
    pub fn with_timed<R>(&self, worker: &Worker<'_>, body: impl FnOnce(&mut T, Acquired) -> R) -> R {
        let start = clock::now();
        self.with(worker, |value, acquired| {
            worker.waited(clock::now().saturating_sub(start));
            body(value, acquired)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::crew::{Crew, Members};
    use crate::lab::laboratory::tests::lab;
    use crate::lab::tally::Ended;
    use crate::lock::FutexLock;
    use std::time::Duration;

    fn crew(size: usize) -> Crew {
        Crew { members: Members::Threads, size }
    }

    #[test]
    fn what_is_done_behind_it_is_never_lost() {
        let gate = Gate::<FutexLock, u64>::new().unwrap();
        let round = crew(3).work(&lab(1), "counting", Duration::from_millis(30), &*gate, |worker, gate| {
            while worker.on() {
                gate.with(worker, |value, _| *value += 1);
                worker.did(1);
            }
        });
        let round = round.unwrap();
        assert_eq!(round.ended(Ended::Well), 3);
        let mut found = 0;
        let looked = crew(1).work(&lab(1), "looking", Duration::from_secs(10), &*gate, |worker, gate| {
            worker.did(gate.with(worker, |value, _| *value));
        });
        found += looked.unwrap().done();
        assert!(found > 0);
        assert_eq!(found, round.done());
    }
}
