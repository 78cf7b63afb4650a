//! The head of a shared vector's memory, which is a mapping of its own beside the region. The items start with the page after it.

use crate::sys::atomic::AtomicU64;

/// The first eight bytes: "GRISTVEC" in the order of a little-endian machine.
pub const ARRAY_MAGIC: u64 = u64::from_le_bytes(*b"GRISTVEC");

/// Written by the vector's maker before anybody else knows of it, and never changed. All zero once the vector has been dropped.
///
/// A number of a descriptor is used again; an id is not. So whoever finds the memory by its descriptor compares the id, and whoever has it
/// mapped still sees whether the vector is there.
#[repr(C)]
#[derive(Debug)]
pub struct ArrayHead {
    /// [`ARRAY_MAGIC`].
    pub magic: AtomicU64,
    /// Chosen at random, not 0.
    pub id: AtomicU64,
    /// Bytes of an item.
    pub item_size: AtomicU64,
    /// How many items.
    pub items: AtomicU64,
}

const _: () = assert!(size_of::<ArrayHead>() == 32);
