//! Results that fill a Queue, or the arena, while the parent waits for something else: it moves them out of the region (`relieve`, `absorb`), and is
//! called if it sleeps (`call_for_relief`, `relief_wanted`): src/queue/{attached,core}.rs. Each worker runs one job, which puts items; the parent
//! waits until all jobs are done, or takes from the first Queue. A section of a lock is one step, since queue/ takes them apart.

mod parent;
mod worker;

use crate::case::{Case, holds, large, planted, walks};
use crate::explore::{Model, Spurious, Step};
use parent::Parent;
use worker::Worker;

/// Room in a state.
const WORKERS: usize = 3;
const QUEUES: usize = 2;
const SLOTS: usize = 2;

const SUPERVISOR: u8 = 11;

/// Where workers sleep: for a free slot of a Queue, its number; for room in the arena.
const ROOM: usize = QUEUES;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    NobodyCalls,
    CallsBeforeCounting,
    CallsSilently,
    LooksAtItsOwnAlone,
    NobodyAsksAfterPut,
    AsksBeforePut,
    AsksForRoomAlone,
    AsksForSlotsAlone,
    LooksBeforeCounting,
    LooksAtSlotsAlone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Is {
    #[default]
    Free,
    Owned,
    Ready,
    /// The parent has popped it; has copied it.
    Popped,
    Finished,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Slot {
    is: Is,
    owner: u8,
    /// It has a block of the arena.
    block: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    slots: [[Slot; SLOTS]; QUEUES],
    /// Blocks that are free.
    room: u8,
    workers: [Worker; WORKERS],
    parent: Parent,
    supervisor: u8,
    sleepers: [i8; QUEUES + 1],
    /// Items that have been put, and that the parent has.
    put: u8,
    has: u8,
    crashes: u8,
}

#[derive(Clone, Copy)]
struct Relief {
    queues: usize,
    slots: usize,
    room: u8,
    /// Items that each worker's job puts; worker n puts into Queue n, or all into one.
    puts: &'static [u8],
    /// The parent takes from Queue 0, instead of waiting for the jobs.
    takes: bool,
    crashes: u8,
    bug: Bug,
}

impl State {
    fn pending(&self, queue: usize) -> usize {
        self.slots[queue].iter().filter(|s| matches!(s.is, Is::Ready | Is::Popped | Is::Finished)).count()
    }

    fn free(&mut self, queue: usize, slot: usize) {
        self.room += u8::from(self.slots[queue][slot].block);
        self.slots[queue][slot] = Slot::default();
    }

    /// All who have read an event's sequence will find that it has moved.
    fn moves(&mut self, event: usize) {
        self.workers
            .iter_mut()
            .filter(|w| usize::from(w.on) == event + 1 && w.pc != worker::Pc::Asleep)
            .for_each(|w| w.moved = true);
    }

    fn wake_all(&mut self, event: usize) {
        let sleeps = |w: &&mut Worker| usize::from(w.on) == event + 1 && w.pc == worker::Pc::Asleep;
        self.workers.iter_mut().filter(sleeps).for_each(|w| w.pc = worker::Pc::Uncount);
    }
}

impl Relief {
    fn queue(&self, worker: usize) -> usize {
        worker % self.queues
    }

    fn over(&self, s: &State) -> bool {
        (0..self.puts.len()).all(|i| s.workers[i].ended)
    }

    /// Of dead workers: slots that they own, blocks and all, and their sleeping.
    fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps: true, to: t });
        };
        match s.supervisor {
            0 if s.workers.iter().any(|w| w.pc == worker::Pc::Dead) => go("recovers", &|t| {
                for i in (0..WORKERS).filter(|&i| s.workers[i].pc == worker::Pc::Dead) {
                    for queue in 0..QUEUES {
                        let own = |&k: &usize| s.slots[queue][k].owner == i as u8 + 1;
                        (0..SLOTS).filter(own).for_each(|k| t.free(queue, k));
                    }
                    if s.workers[i].marked {
                        t.sleepers[usize::from(s.workers[i].on) - 1] -= 1;
                    }
                    t.workers[i] = Worker { pc: worker::Pc::Buried, ended: s.workers[i].ended, ..Worker::default() };
                }
                t.supervisor = 1;
            }),
            1 => go("moves all sequences", &|t| {
                (0..=ROOM).for_each(|event| t.moves(event));
                t.parent.moved = true;
                t.supervisor = 2;
            }),
            2 => go("wakes all", &|t| {
                (0..=ROOM).for_each(|event| t.wake_all(event));
                t.parent.wake();
                t.supervisor = 3;
            }),
            3 => go("starts replacements", &|t| {
                for i in (0..WORKERS).filter(|&i| s.workers[i].pc == worker::Pc::Buried) {
                    let left = if s.workers[i].ended { 0 } else { self.puts[i] };
                    t.workers[i] = Worker { left, ended: s.workers[i].ended, ..Worker::default() };
                }
                t.supervisor = 0;
            }),
            _ => {}
        }
    }
}

