//! Sleeping on a word of shared memory until another process wakes the sleeper.
//!
//! The private flag is never used: the waiters are in different processes. Deadlines are absolute and monotonic
//! (`FUTEX_WAIT_BITSET`), so that a signal or a spurious wake-up does not prolong a wait.

use super::clock::Deadline;
use crate::sys::atomic::AtomicU32;

/// Why [`wait`] returned. Neither says that the word has changed: the caller looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Woken, interrupted, or the word was not `expected` when the kernel looked.
    Woken,
    /// The deadline passed.
    TimedOut,
}

/// Sleeps while `*word == expected`, until woken or until the deadline.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Deadline>) -> Wait {
    #[cfg(gristmill_weak)]
    if let Some(machine) = super::atomic::machine() {
        // SAFETY: as below; the machine runs one thread at a time.
        machine.futex_wait(word.as_ptr() as usize, unsafe { word.as_ptr().read() }, expected);
        return Wait::Woken;
    }
    let limit = deadline.map(Deadline::timespec);
    // SAFETY:
    // - `word` is a live, aligned 32-bit word;
    // - the timespec, if there is one, lives until the call returns;
    // - the kernel only reads both.
    let r = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            limit.as_ref().map_or(std::ptr::null(), |t| t as *const libc::timespec),
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if r == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
        return Wait::TimedOut;
    }
    Wait::Woken
}

/// Wakes at most `count` of those who sleep on `word`; tells how many there were.
pub fn wake(word: &AtomicU32, count: u32) -> u32 {
    #[cfg(gristmill_weak)]
    if let Some(machine) = super::atomic::machine() {
        return machine.futex_wake(word.as_ptr() as usize, count);
    }
    // SAFETY: the kernel uses the address as a key only; `word` is live and aligned.
    let r = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count.min(i32::MAX as u32)) };
    u32::try_from(r).unwrap_or(0)
}

/// Wakes all who sleep on `word`.
pub fn wake_all(word: &AtomicU32) -> u32 {
    wake(word, i32::MAX as u32)
}
