//! A region as one process sees it: the mapping, its geometry (checked once and then kept in private memory), and who we are in it.
//!
//! Whatever lies in the region is a claim. Offsets and sizes are read once, when the region is attached or a channel is opened, checked
//! against the mapping's size, and never read again.

use super::arena::Arena;
use super::objects::Object;
use crate::layout::{self, Header, Participant, presence};
use crate::lock::Holder;
use crate::sys::mapping::{MapError, Mapping};
use crate::sys::pidfd::Exit;
use crate::sys::poll::EventFd;
use std::sync::atomic::Ordering::*;
use std::sync::{Mutex, OnceLock};

/// Why a region cannot be made or attached.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// The memory can't be had, or not mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The sizes asked for leave no room for anything.
    #[error(
        "a region of {size} bytes is too small: it needs at least {needed}; ask for a larger region_size, or for a smaller arena_size or \
         fewer processes and queues"
    )]
    TooSmall {
        /// Bytes asked for.
        size: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The first bytes are not gristmill's.
    #[error("{place} is not a gristmill region: it starts with {found:#018x}; attach to one that gristmill has made")]
    NotOurs {
        /// What was attached.
        place: String,
        /// The first eight bytes.
        found: u64,
    },
    /// Another version wrote it.
    #[error(
        "{place} has layout version {found}, this program reads version {}: build both from the same gristmill",
        layout::VERSION
    )]
    Version {
        /// What was attached.
        place: String,
        /// Its version.
        found: u32,
    },
    /// Its maker died or has not come to the end.
    #[error("{place} was never made ready: try again while its maker is at work, or remove it if the maker has died")]
    NotReady {
        /// What was attached.
        place: String,
    },
    /// It says that it is larger than what there is.
    #[error("{place} is truncated: it says {says} bytes, there are {mapped}; remove it and make it anew")]
    Truncated {
        /// What was attached.
        place: String,
        /// Bytes by its header.
        says: u64,
        /// Bytes mapped.
        mapped: usize,
    },
    /// Sizes or places that can't be.
    #[error("{place} is damaged: its {what} cannot be right; remove it and make it anew")]
    Inconsistent {
        /// What was attached.
        place: String,
        /// The field or group of fields.
        what: &'static str,
    },
}

/// Why operations on a region stop: the values of [`Header::condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Condition {
    /// All is well.
    Open = 0,
    /// The parent shut it down.
    Shutdown = 1,
    /// Workers die as soon as they start.
    NoWorkers = 2,
    /// Its contents contradict each other.
    Corrupt = 3,
}

/// How those who wait do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum WaitPolicy {
    /// Look again and again for about as long as a sleep and a wake-up cost, yielding the CPU after each look; then sleep.
    #[default]
    Adaptive = 0,
    /// Spin until it happens. For processes that have a CPU each.
    Spin = 1,
    /// Sleep after a microsecond, in which whoever else can run does.
    Block = 2,
}

impl WaitPolicy {
    fn from_word(word: u32) -> Self {
        match word {
            1 => WaitPolicy::Spin,
            2 => WaitPolicy::Block,
            _ => WaitPolicy::Adaptive,
        }
    }
}

/// How a process leaves a region: the values of `layout::Participant::state` for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Leaving {
    /// Its function has returned.
    Returned = presence::LEAVING,
    /// It has done as much as one process is to do; another is to take its place.
    Replace = presence::RETIRING,
}

/// Sizes of a region to be made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Bytes of each of the two arenas.
    pub arena: usize,
    /// Entries for participants, number 0 included.
    pub participants: u32,
    /// Descriptors for channels.
    pub channels: u32,
    /// How to wait.
    pub wait: WaitPolicy,
}

/// Places and sizes, checked.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    participants: usize,
    participant_count: u32,
    channels: usize,
    channel_count: u32,
    heap: usize,
    heap_size: usize,
}

/// Where everything of a new region goes.
struct Places {
    participants: usize,
    channels: usize,
    arenas: usize,
    first: usize,
    second: usize,
    heap: usize,
}

