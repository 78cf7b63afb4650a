//! Memory that several processes map: without a name (the default), under a name, or in a file.
//!
//! A mapping's pages are reserved when it is made, so that a full machine is an error then and never a fatal signal in the
//! middle of a run. What the bytes mean is the business of the layers above.

use super::advice::advice;
use super::guarded::Guarded;
use super::memory::{self, Room};
use std::ffi::CStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// The least size of a region, in bytes: one page of every machine.
pub const SMALLEST: usize = 4096;

/// Why a region could not be made or attached to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// More than the machine or a limit allows.
    #[error("no room for a region of {}: {} allows {}; ask for a smaller one", size(*.wanted), .room.limit, size(.room.bytes))]
    TooLarge {
        /// Bytes asked for.
        wanted: u64,
        /// What there is.
        room: Room,
    },
    /// The file system that holds the region is full.
    #[error("no room for a region of {} in {place}: {} are free; ask for a smaller one or free some space", size(*.wanted), size(*.free))]
    Full {
        /// Where the region would be.
        place: String,
        /// Bytes asked for.
        wanted: u64,
        /// Bytes free there.
        free: u64,
    },
    /// Less than [`SMALLEST`].
    #[error("a region of {wanted} bytes is too small: the least is {SMALLEST} bytes")]
    TooSmall {
        /// Bytes asked for.
        wanted: u64,
    },
    /// What should be a region is shorter than any region.
    #[error("{place} has {found} bytes, less than any region ({SMALLEST}): it is truncated, or not a region")]
    Truncated {
        /// What was opened.
        place: String,
        /// Its size in bytes.
        found: u64,
    },
    /// A region of that name, or such a file, exists.
    #[error("{place} is taken: choose another name, or remove it if its owner has died")]
    NameTaken {
        /// The name or path.
        place: String,
    },
    /// Not a name for a region.
    #[error("{name:?} cannot name a region: use 1 to 250 bytes without '/' and NUL, not starting with '.'")]
    BadName {
        /// The name.
        name: String,
    },
    /// It exists, but attaching to it would not be safe.
    #[error("{place} is not a region of ours: {why}")]
    NotOurs {
        /// What was opened.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A system call failed.
    #[error("cannot {action} {place}: {source}{}", advice(.source))]
    System {
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// How the system call failed.
        source: io::Error,
    },
}

fn size(bytes: u64) -> String {
    format!("{bytes} bytes ({:.1} MiB)", bytes as f64 / (1 << 20) as f64)
}

fn system(action: &'static str, place: &str) -> impl FnOnce(io::Error) -> MapError {
    move |source| MapError::System { action, place: place.into(), source }
}

/// A region of memory shared with other processes, readable and writable, unmapped when dropped.
pub struct Mapping {
    memory: Memory,
    /// `None` once it has been closed, and where there has never been one.
    fd: Option<OwnedFd>,
    place: String,
}

enum Memory {
    Raw(memmap2::MmapRaw),
    Guarded(Arc<Guarded>),
    #[cfg(feature = "named")]
    Named(super::named::Named),
}

