//! The C library's mutex, shared between processes: what most programs would take.
//!
//! It sleeps on a futex like the engine's lock, but does not say who owns it: when an owner dies, it stays held for ever.

use super::{Acquired, Holder, RawLock};
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

/// `pthread_mutex_t` with `PTHREAD_PROCESS_SHARED`.
#[repr(C)]
pub struct PthreadLock {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
}

// SAFETY: a mutex is made to be used by many threads at once; the C library alone looks inside.
unsafe impl Sync for PthreadLock {}

/// The system's error numbers as results.
pub(super) fn checked(error: i32) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Ends a call that the mutex's memory can't be behind: the number is none that a sound mutex in correct use gives.
#[cold]
pub(super) fn broken(call: &str, kind: &str, error: i32) -> ! {
    let error = io::Error::from_raw_os_error(error);
    panic!("{call} on a {kind} lock: {error}; its memory was overwritten or another thread holds it: make the lock anew");
}

/// Makes a process-shared mutex at `place`, robust or not.
///
/// # Safety
/// As [`RawLock::init`].
pub(super) unsafe fn make(place: *mut libc::pthread_mutex_t, robustness: i32) -> io::Result<()> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: `attributes` is ours to write to; the call makes it valid if it succeeds.
    checked(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) })?;
    let attributes = attributes.as_mut_ptr();
    // SAFETY:
    // - `attributes` was made above and is destroyed after its last use;
    // - `place` is the caller's promise.
    unsafe {
        let made = checked(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))
            .and_then(|()| checked(libc::pthread_mutexattr_setrobust(attributes, robustness)))
            .and_then(|()| checked(libc::pthread_mutex_init(place, attributes)));
        libc::pthread_mutexattr_destroy(attributes);
        made
    }
}

// SAFETY: POSIX promises exclusion and visibility for a process-shared mutex that `make` has made.
unsafe impl RawLock for PthreadLock {
    const NAME: &'static str = "pthread";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> io::Result<()> {
        // SAFETY: the caller's promise; the mutex is the only field, and UnsafeCell adds nothing to it.
        unsafe { make(place.cast(), libc::PTHREAD_MUTEX_STALLED) }
    }

    #[inline]
    fn lock(&self, _me: Holder) -> Acquired {
        // SAFETY: `init` made the mutex, and it has not moved.
        match unsafe { libc::pthread_mutex_lock(self.mutex.get()) } {
            0 => Acquired::Clean,
            error => broken("pthread_mutex_lock", Self::NAME, error),
        }
    }

    #[inline]
    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        // SAFETY: `init` made the mutex, and it has not moved.
        match unsafe { libc::pthread_mutex_trylock(self.mutex.get()) } {
            0 => Some(Acquired::Clean),
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