impl Places {
    fn of(size: usize, plan: &Plan) -> Result<Places, RegionError> {
        let participants = size_of::<Header>();
        let channels = participants + plan.participants as usize * size_of::<Participant>();
        let arenas = channels + plan.channels as usize * size_of::<layout::Channel>();
        let first = arenas + 2 * size_of::<layout::Arena>();
        let after = |at: usize| Arena::bytes(plan.arena).and_then(|b| round_up(at.checked_add(b)?, 4096));
        let first = round_up(first, 4096).unwrap_or(first);
        let places = after(first).and_then(|second| Some((second, after(second)?)));
        match places {
            Some((second, heap)) if heap < size && size >= layout::MIN_REGION => {
                Ok(Places { participants, channels, arenas, first, second, heap })
            }
            Some((_, heap)) => Err(RegionError::TooSmall { size, needed: layout::MIN_REGION.max(heap + 4096) }),
            // Larger than any address space: the payloads alone say how far from it this is.
            None => Err(RegionError::TooSmall { size, needed: plan.arena.saturating_mul(2) }),
        }
    }
}

/// A region that this process has attached.
pub struct Region {
    mapping: Mapping,
    geometry: Geometry,
    arenas: [Arena; 2],
    me: Holder,
    wait: WaitPolicy,
    id: u64,
    bell: Option<EventFd>,
    /// In the parent: the synchronization objects, for recovery. Held for a push or a clone only.
    objects: Mutex<Vec<Object>>,
    /// How the last worker ended, if workers cannot live; known to the parent only.
    last_end: OnceLock<Exit>,
}

/// Rounds up to a multiple of a power of two, unless that overflows.
pub(crate) fn round_up(n: usize, to: usize) -> Option<usize> {
    Some(n.checked_add(to - 1)? & !(to - 1))
}

impl Region {
    /// Whether a region of `size` bytes has room for what is planned.
    ///
    /// # Errors
    /// [`RegionError::TooSmall`].
    pub fn check(size: usize, plan: &Plan) -> Result<(), RegionError> {
        Places::of(size, plan).map(|_| ())
    }

    /// Makes a region in `mapping`, which is all zero, and attaches it as participant 1.
    ///
    /// # Errors
    /// [`RegionError::TooSmall`].
    pub fn create(mapping: Mapping, plan: Plan) -> Result<Region, RegionError> {
        let size = mapping.size();
        let Places { participants, channels, arenas, first, second, heap } = Places::of(size, &plan)?;
        // SAFETY: the mapping is at least `size_of::<Header>()` bytes (`heap < size`), page-aligned, and lives in `mapping`.
        let header = unsafe { &*(mapping.base() as *const Header) };
        header.magic.store(layout::MAGIC, Relaxed);
        header.version.store(layout::VERSION, Relaxed);
        header.header_size.store(size_of::<Header>() as u32, Relaxed);
        header.region_size.store(size as u64, Relaxed);
        header.region_id.store(rand::random(), Relaxed);
        header.participants_offset.store(participants as u64, Relaxed);
        header.participants.store(plan.participants, Relaxed);
        header.participant_size.store(size_of::<Participant>() as u32, Relaxed);
        header.channels_offset.store(channels as u64, Relaxed);
        header.channels.store(plan.channels, Relaxed);
        header.channel_size.store(size_of::<layout::Channel>() as u32, Relaxed);
        header.arenas_offset.store(arenas as u64, Relaxed);
        header.arena_size.store(size_of::<layout::Arena>() as u32, Relaxed);
        header.heap_offset.store(heap as u64, Relaxed);
        header.heap_size.store((size - heap) as u64, Relaxed);
        header.wait_policy.store(plan.wait as u32, Relaxed);
        header.parent_pid.store(std::process::id(), Relaxed);
        for (k, at) in [first, second].into_iter().enumerate() {
            // SAFETY: `Arena::bytes` bytes from `at` end before the heap, and the descriptor's place ends at `first`; nobody else has this mapping yet.
            unsafe {
                let desc = mapping.base().add(arenas + k * size_of::<layout::Arena>()) as *const layout::Arena;
                Arena::format(&*desc, at, plan.arena);
            }
        }
        // R: the ready mark is the last thing written ↔ `attach` loads it with acquire.
        header.ready.store(layout::READY_MARK, Release);
        let region = Self::attach(mapping, Holder::new(1, 1))?;
        region.enter(std::process::id(), 1);
        Ok(region)
    }

