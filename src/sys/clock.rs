//! The monotonic clock, in the one form that futexes, deadlines and statistics share: nanoseconds since an arbitrary start.

use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`; the same origin in all processes of a machine.
pub fn now() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY:
    // - `t` is a valid timespec to write to;
    // - CLOCK_MONOTONIC exists on every Linux, so the call can't fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// A moment of [`now`]'s clock after which an operation gives up; absolute, so that an interrupted wait does not start over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub u64);

impl Deadline {
    /// The moment `d` from now; so far in the future that it never comes if that overflows.
    pub fn after(d: Duration) -> Self {
        Deadline(now().saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Whether the moment has come.
    pub fn passed(self) -> bool {
        now() >= self.0
    }

    pub(crate) fn timespec(self) -> libc::timespec {
        libc::timespec { tv_sec: (self.0 / 1_000_000_000) as libc::time_t, tv_nsec: (self.0 % 1_000_000_000) as _ }
    }
}
