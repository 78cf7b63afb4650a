//! The parent's private record of the jobs that it has put and whose outcome it has not taken: indexed by slot, not hashed.

use crate::process::Ledger;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One entry a slot: generation + 1 in the upper half's place, 0 for none; and the job's number.
pub(super) struct SlotLedger {
    channel: u32,
    entries: Box<[(AtomicU64, AtomicU64)]>,
}

impl SlotLedger {
    pub(super) fn new(channel: u32, slots: u32) -> Self {
        SlotLedger { channel, entries: (0..slots).map(|_| Default::default()).collect() }
    }

    /// Notes a job, before its slot says READY (rule 9).
    pub(super) fn note(&self, slot: u32, generation: u32, job: u64) {
        let (held, number) = &self.entries[slot as usize];
        number.store(job, Relaxed);
        // R ↔ A in `claim` and `knows`, which may be in other threads.
        held.store(u64::from(generation) + 1, Release);
    }

    /// Takes the entry of a job whose outcome is there: once, by whoever comes first. `None` if the slot's job is another or none.
    pub(super) fn claim(&self, slot: u32, generation: u32) -> Option<u64> {
        let (held, number) = self.entries.get(slot as usize)?;
        let job = number.load(Relaxed);
        // A ↔ R in `note`. The number cannot change while the entry is held.
        held.compare_exchange(u64::from(generation) + 1, 0, AcqRel, Relaxed).is_ok().then_some(job)
    }
}

impl Ledger for SlotLedger {
    fn channel(&self) -> u32 {
        self.channel
    }

    fn knows(&self, slot: u32, generation: u32) -> bool {
        self.entries.get(slot as usize).is_some_and(|e| e.0.load(Acquire) == u64::from(generation) + 1)
    }
}
