//! Synchronization objects in the region: what they are made of, their algorithms (one file per kind), and their repair after a death.
//!
//! Used by [`sync`](crate::sync), which gives them types, and by recovery.
//!
//! The rules that make a death at any instruction harmless:
//!
//! - An owner is a participant of the region, whichever of its threads acts: what can die is a process.
//! - Every fact has one word that is its truth: the owner's word of a Mutex or a writer, and a participant's own share of what is counted.
//!   Sums of shares are caches. They change in *sections*, under the object's short lock, and recovery, which holds that lock, takes the dead one's
//!   share away and makes the sums anew. So it does not matter between which two stores of a section its owner died.
//! - Sleeping follows protocol rule 1 (ring/event.rs): who changes something moves the sequence *after* the change. If they die between the two,
//!   or the one who was woken dies before it makes use of it, recovery moves every sequence and wakes everybody.
//! - Recovery takes one object's lock at a time, and no thread waits for one lock while it holds another (rule 7).

pub mod barrier;
pub mod event;
pub mod mutex;
mod repair;
pub mod rwlock;
pub mod semaphore;

pub(super) use repair::{repair, sleeping_places, wake_everybody};

use super::channel::{Section, stop};
use super::event::{Patience, Seen, wait};
use super::region::{Region, round_up};
use super::{Condition, Stop};
use crate::layout::{self, EventWords, Share, SyncObject};
use crate::lock::{FutexLock, Holder};
use crate::sys::clock::Deadline;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// One owner at a time.
    Mutex = 1,
    /// One writer or many readers.
    RwLock = 2,
    /// So many holders of permits.
    Semaphore = 3,
    /// Set or not.
    Event = 4,
    /// A place to wait for a change of what a Mutex protects.
    Condvar = 5,
    /// A place where a number of threads wait for each other.
    Barrier = 6,
    /// A number.
    Counter = 7,
}

impl Kind {
    fn from_word(word: u32) -> Option<Kind> {
        use Kind::*;
        [Mutex, RwLock, Semaphore, Event, Condvar, Barrier, Counter].into_iter().find(|&k| k as u32 == word)
    }

    /// Whether each participant has a share of it, and a lock guards it.
    fn shared_out(self) -> bool {
        matches!(self, Kind::RwLock | Kind::Semaphore | Kind::Barrier)
    }
}

/// An object to be made.
#[derive(Clone, Copy, Debug)]
pub struct ObjectPlan<'a> {
    /// What.
    pub kind: Kind,
    /// The protected value's bytes.
    pub value: &'a [u8],
    /// A hash of the value's type.
    pub type_hash: u64,
    /// Semaphore: the most permits; Barrier: parties.
    pub limit: u32,
    /// Semaphore: permits at first; Counter: the value at first.
    pub count: u64,
}

/// Where an object's parts are: checked once, kept in private memory.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    kind: Kind,
    at: usize,
    data: usize,
    data_size: usize,
    shares: usize,
    limit: u32,
}

/// An object of one region, for as long as the region is borrowed.
#[derive(Clone, Copy)]
pub struct View<'a> {
    region: &'a Region,
    object: Object,
}

/// An object as a handle holds it.
pub struct Core {
    region: Arc<Region>,
    object: Object,
}

/// Why something was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It would have to wait.
    Busy,
    /// The timeout passed.
    TimedOut,
    /// The region has ended.
    Stopped(Stop),
}

impl From<Stop> for Refused {
    fn from(why: Stop) -> Self {
        Refused::Stopped(why)
    }
}

/// How a protected value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As its last owner left it.
    Well,
    /// An owner died and nobody has repaired it since.
    OwnerDied,
    /// An owner panicked and nobody has repaired it since.
    Panicked,
}

