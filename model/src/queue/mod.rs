//! Queues, plain and joinable, with several that put and several that take: src/queue/core.rs, src/ring/{slots,channel,free,recovery}.rs. Each slot
//! holds one item.

mod cases;
mod deliver;
mod process;
mod recovery;
mod take;

use crate::explore::{Model, Step};
pub use cases::cases;
use process::{Pc, Process};

/// Room in a state. Process 0 is the parent, which does not die.
const PROCESSES: usize = 4;
const SLOTS: usize = 3;
const ITEMS: usize = 5;

/// Holders and owners are a process's number plus 1.
const SUPERVISOR: u8 = 11;

/// An entry is of the slot's use of now.
const NOW: u8 = 0x80;

const JOBS: usize = 0;
const FREE: usize = 1;
const DONE: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    None,
    ReadyBeforePayload,
    FreeBeforeCopy,
    ForgetFinished,
    RunningAtPop,
    NoCharge,
    CountBeforeFree,
    CountAfterUnlock,
    TakesByStore,
    FreeKeepsGeneration,
    WakesOneForMany,
    SequenceAfterLook,
    HelpsBeforeCounting,
    LooksBeforeFinished,
    NeverFull,
    ClosesSilently,
    ClosedAfterLook,
    NoLastLookAtClosed,
    RebuildAppends,
    ScanWithoutLock,
    NoWakeAll,
    WakesWithoutMove,
    BitsStayLost,
    ReplacesFirst,
    LosesOwned,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
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
    attempt: u8,
    /// The item whose bytes stand in it, plus 1. They stay there when it is freed.
    payload: u8,
    /// The free list's bit.
    bit: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Item {
    /// READY has been stored for it; its taker has said that it is over, or it was given up.
    accepted: bool,
    over: bool,
    kills: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    slots: [Slot; SLOTS],
    items: [Item; ITEMS],
    processes: [Process; PROCESSES],
    supervisor: recovery::Supervisor,
    ring: [u8; 8],
    lock: u8,
    pending: i8,
    sleepers: [i8; 3],
    put: u8,
    closed: bool,
    crashes: u8,
    scans: u8,
    error: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Joinable,
}

/// Adds a step of a process.
type Go<'a> = &'a mut dyn FnMut(&'static str, &dyn Fn(&mut State, &mut Process));

#[derive(Clone, Copy)]
pub struct Queue {
    pub kind: Kind,
    pub workers: usize,
    pub slots: usize,
    /// How many items each process puts before it takes: the parent first.
    pub puts: [u8; PROCESSES],
    /// Slots that are published together.
    pub many: usize,
    pub batch: usize,
    pub crashes: u8,
    pub attempts: u8,
    pub scans: u8,
    pub spurious: bool,
    /// Items of which the job puts one more, and those of which it never ends: one bit each.
    pub putters: u8,
    pub endless: u8,
    pub closes: bool,
    pub bug: Bug,
}

const WHY: [&str; 11] = [
    "a ring overflows",
    "took a payload that was not written",
    "copied an item out of a slot in other hands",
    "one item is in the hands of two",
    "an item is taken again after it was over",
    "the slot of a running job was changed by another",
    "join returned early",
    "an item was given up that has not cost as many workers",
    "an item is charged for other than the workers that it has cost",
    "a replacement starts while a word names its predecessor",
    "a slot in use was taken",
];

fn length(list: &[u8]) -> usize {
    list.iter().position(|&e| e == 0).unwrap_or(list.len())
}

fn shift(list: &mut [u8]) -> u8 {
    let first = list[0];
    list.rotate_left(1);
    *list.last_mut().expect("lists have room") = 0;
    first
}

fn add(list: &mut [u8], entry: u8) {
    let at = length(list);
    list[at] = entry;
}

/// The entry of a slot's use of now.
fn now(slot: usize) -> u8 {
    (slot as u8 + 1) | NOW
}

fn slot_of(entry: u8) -> usize {
    usize::from(entry & !NOW) - 1
}

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }

    fn push(&mut self, queue: &Queue, entry: u8) {
        if length(&self.ring) >= 2 * queue.slots.next_power_of_two() {
            self.fail("a ring overflows");
        } else {
            add(&mut self.ring, entry);
        }
    }

    /// FREE in the next generation; the bytes stay until somebody writes others.
    fn free(&mut self, queue: &Queue, slot: usize) {
        let before = self.slots[slot];
        self.slots[slot] = Slot { payload: before.payload, bit: before.bit, ..Slot::default() };
        if queue.bug == Bug::FreeKeepsGeneration {
            return;
        }
        let entry = now(slot);
        let age = |e: &mut u8| *e = if *e == entry { *e & !NOW } else { *e };
        self.ring.iter_mut().for_each(age);
        for p in self.processes.iter_mut() {
            p.list.iter_mut().chain(&mut p.finished).for_each(age);
        }
    }

    fn moves(&mut self, event: usize) {
        for p in self.processes.iter_mut().filter(|p| usize::from(p.on) == event + 1 && p.pc != Pc::Asleep) {
            p.moved = true;
        }
    }

    fn wake_all(&mut self, event: usize) {
        for p in self.processes.iter_mut().filter(|p| usize::from(p.on) == event + 1 && p.pc == Pc::Asleep) {
            (p.pc, p.on) = (Pc::Unmark, p.on);
        }
    }

    fn in_state(&self, is: Is) -> Vec<u8> {
        let mut found: Vec<usize> = (0..SLOTS).filter(|&k| self.slots[k].is == is).collect();
        found.sort_by_key(|&k| self.slots[k].payload);
        found.into_iter().map(now).collect()
    }

    /// Every item whose slot is READY or further on is in the queue.
    fn accept(&mut self) {
        for slot in self.slots.iter().filter(|s| matches!(s.is, Is::Ready | Is::Running | Is::Finished) && s.payload > 0) {
            self.items[usize::from(slot.payload) - 1].accepted = true;
        }
    }

    fn accepted(&self) -> i8 {
        self.slots.iter().filter(|s| matches!(s.is, Is::Ready | Is::Running | Is::Finished)).count() as i8
    }
}

