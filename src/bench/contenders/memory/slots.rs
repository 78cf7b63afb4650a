//! Places for payloads of one size in memory that processes share.

use crate::bench::contender::Result;
use crate::bench::shared::SharedBytes;

/// Bytes between the starts of two places, at least: two participants never write to one cache line.
const LINE: usize = 64;

/// So many places. Who may use which one, and when, is its user's business.
pub struct Slots {
    memory: SharedBytes,
    size: usize,
    stride: usize,
    count: usize,
}

impl Slots {
    /// `count` places for payloads of `size` bytes.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(count: usize, size: usize) -> Result<Slots> {
        let stride = size.next_multiple_of(LINE);
        Ok(Slots { memory: SharedBytes::new(count * stride)?, size, stride, count })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    fn at(&self, place: u64) -> *mut u8 {
        let place = (place % self.count as u64) as usize;
        // SAFETY: the place is one of those for which the memory was made.
        unsafe { self.memory.base().add(place * self.stride) }
    }

    /// Writes a payload of the size that all have.
    ///
    /// # Safety
    /// Nobody else uses the place until this returns.
    pub unsafe fn write(&self, place: u64, payload: &[u8]) {
        assert_eq!(payload.len(), self.size);
        // SAFETY: the place has that many bytes, which are nobody else's now.
        unsafe { std::ptr::copy_nonoverlapping(payload.as_ptr(), self.at(place), self.size) }
    }

    /// The payload that lies there.
    ///
    /// # Safety
    /// Nobody writes to the place for as long as this is used.
    pub unsafe fn read(&self, place: u64) -> &[u8] {
        // SAFETY: the place has that many bytes, and was zeroed when it was made.
        unsafe { std::slice::from_raw_parts(self.at(place), self.size) }
    }
}
