//! Sizes that must hold, and planted bugs that must be found.

use super::*;
use crate::case::{Case, Size, holds, large, planted, walks};

const BASE: Pool = Pool {
    workers: 2,
    slots: 2,
    jobs: 3,
    batch: 1,
    crashes: 1,
    attempts: 2,
    scans: 0,
    spurious: false,
    endless: 0,
    ring: 0,
    bug: Bug::None,
};

pub fn cases() -> Vec<Case> {
    let small = [
        ("pool", Pool { jobs: 2, ..BASE }),
        ("pool-1-job-2-crashes", Pool { jobs: 1, crashes: 2, ..BASE }),
        ("pool-1-slot", Pool { slots: 1, jobs: 2, scans: 1, crashes: 0, ..BASE }),
        ("pool-scans", Pool { jobs: 1, crashes: 0, scans: u8::MAX, ..BASE }),
        ("pool-endless", Pool { batch: 2, endless: 1, jobs: 2, ..BASE }),
        ("pool-endless-behind", Pool { batch: 2, endless: 2, jobs: 2, crashes: 0, ..BASE }),
        ("pool-2-endless", Pool { workers: 3, slots: 3, batch: 2, endless: 3, crashes: 0, ..BASE }),
        ("pool-takes-any-generation", Pool { slots: 1, jobs: 2, crashes: 0, scans: 1, bug: Bug::TakeAnyGeneration, ..BASE }),
        ("pool-forgets-finished", Pool { jobs: 1, bug: Bug::ForgetFinished, ..BASE }),
    ];
    let big = [
        ("pool-2-crashes", Pool { jobs: 2, crashes: 2, ..BASE }),
        ("pool-1-job-scans", Pool { jobs: 1, scans: u8::MAX, ..BASE }),
        ("pool-1-slot-3-jobs", Pool { slots: 1, jobs: 3, scans: 1, crashes: 0, ..BASE }),
        ("pool-endless-behind-1-crash", Pool { batch: 2, endless: 2, jobs: 2, ..BASE }),
        ("pool-no-retries", Pool { jobs: 2, crashes: 2, attempts: 1, ..BASE }),
        ("pool-batch-spurious", Pool { batch: 2, jobs: 2, spurious: true, ..BASE }),
        ("pool-2-jobs-scans", Pool { jobs: 2, crashes: 0, scans: u8::MAX, ..BASE }),
        ("pool-3-jobs", BASE),
        ("pool-no-retries-3-jobs", Pool { crashes: 2, attempts: 1, ..BASE }),
        ("pool-1-slot-any-scans", Pool { slots: 1, jobs: 4, scans: u8::MAX, ..BASE }),
        ("pool-3-jobs-2-crashes", Pool { crashes: 2, ..BASE }),
        ("pool-3-crashes", Pool { jobs: 2, crashes: 3, ..BASE }),
        ("pool-3-jobs-spurious", Pool { spurious: true, ..BASE }),
        ("pool-batch-2-crashes", Pool { batch: 2, crashes: 2, ..BASE }),
        ("pool-any-scans", Pool { jobs: 3, scans: u8::MAX, ..BASE }),
        ("pool-1-slot-2-crashes", Pool { slots: 1, jobs: 4, crashes: 2, scans: 1, ..BASE }),
        ("pool-3-slots", Pool { slots: 3, jobs: 4, batch: 2, ..BASE }),
        ("pool-3-workers", Pool { workers: 3, jobs: 2, ..BASE }),
        ("pool-batch-scan", Pool { batch: 2, scans: 1, ..BASE }),
        ("pool-4-jobs-2-crashes", Pool { jobs: 4, crashes: 2, ..BASE }),
        ("pool-3-slots-2-crashes", Pool { slots: 3, batch: 2, crashes: 2, ..BASE }),
        ("pool-3-workers-3-jobs", Pool { workers: 3, ..BASE }),
        ("pool-3-workers-2-crashes", Pool { workers: 3, jobs: 2, crashes: 2, ..BASE }),
        ("pool-scan-2-crashes", Pool { batch: 2, crashes: 2, scans: 1, jobs: 2, ..BASE }),
        ("pool-spurious-scan", Pool { batch: 2, crashes: 2, scans: 1, jobs: 2, spurious: true, ..BASE }),
    ];
    let one = Pool { jobs: 1, ..BASE };
    let calm = Pool { jobs: 1, crashes: 0, ..BASE };
    let two = Pool { jobs: 2, ..BASE };
    let hang = Pool { batch: 2, endless: 1, jobs: 2, crashes: 0, ..BASE };
    let behind = Pool { endless: 2, ..hang };
    let scan = Pool { jobs: 2, crashes: 0, scans: 1, ..BASE };
    let bugs = [
        (Bug::ReadyBeforePayload, calm, "ran a payload that was not written"),
        (Bug::LedgerAfterReady, Pool { scans: 1, ..calm }, "the ledger does not know a job"),
        (Bug::CountAfterUnlock, calm, "pending differs from the slots"),
        (Bug::UnlockFirst, calm, "pending differs from the slots"),
        (Bug::DoneBeforeOutcome, one, "garbage for an outcome"),
        (Bug::StartAnyGeneration, Pool { slots: 1, ..scan }, "pending"),
        (Bug::FreeKeepsGeneration, Pool { slots: 1, jobs: 3, ..scan }, "pending"),
        (Bug::DeliverCountsAfterUnlock, calm, "pending differs from the slots"),
        (Bug::CountByLoadAndStore, Pool { jobs: 2, ..calm }, "pending differs from the slots"),
        (Bug::ScanWithoutResultLock, Pool { scans: 1, ..two }, "pending below zero"),
        (Bug::CountBeforeLocks, Pool { scans: 1, ..two }, "pending differs from the slots"),
        (Bug::TakesLiveForDead, Pool { endless: 1, ..one }, "one job runs in two live workers"),
        (Bug::TakesLockOfLive, Pool { scans: 1, ..two }, "pending"),
        (Bug::OldNotice, Pool { scans: 1, ..one }, "a job is charged for other than the workers that it has cost"),
        (Bug::NotesDuringWake, Pool { crashes: 2, ..two }, "a replacement starts while a word names its predecessor"),
        (Bug::ReplacesFirst, one, "a replacement starts while a word names its predecessor"),
        (Bug::ChargesPopped, Pool { batch: 2, ..two }, "a job is charged for other than the workers that it has cost"),
        (Bug::NoCharge, one, "a job is charged for other than the workers that it has cost"),
        (Bug::RebuildAppends, Pool { scans: u8::MAX, ..scan }, "a ring overflows"),
        (Bug::ScanFreesDone, Pool { jobs: 1, ..scan }, "a DONE slot changed under its collector"),
        (Bug::LooksBeforeMove, calm, "stuck"),
        (Bug::WakesBeforeMove, calm, "stuck"),
        (Bug::SequenceAfterLook, calm, "stuck"),
        (Bug::LooksBeforeFinished, behind, "stuck"),
        (Bug::HelpsBeforeCounting, behind, "stuck"),
        (Bug::NobodyHelps, behind, "stuck"),
        (Bug::ResetSleepers, one, "a sleeper is not counted"),
        (Bug::OffersWithoutLook, Pool { batch: 2, jobs: 3, slots: 2, crashes: 0, scans: 1, ..BASE }, "a ring overflows"),
        (Bug::OffersWithoutLock, calm, "pending"),
        (Bug::NeverOffers, hang, "stuck"),
        (Bug::HoldingAfterUnlock, hang, "stuck"),
        (Bug::NoWakeAll, one, "stuck"),
        (Bug::WakesWithoutMove, one, "stuck"),
        (Bug::WakesOnlyIfItHeld, one, "stuck"),
        (Bug::LedgerMutex, one, "stuck"),
        (Bug::LedgerKnowsDone, one, "the ledger does not know a job"),
        (Bug::WaitsForTheDead, Pool { crashes: 2, ..one }, "stuck"),
    ];
    let mut all: Vec<Case> = small.into_iter().map(|(name, pool)| holds(name, pool)).collect();
    all.extend(big.into_iter().map(|(name, pool)| large(name, pool)));
    let many = Pool { workers: 3, slots: 3, jobs: 4, batch: 2, crashes: 4, attempts: 3, scans: 4, spurious: true, ..BASE };
    all.push(walks("walk-pool", many));
    all.push(walks("walk-pool-endless", Pool { endless: 2, ..many }));
    let ring = Pool { ring: 3, scans: u8::MAX, jobs: 4, crashes: 0, ..BASE };
    all.push(Case { size: Size::Large, ..planted("pool", "RingOf2n-1", ring, "a ring overflows") });
    all.extend(bugs.into_iter().map(|(bug, pool, why)| planted("pool", format!("{bug:?}"), Pool { bug, ..pool }, why)));
    all
}
