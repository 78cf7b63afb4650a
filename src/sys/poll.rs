//! Waiting until one of several descriptors has something to say, with an absolute deadline; and a descriptor that a thread
//! makes readable to wake another out of that wait. The supervisor sleeps here.

use super::clock::{self, Deadline};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Sleeps until at least one of `fds` is readable, at its end, or in error, or until the deadline; tells which, in their
/// order. All false means that the deadline has passed.
///
/// # Errors
/// The kernel's, and EBADF for a descriptor that is not open.
pub fn poll(fds: &[BorrowedFd], deadline: Option<Deadline>) -> io::Result<Vec<bool>> {
    let entry = |fd: &BorrowedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<_> = fds.iter().map(entry).collect();
    loop {
        // Computed anew each time, so that a signal does not prolong the wait.
        let left = deadline.map(|d| Deadline(d.0.saturating_sub(clock::now())).timespec());
        // SAFETY:
        // - `entries` is an array of that many pollfds, valid to write to;
        // - the timespec, if there is one, lives until the call returns;
        // - no signal mask is given.
        let r = unsafe {
            libc::ppoll(
                entries.as_mut_ptr(),
                entries.len() as libc::nfds_t,
                left.as_ref().map_or(std::ptr::null(), |t| t as *const libc::timespec),
                std::ptr::null(),
            )
        };
        if r >= 0 {
            break;
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
    if entries.iter().any(|e| e.revents & libc::POLLNVAL != 0) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(entries.iter().map(|e| e.revents != 0).collect())
}

/// A descriptor that is readable from [`EventFd::signal`] until [`EventFd::drain`]. Close-on-exec; nothing here blocks.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A new one, not readable.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: the call touches no memory.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the descriptor is new and belongs to nobody else.
            fd => Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Another descriptor for the same thing.
    ///
    /// # Errors
    /// The system's, if it has none left.
    pub fn another(&self) -> io::Result<EventFd> {
        Ok(EventFd(self.0.try_clone()?))
    }

    /// Makes it readable. May be called in a signal handler.
    pub fn signal(&self) {
        let one = 1u64;
        // A signal that interrupts must not cost the one wake-up there is. The other failure is a counter that is full: then it is
        // readable already.
        // SAFETY: eight bytes are read from a live u64.
        while unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) } == -1
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }

    /// Makes it unreadable; tells how many signals there were.
    pub fn drain(&self) -> u64 {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to a live u64.
        // The only failure is that there was no signal, and then `count` stays 0.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
        count
    }
}

impl From<OwnedFd> for EventFd {
    /// For a descriptor that was inherited from the one who made it.
    fn from(fd: OwnedFd) -> Self {
        EventFd(fd)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
