//! What outlives the processes that use it: System V message queues, which the kernel keeps until somebody removes them.
//!
//! They have no key, so that nobody else comes across them; children inherit the number by fork. A turn notes those that it makes on a page that
//! it shares with the process that has started it, and that one removes exactly these when the turn is over, however that ended. Only if that
//! process itself is killed they stay.

use super::contender::Result;
use super::shared::Shared;
use crate::sys::clock::Deadline;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::time::Duration;

/// Queues of a turn, at most: for jobs and for results.
const MOST: usize = 4;

/// States of a page: the turn makes nothing now; it makes a queue that is not noted yet; it may make no more.
const IDLE: u32 = 0;
const MAKING: u32 = 1;
const CLOSED: u32 = 2;

/// A turn is this long at making a queue, at most, unless it has died of that.
const PATIENCE: Duration = Duration::from_secs(1);

struct Page {
    state: AtomicU32,
    count: AtomicU32,
    queues: [AtomicI32; MOST],
}

/// The page that a turn shares with who has started it.
pub struct Left(Shared<Page>);

/// In a turn's process: its page.
static TURN: OnceLock<Left> = OnceLock::new();

impl Left {
    /// For a turn that is about to start.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new() -> Result<Left> {
        // Zeroes are a valid page on which nothing is noted.
        Shared::new(|_| Ok(())).map(Left)
    }

    /// In the turn's process: from now on this is where it notes things.
    pub fn begin(self) {
        // A turn begins once.
        let _ = TURN.set(self);
    }

    /// Before the turn's process is killed: none is made any more, and none is made but not noted.
    pub fn close(&self) {
        let deadline = Deadline::after(PATIENCE);
        // ↔ `queue`, which notes what it has made before it is idle again.
        while self.0.state.compare_exchange(IDLE, CLOSED, Acquire, Relaxed).is_err_and(|state| state == MAKING) {
            if deadline.passed() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Removes what the turn has noted, once its processes have ended.
    pub fn remove(&self) {
        let count = (self.0.count.load(Relaxed) as usize).min(MOST);
        for queue in &self.0.queues[..count] {
            // SAFETY: removes a queue that the turn has made, and touches no memory.
            unsafe { libc::msgctl(queue.load(Relaxed), libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

/// A new queue without a key, which is removed when this turn is over.
///
/// # Errors
/// The system's; or if this is no turn, or one that is over: nobody would remove it.
pub fn queue() -> io::Result<i32> {
    let Some(Left(page)) = TURN.get() else { return Err(io::Error::other("only a turn makes a queue")) };
    let count = page.count.load(Relaxed);
    // ↔ `close`: from here on it waits until the queue is noted.
    if count as usize == MOST || page.state.compare_exchange(IDLE, MAKING, AcqRel, Relaxed).is_err() {
        return Err(io::Error::other("this turn may make no more queues"));
    }
    // SAFETY: takes integers and touches no memory.
    let made = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
    let error = io::Error::last_os_error();
    if made != -1 {
        page.queues[count as usize].store(made, Relaxed);
        page.count.store(count + 1, Relaxed);
    }
    page.state.store(IDLE, Release); // ↔ `close`, which sees what was noted.
    if made == -1 { Err(error) } else { Ok(made) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_a_queue_that_nobody_would_remove() {
        assert!(queue().unwrap_err().to_string().contains("only a turn"));
    }

    #[test]
    fn closing_waits_for_who_is_about_to_note_something_but_not_for_ever() {
        let left = Left::new().unwrap();
        left.0.state.store(MAKING, Relaxed);
        left.close();
        assert_eq!(left.0.state.load(Relaxed), MAKING, "the turn has died of it");
        left.0.state.store(IDLE, Relaxed);
        left.close();
        assert_eq!(left.0.state.load(Relaxed), CLOSED);
    }
}