impl Model for Relief {
    type State = State;

    fn init(&self) -> State {
        let mut workers = [Worker { pc: worker::Pc::Over, ..Worker::default() }; WORKERS];
        for (w, &left) in workers.iter_mut().zip(self.puts) {
            *w = Worker { left, ..Worker::default() };
        }
        State {
            slots: [[Slot::default(); SLOTS]; QUEUES],
            room: self.room,
            workers,
            parent: Parent::default(),
            supervisor: 0,
            sleepers: [0; QUEUES + 1],
            put: 0,
            has: 0,
            crashes: self.crashes,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..self.puts.len()).for_each(|i| self.worker(s, i, out));
        self.parent(s, out);
        self.supervisor(s, out);
    }

    fn woken(&self, s: &State) -> Vec<(u8, State)> {
        let mut woken = vec![];
        for i in (0..WORKERS).filter(|&i| s.workers[i].pc == worker::Pc::Asleep) {
            let mut t = *s;
            t.workers[i].pc = worker::Pc::Uncount;
            woken.push((i as u8 + 1, t));
        }
        if s.parent.pc == parent::Pc::Asleep {
            let mut t = *s;
            t.parent.wake();
            woken.push((parent::PARENT, t));
        }
        woken
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        let slots = || s.slots.iter().flatten();
        let asleep =
            |e: usize| s.workers.iter().filter(|w| w.pc == worker::Pc::Asleep && usize::from(w.on) == e + 1).count() as i8;
        if (0..=ROOM).any(|e| s.sleepers[e] < asleep(e)) {
            return Some("a sleeper is not counted");
        }
        if usize::from(self.room - s.room) != slots().filter(|k| k.block).count() {
            return Some("room is lost");
        }
        let inside = slots().filter(|k| matches!(k.is, Is::Ready | Is::Popped)).count();
        (usize::from(s.put - s.has) != inside).then_some("an item is lost")
    }

    /// The parent's call has returned.
    fn quiet(&self, s: &State) -> bool {
        s.parent.pc == parent::Pc::Over && s.supervisor == 0 && s.workers.iter().all(|w| w.pc != worker::Pc::Dead)
    }
}

pub fn cases() -> Vec<Case> {
    const BASE: Relief = Relief { queues: 1, slots: 2, room: 2, puts: &[2, 1], takes: false, crashes: 1, bug: Bug::None };
    let apart = Relief { queues: 2, room: 1, ..BASE };
    let mut all = vec![
        holds("relief-slots", Relief { slots: 1, ..BASE }),
        holds("relief-room", Relief { room: 1, puts: &[1, 1], ..BASE }),
        holds("relief-2-queues", Relief { puts: &[1, 1], ..apart }),
        holds("relief-taker", Relief { takes: true, puts: &[2, 1], crashes: 0, ..apart }),
        holds("relief-spurious", Spurious(Relief { slots: 1, puts: &[1, 1], ..BASE })),
        large("relief-2-queues-spurious", Spurious(apart)),
        large("relief-room-3-items", Relief { room: 1, ..BASE }),
        large("relief-2-queues-3-items", Relief { puts: &[1, 2], ..apart }),
        large("relief-taker-1-crash", Relief { takes: true, puts: &[2, 2], ..apart }),
        large("relief-2-crashes", Relief { puts: &[2, 2], room: 1, crashes: 2, ..BASE }),
        large("relief-3-workers", Relief { puts: &[2, 1, 1], ..BASE }),
        large("relief-3-workers-2-queues", Relief { puts: &[2, 2, 1], room: 2, ..apart }),
        walks("walk-relief", Spurious(Relief { puts: &[3, 3, 2], crashes: 3, ..apart })),
        walks("walk-relief-taker", Relief { takes: true, puts: &[3, 3, 2], crashes: 3, ..apart }),
    ];
    let slots = Relief { slots: 1, puts: &[1, 1], crashes: 0, ..BASE };
    let room = Relief { room: 1, puts: &[1, 1], crashes: 0, ..BASE };
    for (bug, model) in [
        (Bug::NobodyCalls, slots),
        (Bug::CallsBeforeCounting, slots),
        (Bug::CallsSilently, slots),
        (Bug::LooksAtItsOwnAlone, Relief { queues: 2, ..room }),
        (Bug::NobodyAsksAfterPut, slots),
        (Bug::AsksBeforePut, slots),
        (Bug::AsksForRoomAlone, slots),
        (Bug::AsksForSlotsAlone, room),
        (Bug::LooksBeforeCounting, slots),
        (Bug::LooksAtSlotsAlone, room),
    ] {
        all.push(planted("relief", format!("{bug:?}"), Relief { bug, ..model }, "stuck"));
    }
    all
}
