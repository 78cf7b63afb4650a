//! The engine's lock: one word that names its owner, waits on a futex, and can be taken over from the dead.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | holder | held; nobody waits |
//! | holder + [`WAITERS`] | held; somebody may sleep on this very value |
//!
//! | who | step |
//! |---|---|
//! | taker, fast | CAS 0 → holder |
//! | taker, slow | CAS holder → holder + WAITERS, sleep on that value, then CAS 0 → *me* + WAITERS: others may still sleep |
//! | owner | swap in 0; wake one if the bit was set |
//! | supervisor | CAS dead (with or without the bit) → supervisor, bit kept |
//!
//! A word of 0 with the bit does not exist (protocol, rule 6).

use super::{Acquired, Holder, RawLock};
use crate::layout::LockWords;
use crate::sys::atomic::AtomicU32;
use crate::sys::planted::{Bug, planted};
use crate::sys::{clock, futex};
use std::sync::atomic::Ordering::*;

/// Set while somebody may sleep on the word.
pub const WAITERS: u32 = 1 << 31;

/// How often a taker looks again before it sleeps: the lock is held for tens of nanoseconds, so the owner is either about
/// to leave or not running at all.
const LOOKS: u32 = 64;

/// The engine's lock. See the module for its states.
#[repr(C)]
#[derive(Debug)]
pub struct FutexLock {
    word: AtomicU32,
    /// Counts acquisitions; together with the word it tells one long hold from many short ones. Written by the owner only.
    acquisitions: AtomicU32,
}

impl FutexLock {
    /// A free lock.
    pub const fn new() -> Self {
        FutexLock { word: AtomicU32::new(0), acquisitions: AtomicU32::new(0) }
    }

    /// The lock that lives in these words of a region.
    pub fn of(words: &LockWords) -> &FutexLock {
        const _: () =
            assert!(size_of::<LockWords>() == size_of::<FutexLock>() && align_of::<LockWords>() == align_of::<FutexLock>());
        // SAFETY: both are two 32-bit atomics in the same order, repr(C), and nothing else.
        unsafe { &*(words as *const LockWords as *const FutexLock) }
    }

    /// The word and the count of acquisitions, to tell one long hold from many short ones: if the word names somebody, *three* equal
    /// observations mean a hold that lasts from the first to the second, or from the second to the third.
    ///
    /// Two are not enough: the owner counts only after it has the lock, so its next hold looks like its last one for a moment, and
    /// hours may lie between the two.
    pub fn observe(&self) -> (u32, u32) {
        // A2 ↔ R0 (unlock): the count is not older than the hold before the one that the word shows, since takers of the lock
        // go on with the release sequence of R0.
        let word = self.word.load(Acquire);
        (word, self.acquisitions.load(Relaxed))
    }

    /// The number of the participant that holds the lock, if it is held.
    pub fn owner(&self) -> Option<u16> {
        Holder::id_in(self.word.load(Relaxed))
    }

    /// Waits until the lock is ours or `give_up`, asked now and then while waiting, says to stop; tells how many nanoseconds were
    /// spent waiting, 0 if it was free.
    ///
    /// # Errors
    /// `Err(nanoseconds waited)` if `give_up` said so.
    #[inline]
    pub fn lock_unless(&self, me: Holder, give_up: impl FnMut() -> bool) -> Result<u64, u64> {
        // A0 ↔ R0 (unlock): what the last owner wrote is seen.
        if self.word.compare_exchange(0, me.word(), Acquire, Relaxed).is_ok() {
            self.count();
            return Ok(0);
        }
        self.lock_slow(me, give_up)
    }

    #[cold]
    fn lock_slow(&self, me: Holder, mut give_up: impl FnMut() -> bool) -> Result<u64, u64> {
        let start = clock::now();
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if self.word.load(Relaxed) == 0 && self.word.compare_exchange(0, me.word(), Acquire, Relaxed).is_ok() {
                self.count();
                return Ok(clock::now() - start);
            }
        }
        let mut slept = 0;
        loop {
            let word = self.word.load(Relaxed);
            if word == 0 {
                // Whoever comes this way keeps the bit set, for those who sleep beside it.
                if self.word.compare_exchange(0, me.word() | slept, Acquire, Relaxed).is_ok() {
                    self.count();
                    return Ok(clock::now() - start);
                }
                continue;
            }
            if word & WAITERS == 0 && self.word.compare_exchange(word, word | WAITERS, Relaxed, Relaxed).is_err() {
                continue;
            }
            // The bound on one sleep is for `give_up` alone; an unlock and a takeover both wake.
            let look_again = clock::Deadline(clock::now() + 100_000_000);
            futex::wait(&self.word, word | WAITERS, Some(look_again));
            slept = if planted(Bug::DropsWaiters) { 0 } else { WAITERS };
            if self.word.load(Relaxed) != 0 && give_up() {
                // We may have been woken in place of another who sleeps, and who took the lock meanwhile does not know of that one.
                futex::wake(&self.word, 1);
                return Err(clock::now() - start);
            }
        }
    }

    fn count(&self) {
        // Only the owner writes it, so load and store do.
        self.acquisitions.store(self.acquisitions.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Takes the lock over from `dead`; the waiters' bit stays. `false` if `dead` does not hold it.
    ///
    /// # Safety
    /// `dead` names a participant whose process has ended and been waited for, and no process runs under that number and epoch.
    pub unsafe fn take_over(&self, dead: Holder, me: Holder) -> bool {
        let kept = if planted(Bug::TakeoverDropsWaiters) { 0 } else { WAITERS };
        let mut word = self.word.load(Relaxed);
        while word & !WAITERS == dead.word() {
            // A1: the dead one's writes are seen because its end was: the kernel orders them before our wait returned.
            match self.word.compare_exchange(word, me.word() | word & kept, Acquire, Relaxed) {
                Ok(_) => {
                    self.count();
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Wakes whoever sleeps on the word: after a death, when the one wake-up may have died with the one who was to make it or to
    /// receive it.
    pub fn wake_all(&self) {
        futex::wake_all(&self.word);
    }
}

impl Default for FutexLock {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the word is 0 or names one holder; only a CAS from 0 (acquire) or a takeover from the dead makes a new one, and only
// `unlock` (release) makes it 0.
unsafe impl RawLock for FutexLock {
    const NAME: &'static str = "futex";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { place.write(FutexLock::new()) };
        Ok(())
    }

    #[inline]
    fn lock(&self, me: Holder) -> Acquired {
        let _ = self.lock_unless(me, || false);
        Acquired::Clean
    }

    #[inline]
    fn try_lock(&self, me: Holder) -> Option<Acquired> {
        self.word.compare_exchange(0, me.word(), Acquire, Relaxed).ok()?;
        self.count();
        Some(Acquired::Clean)
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // R0 ↔ A0. Who looks for sleepers afterwards moves the sequence between: see ring/event.rs.
        let word = self.word.swap(0, Release);
        if word & WAITERS != 0 {
            futex::wake(&self.word, 1);
        }
    }
}
