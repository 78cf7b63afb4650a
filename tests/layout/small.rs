//! A region of the least size, made in this process, with its bytes at hand.

use gristmill::layout;
use gristmill::ring::{Channel, ChannelPlan, Kind, Plan, Region, WaitPolicy};
use gristmill::sys::mapping::Mapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

pub struct Small {
    pub region: Arc<Region>,
}

impl Small {
    pub fn new() -> Self {
        let plan = Plan { arena: 4096, participants: 3, channels: 2, wait: WaitPolicy::Adaptive };
        let mapping = Mapping::anonymous(layout::MIN_REGION).expect("64 KiB of memory");
        Small { region: Arc::new(Region::create(mapping, plan).expect("a region")) }
    }

    /// One more channel, for payloads of 24 and results of 32 bytes.
    pub fn channel(&self, kind: Kind, slots: u32, counters_from: u32) -> Channel {
        let index = self.region.header().channels_used.load(Acquire);
        let type_hash = 0x0123_4567_89AB_CDEF;
        let plan = ChannelPlan { kind, slots, payload: 24, result: 32, attempts: 4, type_hash, counters_from };
        Channel::create(&self.region, index, &plan).expect("room for a channel")
    }

    /// The aligned eight bytes at an offset.
    pub fn u64_at(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.region.mapping().size());
        // SAFETY: inside the mapping, which `self` keeps, and aligned; atomics may be shared.
        unsafe { &*(self.region.mapping().base().add(offset) as *const AtomicU64) }.load(Relaxed)
    }

    /// All bytes.
    pub fn bytes(&self) -> Vec<u8> {
        (0..self.region.mapping().size()).step_by(8).flat_map(|at| self.u64_at(at).to_le_bytes()).collect()
    }

    pub fn arena_desc(&self, which: usize) -> &layout::Arena {
        let at = self.region.header().arenas_offset.load(Relaxed) as usize + which * size_of::<layout::Arena>();
        // SAFETY: `Region::attach` has found both descriptors inside the mapping and aligned; all atomics.
        unsafe { &*(self.region.mapping().base().add(at) as *const layout::Arena) }
    }
}
