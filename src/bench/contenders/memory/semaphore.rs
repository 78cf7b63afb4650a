//! Counting semaphores between processes, of three kinds: the ways to sleep and to wake that are compared.

use crate::bench::contender::Result;
use crate::sys::futex;
use std::cell::UnsafeCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

/// A number of permits.
pub trait Semaphore: Sync {
    /// Waits for a permit, and takes it and others that are there: at most `most`. How many there were.
    ///
    /// # Errors
    /// The system's.
    fn acquire(&self, most: usize) -> Result<usize>;

    /// Gives permits.
    ///
    /// # Errors
    /// The system's.
    fn release(&self, permits: usize) -> Result<()>;
}

/// A word of shared memory; the kernel is asked only if somebody has to sleep or to be woken.
#[derive(Default)]
#[repr(C, align(128))]
pub struct FutexSemaphore {
    permits: crate::sys::atomic::AtomicU32,
    sleepers: AtomicU32,
}

impl FutexSemaphore {
    /// With so many permits.
    pub fn new(permits: u32) -> Self {
        FutexSemaphore { permits: crate::sys::atomic::AtomicU32::new(permits), sleepers: AtomicU32::new(0) }
    }
}

impl Semaphore for FutexSemaphore {
    fn acquire(&self, most: usize) -> Result<usize> {
        let most = most as u32;
        loop {
            let there = self.permits.load(SeqCst);
            if there == 0 {
                // SeqCst on both sides: either the sleeper is seen by who releases, or the kernel sees that there are permits.
                self.sleepers.fetch_add(1, SeqCst);
                futex::wait(&self.permits, 0, None);
                self.sleepers.fetch_sub(1, SeqCst);
            } else if self.permits.compare_exchange(there, there - there.min(most), SeqCst, SeqCst).is_ok() {
                return Ok(there.min(most) as usize);
            }
        }
    }

    fn release(&self, permits: usize) -> Result<()> {
        self.permits.fetch_add(permits as u32, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            futex::wake(&self.permits, permits as u32);
        }
        Ok(())
    }
}

/// A counter of the kernel; each permit is a system call on either side.
pub struct EventFdSemaphore(File);

impl EventFdSemaphore {
    /// With so many permits.
    ///
    /// # Errors
    /// The system's.
    pub fn new(permits: u32) -> io::Result<Self> {
        // SAFETY: takes integers and touches no memory.
        match unsafe { libc::eventfd(permits, libc::EFD_SEMAPHORE | libc::EFD_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the descriptor is new and nobody else's.
            fd => Ok(EventFdSemaphore(unsafe { File::from_raw_fd(fd) })),
        }
    }
}

impl Semaphore for EventFdSemaphore {
    fn acquire(&self, _: usize) -> Result<usize> {
        (&self.0).read_exact(&mut [0; 8])?;
        Ok(1)
    }

    fn release(&self, permits: usize) -> Result<()> {
        Ok((&self.0).write_all(&(permits as u64).to_ne_bytes())?)
    }
}

/// The C library's, `sem_t`, in shared memory.
#[repr(C, align(128))]
pub struct PosixSemaphore(UnsafeCell<libc::sem_t>);

// SAFETY: a semaphore is made to be used by several at a time.
unsafe impl Sync for PosixSemaphore {}

impl PosixSemaphore {
    /// Makes it, with so many permits, at its place.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Safety
    /// The place is valid for writes and nobody else's, and the semaphore stays there.
    pub unsafe fn init(place: *mut PosixSemaphore, permits: u32) -> io::Result<()> {
        // SAFETY: the caller vouches for the place.
        match unsafe { libc::sem_init(UnsafeCell::raw_get(&raw const (*place).0), 1, permits) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Semaphore for PosixSemaphore {
    fn acquire(&self, most: usize) -> Result<usize> {
        // SAFETY: `init` has made it, at this place.
        while unsafe { libc::sem_wait(self.0.get()) } == -1 {
            let why = io::Error::last_os_error();
            if why.kind() != io::ErrorKind::Interrupted {
                return Err(why.into());
            }
        }
        // SAFETY: as above; if there is none it says so, and takes none.
        let more = (1..most).take_while(|_| unsafe { libc::sem_trywait(self.0.get()) } == 0);
        Ok(1 + more.count())
    }

    fn release(&self, permits: usize) -> Result<()> {
        for _ in 0..permits {
            // SAFETY: as above.
            if unsafe { libc::sem_post(self.0.get()) } == -1 {
                return Err(io::Error::last_os_error().into());
            }
        }
        Ok(())
    }
}
