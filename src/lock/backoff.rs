//! How a lock waits that does not sleep: longer and longer pauses, and then it lets others run.
//!
//! Used by the kinds that spin.

/// Pauses double this often. On x86-64 all of them together take some 5 to 15 µs, less than one futex sleep.
const DOUBLINGS: u32 = 8;

/// The wait between two looks at a lock.
#[derive(Debug)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) const fn new() -> Self {
        Backoff(0)
    }

    /// Waits a little; at the next call, longer. In the end it yields: an owner that is not running can't leave, and on a full
    /// machine a pause would only keep it from its core.
    pub(super) fn wait(&mut self) {
        if self.0 == DOUBLINGS {
            return std::thread::yield_now();
        }
        for _ in 0..1u32 << self.0 {
            std::hint::spin_loop();
        }
        self.0 += 1;
    }
}
