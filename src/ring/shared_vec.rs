//! An array in shared memory of its own, and views of its ranges in workers: nothing is copied, and references to items are handed out.
//!
//! That is the one exception to the rule that no reference is made over memory that another process may write, and it rests on this:
//! - items are plain data ([`NoUninit`], [`AnyBitPattern`]), so whatever bytes stand there are items;
//! - the parent's `SharedVec` is borrowed for as long as workers have views: mutably if they write;
//! - a range that is written is a part of exactly one job, and a job is run by one worker at a time. A worker that dies is reaped before its
//!   job goes to another, and the borrow ends when every job has its outcome or no worker lives any more;
//! - a child that a job forks does not have the memory.
//!
//! What a worker is told of a vector is a claim all the same: descriptor, id, sizes and range are compared before a view is made.

use crate::layout::{ARRAY_MAGIC, ArrayHead};
use crate::sys;
use crate::sys::advice::advice;
use crate::sys::array::{ArrayError, ArrayMapping};
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::rc::Rc;
use std::slice;
use std::sync::atomic::Ordering::Relaxed;

/// So many mappings a worker keeps.
const KEPT: usize = 8;

/// Page tables are filled by blocks of so many bytes; less than one block is left to faults.
const BLOCK: usize = 64 << 10;

/// An array of plain data in shared memory, of which workers of any pool get ranges in place: see
/// [`for_each_chunk`](crate::ProcessPool::for_each_chunk) and [`map_slice`](crate::ProcessPool::map_slice).
///
/// In this process it is a slice: it derefs to `[T]`. It has memory of its own, as large as the machine has, in huge pages where the kernel gives
/// them, all of it really there from the start. Making one costs a system call or a dozen and the clearing of its memory; it takes one descriptor.
/// When it is dropped its memory is free at once, even if workers have it mapped still.
///
/// Children that this process forks do not have the memory.
///
/// ```
/// use gristmill::SharedVec;
///
/// let mut numbers = SharedVec::from_fn(1000, |n| n as u64)?;
/// numbers[3] = 7;
/// assert_eq!(numbers.iter().sum::<u64>(), 499_504);
/// # Ok::<(), gristmill::SharedVecError>(())
/// ```
pub struct SharedVec<T> {
    array: ArrayMapping,
    len: usize,
    id: u64,
    items: PhantomData<T>,
}

/// Where a worker finds a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    fd: i32,
    id: u64,
    items: u64,
}

/// Bytes before the items.
fn offset() -> usize {
    sys::page_size()
}

/// Bytes of the mapping; `None` if they cannot be counted.
fn bytes<T>(items: usize) -> Option<usize> {
    const {
        assert!(size_of::<T>() > 0, "the items of a shared vector have at least one byte");
        assert!(align_of::<T>() <= 4096, "items are aligned to a page at most");
    }
    let bytes = items.checked_mul(size_of::<T>())?.checked_add(offset())?;
    (bytes <= isize::MAX as usize - 2 * sys::page_size()).then_some(bytes)
}

impl<T: NoUninit + AnyBitPattern> SharedVec<T> {
    /// `len` items, all bytes zero.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn zeroed(len: usize) -> Result<Self, ArrayError> {
        let array = ArrayMapping::create(bytes::<T>(len))?;
        let id = rand::random::<u64>().max(1);
        let vec = SharedVec { array, len, id, items: PhantomData };
        let head = head(&vec.array);
        head.magic.store(ARRAY_MAGIC, Relaxed);
        head.item_size.store(size_of::<T>() as u64, Relaxed);
        head.items.store(len as u64, Relaxed);
        head.id.store(id, Relaxed);
        Ok(vec)
    }

    /// A copy of these items.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn from_slice(items: &[T]) -> Result<Self, ArrayError> {
        let mut vec = Self::zeroed(items.len())?;
        vec.copy_from_slice(items);
        Ok(vec)
    }

    /// `len` items, each made by `make` from its index.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn from_fn(len: usize, mut make: impl FnMut(usize) -> T) -> Result<Self, ArrayError> {
        let mut vec = Self::zeroed(len)?;
        vec.iter_mut().enumerate().for_each(|(n, item)| *item = make(n));
        Ok(vec)
    }

    /// Where a worker finds it.
    pub(crate) fn place(&self) -> Place {
        let fd = self.array.fd().expect("whoever has the vector has made it");
        Place { fd, id: self.id, items: self.len as u64 }
    }

    fn first(&self) -> *mut T {
        // SAFETY: `bytes` counted the offset and all items.
        unsafe { self.array.base().add(offset()).cast() }
    }
}

