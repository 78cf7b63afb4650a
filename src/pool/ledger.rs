//! The parent's private record of the bundles that it has published and whose slots it has not taken back, as the supervisor reads it:
//! without a mutex, indexed by slot.

use crate::process::Ledger;
use crate::ring::frame::Kind;
use crate::ring::recovery::Deaths;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// One entry a slot.
#[derive(Default)]
struct Entry {
    /// Generation + 1 of the slot's use; 0 for none.
    held: AtomicU64,
    /// The workers that it has cost.
    deaths: Deaths,
    /// Why its job in hand was condemned, if it was.
    condemned: AtomicU32,
}

/// The entries of a channel.
pub(super) struct SlotLedger {
    channel: u32,
    entries: Box<[Entry]>,
}

impl SlotLedger {
    pub(super) fn new(channel: u32, slots: u32) -> Self {
        SlotLedger { channel, entries: (0..slots).map(|_| Entry::default()).collect() }
    }

    /// Notes a bundle, before its slot says READY (rule 9).
    pub(super) fn note(&self, slot: u32, generation: u32) {
        let entry = &self.entries[slot as usize];
        entry.deaths.clear();
        entry.held.store(u64::from(generation) + 1, Release); // R ↔ A in `knows`
    }

    /// Forgets it, before the slot is used again (rule 14). `false` if the slot's use was another one, or none.
    pub(super) fn claim(&self, slot: u32, generation: u32) -> bool {
        let Some(entry) = self.entries.get(slot as usize) else { return false };
        entry.held.compare_exchange(u64::from(generation) + 1, 0, AcqRel, Relaxed).is_ok()
    }

    /// Whether the slot holds that use.
    pub(super) fn holds(&self, slot: u32, generation: u32) -> bool {
        self.entries.get(slot as usize).is_some_and(|e| e.held.load(Relaxed) == u64::from(generation) + 1)
    }

    /// Notes why the job in hand of a slot is about to be condemned.
    pub(super) fn condemn(&self, slot: u32, why: Kind) {
        self.entries[slot as usize].condemned.store(why as u32, Release); // R ↔ A in `condemned`
    }
}

impl Ledger for SlotLedger {
    fn channel(&self) -> u32 {
        self.channel
    }

    fn knows(&self, slot: u32, generation: u32) -> bool {
        self.entries.get(slot as usize).is_some_and(|e| e.held.load(Acquire) == u64::from(generation) + 1)
    }

    fn death(&self, slot: u32, done: u32, in_hand: bool) -> Option<u32> {
        self.entries.get(slot as usize)?.deaths.count(done, in_hand)
    }

    fn condemned(&self, slot: u32) -> Kind {
        self.entries.get(slot as usize).and_then(|e| Kind::of(e.condemned.load(Acquire))).unwrap_or(Kind::Cancelled)
    }
}