    /// Starts the counters of a new region, those of its arenas, where tests want them.
    pub(crate) fn count_from(&self, from: u32) {
        for arena in &self.arenas {
            arena.count_from(from);
        }
    }

    /// Attaches a region that somebody else has made, as participant `me`.
    ///
    /// # Errors
    /// Every one of [`RegionError`] that describes contents.
    pub fn attach(mapping: Mapping, me: Holder) -> Result<Region, RegionError> {
        let place = || mapping.place().to_string();
        let mapped = mapping.size();
        if mapped < size_of::<Header>() {
            return Err(RegionError::Truncated { place: place(), says: layout::MIN_REGION as u64, mapped });
        }
        // SAFETY: the mapping is at least as large as a header, page-aligned, and lives in `mapping`.
        let header = unsafe { &*(mapping.base() as *const Header) };
        // A ↔ R in `create`: what is behind the mark is written.
        let ready = header.ready.load(Acquire);
        let found = header.magic.load(Relaxed);
        if found != layout::MAGIC {
            let unwritten = found == 0 && ready == 0;
            return Err(if unwritten {
                RegionError::NotReady { place: place() }
            } else {
                RegionError::NotOurs { place: place(), found }
            });
        }
        let version = header.version.load(Relaxed);
        if version != layout::VERSION {
            return Err(RegionError::Version { place: place(), found: version });
        }
        if ready != layout::READY_MARK {
            return Err(RegionError::NotReady { place: place() });
        }
        let inconsistent = |what| RegionError::Inconsistent { place: place(), what };
        let says = header.region_size.load(Relaxed);
        if says < layout::MIN_REGION as u64 {
            return Err(inconsistent("size"));
        }
        if says > mapped as u64 {
            return Err(RegionError::Truncated { place: place(), says, mapped });
        }
        let inside = |what, offset: u64, count: u64, each: u64, align: u64| -> Result<usize, RegionError> {
            let end = count.checked_mul(each).and_then(|n| n.checked_add(offset));
            if !offset.is_multiple_of(align) || offset < size_of::<Header>() as u64 || end.is_none_or(|e| e > says) {
                return Err(inconsistent(what));
            }
            Ok(offset as usize)
        };
        let sizes = [
            (header.header_size.load(Relaxed), size_of::<Header>()),
            (header.participant_size.load(Relaxed), size_of::<Participant>()),
            (header.channel_size.load(Relaxed), size_of::<layout::Channel>()),
            (header.arena_size.load(Relaxed), size_of::<layout::Arena>()),
        ];
        if sizes.iter().any(|&(found, ours)| found as usize != ours) {
            return Err(inconsistent("structure sizes"));
        }
        let participant_count = header.participants.load(Relaxed);
        let channel_count = header.channels.load(Relaxed);
        if !(2..=layout::MAX_PARTICIPANTS + 1).contains(&participant_count) || u32::from(me.id()) >= participant_count {
            return Err(inconsistent("number of participants"));
        }
        if channel_count > layout::MAX_CHANNELS {
            return Err(inconsistent("number of channels"));
        }
        let (part, chan, aren) = (size_of::<Participant>(), size_of::<layout::Channel>(), size_of::<layout::Arena>());
        let heap_size = header.heap_size.load(Relaxed);
        let geometry = Geometry {
            participants: inside(
                "participants",
                header.participants_offset.load(Relaxed),
                u64::from(participant_count),
                part as u64,
                64,
            )?,
            participant_count,
            channels: inside("channels", header.channels_offset.load(Relaxed), u64::from(channel_count), chan as u64, 64)?,
            channel_count,
            heap: inside("heap", header.heap_offset.load(Relaxed), heap_size, 1, 64)?,
            heap_size: heap_size as usize,
        };
        let arenas = inside("arenas", header.arenas_offset.load(Relaxed), 2, aren as u64, 64)?;
        let arena = |k: usize| {
            // SAFETY: `inside` has checked that both descriptors lie in the mapping; 64-aligned.
            let desc = unsafe { mapping.base().add(arenas + k * aren) } as *const layout::Arena;
            // SAFETY: as above, and the mapping outlives the arena: both are fields of the region, and no reference leaves it.
            unsafe { Arena::open(mapping.base(), says as usize, desc) }.ok_or_else(|| inconsistent("arena"))
        };
        let opened = [arena(0)?, arena(1)?];
        // What is written to one place must not change another: a payload over a lock would be waited for for ever.
        let mut places = vec![
            (0, size_of::<Header>()),
            (geometry.participants, participant_count as usize * part),
            (geometry.channels, channel_count as usize * chan),
            (arenas, 2 * aren),
            (geometry.heap, geometry.heap_size),
        ];
        places.extend(opened.iter().flat_map(|a| a.places(mapping.base())));
        places.retain(|&(_, bytes)| bytes > 0);
        places.sort_unstable();
        if places.windows(2).any(|p| p[0].0 + p[0].1 > p[1].0) {
            return Err(inconsistent("places, of which two overlap,"));
        }
        Ok(Region {
            arenas: opened,
            geometry,
            me,
            wait: WaitPolicy::from_word(header.wait_policy.load(Relaxed)),
            id: header.region_id.load(Relaxed),
            bell: None,
            objects: Mutex::default(),
            last_end: OnceLock::new(),
            mapping,
        })
    }

