//! A value in memory that forked processes share, and a range of such memory.

use super::contender::Result;
use memmap2::{MmapOptions, MmapRaw};
use std::marker::PhantomData;
use std::ops::Deref;

/// Memory that processes share which are forked after it was made, zeroed and present.
pub struct SharedBytes(MmapRaw);

impl SharedBytes {
    /// So many bytes, on pages of their own.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(bytes: usize) -> Result<SharedBytes> {
        let file = crate::sys::mapping::memory_file(&[])?;
        file.set_len(bytes as u64)?;
        Ok(SharedBytes(MmapOptions::new().populate().map_raw(&file)?))
    }

    /// Where they begin.
    pub fn base(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

/// A value that processes share which are forked after it was made. Never dropped: others may still use it.
pub struct Shared<T> {
    memory: SharedBytes,
    of: PhantomData<T>,
}

impl<T: Sync> Shared<T> {
    /// A value that `init` makes at its place, which is valid for writes, aligned, zeroed, and nobody else's until then.
    ///
    /// # Errors
    /// If there is no memory, or `init` fails.
    pub fn new(init: impl FnOnce(*mut T) -> Result<()>) -> Result<Shared<T>> {
        assert!(align_of::<T>() <= 4096);
        let memory = SharedBytes::new(size_of::<T>().max(1))?;
        init(memory.base().cast())?;
        Ok(Shared { memory, of: PhantomData })
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` has made a value there, which nobody moves or drops; the mapping lives as long as `self`; processes share it only by `&`.
        unsafe { &*self.memory.base().cast::<T>() }
    }
}

// SAFETY: it is used only by shared reference, and `T` is `Sync`.
unsafe impl<T: Sync> Sync for Shared<T> {}
