//! The mutex of the crate `raw_sync` 0.1.5 as one more lock kind, for comparison. The engine never uses it.
//!
//! On Linux it is a process-shared, not robust `pthread_mutex_t` behind a boxed trait object. What we saw in its code:
//!
//! - Its handle is a `Box` that holds addresses of this process. In shared memory we keep the mutex alone and make a handle
//!   for each call: one small allocation that a program which keeps its handles does not pay, and that the figures of this kind include.
//! - There is no way to try. The nearest is a wait of no time, so a try that finds the mutex held is a system call, and it marks the
//!   mutex as waited for: the owner's `release` is a system call too.
//! - `try_lock` adds the nanoseconds of its timeout to those of the clock and does not carry. At 0.5 s, half of all calls
//!   ask for a moment that does not exist; if the mutex is held they return EINVAL at once, and if it is free they work. A timeout of 0 is the
//!   one that is always right, so we use no other.
//! - Timeouts are moments of the wall clock: when that is set, they are too long or too short.
//! - An error is a text that ends in the number. A caller that asks only whether there was one takes "invalid" for "held"; we read the number.
//! - The clock and the mutex attributes are read into variables that were declared initialised when they were not.

use super::pthread::broken;
use super::{Acquired, Holder, RawLock};
use raw_sync::Timeout;
use raw_sync::locks::{LockImpl, LockInit, Mutex};
use std::cell::UnsafeCell;
use std::time::Duration;
use std::{io, mem, ptr};

/// The memory of one `raw_sync::locks::Mutex`, and nothing else: no handle, no address.
#[repr(C)]
pub struct RawSyncLock {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
}

// SAFETY: a mutex is made to be used by many threads at once; the C library alone looks inside.
unsafe impl Sync for RawSyncLock {}

impl RawSyncLock {
    fn handle(&self) -> Box<dyn LockImpl> {
        // SAFETY:
        // - `init` made the mutex here. Its address is a multiple of 8, so the crate finds it without padding;
        // - the data pointer is handed back by guards on request alone, and we ask no guard.
        match unsafe { Mutex::from_existing(self.mutex.get().cast(), ptr::null_mut()) } {
            Ok((handle, _)) => handle,
            Err(error) => panic!("raw_sync made no handle for a lock: {error}; this version of raw_sync is not one we know"),
        }
    }
}

/// The error number at the end of one of the crate's messages; 0 if there is none.
fn number(error: &dyn std::error::Error) -> i32 {
    error.to_string().rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

// SAFETY: POSIX promises exclusion and visibility for the process-shared mutex that the crate makes; `lock` and `try_lock` return
// only when it is ours, and forget the guard, so that only `unlock` gives it back.
unsafe impl RawLock for RawSyncLock {
    const NAME: &'static str = "raw_sync";
    const RECOVERS: bool = false;

    unsafe fn init(place: *mut Self) -> io::Result<()> {
        // SAFETY: the caller's promise; the data pointer is never asked for.
        match unsafe { Mutex::new(place.cast(), ptr::null_mut()) } {
            Ok((_, size)) if size == size_of::<Self>() => Ok(()),
            Ok((_, size)) => Err(io::Error::other(format!("raw_sync's mutex takes {size} bytes, not {}", size_of::<Self>()))),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn lock(&self, _me: Holder) -> Acquired {
        match self.handle().lock() {
            Ok(guard) => mem::forget(guard),
            Err(error) => broken("lock", Self::NAME, number(&*error)),
        }
        Acquired::Clean
    }

    fn try_lock(&self, _me: Holder) -> Option<Acquired> {
        match self.handle().try_lock(Timeout::Val(Duration::ZERO)) {
            Ok(guard) => mem::forget(guard),
            Err(error) => match number(&*error) {
                libc::ETIMEDOUT => return None,
                number => broken("try_lock", Self::NAME, number),
            },
        }
        Some(Acquired::Clean)
    }

    unsafe fn unlock(&self, _me: Holder) {
        if let Err(error) = self.handle().release() {
            broken("release", Self::NAME, number(&*error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault that the module speaks of. If it is gone one day, the module's text is to be changed.
    #[test]
    fn its_timeouts_do_not_carry_and_ours_is_never_hit_by_that() {
        let place = Box::into_raw(Box::new(mem::MaybeUninit::<RawSyncLock>::uninit())).cast::<RawSyncLock>();
        // SAFETY: fresh memory of the right size and alignment, that nobody else knows.
        unsafe { RawSyncLock::init(place) }.unwrap();
        // SAFETY: made above, freed below.
        let lock = unsafe { &*place };
        let me = Holder::new(1, 0);
        lock.lock(me);
        // This needs a carry except in the first nanosecond of a second, so one of two tries does.
        let handle = lock.handle();
        let numbers: Vec<i32> = (0..2)
            .map(|_| number(&*handle.try_lock(Timeout::Val(Duration::new(0, 999_999_999))).err().expect("the lock is held")))
            .collect();
        assert!(numbers.contains(&libc::EINVAL), "{numbers:?}");
        assert_eq!(lock.try_lock(me), None);
        // SAFETY: this thread locked it above.
        unsafe { lock.unlock(me) };
        assert_eq!(lock.try_lock(me), Some(Acquired::Clean));
        // SAFETY: this thread locked it in the line above.
        unsafe { lock.unlock(me) };
        // SAFETY: it came from a Box of this layout, and no borrow of it is used again.
        drop(unsafe { Box::from_raw(place.cast::<mem::MaybeUninit<RawSyncLock>>()) });
    }
}
