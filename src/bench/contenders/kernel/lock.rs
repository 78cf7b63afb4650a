//! The lock of contenders whose bytes would mix without one: a mutex between processes.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lock::{Holder, PthreadLock, RawLock};

/// A lock for processes that are forked after it was made.
pub struct Lock(Shared<PthreadLock>);

/// A lock that is held until this is dropped.
pub struct Held<'a>(&'a PthreadLock);

/// This kind of lock does not say who holds it.
fn anybody() -> Holder {
    Holder::new(1, 1)
}

impl Lock {
    /// A free one.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new() -> Result<Lock> {
        // SAFETY: the place is aligned, valid for writes, nobody else has it yet, and it stays where it is.
        Shared::new(|place| unsafe { Ok(PthreadLock::init(place)?) }).map(Lock)
    }

    /// One if there are several who need it.
    ///
    /// # Errors
    /// As [`new`](Lock::new).
    pub fn among(users: usize) -> Result<Option<Lock>> {
        (users > 1).then(Lock::new).transpose()
    }

    /// Waits for it.
    pub fn lock(&self) -> Held<'_> {
        self.0.lock(anybody());
        Held(&self.0)
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<Held<'_>> {
        self.0.try_lock(anybody()).map(|_| Held(&self.0))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: it was locked when this was made, by this thread: a reference to it does not leave the call that made it.
        unsafe { self.0.unlock(anybody()) };
    }
}
