//! A ticket lock: whoever comes first is served first. Two counters, as at a counter with numbered tickets.
//!
//! Fair, and for that very reason slow once there are more processes than cores: the lock is handed to the next in line even if
//! that one is not running, and everybody waits for it to get a core. A waiter that dies leaves a ticket that is never
//! handed on, so a death in the queue stops the lock just as the death of an owner does.

use super::{Acquired, Holder, RawLock};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Looks before a waiter lets others run.
const LOOKS: u32 = 64;
/// The longest pause between two looks. It bounds what a garbled counter can cost.
const LONGEST: u32 = 64;

/// The ticket lock: two words, the next ticket to give out and the ticket being served. Free if they are equal; both wrap around.
#[repr(C)]
#[derive(Debug)]
pub struct TicketLock {
    next: AtomicU32,
    serving: AtomicU32,
}

impl TicketLock {
    #[cold]
    fn wait_for(&self, ticket: u32) {
        let mut looks = 0;
        loop {
            // A0 ↔ R0 (unlock).
            let ahead = ticket.wrapping_sub(self.serving.load(Acquire));
            if ahead == 0 {
                return;
            }
            if looks == LOOKS {
                std::thread::yield_now();
                continue;
            }
            looks += 1;
            // In proportion to the queue, and never growing: who is next must notice at once, since all others wait for it.
            for _ in 0..ahead.min(LONGEST) {
                std::hint::spin_loop();
            }
        }
    }
}

// SAFETY: each value of `next` is given out once (2^32 waiters can't be), `serving` reaches it once, and only `unlock` by the owner
// (release) moves `serving`. A trier takes `next` only if it equals `serving`: then every ticket before it has been given back.
unsafe impl RawLock for TicketLock {
    const NAME: &'static str = "ticket";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { place.write(TicketLock { next: AtomicU32::new(0), serving: AtomicU32::new(0) }) };
        Ok(())
    }

    #[inline]
    fn lock(&self, _me: Holder) -> Acquired {
        let ticket = self.next.fetch_add(1, Relaxed);
        // A0 ↔ R0 (unlock): what the last owner wrote is seen.
        if self.serving.load(Acquire) != ticket {
            self.wait_for(ticket);
        }
        Acquired::Clean
    }

    #[inline]
    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        // A0 ↔ R0 (unlock). An old value does no harm: `next` has passed it, and the CAS fails.
        let serving = self.serving.load(Acquire);
        self.next.compare_exchange(serving, serving.wrapping_add(1), Relaxed, Relaxed).ok()?;
        Some(Acquired::Clean)
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // Only the owner writes it, so load and store do. R0 ↔ A0 (lock, try_lock, wait_for).
        self.serving.store(self.serving.load(Relaxed).wrapping_add(1), Release);
    }
}
