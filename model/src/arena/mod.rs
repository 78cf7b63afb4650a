//! The arena: src/ring/arena.rs, `block_with` and `free_blocks` in src/ring/slots.rs, `fill` in src/queue/core.rs, `sweep` in src/ring/recovery.rs.
//! Each item needs a block. What queue.rs explores (rings, free slots, pending) is one step here; each process puts, then takes.

mod process;

use crate::case::{Case, holds, large, planted};
use crate::explore::{Model, Spurious, Step};

const SLOTS: usize = 3;
/// Somebody else may have delivered some of what a process has finished, and what it finished after that.
const FINISHED: usize = 4;
const UNITS: usize = 2;
const PROCESSES: usize = 3;
const SUPERVISOR: u8 = 11;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    FreesAnyTag,
    FreesBeforeFinished,
    NoSweep,
    SweepKeepsBits,
    SequenceAfterLook,
    HelpsBeforeCounting,
    RoomIsNotSeen,
    WakesBeforeFree,
    SweepWithoutLock,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Is {
    #[default]
    Free,
    Owned,
    Ready,
    Running,
    Finished,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Slot {
    is: Is,
    owner: u8,
    generation: u8,
    item: u8,
    /// Its block's first unit plus 1.
    block: u8,
}

/// A block: for which use of which slot (plus 1) it was taken, how many units it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Tag {
    slot: u8,
    generation: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Next,
    Look,
    Lock,
    Find,
    Table,
    Unlock,
    Write,
    Publish,
    Full,
    Count,
    Help,
    Wait,
    Asleep,
    Uncount,
    Copy,
    EarlyLock,
    EarlyFree,
    Finish,
    Waited,
    Deliver,
    EarlyWake,
    FreeLock,
    Free,
    FreeUnlock,
    Move,
    Wake,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Process {
    pc: Pc,
    left: u8,
    /// The slot, plus 1, that it fills or takes from; the item; the units found.
    slot: u8,
    item: u8,
    unit: u8,
    /// FINISHED and not delivered; freed, its block not yet: slot and generation, and the block.
    finished: [u8; FINISHED],
    freed: Tag,
    block: u8,
    moved: bool,
    counted: bool,
    waits: bool,
    noted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    slots: [Slot; SLOTS],
    bits: [bool; UNITS],
    tags: [Tag; UNITS],
    lengths: [u8; UNITS],
    bytes: [u8; UNITS],
    processes: [Process; PROCESSES],
    over: u8,
    put: u8,
    lock: u8,
    /// 0: idle; 1: waits for the arena's lock; 2: scans; 3: sweeps; 4: unlocks; 5: moves, wakes, replaces.
    supervisor: u8,
    sleepers: i8,
    crashes: u8,
    error: u8,
}

struct Arena {
    /// Process 0 is the parent, which does not die; each puts so many items, of so many units.
    puts: [u8; PROCESSES],
    sizes: [u8; PROCESSES],
    slots: usize,
    crashes: u8,
    endless: u8,
    bug: Bug,
}

const WHY: [&str; 4] = [
    "copied an item out of a block in other hands",
    "an item is taken again after it was over",
    "a unit is taken twice",
    "room is lost",
];

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }

    /// Whether the job lock is free: recovery holds all locks.
    fn job_lock(&self) -> bool {
        !(2..=4).contains(&self.supervisor)
    }

    fn free_slot(&mut self, slot: usize) {
        self.slots[slot] = Slot { generation: self.slots[slot].generation + 1, ..Slot::default() };
    }

    fn release(&mut self, block: u8) {
        let first = usize::from(block) - 1;
        self.tags[first] = Tag::default();
        (first..first + usize::from(self.lengths[first])).for_each(|u| self.bits[u] = false);
        self.lengths[first] = 0;
    }

    fn deliver(&mut self, p: &mut Process, slot: usize) {
        let of = self.slots[slot];
        (p.freed, p.block) = (Tag { slot: slot as u8 + 1, generation: of.generation }, of.block);
        self.free_slot(slot);
    }
}