impl Core {
    /// Makes an object in the region's heap. One thread of the parent does this, or makes a channel, at a time.
    ///
    /// # Errors
    /// The bytes that it needs and the bytes that the heap has left, if those are fewer.
    pub fn create(region: &Arc<Region>, plan: &ObjectPlan) -> Result<Arc<Core>, (u64, u64)> {
        let (heap, heap_size) = region.heap();
        let used = region.header().heap_used.load(Relaxed) as usize;
        let left = heap_size.saturating_sub(used) as u64;
        let head = size_of::<SyncObject>();
        let participants = usize::from(region.participant_limit()) + 1;
        let share_bytes = if plan.kind.shared_out() { participants * size_of::<Share>() } else { 0 };
        let bytes = || round_up(round_up(plan.value.len(), layout::LINE)?.checked_add(head + share_bytes)?, layout::LINE);
        let Some(total) = bytes() else { return Err((u64::MAX, left)) };
        if total as u64 > left || u32::try_from(plan.value.len()).is_err() {
            return Err((total as u64, left));
        }
        let at = heap + used;
        region.header().heap_used.store((used + total) as u64, Relaxed);
        let shares = at + head;
        let object =
            Object { kind: plan.kind, at, data: shares + share_bytes, data_size: plan.value.len(), shares, limit: plan.limit };
        let core = Core { region: region.clone(), object };
        let view = core.view();
        let h = view.head();
        h.data_size.store(plan.value.len() as u32, Relaxed);
        h.type_hash.store(plan.type_hash, Relaxed);
        h.data_offset.store(if plan.value.is_empty() { 0 } else { object.data as u64 }, Relaxed);
        h.shares_offset.store(if share_bytes == 0 { 0 } else { shares as u64 }, Relaxed);
        h.limit.store(u64::from(plan.limit), Relaxed);
        h.count.store(plan.count, Relaxed);
        h.total.store(if plan.kind == Kind::Semaphore { plan.count } else { 0 }, Relaxed);
        view.write_value(plan.value);
        // R: the object is complete ↔ `open` in another process loads the kind with acquire.
        h.kind.store(plan.kind as u32, Release);
        region.add_object(object);
        Ok(Arc::new(core))
    }

    /// Opens the object at `place`; `None` if there is none of this kind, type and size, or it cannot be right.
    pub fn open(region: &Arc<Region>, place: u64, kind: Kind, type_hash: u64, data_size: usize) -> Option<Arc<Core>> {
        let (heap, heap_size) = region.heap();
        let inside = |offset: u64, bytes: usize, align: usize| {
            let offset = usize::try_from(offset).ok()?;
            let fits = offset >= heap && offset.checked_add(bytes)? <= heap + heap_size && offset % align == 0;
            fits.then_some(offset)
        };
        let at = inside(place, size_of::<SyncObject>(), layout::LINE)?;
        let mut object = Object { kind, at, data: at, data_size, shares: at, limit: 0 };
        let h = View { region, object }.head();
        // A ↔ R in `create`
        if Kind::from_word(h.kind.load(Acquire)) != Some(kind) || h.type_hash.load(Relaxed) != type_hash {
            return None;
        }
        if h.data_size.load(Relaxed) as usize != data_size {
            return None;
        }
        if data_size > 0 {
            object.data = inside(h.data_offset.load(Relaxed), data_size, 8)?;
        }
        if kind.shared_out() {
            let participants = usize::from(region.participant_limit()) + 1;
            object.shares = inside(h.shares_offset.load(Relaxed), participants * size_of::<Share>(), 8)?;
        }
        object.limit = u32::try_from(h.limit.load(Relaxed)).ok()?;
        Some(Arc::new(Core { region: region.clone(), object }))
    }

    /// The object, to work with.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View { region: &self.region, object: self.object }
    }

    /// The region.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Where it stands: its address for other processes.
    pub fn place(&self) -> u64 {
        self.object.at as u64
    }
}

