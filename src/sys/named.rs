//! A region under a name, through the crate `shared_memory`. Used by [`mapping`](super::mapping) only.
//!
//! The crate maps, and removes the name; what it leaves open is settled here: pages reserved, mode and owner checked, and a
//! name that is removed by nobody but its creator.

use super::mapping::{MapError, check_private, check_size, reserve};
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::ffi::CString;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

pub(super) struct Named {
    shmem: Shmem,
    name: String,
    /// The process whose drop removes the name.
    creator: Option<u32>,
    /// Device and inode of the object: the name may have come to mean another one.
    object: (u64, u64),
}

// SAFETY:
// - `Shmem` is not Send and Sync only because it holds a pointer to the mapping, which is as good in any thread;
// - all that it lets others do through `&` is to read that pointer and the size, which don't change.
unsafe impl Send for Named {}
// SAFETY: as above.
unsafe impl Sync for Named {}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The name as the crate and `shm_open` want it: a slash, then no more of them.
fn checked(name: &str) -> Result<String, MapError> {
    let fits = (1..=250).contains(&name.len()) && !name.contains(['/', '\0']) && !name.starts_with('.');
    if fits { Ok(format!("/{name}")) } else { Err(MapError::BadName { name: name.into() }) }
}

fn place(name: &str) -> String {
    format!("the named region {:?} (/dev/shm{name})", name.trim_start_matches('/'))
}

/// A descriptor of our own: the crate keeps its own to itself.
fn open(name: &str) -> io::Result<File> {
    let text = CString::new(name)?;
    // SAFETY: the name is a string that ends with NUL.
    match unsafe { libc::shm_open(text.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor is new and belongs to nobody else.
        fd => Ok(unsafe { File::from_raw_fd(fd) }),
    }
}

/// What the crate reports, with the system's own words for the error number inside.
fn failed(action: &'static str, place: &str, e: ShmemError) -> MapError {
    let source = match e {
        ShmemError::MappingIdExists => return MapError::NameTaken { place: place.into() },
        ShmemError::MapCreateFailed(n) | ShmemError::MapOpenFailed(n) | ShmemError::UnknownOsError(n) => {
            io::Error::from_raw_os_error(n as i32)
        }
        e => io::Error::other(e.to_string()),
    };
    MapError::System { action, place: place.into(), source }
}

impl Named {
    pub(super) fn create(name: &str, size: usize) -> Result<(Named, OwnedFd), MapError> {
        let name = checked(name)?;
        let place = place(&name);
        let system = |action| {
            let place = place.clone();
            move |source| MapError::System { action, place, source }
        };
        // Opened by nobody else before the pages are reserved: attaching needs the ready mark that is written at last.
        let shmem = ShmemConf::new().os_id(&name).size(size).create().map_err(|e| failed("create", &place, e))?;
        let file = open(&name).map_err(system("open"))?;
        // The creation mask of this process may have taken bits away.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(system("protect"))?;
        let meta = file.metadata().map_err(system("inspect"))?;
        check_private(&meta, &place)?;
        reserve(file.as_fd(), size, &place)?;
        Ok((Named { shmem, name, creator: Some(std::process::id()), object: identity(&meta) }, file.into()))
    }

    pub(super) fn open(name: &str) -> Result<(Named, OwnedFd), MapError> {
        let name = checked(name)?;
        let place = place(&name);
        let system = |source| MapError::System { action: "open", place: place.clone(), source };
        let file = open(&name).map_err(system)?;
        let meta = file.metadata().map_err(system)?;
        check_private(&meta, &place)?;
        let size = check_size(&meta, &place)?;
        let shmem = ShmemConf::new().os_id(&name).open().map_err(|e| failed("open", &place, e))?;
        // The crate opened the name once more: it must still be what was checked.
        let again = open(&name).and_then(|f| f.metadata()).map_err(system)?;
        if identity(&again) != identity(&meta) || shmem.len() != size {
            return Err(MapError::NotOurs { place, why: "it was replaced while it was opened; try again".into() });
        }
        Ok((Named { shmem, name, creator: None, object: identity(&meta) }, file.into()))
    }

    pub(super) fn place(&self) -> String {
        place(&self.name)
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.shmem.as_ptr()
    }

    pub(super) fn size(&self) -> usize {
        self.shmem.len()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // A forked child has a copy of this value, and its drop must leave the name alone; so must ours, if somebody has
        // removed the name and used it again.
        let there = match open(&self.name).and_then(|f| f.metadata()) {
            // No descriptor or no memory to look with: where the C library keeps such objects, a look takes none.
            Err(e) if e.kind() != io::ErrorKind::NotFound => std::fs::symlink_metadata(format!("/dev/shm{}", self.name)),
            other => other,
        };
        // If there is not even memory for that: it was ours, and nothing says that it is not.
        let still = there.map_or_else(|e| e.kind() != io::ErrorKind::NotFound, |m| identity(&m) == self.object);
        self.shmem.set_owner(self.creator == Some(std::process::id()) && still);
    }
}
