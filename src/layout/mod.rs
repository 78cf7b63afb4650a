//! What each byte of a region means: the shared structures, as `shm-layout.md` specifies them.
//!
//! Only fixed-width atomics and offsets from the region's start live there. Each structure's size is asserted at compile time, and so is
//! that it has no padding that is not declared. No system call, no algorithm: [`ring`](crate::ring) and the layers above use this one.

mod array;
mod outcome;
pub mod presence;
mod progress;
mod slot_word;

pub use array::{ARRAY_MAGIC, ArrayHead};
pub use outcome::OutcomeKind;
pub use progress::{MAX_HAND, MAX_ITEMS, MAX_LENGTH, Progress};
pub use slot_word::{SlotWord, State};

use crate::sys::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// The first eight bytes of every region: "GRISTMIL" in the order of a little-endian machine.
pub const MAGIC: u64 = u64::from_le_bytes(*b"GRISTMIL");
/// The version of this layout. It changes with any change of an offset, a size or a meaning.
pub const VERSION: u32 = 1;
/// What [`Header::ready`] holds when everything before it has been written.
pub const READY_MARK: u32 = 0x5EED_600D;
/// Shared structures that different processes write stand this many bytes apart.
pub const LINE: usize = 64;
/// The smallest region that can hold anything.
pub const MIN_REGION: usize = 64 * 1024;
/// Bits of a slot word and of a lock word that name a participant: so many participants can exist.
pub const MAX_PARTICIPANTS: u32 = 4095;
/// So many channels can exist: what 16 bits of a block's tag name, with 0 for none.
pub const MAX_CHANNELS: u32 = 65_534;

/// One field of a shared structure, for the test that compares `shm-layout.md` with the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in the code and in the document.
    pub name: &'static str,
    /// Bytes from the structure's start.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

/// A shared structure that can be compared with its description.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// As in the code and in the document.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// All fields in order, the reserved ones included.
    pub fields: &'static [Field],
}

