//! Locks that the parent holds while the worker comes to them: so it goes through the waiting path of the lock, and is let through.

use super::drive::until;
use super::look::{Lock, Look};
use super::traced::sleeps;
use gristmill::lock::{FutexLock, Holder, RawLock, WAITERS};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::*};
use std::thread::JoinHandle;

/// As any thread of the parent's would hold them, so that recovery waits for it.
fn parent() -> Holder {
    Holder::new(1, 1)
}

pub struct Turnstile {
    look: Arc<Look>,
    /// One after the other; the next one is taken before the one before it is given back.
    locks: &'static [Lock],
    /// How many have been taken in this cycle.
    taken: usize,
    held: Option<Lock>,
    /// Whether a thread of the parent comes to each lock after the worker, and waits there beside it.
    beside: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Turnstile {
    pub fn new(locks: &'static [Lock], beside: bool) -> Turnstile {
        Turnstile { look: Arc::new(Look::new()), locks, taken: 0, held: None, beside, threads: vec![] }
    }

    /// There is work, and no worker has come to it.
    pub fn shut(&mut self) {
        self.taken = 0;
        self.take();
    }

    fn take(&mut self) {
        let next = self.locks.get(self.taken).copied();
        if let Some(lock) = next {
            self.look.lock(lock).lock(parent());
        }
        self.taken += usize::from(next.is_some());
        let before = std::mem::replace(&mut self.held, next);
        // SAFETY: it was locked above, by this thread: a scene stays with the one that has made it.
        before.inspect(|&lock| unsafe { self.look.lock(lock).unlock(parent()) });
    }

    /// Whether somebody says that it sleeps in the lock that is held.
    pub fn is_met(&self) -> bool {
        self.held.is_some_and(|lock| self.look.lock(lock).observe().0 & WAITERS != 0)
    }

    /// Lets through who sleeps there, if anybody does.
    pub fn pass(&mut self) -> bool {
        let met = self.is_met();
        if met {
            if self.beside {
                self.wait_beside();
            }
            self.take();
        }
        met
    }

    fn wait_beside(&mut self) {
        let (look, lock) = (self.look.clone(), self.held.expect("somebody sleeps there"));
        let number = Arc::new(AtomicI32::new(0));
        let told = number.clone();
        self.threads.push(std::thread::spawn(move || {
            let lock: &FutexLock = look.lock(lock);
            // SAFETY: touches no memory.
            told.store(unsafe { libc::gettid() }, Relaxed);
            lock.lock(parent());
            // SAFETY: locked above.
            unsafe { lock.unlock(parent()) };
        }));
        until(|| match number.load(Relaxed) {
            0 => false,
            thread => sleeps(thread),
        });
    }

    /// The worker is dead: whoever comes now is not held up.
    pub fn open(&mut self) {
        self.taken = self.locks.len();
        self.take();
    }

    /// Whether the worker has been at all of the locks.
    pub fn is_through(&self) -> bool {
        self.taken == self.locks.len() && self.held.is_none()
    }

    /// All who waited beside the worker have had the lock.
    pub fn end(&mut self) {
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        // After a failed check.
        self.open();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
