//! Memory of this process alone, with nothing on either side as far as an offset of 32 bits reaches: an access outside is a signal, with
//! or without a sanitizer. Used by [`mapping`](super::mapping) only.

use std::io;

/// Bytes on either side that are reserved and cannot be accessed. They cost address space and nothing else.
const GUARD: usize = 1 << 32;

/// So many bytes, all zero at first, in whole pages. Given back when dropped.
pub(super) struct Guarded {
    base: *mut u8,
    size: usize,
}

// SAFETY: the pointer is as good in any thread, and what lies behind it is used as if other processes wrote there.
unsafe impl Send for Guarded {}
// SAFETY: as above.
unsafe impl Sync for Guarded {}

impl Guarded {
    pub(super) fn new(size: usize) -> io::Result<Guarded> {
        let whole = size.checked_next_multiple_of(super::page_size()).and_then(|size| size.checked_add(2 * GUARD));
        let whole = whole.ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, where the kernel finds room for it.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let guarded = Guarded { base: start.cast::<u8>().wrapping_add(GUARD), size };
        // SAFETY: the range lies in the mapping just made, which nobody else knows.
        if unsafe { libc::mprotect(guarded.base.cast(), size, libc::PROT_READ | libc::PROT_WRITE) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(guarded)
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let whole = self.size.next_multiple_of(super::page_size()) + 2 * GUARD;
        // SAFETY: this is what `new` has mapped, and nothing uses it any more.
        unsafe { libc::munmap(self.base.wrapping_sub(GUARD).cast(), whole) };
    }
}
