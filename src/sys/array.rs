//! Memory for one large array that another process finds by the number of a descriptor: made and owned by one process, mapped by others
//! for as long as they need it. Used by [`shared_vec`](crate::ring::shared_vec).
//!
//! Huge pages matter here: with small ones each process takes a fault, or an entry of its page table, for every 4 KiB of a gigabyte, which costs
//! more than a cheap function over the items. Shared memory gets huge pages by itself only where the administrator says so
//! (`shmem_enabled`, mostly "never"), so they are asked for: one small page of each extent is filled, then MADV_COLLAPSE makes the extent one huge
//! page and clears the rest of it. Where that is refused, small pages serve.

use super::advice::advice;
use super::mapping::{memfd, reserve};
use super::memory::{self, Room};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::ptr::{self, NonNull};

/// Bytes of a huge page: of most machines; elsewhere it is a step for filling memory and nothing more.
const HUGE: usize = 2 << 20;

/// Memory is filled in steps of so many bytes: each call that collapses waits for all CPUs once.
const STEP: usize = 64 * HUGE;

/// Why memory for an array cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// More than the machine or a limit allows.
    #[error("no room for a shared vector of {wanted} bytes: {} allows {} bytes; make it smaller", .room.limit, .room.bytes)]
    TooLarge {
        /// Bytes asked for; `u64::MAX` if they are more than can be counted.
        wanted: u64,
        /// What there is.
        room: Room,
    },
    /// The system refuses what is needed.
    #[error("cannot {what} a shared vector: {source}{}", advice(.source))]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// The memory of one array, from the start of a page on; unmapped when dropped.
pub struct ArrayMapping {
    base: NonNull<u8>,
    size: usize,
    /// Of who made it.
    owned: Option<Owned>,
}

struct Owned {
    fd: OwnedFd,
    /// Its maker: a child that was forked has a copy of this value, but not the memory.
    pid: u32,
}

// SAFETY: the mapping belongs to no thread; what may be done with its bytes at the same time is the business of whoever reads the pointer.
unsafe impl Send for ArrayMapping {}
// SAFETY: as above: no method touches the bytes.
unsafe impl Sync for ArrayMapping {}