    /// Notes in our entry that this process is here.
    pub fn enter(&self, pid: u32, epoch: u32) {
        self.arrive(pid, epoch);
        self.at_work();
    }

    /// Notes in our entry that this process has come to its first use of a queue, or has none: who waits for it to start waits no longer.
    pub fn at_work(&self) {
        // SeqCst ↔ the parent, which counts itself as a sleeper and then looks whether anybody starts.
        self.own_entry().state.store(presence::ATTACHED, SeqCst);
    }

    /// Notes in our entry which process we are; it counts as one that starts until [`at_work`](Self::at_work).
    pub fn arrive(&self, pid: u32, epoch: u32) {
        let entry = self.own_entry();
        entry.pid.store(pid, Relaxed);
        entry.epoch.store(epoch, Relaxed);
        entry.start_time.store(crate::sys::pidfd::start_time(pid).unwrap_or(0), Relaxed);
        entry.attached_at.store(crate::sys::clock::now(), Relaxed);
        for figure in [&entry.jobs, &entry.idle, &entry.lock_wait, &entry.lock_waits] {
            figure.store(0, Relaxed);
        }
        entry.holding.store(0, Relaxed);
        entry.runs_channel.store(0, Relaxed);
        entry.sleeps_on.store(0, Relaxed);
        self.header().participants_used.fetch_max(u32::from(self.me.id()), Relaxed);
        // R: the entry is complete ↔ the supervisor loads the state with acquire.
        entry.state.store(presence::STARTING, Release);
    }