macro_rules! shared {
    ($(#[$meta:meta])* $Name:ident: $size:literal { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug)]
        pub struct $Name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $Name {
            /// The structure's description: every byte belongs to a field.
            pub const DESCRIBED: Described = Described {
                name: stringify!($Name),
                size: size_of::<$Name>(),
                fields: &[$(Field {
                    name: stringify!($field),
                    offset: std::mem::offset_of!($Name, $field),
                    size: size_of::<$ty>(),
                }),*],
            };
        }

        const _: () = {
            assert!(size_of::<$Name>() == $size);
            let fields = $Name::DESCRIBED.fields;
            let mut at = 0;
            let mut i = 0;
            while i < fields.len() {
                assert!(fields[i].offset == at, "a field with hidden padding before it");
                at += fields[i].size;
                i += 1;
            }
            assert!(at == $size, "hidden padding at the end");
        };
    };
}

/// Bytes without meaning, 0, for later versions.
pub type Reserved<const N: usize> = [AtomicU8; N];

shared! {
    /// A lock's two words; `lock::FutexLock` says how they are used.
    LockWords: 8 {
        /// 0, or owner and epoch, and the waiters' bit.
        word: AtomicU32,
        /// How often it was acquired, modulo 2^32.
        acquisitions: AtomicU32,
    }
}

shared! {
    /// A place to sleep; `ring::event` says how it is used.
    EventWords: 16 {
        /// Only grows (modulo 2^32); sleepers wait for it to change.
        sequence: AtomicU32,
        /// How many may be asleep; each of the parent's counts 65,537.
        sleepers: AtomicU32,
        /// How often somebody came to sleep, modulo 2^32.
        turns: AtomicU32,
        /// Later versions.
        reserved: Reserved<4>,
    }
}

shared! {
    /// The start of the region.
    Header: 256 {
        /// [`MAGIC`].
        magic: AtomicU64,
        /// [`VERSION`].
        version: AtomicU32,
        /// Bytes of this structure.
        header_size: AtomicU32,
        /// Bytes of the whole region.
        region_size: AtomicU64,
        /// A random number that tells this region from others.
        region_id: AtomicU64,
        /// Where the participants' entries start.
        participants_offset: AtomicU64,
        /// How many entries there are; number 0 is not used.
        participants: AtomicU32,
        /// Bytes of [`Participant`].
        participant_size: AtomicU32,
        /// Where the channels' descriptors start.
        channels_offset: AtomicU64,
        /// How many descriptors there is room for.
        channels: AtomicU32,
        /// Bytes of [`Channel`].
        channel_size: AtomicU32,
        /// Where the two arenas' descriptors start: jobs, then results.
        arenas_offset: AtomicU64,
        /// Bytes of [`Arena`].
        arena_size: AtomicU32,
        /// Later versions.
        reserved2: Reserved<4>,
        /// Where rings and slots of channels are placed.
        heap_offset: AtomicU64,
        /// Bytes of that place.
        heap_size: AtomicU64,
        /// 0 adaptive, 1 spin, 2 block.
        wait_policy: AtomicU32,
        /// The parent's process.
        parent_pid: AtomicU32,
        /// Later versions.
        reserved0: Reserved<24>,
        /// [`READY_MARK`] when all of the above has been written; stored last.
        ready: AtomicU32,
        /// 0 open; else why nothing goes on: 1 shut down, 2 no worker can live, 3 contents not to be trusted.
        condition: AtomicU32,
        /// How many descriptors are in use.
        channels_used: AtomicU32,
        /// Highest participant number ever used.
        participants_used: AtomicU32,
        /// Bytes of the heap in use.
        heap_used: AtomicU64,
        /// Live workers.
        workers: AtomicU32,
        /// Later versions.
        reserved1: Reserved<100>,
    }
}

shared! {
    /// One process that has attached, written by itself alone except where said.
    Participant: 128 {
        /// Its process.
        pid: AtomicU32,
        /// Which user of this entry it is; the supervisor counts it up for each.
        epoch: AtomicU32,
        /// The process's start time as /proc tells it, so that a number used again is not mistaken for it.
        start_time: AtomicU64,
        /// See [`presence`].
        state: AtomicU32,
        /// Jobs popped and not yet started, over all channels: whoever is idle may offer them again.
        holding: AtomicU32,
        /// Offset of the event on which its registered thread sleeps, 0 if awake.
        sleeps_on: AtomicU64,
        /// Jobs that have cost it something: finished, or given back with an attempt charged.
        jobs: AtomicU64,
        /// Nanoseconds spent waiting for locks.
        lock_wait: AtomicU64,
        /// How often a lock was not free.
        lock_waits: AtomicU64,
        /// Nanoseconds spent waiting for a pool's jobs.
        idle: AtomicU64,
        /// Channel + 1 of the pool whose bundle of several jobs it runs, 0 for none; and the bundle's slot.
        runs_channel: AtomicU32,
        /// See `runs_channel`.
        runs_slot: AtomicU32,
        /// When it attached, in nanoseconds of the monotonic clock.
        attached_at: AtomicU64,
        /// Later versions.
        reserved: Reserved<48>,
    }
}

shared! {
    /// Variable-size blocks for payloads that do not fit their slot.
    Arena: 128 {
        /// Guards everything of the arena but the blocks' contents.
        lock: LockWords,
        /// Where the search for a free block starts; a hint.
        hint: AtomicU32,
        /// How many units there are; a block is a run of them.
        units: AtomicU32,
        /// Bytes of a unit, a power of two.
        unit_size: AtomicU64,
        /// One bit a unit: 1 in use.
        bits_offset: AtomicU64,
        /// [`Block`] of the unit in which a block starts.
        table_offset: AtomicU64,
        /// Where the units start.
        data_offset: AtomicU64,
        /// Later versions.
        reserved0: Reserved<16>,
        /// Those who wait for room.
        room: EventWords,
        /// Later versions.
        reserved1: Reserved<48>,
    }
}

shared! {
    /// What a block of an arena belongs to; meaningful for the first unit of a block only.
    Block: 16 {
        /// Channel + 1 (bits 0 to 15), slot (16 to 39), lower 24 bits of the slot's generation (40 to 63); 0 if free.
        tag: AtomicU64,
        /// Units.
        length: AtomicU32,
        /// Of a block with a pool's outcome: the job's number in its bundle. The block counts once the bundle's progress is past it.
        item: AtomicU32,
    }
}

shared! {
    /// A queue: ring or rings, slots, pending count.
    Channel: 448 {
        /// 1 Queue, 2 JoinableQueue, 3 pool.
        kind: AtomicU32,
        /// How many slots: the capacity in jobs.
        slots: AtomicU32,
        /// Bytes from one slot to the next.
        slot_size: AtomicU32,
        /// Bytes of a job's payload that a slot holds itself.
        payload_size: AtomicU32,
        /// Where in a slot its [`ResultHead`] stands; 0 without results.
        result_offset: AtomicU32,
        /// Bytes of a result that a slot holds itself.
        result_size: AtomicU32,
        /// Entries of a ring: a power of two, at least twice the slots.
        ring_size: AtomicU32,
        /// How many workers a job may cost before it is given up.
        attempts: AtomicU32,
        /// A hash of the names of codec and payload type.
        type_hash: AtomicU64,
        /// Where the slots start.
        slots_offset: AtomicU64,
        /// Where the job ring starts.
        job_ring_offset: AtomicU64,
        /// Where the result ring starts; 0 without results.
        result_ring_offset: AtomicU64,

        /// Guards the job ring, and every change that counts jobs up. What a put, a get and a delivery change under it stands in this one
        /// line: what passes between cores with each of them is the line, not the bytes.
        job_lock: LockWords,
        /// Next entry to pop, modulo 2^32.
        job_head: AtomicU32,
        /// Next entry to push, modulo 2^32.
        job_tail: AtomicU32,
        /// The next item's ticket: its place in the order of items.
        ticket: AtomicU64,
        /// Accepted items that are not done yet; the items of a bundle count until all of it is done. In a pool: bundles.
        pending: AtomicU64,
        /// Later versions.
        reserved0: Reserved<32>,

        /// Those who wait for a job (or, in a Queue, for an item). Not in the lock's line: who looks again and again would take it from those
        /// that work with it.
        jobs: EventWords,
        /// Those who wait for a free slot.
        free: EventWords,
        /// Later versions.
        reserved1: Reserved<32>,

        /// Guards the result ring, and in a pool every change that counts jobs down.
        result_lock: LockWords,
        /// Next entry to pop, modulo 2^32.
        result_head: AtomicU32,
        /// Next entry to push, modulo 2^32.
        result_tail: AtomicU32,
        /// Later versions.
        reserved2: Reserved<48>,

        /// Those who wait for results or for the end of all jobs.
        done: EventWords,
        /// Later versions.
        reserved3: Reserved<48>,

        /// Jobs that cost as many workers as they may and were given up, in a JoinableQueue.
        lost: AtomicU64,
        /// 1: the parent keeps jobs back to publish them together (rule 18), in a pool.
        held: AtomicU32,
        /// 1: a worker has found nothing to do since the parent last published, in a pool.
        wanted: AtomicU32,
        /// Where a thread of the parent sleeps that publishes what is kept back, in a pool.
        assist: EventWords,
        /// 1: a collector waits for single outcomes of bundles that run long, in a pool.
        impatient: AtomicU32,
        /// 1: workers note when they begin a job, in a pool.
        timed: AtomicU32,
        /// Later versions.
        reserved4: Reserved<24>,

        /// One bit a slot: 1 probably free. The slot word decides.
        bits_offset: AtomicU64,
        /// 1: no more puts.
        closed: AtomicU32,
        /// Bit 0: some worker takes items from this Queue, so the parent must not take them out of its way. Bit 1: the parent has done so before,
        /// and has items of it outside the region. Bit 2: those are older than what is in the ring.
        worker_gets: AtomicU32,
        /// Where the next search for a free slot starts, in words of 64 slots; a hint.
        free_hint: AtomicU32,
        /// Nanoseconds that a job takes on average, as workers have measured; 0 unknown. Who puts many bundles short jobs only.
        job_nanos: AtomicU32,
        /// Later versions.
        reserved5: Reserved<40>,
    }
}

shared! {
    /// The start of each slot. The payload follows: one item, or a *bundle* of up to 64 that were put together.
    SlotHead: 40 {
        /// The truth about the slot: see [`SlotWord`].
        word: AtomicU64,
        /// The first item's place in the order of items.
        ticket: AtomicU64,
        /// One bit an item of a bundle: 1 done; written by the slot's owner, and by recovery. In a pool: 1 cancelled; written by the parent.
        done: AtomicU64,
        /// Bytes of the payload.
        length: AtomicU32,
        /// 0: the payload stands in the slot; else the number of its block's first unit in the arena, plus 1.
        block: AtomicU32,
        /// How many items: up to 64 in a queue, up to [`MAX_ITEMS`] in a pool.
        items: AtomicU16,
        /// How many items of a queue's bundle its owner has begun, in order.
        started: AtomicU8,
        /// How many items of a queue's bundle were done when the slot was last charged with a death.
        charged_at: AtomicU8,
        /// In a pool: which of the program's tasks runs the jobs, by its place in the list of them.
        task: AtomicU16,
        /// In a pool: which of them folds the results of one job's parts into one, plus 1; 0 for none.
        fold: AtomicU16,
    }
}

shared! {
    /// The start of a slot's outcomes, in a pool. The outcomes follow, one after the other: see `ring::frame`.
    ResultHead: 48 {
        /// How far the bundle is: see [`Progress`].
        progress: AtomicU64,
        /// How many jobs of those in hand have their value written, if they are of an array.
        ran: AtomicU16,
        /// Bytes of each of these values.
        width: AtomicU16,
        /// 0, or the kind of outcome with which the next job ends without being run: its worker has died. Written by recovery.
        ends: AtomicU32,
        /// With `ends`: the exit status as waitid tells it, code or 65536 + signal.
        status: AtomicU32,
        /// How many jobs were done when a death was last charged, so the number of the job to which `ends` and the word's attempt belong.
        charged: AtomicU32,
        /// When the job in hand was begun, in nanoseconds of the monotonic clock, if the channel is timed.
        began: AtomicU64,
        /// Nanoseconds that the bundle's jobs took together, when it is finished.
        nanos: AtomicU64,
        /// 0: the outcomes stand in the slot; else so many bytes for them follow the jobs in their block.
        room: AtomicU32,
        /// Later versions.
        reserved: Reserved<4>,
    }
}

mod sync;

pub use sync::{Share, SyncObject};

/// All shared structures, in the document's order.
pub const ALL: &[Described] = &[
    Header::DESCRIBED,
    LockWords::DESCRIBED,
    EventWords::DESCRIBED,
    Participant::DESCRIBED,
    Arena::DESCRIBED,
    Block::DESCRIBED,
    Channel::DESCRIBED,
    SlotHead::DESCRIBED,
    ResultHead::DESCRIBED,
    SyncObject::DESCRIBED,
    Share::DESCRIBED,
];