impl Arena {
    fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps: true, to: t });
        };
        let dead = |p: &Process| p.pc == Pc::Dead;
        match s.supervisor {
            0 if s.processes.iter().any(dead) => go("notes who has died", &|t| {
                t.processes.iter_mut().filter(|p| dead(p)).for_each(|p| p.noted = true);
                t.supervisor = if bug == Bug::SweepWithoutLock { 2 } else { 1 };
            }),
            1 if s.lock == 0 || dead(&s.processes[usize::from(s.lock) - 1]) => go("takes the arena's lock", &|t| {
                if t.lock != 0 {
                    t.processes[usize::from(t.lock) - 1].noted = true;
                }
                (t.lock, t.supervisor) = (SUPERVISOR, 2);
            }),
            2 => go("repairs the slots", &|t| {
                for k in 0..SLOTS {
                    let owner = usize::from(t.slots[k].owner);
                    if owner > 0 && t.processes[owner - 1].noted {
                        match t.slots[k].is {
                            Is::Running => (t.slots[k].is, t.slots[k].owner) = (Is::Ready, 0),
                            _ => t.free_slot(k),
                        }
                    }
                }
                t.supervisor = 3;
            }),
            3 => go("frees the blocks of uses that are over", &|t| {
                if bug != Bug::NoSweep {
                    let mut bits = if bug == Bug::SweepKeepsBits { t.bits } else { [false; UNITS] };
                    for u in 0..UNITS {
                        let Some(slot) = usize::from(t.tags[u].slot).checked_sub(1) else { continue };
                        let of = t.slots[slot];
                        if of.is == Is::Free || of.generation != t.tags[u].generation {
                            (t.tags[u], t.lengths[u]) = (Tag::default(), 0);
                        } else {
                            (u..(u + usize::from(t.lengths[u])).min(UNITS)).for_each(|n| bits[n] = true);
                        }
                    }
                    t.bits = bits;
                }
                for p in t.processes.iter_mut().filter(|p| p.noted) {
                    t.sleepers -= i8::from(p.counted);
                    p.counted = false;
                }
                t.supervisor = 4;
            }),
            4 => go("unlocks", &|t| {
                t.lock = if bug == Bug::SweepWithoutLock { t.lock } else { 0 };
                t.supervisor = 5;
            }),
            5 => go("wakes all, starts replacements", &|t| {
                t.wake_room();
                t.processes.iter_mut().filter(|p| p.noted).for_each(|p| *p = Process::default());
                t.supervisor = 0;
            }),
            _ => {}
        }
    }
}

impl Process {
    /// Whether it has read the sequence.
    fn counted_or_looks(&self) -> bool {
        self.moved
            || matches!(self.pc, Pc::Lock | Pc::Find | Pc::Full | Pc::Count | Pc::Help | Pc::Wait)
            || self.counted && self.pc != Pc::Asleep
    }
}

impl State {
    fn wake_room(&mut self) {
        self.processes.iter_mut().for_each(|q| q.moved = q.counted_or_looks());
        self.processes.iter_mut().filter(|q| q.pc == Pc::Asleep).for_each(|q| q.pc = Pc::Uncount);
    }
}

impl Model for Arena {
    type State = State;

    fn init(&self) -> State {
        let mut processes = [Process::default(); PROCESSES];
        processes.iter_mut().zip(self.puts).for_each(|(p, left)| p.left = left);
        State {
            slots: [Slot::default(); SLOTS],
            bits: [false; UNITS],
            tags: [Tag::default(); UNITS],
            lengths: [0; UNITS],
            bytes: [0; UNITS],
            processes,
            over: 0,
            put: 0,
            lock: 0,
            supervisor: 0,
            sleepers: 0,
            crashes: self.crashes,
            error: 0,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..PROCESSES).for_each(|i| self.process(s, i, out));
        self.supervisor(s, out);
    }