    /// Notes in our entry that our end follows, and is not to be taken for a death.
    pub fn leave(&self, how: Leaving) {
        // R ↔ the supervisor reads it after our end.
        self.own_entry().state.store(how as u32, Release);
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> &Header {
        // SAFETY: checked at `attach`; the mapping lives as long as `self`, and all of Header is atomics.
        unsafe { &*(self.mapping.base() as *const Header) }
    }

    /// The entry of participant `id`; `None` if there is none of that number.
    #[inline]
    pub fn participant(&self, id: u16) -> Option<&Participant> {
        if id == 0 || u32::from(id) >= self.geometry.participant_count {
            return None;
        }
        // SAFETY: `attach` has checked that all entries lie in the mapping and are aligned; all of them is atomics.
        Some(unsafe {
            &*(self.mapping.base().add(self.geometry.participants + usize::from(id) * size_of::<Participant>())
                as *const Participant)
        })
    }

    /// Our own entry.
    #[inline]
    pub fn own_entry(&self) -> &Participant {
        self.participant(self.me.id()).expect("checked at attach")
    }

    /// Entries from 1 to the highest number in use.
    pub fn participants(&self) -> impl Iterator<Item = (u16, &Participant)> {
        let used = self.header().participants_used.load(Relaxed).min(self.geometry.participant_count - 1) as u16;
        (1..=used).map(|id| (id, self.participant(id).expect("below the count")))
    }

    /// How many participants there can be, number 0 not counted.
    pub fn participant_limit(&self) -> u16 {
        (self.geometry.participant_count - 1) as u16
    }

    /// How many channels there can be.
    pub fn channel_limit(&self) -> u32 {
        self.geometry.channel_count
    }

    /// The descriptor of channel `index`; `None` if there is no room for one of that number.
    pub(crate) fn channel(&self, index: u32) -> Option<&layout::Channel> {
        if index >= self.geometry.channel_count {
            return None;
        }
        // SAFETY: as for participants.
        Some(unsafe {
            &*(self.mapping.base().add(self.geometry.channels + index as usize * size_of::<layout::Channel>())
                as *const layout::Channel)
        })
    }

    /// Where the heap starts and how many bytes it has.
    pub(crate) fn heap(&self) -> (usize, usize) {
        (self.geometry.heap, self.geometry.heap_size)
    }

    /// Bytes of the heap that no channel has taken.
    pub fn heap_left(&self) -> usize {
        self.geometry.heap_size.saturating_sub(self.header().heap_used.load(Relaxed) as usize)
    }

    /// Notes an object that was made here.
    pub(super) fn add_object(&self, object: Object) {
        self.objects.lock().unwrap_or_else(|e| e.into_inner()).push(object);
    }

    /// All objects that were made here.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.objects.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The arena of jobs' payloads (0) or of results (1).
    #[inline]
    pub fn arena(&self, which: usize) -> &Arena {
        &self.arenas[which]
    }

    /// Gives the region the descriptor on which the supervisor listens.
    pub fn set_bell(&mut self, bell: EventFd) {
        self.bell = Some(bell);
    }

    /// Asks the supervisor to look at the locks: this process has waited for one for too long.
    pub(crate) fn ring_bell(&self) {
        if let Some(bell) = &self.bell {
            bell.signal();
        }
    }

    /// Notes, in this process, how the last worker ended before workers were given up.
    pub(crate) fn note_last_end(&self, exit: Exit) {
        let _ = self.last_end.set(exit);
    }

    /// See [`note_last_end`](Self::note_last_end).
    pub(super) fn last_end(&self) -> Option<Exit> {
        self.last_end.get().copied()
    }

    /// Who we are in the region.
    #[inline]
    pub fn me(&self) -> Holder {
        self.me
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Address of the region's first byte.
    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        self.mapping.base()
    }

    /// How to wait here.
    #[inline]
    pub fn wait_policy(&self) -> WaitPolicy {
        self.wait
    }

    /// The random number that tells this region from others.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether operations go on, and if not, why.
    #[inline]
    pub fn condition(&self) -> Condition {
        match self.header().condition.load(Relaxed) {
            0 => Condition::Open,
            1 => Condition::Shutdown,
            2 => Condition::NoWorkers,
            _ => Condition::Corrupt,
        }
    }

    /// Ends all operations for the reason given; the first reason stays. The caller wakes all sleepers after it.
    pub fn condemn(&self, why: Condition) {
        // SeqCst ↔ the look at the condition by one that has counted itself as a sleeper (ring/event.rs).
        let _ = self.header().condition.compare_exchange(0, why as u32, SeqCst, Relaxed);
    }
}