impl Mapping {
    /// A region without a name, of `size` bytes, all zero. Only who inherits [`Mapping::fd`] can attach; it can't be
    /// resized by anyone, and it is gone when the last process that maps it has ended.
    pub fn anonymous(size: usize) -> Result<Mapping, MapError> {
        const PLACE: &str = "a region in memory";
        check_room(size, true)?;
        let file = File::from(memfd(c"gristmill").map_err(system("create", PLACE))?);
        // Its mode matters to who can reach it through /proc.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(system("protect", PLACE))?;
        reserve(file.as_fd(), size, PLACE)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: `file` is an open descriptor; the call touches no memory.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } == -1 {
            return Err(system("seal", PLACE)(io::Error::last_os_error()));
        }
        map(file.into(), size, PLACE)
    }

    /// Attaches to the region behind an inherited descriptor, and makes that descriptor close-on-exec. A region without
    /// a name must be sealed, so that nobody can truncate it while it is mapped.
    pub fn from_fd(fd: OwnedFd) -> Result<Mapping, MapError> {
        let place = format!("descriptor {}", fd.as_raw_fd());
        super::spawn::close_on_exec(fd.as_fd()).map_err(system("inherit", &place))?;
        let file = File::from(fd);
        let meta = file.metadata().map_err(system("inspect", &place))?;
        let size = check_size(&meta, &place)?;
        // What has a name, or had one until somebody removed it, can't be sealed; nor can a file on a disk.
        let target = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(system("inspect", &place))?;
        // SAFETY: `file` is an open descriptor; the call touches no memory.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        if target.as_os_str().as_bytes().starts_with(b"/memfd:") && (seals == -1 || seals & libc::F_SEAL_SHRINK == 0) {
            return Err(MapError::NotOurs { place, why: "it is not sealed against truncation".into() });
        }
        map(file.into(), size, &place)
    }

    /// A region of this process alone, of `size` bytes, all zero, for participants that are parts of one program: [`again`](Self::again) gives
    /// each its own mapping of it, without a system call. Whoever reads or writes outside of it, as far as an offset of 32 bits
    /// reaches, is ended by a signal; so tests see what would otherwise hit what happens to lie beside it.
    pub fn guarded(size: usize) -> Result<Mapping, MapError> {
        const PLACE: &str = "a region of one process";
        check_room(size, true)?;
        let memory = Guarded::new(size).map_err(system("reserve memory for", PLACE))?;
        Ok(Mapping { memory: Memory::Guarded(Arc::new(memory)), fd: None, place: PLACE.into() })
    }

    /// The same memory once more, for another participant in this process.
    ///
    /// # Panics
    /// After [`close_descriptor`](Self::close_descriptor).
    pub fn again(&self) -> Result<Mapping, MapError> {
        if let Memory::Guarded(memory) = &self.memory {
            return Ok(Mapping { memory: Memory::Guarded(memory.clone()), fd: None, place: self.place.clone() });
        }
        Self::from_fd(self.fd().try_clone_to_owned().map_err(system("duplicate", &self.place))?)
    }

    /// A region in a new file with mode 0600. The file stays when the mapping is dropped.
    pub fn file(path: &Path, size: usize) -> Result<Mapping, MapError> {
        let place = path.display().to_string();
        // Before the file exists: nothing is to be left behind by a refusal.
        check_room(size, false)?;
        let file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(MapError::NameTaken { place }),
            Err(e) => return Err(system("create", &place)(e)),
        };
        let made = (|| {
            check_room(size, in_memory(file.as_fd()))?;
            reserve(file.as_fd(), size, &place)?;
            map(file.into(), size, &place)
        })();
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Attaches to the region in an existing file, which must belong to this user and be closed to all others.
    pub fn open_file(path: &Path) -> Result<Mapping, MapError> {
        let place = path.display().to_string();
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(system("open", &place))?;
        let meta = file.metadata().map_err(system("inspect", &place))?;
        check_private(&meta, &place)?;
        let size = check_size(&meta, &place)?;
        map(file.into(), size, &place)
    }

    /// A new region that unrelated programs of this user reach by `name`. The name goes when this mapping is dropped; if
    /// this process is killed, it stays.
    #[cfg(feature = "named")]
    pub fn named(name: &str, size: usize) -> Result<Mapping, MapError> {
        check_room(size, true)?;
        let (named, fd) = super::named::Named::create(name, size)?;
        Ok(Mapping { place: named.place(), memory: Memory::Named(named), fd: Some(fd) })
    }

    /// Attaches to the region called `name`, which must belong to this user and be closed to all others. Its creator can
    /// still truncate it: a named region trusts the programs of its user.
    #[cfg(feature = "named")]
    pub fn open_named(name: &str) -> Result<Mapping, MapError> {
        let (named, fd) = super::named::Named::open(name)?;
        Ok(Mapping { place: named.place(), memory: Memory::Named(named), fd: Some(fd) })
    }

    /// Keeps the region out of the children that this process makes by `fork` without executing a program: such a child
    /// must not change what it does not take part in.
    pub fn not_inherited_by_forks(&self) -> io::Result<()> {
        // SAFETY: the range is this mapping, which lives; the advice concerns future children only.
        if unsafe { libc::madvise(self.base().cast(), self.size(), libc::MADV_DONTFORK) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Keeps the region out of this process's core dumps.
    pub fn not_in_core_dumps(&self) -> io::Result<()> {
        // SAFETY: the range is this mapping, which lives; the advice changes nothing in it.
        if unsafe { libc::madvise(self.base().cast(), self.size(), libc::MADV_DONTDUMP) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// The first byte, at the start of a page. Other processes write here at any time: use atomics or copies, never
    /// references to plain data.
    pub fn base(&self) -> *mut u8 {
        match &self.memory {
            Memory::Raw(raw) => raw.as_mut_ptr(),
            Memory::Guarded(guarded) => guarded.base(),
            #[cfg(feature = "named")]
            Memory::Named(named) => named.base(),
        }
    }

    /// Bytes from [`Mapping::base`] that are mapped.
    pub fn size(&self) -> usize {
        match &self.memory {
            Memory::Raw(raw) => raw.len(),
            Memory::Guarded(guarded) => guarded.size(),
            #[cfg(feature = "named")]
            Memory::Named(named) => named.size(),
        }
    }

    /// What is mapped, for messages: a path, a name or a descriptor.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Closes the descriptor, in a process that gives it to nobody: a child that it forks would keep the memory as long as it lives.
    pub fn close_descriptor(&mut self) {
        self.fd = None;
    }

    /// The descriptor for a worker to inherit and to give to [`Mapping::from_fd`].
    ///
    /// # Panics
    /// After [`close_descriptor`](Self::close_descriptor), and for a [`guarded`](Self::guarded) region, which nobody inherits.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("there is one wherever somebody inherits it").as_fd()
    }
}

/// A file in memory, without a name, with these contents, positioned at its start.
///
/// # Errors
/// The system's.
pub fn memory_file(contents: &[u8]) -> io::Result<File> {
    use std::io::{Seek, Write};
    let mut file = File::from(memfd(c"gristmill")?);
    file.write_all(contents)?;
    file.rewind()?;
    Ok(file)
}

pub(super) fn memfd(name: &CStr) -> io::Result<OwnedFd> {
    let create = |extra| {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | extra;
        // SAFETY: the name is a string that ends with NUL.
        match unsafe { libc::memfd_create(name.as_ptr(), flags) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the descriptor is new and belongs to nobody else.
            fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        }
    };
    // Hardened systems refuse one that could be executed; kernels before 6.3 don't know the flag.
    create(libc::MFD_NOEXEC_SEAL).or_else(|e| if e.raw_os_error() == Some(libc::EINVAL) { create(0) } else { Err(e) })
}

fn map(fd: OwnedFd, size: usize, place: &str) -> Result<Mapping, MapError> {
    let raw = memmap2::MmapOptions::new().len(size).map_raw(&fd).map_err(system("map", place))?;
    Ok(Mapping { memory: Memory::Raw(raw), fd: Some(fd), place: place.into() })
}

fn check_room(wanted: usize, in_memory: bool) -> Result<(), MapError> {
    let wanted = wanted as u64;
    if wanted < SMALLEST as u64 {
        return Err(MapError::TooSmall { wanted });
    }
    let room = memory::room(in_memory);
    if wanted > room.bytes { Err(MapError::TooLarge { wanted, room }) } else { Ok(()) }
}

fn in_memory(fd: BorrowedFd) -> bool {
    // SAFETY: all zeroes is a valid statfs.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` is open and `stat` is valid to write to.
    unsafe { libc::fstatfs(fd.as_raw_fd(), &mut stat) == 0 && stat.f_type == libc::TMPFS_MAGIC }
}

/// Gives the file `size` bytes that are really there.
pub(super) fn reserve(fd: BorrowedFd, size: usize, place: &str) -> Result<(), MapError> {
    // In steps: older kernels undo a step that any signal interrupts, and a timer that ticks faster than the whole takes
    // would keep it from ever ending.
    const STEP: usize = 16 << 20;
    let full = |free| MapError::Full { place: place.into(), wanted: size as u64, free };
    // Asked first: to find it out step by step would fill the disk, and whoever else writes to it meanwhile would fail.
    if let Some(free) = free_space(fd).filter(|&free| free < size as u64) {
        return Err(full(free));
    }
    for start in (0..size).step_by(STEP) {
        let len = STEP.min(size - start);
        // SAFETY: `fd` is open; the call touches no memory of this process.
        let step = || unsafe { libc::posix_fallocate(fd.as_raw_fd(), start as libc::off_t, len as libc::off_t) };
        let mut error = step();
        while error == libc::EINTR {
            error = step();
        }
        match error {
            0 => (),
            libc::ENOSPC | libc::EDQUOT => {
                return Err(full(free_space(fd).unwrap_or(0) + start as u64));
            }
            _ => return Err(system("reserve memory for", place)(io::Error::from_raw_os_error(error))),
        }
    }
    Ok(())
}

/// What the file system has left for this user; `None` if it has no bound of its own, as memory without a name.
fn free_space(fd: BorrowedFd) -> Option<u64> {
    // SAFETY: all zeroes is a valid statvfs.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` is open and `stat` is valid to write to.
    unsafe { libc::fstatvfs(fd.as_raw_fd(), &mut stat) };
    (stat.f_blocks > 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The size of an existing region, if it can be one.
pub(super) fn check_size(meta: &std::fs::Metadata, place: &str) -> Result<usize, MapError> {
    if !meta.is_file() {
        return Err(MapError::NotOurs { place: place.into(), why: "it is not a regular file".into() });
    }
    if meta.len() < SMALLEST as u64 {
        return Err(MapError::Truncated { place: place.into(), found: meta.len() });
    }
    Ok(meta.len() as usize)
}

/// Refuses what another user made or may open.
pub(super) fn check_private(meta: &std::fs::Metadata, place: &str) -> Result<(), MapError> {
    // SAFETY: the call has no arguments and can't fail.
    let us = unsafe { libc::geteuid() };
    let why = if meta.uid() != us {
        format!("it belongs to user {}, and this is user {us}", meta.uid())
    } else if meta.mode() & 0o077 != 0 {
        format!("other users may open it (mode {:o}; a region has 600)", meta.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(MapError::NotOurs { place: place.into(), why })
}