impl ArrayMapping {
    /// New memory of `size` bytes, all zero and really there, whose size nobody can change any more. Children that this process forks do
    /// not have it.
    ///
    /// # Errors
    /// If that is more than there is.
    pub fn create(size: Option<usize>) -> Result<ArrayMapping, ArrayError> {
        let system = |what| move |source| ArrayError::System { what, source };
        let room = memory::room(true);
        let size = match size {
            Some(size) if size as u64 <= room.bytes => size,
            other => return Err(ArrayError::TooLarge { wanted: other.map_or(u64::MAX, |n| n as u64), room }),
        };
        let file = File::from(memfd(c"gristmill-vec").map_err(system("create"))?);
        file.set_permissions(Permissions::from_mode(0o600)).map_err(system("protect"))?;
        file.set_len(size as u64).map_err(system("size"))?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: `file` is an open descriptor; the call touches no memory.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } == -1 {
            return Err(system("seal")(io::Error::last_os_error()));
        }
        let mut array = Self::map(&file, size, true).map_err(system("map"))?;
        array.owned = Some(Owned { fd: file.into(), pid: std::process::id() });
        array.fill().map_err(system("reserve memory for"))?;
        Ok(array)
    }

    /// Maps what stands behind descriptor `fd` of process `pid`, which must be an array of `size` bytes.
    ///
    /// # Errors
    /// If it is none, or this process may not open it.
    pub fn open(pid: u32, fd: RawFd, size: usize, writable: bool) -> io::Result<ArrayMapping> {
        let path = format!("/proc/{pid}/fd/{fd}");
        // What is behind a wrong number must neither block nor become a terminal.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)?;
        // SAFETY: `file` is an open descriptor; the call touches no memory.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        // A size that nobody can change is what keeps us from SIGBUS.
        let fixed = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        if seals == -1 || seals & fixed != fixed || file.metadata()?.len() != size as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no such array is there"));
        }
        Self::map(&file, size, writable)
    }

    /// Maps it where huge pages fit.
    fn map(file: &File, size: usize, writable: bool) -> io::Result<ArrayMapping> {
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let length = size.next_multiple_of(super::page_size());
        let slack = if size >= HUGE { HUGE } else { 0 };
        let mmap = |at: *mut libc::c_void, length, protection, flags, fd| {
            // SAFETY: without MAP_FIXED the kernel chooses a free range; with it the caller gives one of ours that nobody uses.
            let at = unsafe { libc::mmap(at, length, protection, flags, fd, 0) };
            if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at) }
        };
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let whole = mmap(ptr::null_mut(), length + slack, libc::PROT_NONE, reserve, -1)?;
        let skip = if slack == 0 { 0 } else { whole.align_offset(HUGE) };
        let unmap = |from: usize, to: usize| {
            if from < to {
                // SAFETY: a part of the range just reserved, which nobody uses.
                unsafe { libc::munmap(whole.byte_add(from), to - from) };
            }
        };
        // SAFETY: `skip` is at most the slack, so this stays inside of the range.
        let at = unsafe { whole.byte_add(skip) };
        match mmap(at, length, protection, libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd()) {
            Ok(_) => {
                unmap(0, skip);
                unmap(skip + length, length + slack);
            }
            Err(e) => {
                unmap(0, length + slack);
                return Err(e);
            }
        }
        let base = NonNull::new(at.cast()).expect("the kernel maps nothing at 0 unasked");
        let array = ArrayMapping { base, size, owned: None };
        // A forked child must not write to what it takes no part in. In a worker: nor live on with a range that is given to another.
        array.advise(0, size, libc::MADV_DONTFORK)?;
        Ok(array)
    }

    /// Makes all pages be there.
    fn fill(&self) -> io::Result<()> {
        let huge = self.size / HUGE * HUGE;
        let mut filled = 0;
        while filled < huge {
            let step = STEP.min(huge - filled);
            let seeded = (filled..filled + step).step_by(HUGE).try_for_each(|at| self.advise(at, 1, libc::MADV_POPULATE_WRITE));
            if seeded.is_err() || self.advise(filled, step, libc::MADV_COLLAPSE).is_err() {
                break;
            }
            filled += step;
        }
        while filled < self.size {
            let step = STEP.min(self.size - filled);
            match self.advise(filled, step, libc::MADV_POPULATE_WRITE) {
                Ok(()) => filled += step,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Kernels before 5.14 do not know it.
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                    let fd = self.owned.as_ref().expect("who fills it has made it").fd.as_fd();
                    return reserve(fd, self.size, "a shared vector").map_err(io::Error::other);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Advice on the pages that hold these bytes.
    fn advise(&self, at: usize, length: usize, advice: libc::c_int) -> io::Result<()> {
        let page = super::page_size();
        let start = at / page * page;
        assert!(at.checked_add(length).is_some_and(|end| end <= self.size));
        let length = (at + length - start).next_multiple_of(page);
        // SAFETY: the range is a part of this mapping, as just checked; no advice given here changes what the bytes are.
        let r = unsafe { libc::madvise(self.base.as_ptr().add(start).cast(), length, advice) };
        if r == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Fills the page table for these bytes at once, which costs less than a fault for each page. If that is refused, the faults do it.
    ///
    /// # Panics
    /// If the range is not inside.
    pub fn populate(&self, at: usize, length: usize, writable: bool) {
        let advice = if writable { libc::MADV_POPULATE_WRITE } else { libc::MADV_POPULATE_READ };
        let _ = self.advise(at, length, advice);
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes from [`base`](Self::base) on.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number under which others find it; `None` if this process has not made it.
    pub fn fd(&self) -> Option<RawFd> {
        self.owned.as_ref().map(|o| o.fd.as_raw_fd())
    }
}

impl Drop for ArrayMapping {
    fn drop(&mut self) {
        let length = self.size.next_multiple_of(super::page_size());
        let owned = self.owned.as_ref().filter(|o| o.pid == std::process::id());
        if let Some(Owned { fd, .. }) = owned {
            let flags = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: the descriptor is open; the call gives the pages back, and nobody holds a reference into them any more. Who still
            // maps them holds no memory by that, and reads zeroes.
            unsafe { libc::fallocate(fd.as_raw_fd(), flags, 0, length as libc::off_t) };
        }
        if self.owned.is_none() || owned.is_some() {
            // SAFETY: the range is this mapping, to which there are no references any more. A forked child, where it is not mapped, is
            // excluded: something else may be there.
            unsafe { libc::munmap(self.base.as_ptr().cast(), length) };
        }
    }
}