    fn woken(&self, s: &State) -> Vec<(u8, State)> {
        let asleep = |&i: &usize| s.processes[i].pc == Pc::Asleep;
        let wake = |i: usize| {
            let mut t = *s;
            t.processes[i].pc = Pc::Uncount;
            (i as u8 + 1, t)
        };
        (0..PROCESSES).filter(asleep).map(wake).collect()
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        if s.sleepers < s.processes.iter().filter(|p| p.pc == Pc::Asleep).count() as i8 {
            return Some("a sleeper is not counted");
        }
        let in_use = (0..UNITS).filter(|&u| s.bits[u]).count();
        let tagged: usize = (0..UNITS).filter(|&u| s.tags[u].slot > 0).map(|u| usize::from(s.lengths[u])).sum();
        if s.lock == 0 && in_use != tagged {
            return Some(if in_use > tagged { "room is lost" } else { "a unit is taken twice" });
        }
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    fn quiet(&self, s: &State) -> bool {
        // Behind an endless one: what its taker has finished before lies there until somebody wants the room.
        let idle = |p: &Process| {
            p.left == 0 && (p.pc == Pc::Next && p.finished == [0; FINISHED] || p.pc == Pc::Copy && self.endless != 0)
        };
        let endless = |k: &Slot| k.is == Is::Running && self.endless >> (k.item - 1) & 1 == 1;
        let lies = |k: &Slot| k.is == Is::Finished && s.processes[usize::from(k.owner) - 1].pc == Pc::Copy && self.endless != 0;
        let used = s.slots.iter().filter(|k| endless(k) || lies(k)).count();
        s.processes.iter().all(idle)
            && s.slots.iter().all(|k| k.is == Is::Free || endless(k) || lies(k))
            && s.supervisor == 0
            && s.tags.iter().filter(|t| t.slot > 0).count() == used
    }
}

pub fn cases() -> Vec<Case> {
    let arena = |puts, sizes, crashes, endless, bug| Arena { puts, sizes, slots: 2, crashes, endless, bug };
    let wide = [2, 2, 1];
    let mut all = vec![
        large("arena-of-1", arena([2, 1, 0], [1; 3], 1, 0, Bug::None)),
        holds("arena", arena([2, 1, 0], wide, 1, 0, Bug::None)),
        large("arena-two-sizes", arena([1, 1, 1], wide, 1, 0, Bug::None)),
        holds("arena-endless", arena([3, 0, 0], [1; 3], 0, 1, Bug::None)),
        holds("arena-endless-behind", Arena { slots: 3, ..arena([3, 0, 0], [1; 3], 0, 2, Bug::None) }),
        holds("arena-spurious", Spurious(arena([1, 1, 0], wide, 1, 0, Bug::None))),
        large("arena-2-crashes", arena([2, 1, 1], [1; 3], 2, 0, Bug::None)),
        large("arena-wide-2-crashes", arena([1, 1, 1], wide, 2, 0, Bug::None)),
    ];
    for (bug, puts, sizes, crashes, endless, why) in [
        (Bug::FreesAnyTag, [2, 1, 0], wide, 1, 0, "copied an item out of a block in other hands"),
        (Bug::FreesBeforeFinished, [2, 1, 0], wide, 1, 0, "copied an item out of a block in other hands"),
        (Bug::NoSweep, [1, 1, 0], wide, 1, 0, "room is lost"),
        (Bug::SweepKeepsBits, [1, 1, 0], wide, 1, 0, "room is lost"),
        (Bug::SequenceAfterLook, [2, 0, 0], wide, 0, 0, "stuck"),
        (Bug::HelpsBeforeCounting, [3, 0, 0], [1; 3], 0, 2, "stuck"),
        (Bug::RoomIsNotSeen, [3, 0, 0], [1; 3], 0, 2, "stuck"),
        (Bug::WakesBeforeFree, [2, 0, 0], wide, 0, 0, "stuck"),
        (Bug::SweepWithoutLock, [2, 1, 0], wide, 1, 0, "a unit is taken twice"),
    ] {
        let slots = if endless == 0 { 2 } else { 3 };
        let model = Arena { slots, ..arena(puts, sizes, crashes, endless, bug) };
        all.push(planted("arena", format!("{bug:?}"), model, why));
    }
    all
}