impl<'a> View<'a> {
    /// The object's words.
    #[inline]
    pub fn head(self) -> &'a SyncObject {
        // SAFETY: `create` and `open` are the only ones who make an Object, for a place in the heap of their region, on a multiple of 64, with room for a SyncObject; a
        // View has the region that its object was made for. All of it is atomics.
        unsafe { &*(self.region.base().add(self.object.at) as *const SyncObject) }
    }

    /// The share of one participant; of number 0, which nobody has, if there is none of that number.
    #[inline]
    fn share(self, id: u16) -> &'a Share {
        debug_assert!(self.object.kind.shared_out());
        let id = if id <= self.region.participant_limit() { usize::from(id) } else { 0 };
        // SAFETY: as for the head: so many shares stand there if the kind has shares. Only the files of these kinds come here.
        unsafe { &*(self.region.base().add(self.object.shares + id * size_of::<Share>()) as *const Share) }
    }

    /// Our own share.
    #[inline]
    fn ours(self) -> &'a Share {
        self.share(self.region.me().id())
    }

    /// Copies the protected value out. Who does not own the object gets bytes of different moments.
    ///
    /// # Panics
    /// If `to` has another size than the value.
    #[inline]
    pub fn read_value(self, to: &mut [u8]) {
        assert_eq!(to.len(), self.object.data_size);
        // SAFETY: so many bytes of the mapping are the value's; `to` is private memory, so they don't overlap. No reference to the shared side is made.
        unsafe { std::ptr::copy_nonoverlapping(self.region.base().add(self.object.data), to.as_mut_ptr(), to.len()) };
    }

    /// Copies the protected value in. Its owner does this.
    ///
    /// # Panics
    /// If `from` has another size than the value.
    #[inline]
    pub fn write_value(self, from: &[u8]) {
        assert_eq!(from.len(), self.object.data_size);
        // SAFETY: as in `read_value`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.region.base().add(self.object.data), from.len()) };
    }

    /// What there is to know about the protected value. For its owner; others learn what was true for a moment.
    #[inline]
    pub fn health(self) -> Health {
        match self.head().poison.load(Relaxed) {
            0 => Health::Well,
            2 => Health::Panicked,
            _ => Health::OwnerDied,
        }
    }

    /// Says that the value is well again.
    pub fn set_well(self) {
        self.head().poison.store(0, Relaxed);
    }

    /// Says that its owner panicked, unless there is worse to say.
    fn set_panicked(self) {
        let _ = self.head().poison.compare_exchange(0, 2, Relaxed, Relaxed);
    }

    /// How many this object's limit is.
    pub fn limit(self) -> u32 {
        self.object.limit
    }

    #[inline]
    fn me(self) -> Holder {
        self.region.me()
    }

    #[inline]
    fn section(self) -> Result<Section<'a>, Stop> {
        Section::enter(self.region, FutexLock::of(&self.head().lock))
    }

    /// Whether operations go on.
    #[inline]
    pub fn check(self) -> Result<(), Stop> {
        if self.region.condition() == Condition::Open { Ok(()) } else { stop(self.region).map_or(Ok(()), Err) }
    }

    /// Tries, and sleeps on `place` between tries, until it is done, or the patience or the region has ended. There is a last try after
    /// the deadline: a wake-up that came with it is made use of.
    fn until<R>(
        self,
        place: &EventWords,
        patience: Patience,
        mut attempt: impl FnMut() -> Result<Tried<R>, Stop>,
    ) -> Result<R, Refused> {
        self.check()?;
        loop {
            let seen = match attempt()? {
                Tried::Done(result) => return Ok(result),
                Tried::Wait(seen) => seen,
            };
            self.check()?;
            let Patience::Until(deadline) = patience else { return Err(Refused::Busy) };
            if deadline.is_some_and(Deadline::passed) {
                return Err(Refused::TimedOut);
            }
            // No last look: `seen` is older than what the attempt saw, and every change moves the sequence.
            wait(self.region, place, seen, deadline, || false);
        }
    }
}

/// What an attempt came to.
enum Tried<R> {
    /// This.
    Done(R),
    /// Nothing. The sequence was read before the attempt looked, or in the section in which it did.
    Wait(Seen),
}