impl Queue {
    /// Every way in which a wake-up of up to `count` sleepers of an event may go.
    fn wakes(&self, s: &State, event: usize, count: i8, mut woken: impl FnMut(&dyn Fn(&mut State))) {
        let sleeps = |p: &Process| p.pc == Pc::Asleep && usize::from(p.on) == event + 1;
        let asleep: Vec<usize> = (0..=self.workers).filter(|&i| sleeps(&s.processes[i])).collect();
        let many = asleep.len().min(count.max(0) as usize);
        for some in (0u8..1 << asleep.len()).filter(|m| m.count_ones() as usize == many) {
            woken(&|t| {
                for (k, &i) in asleep.iter().enumerate() {
                    if some >> k & 1 == 1 {
                        t.processes[i].pc = Pc::Unmark;
                    }
                }
            });
        }
    }
}

impl Model for Queue {
    type State = State;

    fn init(&self) -> State {
        let mut processes = [Process::default(); PROCESSES];
        for (p, &left) in processes.iter_mut().zip(&self.puts) {
            (p.left, p.pc) = (left, if left > 0 { Pc::Put } else { Pc::Get });
        }
        processes[0].pc = Pc::Put;
        let mut slots = [Slot::default(); SLOTS];
        slots[..self.slots].iter_mut().for_each(|s| s.bit = true);
        State {
            slots,
            items: [Item::default(); ITEMS],
            processes,
            supervisor: recovery::Supervisor::default(),
            ring: [0; 8],
            lock: 0,
            pending: 0,
            sleepers: [0; 3],
            put: 0,
            closed: false,
            crashes: self.crashes,
            scans: self.scans,
            error: 0,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..=self.workers).for_each(|i| self.process(s, i, out));
        self.supervisor(s, out);
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        if s.pending < 0 {
            return Some("pending below zero");
        }
        let asleep = |e: usize| s.processes.iter().filter(|p| p.pc == Pc::Asleep && usize::from(p.on) == e + 1).count() as i8;
        if (0..3).any(|e| s.sleepers[e] < asleep(e)) {
            return Some("a sleeper is not counted");
        }
        if s.lock == 0 && s.pending != s.accepted() {
            return Some("pending differs from the slots");
        }
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    fn quiet(&self, s: &State) -> bool {
        let ended = |p: &Process| match p.pc {
            Pc::Over => true,
            Pc::Asleep => !self.closes && usize::from(p.on) == JOBS + 1,
            Pc::Run => self.endless >> (p.item.saturating_sub(1)) & 1 == 1,
            _ => false,
        };
        let waits = |p: &Process| ended(p) || self.endless != 0 && p.pc == Pc::Asleep && usize::from(p.on) != FREE + 1;
        let over = |k: usize| s.items[k].over || !s.items[k].accepted || self.endless >> k & 1 == 1;
        (0..ITEMS).all(over)
            && waits(&s.processes[0])
            && s.processes[1..=self.workers].iter().all(|p| ended(p) || self.endless != 0 && waits(p))
            && s.supervisor.pc == recovery::Pc::Idle
    }

    /// Workers are interchangeable: they are sorted, and what names them is renamed.
    fn normal(&self, mut s: State) -> State {
        let key = |i: usize| {
            let owns = s.slots.iter().fold(0u8, |m, slot| m << 1 | u8::from(usize::from(slot.owner) == i + 1));
            (s.processes[i], owns, usize::from(s.lock) == i + 1)
        };
        if (2..=self.workers).all(|i| key(i - 1) <= key(i)) {
            return s;
        }
        let mut order: Vec<usize> = (1..=self.workers).collect();
        order.sort_by_key(|&i| key(i));
        let before = s;
        for (new, &old) in (1..).zip(&order) {
            s.processes[new] = before.processes[old];
            let rename = |name: &mut u8, was: u8| *name = if usize::from(was) == old + 1 { new as u8 + 1 } else { *name };
            (0..SLOTS).for_each(|k| rename(&mut s.slots[k].owner, before.slots[k].owner));
            rename(&mut s.lock, before.lock);
        }
        s
    }
}