impl<T: NoUninit + AnyBitPattern> Deref for SharedVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY:
        // - so many items lie there, aligned to a page, in a mapping that lives as long as `self`, and all bytes are items;
        // - nobody writes them while `self` is borrowed: workers do only during calls that borrow it mutably (see the module).
        unsafe { slice::from_raw_parts(self.first(), self.len) }
    }
}

impl<T: NoUninit + AnyBitPattern> DerefMut for SharedVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; and nobody else reads them, since `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.first(), self.len) }
    }
}

impl<T> std::fmt::Debug for SharedVec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedVec({} items of {} bytes)", self.len, size_of::<T>())
    }
}

fn head(array: &ArrayMapping) -> &ArrayHead {
    assert!(array.size() >= size_of::<ArrayHead>());
    // SAFETY: the mapping begins with a head at the start of a page and lives as long as the reference; its fields are atomics.
    unsafe { &*array.base().cast::<ArrayHead>() }
}

/// A vector as a worker has it mapped.
struct Mapped {
    array: ArrayMapping,
    place: Place,
    item_size: usize,
    writable: bool,
    /// A bit for each block whose page table entries have been filled.
    populated: RefCell<Vec<u64>>,
}

impl Mapped {
    fn open<T>(parent: u32, place: Place, writable: bool) -> Result<Mapped, String> {
        let size = usize::try_from(place.items).ok().and_then(bytes::<T>);
        let size = size.ok_or_else(|| format!("a shared vector cannot have {} items", place.items))?;
        let array = ArrayMapping::open(parent, place.fd, size, writable).map_err(|e| {
            format!("the shared vector cannot be opened under /proc/{parent}/fd/{}: {e}{}", place.fd, advice(&e))
        })?;
        let head = head(&array);
        let found = [&head.magic, &head.id, &head.item_size, &head.items].map(|field| field.load(Relaxed));
        if found != [ARRAY_MAGIC, place.id, size_of::<T>() as u64, place.items] {
            return Err(format!("descriptor {} of process {parent} is not the shared vector that was meant", place.fd));
        }
        let populated = RefCell::new(vec![0; size.div_ceil(BLOCK * 64)]);
        Ok(Mapped { array, place, item_size: size_of::<T>(), writable, populated })
    }

    /// Whether its maker has dropped it.
    fn gone(&self) -> bool {
        head(&self.array).id.load(Relaxed) != self.place.id
    }

    /// Fills the page table for these bytes, as far as that has not been done.
    fn populate(&self, at: usize, length: usize) {
        let mut done = self.populated.borrow_mut();
        let (mut block, end) = (at / BLOCK, (at + length).div_ceil(BLOCK));
        let is_done = |done: &[u64], block: usize| done[block / 64] >> (block % 64) & 1 == 1;
        while block < end {
            let from = block;
            while block < end && !is_done(&done, block) {
                done[block / 64] |= 1 << (block % 64);
                block += 1;
            }
            if block > from {
                let to = (block * BLOCK).min(self.array.size());
                self.array.populate(from * BLOCK, to - from * BLOCK, self.writable);
            }
            block += 1;
        }
    }
}

thread_local! {
    /// The vectors that this worker has mapped, the last used one last.
    static MAPPED: RefCell<Vec<Rc<Mapped>>> = const { RefCell::new(Vec::new()) };
}

fn find<T>(parent: u32, place: Place, writable: bool) -> Result<Rc<Mapped>, String> {
    MAPPED.with_borrow_mut(|all| {
        let fits = |m: &Rc<Mapped>| m.place == place && m.writable == writable && m.item_size == size_of::<T>();
        if let Some(at) = all.iter().rposition(fits) {
            all[at..].rotate_left(1);
        } else {
            all.retain(|m| !m.gone());
            let new = Mapped::open::<T>(parent, place, writable)?;
            if all.len() >= KEPT {
                all.remove(0);
            }
            all.push(Rc::new(new));
        }
        Ok(all[all.len() - 1].clone())
    })
}

/// A range of a vector, in a worker.
pub(crate) struct Items<T> {
    mapped: Rc<Mapped>,
    start: usize,
    len: usize,
    items: PhantomData<T>,
}

/// The same, to be written.
pub(crate) struct ItemsMut<T>(Items<T>);

impl<T: NoUninit + AnyBitPattern> Items<T> {
    /// A view of a range of the vector that process `parent` has in this place.
    ///
    /// # Errors
    /// If there is no such vector or it has no such range.
    pub(crate) fn open(parent: u32, place: Place, range: Range<u64>) -> Result<Self, String> {
        Self::view(parent, place, range, false)
    }

    /// A view of a whole vector, of which the caller will perhaps read a small part.
    ///
    /// # Errors
    /// If there is no such vector.
    pub(crate) fn whole(parent: u32, place: Place) -> Result<Self, String> {
        Self::view(parent, place, 0..place.items, true)
    }

    fn view(parent: u32, place: Place, range: Range<u64>, partial: bool) -> Result<Self, String> {
        Self::new(find::<T>(parent, place, false)?, range, partial)
    }

    fn new(mapped: Rc<Mapped>, range: Range<u64>, partial: bool) -> Result<Self, String> {
        if range.start > range.end || range.end > mapped.place.items {
            return Err(format!("a shared vector of {} items has no items {range:?}", mapped.place.items));
        }
        // They are no more than `items`, of which `bytes` has shown that they can be counted.
        let (start, len) = (range.start as usize, (range.end - range.start) as usize);
        let (at, length) = (offset() + start * size_of::<T>(), len * size_of::<T>());
        if length >= BLOCK && !partial {
            mapped.populate(at, length);
        }
        Ok(Items { mapped, start, len, items: PhantomData })
    }

    fn first(&self) -> *mut T {
        // SAFETY: the range is a part of the vector, as `new` has checked, and the vector of the mapping, as `open` has.
        unsafe { self.mapped.array.base().add(offset()).cast::<T>().add(self.start) }
    }
}

impl<T: NoUninit + AnyBitPattern> ItemsMut<T> {
    /// A view of a range that is a part of one job only.
    ///
    /// # Errors
    /// As for [`Items::open`].
    pub(crate) fn open(parent: u32, place: Place, range: Range<u64>) -> Result<Self, String> {
        Ok(ItemsMut(Items::new(find::<T>(parent, place, true)?, range, false)?))
    }
}

impl<T: NoUninit + AnyBitPattern> Deref for Items<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY:
        // - so many items lie there, aligned, in a mapping that `self` keeps, and all bytes are items;
        // - nobody writes them while this job runs: its input is borrowed by the parent's call (see the module).
        unsafe { slice::from_raw_parts(self.first(), self.len) }
    }
}

impl<T: NoUninit + AnyBitPattern> Deref for ItemsMut<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: NoUninit + AnyBitPattern> DerefMut for ItemsMut<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY:
        // - as in `Items::deref`, and the mapping is writable, as `open` has asked for;
        // - this job has the range alone, and its worker makes one view of it (see the module).
        unsafe { slice::from_raw_parts_mut(self.0.first(), self.0.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process as its own worker.
    fn me() -> u32 {
        std::process::id()
    }

    #[test]
    fn a_view_shows_the_range_that_was_named() {
        let vec = SharedVec::from_fn(100_000, |n| n as u32).unwrap();
        let view = Items::<u32>::open(me(), vec.place(), 70_000..70_003).unwrap();
        assert_eq!(*view, [70_000, 70_001, 70_002]);
        let mut view = ItemsMut::<u32>::open(me(), vec.place(), 99_998..100_000).unwrap();
        view[1] = 7;
        drop(view);
        assert_eq!(vec[99_999], 7);
        assert_eq!(Items::<u32>::whole(me(), vec.place()).unwrap().len(), 100_000);
    }

    #[test]
    fn a_range_outside_or_a_wrong_size_is_refused() {
        let vec = SharedVec::<u64>::zeroed(1000).unwrap();
        let place = vec.place();
        for range in [0..1001, 1000..1001, 1001..1001, u64::MAX - 1..u64::MAX, Range { start: 2, end: 1 }] {
            assert!(Items::<u64>::open(me(), place, range.clone()).is_err(), "{range:?}");
            assert!(ItemsMut::<u64>::open(me(), place, range.clone()).is_err(), "{range:?}");
        }
        assert!(Items::<u64>::open(me(), place, 1000..1000).is_ok(), "an empty range at the end is one");
        for items in [0, 999, 1001, 1 << 40, u64::MAX] {
            assert!(Items::<u64>::open(me(), Place { items, ..place }, 0..0).is_err(), "{items}");
        }
        // As many bytes, but of other items.
        assert!(Items::<u32>::open(me(), Place { items: 2000, ..place }, 0..1).is_err());
        assert!(Items::<[u64; 2]>::open(me(), Place { items: 500, ..place }, 0..1).is_err());
    }

    #[test]
    fn a_descriptor_that_is_no_vector_or_another_one_is_refused() {
        let vec = SharedVec::<u64>::zeroed(10).unwrap();
        let other = SharedVec::<u64>::zeroed(10).unwrap();
        for fd in [-1, 0, 1, 100_000, i32::MAX, other.place().fd] {
            assert!(Items::<u64>::open(me(), Place { fd, ..vec.place() }, 0..1).is_err(), "{fd}");
        }
        // A file of the same size, which its owner could cut off under our feet.
        let file = sys::mapping::memory_file(&vec![0; bytes::<u64>(10).unwrap()]).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        let why = Items::<u64>::open(me(), Place { fd, ..vec.place() }, 0..1).err().unwrap();
        assert!(why.contains("no such array"), "{why}");
    }

    /// A worker has the first vector mapped; it is dropped, and another one gets its descriptor.
    #[test]
    fn a_vector_under_a_used_number_is_not_the_one_before() {
        let first = SharedVec::from_fn(10, |n| n as u64).unwrap();
        let before = first.place();
        let view = Items::<u64>::open(me(), before, 0..10).unwrap();
        drop(first);
        assert_eq!(*view, [0; 10], "its memory is free although it is mapped");
        let second = SharedVec::from_fn(10, |n| n as u64 + 100).unwrap();
        let place = Place { fd: before.fd, ..second.place() };
        if second.place().fd == before.fd {
            assert!(Items::<u64>::open(me(), Place { items: 9, ..before }, 0..1).is_err());
            assert_eq!(Items::<u64>::open(me(), place, 0..1).unwrap()[0], 100);
        }
        assert!(view.mapped.gone());
        // Whoever opens one lets those go.
        assert_eq!(Items::<u64>::open(me(), second.place(), 0..1).unwrap()[0], 100);
        MAPPED.with_borrow(|all| assert!(all.iter().all(|m| !m.gone()), "those that are gone are let go"));
    }

    #[test]
    fn few_mappings_are_kept() {
        let vecs: Vec<_> = (0..3 * KEPT as u64).map(|n| SharedVec::from_slice(&[n]).unwrap()).collect();
        for _ in 0..3 {
            for (n, vec) in (0..).zip(&vecs) {
                assert_eq!(*Items::<u64>::open(me(), vec.place(), 0..1).unwrap(), [n]);
            }
        }
        MAPPED.with_borrow(|all| assert_eq!(all.len(), KEPT));
    }

    #[test]
    fn page_tables_are_filled_once() {
        let vec = SharedVec::<u8>::zeroed(10 * BLOCK).unwrap();
        for (from, to) in [(3, 5), (0, 10), (4, 4), (0, 10)] {
            let range = (from * BLOCK) as u64..(to * BLOCK) as u64;
            let view = Items::<u8>::open(me(), vec.place(), range).unwrap();
            let done: u32 = view.mapped.populated.borrow().iter().map(|w| w.count_ones()).sum();
            // The items begin a page after the block does.
            assert_eq!(done as usize, if (from, to) == (3, 5) { 3 } else { 11 });
        }
    }
}
