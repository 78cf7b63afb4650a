//! Sizes that must hold, and planted bugs that must be found.

use super::*;
use crate::case::{Case, Size, holds, large, planted, walks};

const BASE: Queue = Queue {
    kind: Kind::Joinable,
    workers: 2,
    slots: 2,
    puts: [3, 0, 0, 0],
    many: 1,
    batch: 1,
    crashes: 1,
    attempts: 2,
    scans: 0,
    spurious: false,
    putters: 0,
    endless: 0,
    closes: true,
    bug: Bug::None,
};

pub fn cases() -> Vec<Case> {
    let plain = Queue { kind: Kind::Plain, ..BASE };
    let small = [
        ("joinable-2-crashes", Queue { puts: [1, 0, 0, 0], crashes: 2, ..BASE }),
        ("joinable-1-slot", Queue { slots: 1, puts: [2, 0, 0, 0], crashes: 0, scans: 1, ..BASE }),
        ("joinable-endless", Queue { endless: 1, batch: 2, crashes: 0, closes: false, ..BASE }),
        ("joinable-endless-behind", Queue { endless: 2, batch: 2, crashes: 0, closes: false, ..BASE }),
        ("joinable-job-puts", Queue { slots: 1, puts: [2, 0, 0, 0], putters: 1, crashes: 0, ..BASE }),
        ("queue", Queue { puts: [2, 0, 0, 0], ..plain }),
        ("queue-producers", Queue { puts: [1, 1, 0, 0], slots: 1, crashes: 1, closes: false, ..plain }),
        ("queue-many", Queue { puts: [2, 0, 0, 0], many: 2, ..plain }),
    ];
    let big = [
        ("joinable", Queue { puts: [2, 0, 0, 0], ..BASE }),
        ("joinable-many", Queue { puts: [2, 0, 0, 0], many: 2, batch: 2, closes: false, ..BASE }),
        ("joinable-scans", Queue { puts: [2, 0, 0, 0], scans: u8::MAX, crashes: 0, ..BASE }),
        ("joinable-3-items", BASE),
        ("joinable-batch-2-crashes", Queue { puts: [2, 0, 0, 0], crashes: 2, batch: 2, ..BASE }),
        ("joinable-3-items-2-crashes", Queue { crashes: 2, batch: 2, ..BASE }),
        ("joinable-3-workers", Queue { workers: 3, crashes: 1, ..BASE }),
        ("joinable-producers", Queue { puts: [2, 1, 0, 0], slots: 3, crashes: 2, closes: false, ..BASE }),
        ("joinable-spurious", Queue { puts: [2, 0, 0, 0], spurious: true, ..BASE }),
        ("joinable-3-workers-2-crashes", Queue { workers: 3, crashes: 2, ..BASE }),
        ("joinable-producers-scan", Queue { puts: [2, 1, 0, 0], slots: 3, crashes: 2, scans: 1, closes: false, ..BASE }),
        ("joinable-job-puts-2-crashes", Queue { slots: 3, puts: [2, 0, 0, 0], putters: 1, crashes: 2, ..BASE }),
        ("joinable-any-scans", Queue { puts: [2, 0, 0, 0], scans: u8::MAX, ..BASE }),
        ("queue-3-items", plain),
        ("queue-2-producers", Queue { puts: [1, 1, 1, 0], workers: 3, slots: 2, closes: false, ..plain }),
        ("queue-spurious", Queue { puts: [1, 1, 0, 0], slots: 1, spurious: true, closes: false, ..plain }),
        ("queue-2-crashes", Queue { crashes: 2, batch: 2, many: 2, ..plain }),
    ];
    let one = Queue { puts: [1, 0, 0, 0], ..BASE };
    let calm = Queue { crashes: 0, ..one };
    let two = Queue { puts: [2, 0, 0, 0], ..BASE };
    let endless = Queue { endless: 2, batch: 2, crashes: 0, closes: false, ..BASE };
    let early = "pending differs from the slots";
    let bugs = [
        (Bug::ReadyBeforePayload, calm, "took a payload that was not written"),
        (
            Bug::FreeBeforeCopy,
            Queue { slots: 1, crashes: 0, puts: [2, 0, 0, 0], ..plain },
            "copied an item out of a slot in other hands",
        ),
        (Bug::ForgetFinished, one, "an item is taken again after it was over"),
        (Bug::RunningAtPop, Queue { batch: 2, ..two }, "an item is charged for other than the workers that it has cost"),
        (Bug::NoCharge, one, "an item is charged for other than the workers that it has cost"),
        (Bug::CountBeforeFree, calm, "join returned early"),
        (Bug::CountAfterUnlock, calm, early),
        (Bug::TakesByStore, Queue { scans: 1, crashes: 0, ..two }, "a slot in use was taken"),
        (Bug::WakesOneForMany, Queue { many: 2, endless: 1, puts: [2, 0, 0, 0], ..endless }, "stuck"),
        (Bug::SequenceAfterLook, Queue { slots: 1, crashes: 0, ..two }, "stuck"),
        (Bug::HelpsBeforeCounting, endless, "stuck"),
        (Bug::LooksBeforeFinished, endless, "stuck"),
        (Bug::NeverFull, Queue { slots: 1, putters: 1, crashes: 0, ..two }, "stuck"),
        (Bug::ClosesSilently, calm, "stuck"),
        (Bug::ClosedAfterLook, Queue { kind: Kind::Plain, ..calm }, "stuck"),
        (Bug::NoLastLookAtClosed, calm, "stuck"),
        (Bug::RebuildAppends, Queue { scans: u8::MAX, crashes: 0, ..two }, "a ring overflows"),
        (Bug::ScanWithoutLock, Queue { scans: 1, crashes: 0, ..two }, "pending"),
        (Bug::NoWakeAll, one, "stuck"),
        (Bug::WakesWithoutMove, one, "stuck"),
        (Bug::BitsStayLost, Queue { puts: [1, 1, 0, 0], slots: 1, ..BASE }, "stuck"),
        (Bug::ReplacesFirst, one, "a replacement starts while a word names its predecessor"),
        (
            Bug::LosesOwned,
            Queue { puts: [1, 1, 0, 0], slots: 1, ..BASE },
            "a replacement starts while a word names its predecessor",
        ),
    ];
    let old = Queue { slots: 1, crashes: 0, scans: 2, puts: [4, 0, 0, 0], bug: Bug::FreeKeepsGeneration, ..BASE };
    let mut all: Vec<Case> = small.into_iter().map(|(name, queue)| holds(name, queue)).collect();
    all.extend(big.into_iter().map(|(name, queue)| large(name, queue)));
    let many = Queue { workers: 3, slots: 3, puts: [3, 1, 0, 0], batch: 2, crashes: 3, scans: 4, spurious: true, ..BASE };
    all.push(walks("walk-joinable", many));
    all.push(walks("walk-joinable-2-slots", Queue { slots: 2, puts: [2, 1, 0, 0], putters: 1, closes: false, ..many }));
    all.push(walks("walk-queue", Queue { kind: Kind::Plain, puts: [2, 1, 1, 0], many: 2, closes: false, ..many }));
    all.push(Case { size: Size::Large, ..planted("queue", "FreeKeepsGeneration", old, "a ring overflows") });
    all.extend(bugs.into_iter().map(|(bug, queue, why)| planted("queue", format!("{bug:?}"), Queue { bug, ..queue }, why)));
    all
}
