//! The C library's robust mutex: the kernel marks it when its owner dies, and the next who locks is told.
//!
//! The price is a list of the mutexes that a thread holds, kept by the C library and walked by the kernel at the thread's death. Its
//! links lie in the mutex itself and are addresses of the owner's process: nobody else follows them, and a mutex must stay mapped
//! while it is held.

use super::pthread::{broken, make};
use super::{Acquired, Holder, RawLock};
use std::cell::UnsafeCell;
use std::io;

/// `pthread_mutex_t` with `PTHREAD_PROCESS_SHARED` and `PTHREAD_MUTEX_ROBUST`.
#[repr(C)]
pub struct PthreadRobustLock {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
}

// SAFETY: a mutex is made to be used by many threads at once; the C library alone looks inside.
unsafe impl Sync for PthreadRobustLock {}

impl PthreadRobustLock {
    /// The mutex is ours, and its last owner is dead.
    #[cold]
    fn recover(&self) -> Acquired {
        // Without this call the next `unlock` would make the mutex useless for good. If we die before it, the next is told as well.
        // SAFETY: `init` made the mutex, and this thread has just acquired it as the heir of a dead owner.
        match unsafe { libc::pthread_mutex_consistent(self.mutex.get()) } {
            0 => Acquired::OwnerDied,
            error => broken("pthread_mutex_consistent", Self::NAME, error),
        }
    }
}

// SAFETY: POSIX promises exclusion and visibility for a process-shared mutex that `make` has made; EOWNERDEAD means that the
// mutex is ours, the kernel having taken it from a thread that has ended.
unsafe impl RawLock for PthreadRobustLock {
    const NAME: &'static str = "pthread-robust";
    const RECOVERS: bool = true;

    unsafe fn init(place: *mut Self) -> io::Result<()> {
        // SAFETY: the caller's promise; the mutex is the only field, and UnsafeCell adds nothing to it.
        unsafe { make(place.cast(), libc::PTHREAD_MUTEX_ROBUST) }
    }

    #[inline]
    fn lock(&self, _me: Holder) -> Acquired {
        // SAFETY: `init` made the mutex, and it has not moved.
        match unsafe { libc::pthread_mutex_lock(self.mutex.get()) } {
            0 => Acquired::Clean,
            libc::EOWNERDEAD => self.recover(),
            error => broken("pthread_mutex_lock", Self::NAME, error),
        }
    }

    #[inline]
    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        // SAFETY: `init` made the mutex, and it has not moved.
        match unsafe { libc::pthread_mutex_trylock(self.mutex.get()) } {
            0 => Some(Acquired::Clean),
            libc::EOWNERDEAD => Some(self.recover()),
            libc::EBUSY => None,
            error => broken("pthread_mutex_trylock", Self::NAME, error),
        }
    }

    #[inline]
    unsafe fn unlock(&self, _me: Holder) {
        // SAFETY: as above, and the caller's thread holds it.
        match unsafe { libc::pthread_mutex_unlock(self.mutex.get()) } {
            0 => {}
            error => broken("pthread_mutex_unlock", Self::NAME, error),
        }
    }
}
