//! The parent: waits, and moves items before it sleeps and whenever it is woken.

use super::*;

pub const PARENT: u8 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pc {
    #[default]
    Look,
    Arena,
    Queue,
    Half,
    Drain,
    Copy,
    FreeMove,
    FreeWake,
    RoomMove,
    RoomWake,
    Count,
    Wait,
    Asleep,
    Uncount,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Parent {
    pub pc: Pc,
    /// Whether the event at which it is about to sleep has moved since it read that; whether it is counted there.
    pub moved: bool,
    pub marked: bool,
    /// Somebody waits for room in the arena; anything was moved; the Queue at which it looks.
    arena: bool,
    any: bool,
    queue: u8,
    /// Queues out of which it has moved items, one bit each.
    absorbs: u8,
    /// Slots that it has freed; it takes for itself, rather than to make room; how many items it has taken so.
    n: i8,
    takes: bool,
    got: u8,
}

impl Parent {
    pub fn wake(&mut self) {
        if self.pc == Pc::Asleep {
            self.pc = Pc::Uncount;
        }
    }
}

impl Relief {
    /// Items that are put into the Queue from which it takes.
    fn wants(&self) -> u8 {
        self.puts.iter().step_by(self.queues).sum()
    }

    pub(super) fn parent(&self, s: &State, out: &mut Vec<Step<State>>) {
        let p = s.parent;
        let bug = self.bug;
        let queue = usize::from(p.queue);
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Parent)| {
            let mut t = *s;
            let mut now = p;
            f(&mut t, &mut now);
            t.parent = now;
            out.push(Step { who: PARENT, what, helps: true, to: t });
        };
        // After the last of the Queues.
        let next = |p: &mut Parent| {
            p.queue += 1;
            p.pc = Pc::Queue;
            if usize::from(p.queue) == self.queues {
                p.pc = match (p.any, p.marked) {
                    (true, true) => Pc::Uncount,
                    (true, false) => Pc::Look,
                    (false, true) => Pc::Wait,
                    (false, false) => Pc::Count,
                };
                (p.queue, p.any, p.arena) = (0, false, false);
            }
        };
        let in_state = |is: Is| (0..SLOTS).find(|&k| s.slots[queue][k].is == is);
        match p.pc {
            Pc::Look if self.takes => go("pops, or reads the items' sequence", &|t, p| {
                p.moved = false;
                p.pc = Pc::Arena;
                if p.got == self.wants() {
                    p.pc = Pc::Over;
                } else if let Some(k) = in_state(Is::Ready) {
                    t.slots[0][k].is = Is::Popped;
                    (p.got, p.takes, p.pc) = (p.got + 1, true, Pc::Copy);
                }
            }),
            Pc::Look => go("reads the sequence, looks whether all is done", &|t, p| {
                (p.moved, p.pc) = (false, if self.over(t) { Pc::Over } else { Pc::Arena });
            }),
            Pc::Arena => go("looks whether somebody waits for room", &|t, p| {
                p.arena = t.sleepers[ROOM] > 0 && bug != Bug::LooksAtSlotsAlone;
                p.pc = Pc::Queue;
            }),
            // The one from which it takes is left alone.
            Pc::Queue if self.takes && queue == 0 => go("leaves its own Queue alone", &|_, p| next(p)),
            Pc::Queue => go("looks whether somebody waits for a slot", &|t, p| match p.arena || t.sleepers[queue] > 0 {
                true => p.pc = Pc::Drain,
                false if p.absorbs >> queue & 1 == 1 => p.pc = Pc::Half,
                false => next(p),
            }),
            Pc::Half => go("looks whether it is half full", &|t, p| match t.pending(queue) < self.slots.div_ceil(2) {
                true => next(p),
                false => p.pc = Pc::Drain,
            }),
            Pc::Drain => go("frees what it has copied, pops all", &|t, p| {
                p.absorbs |= 1 << queue;
                p.n = 0;
                for k in 0..SLOTS {
                    match t.slots[queue][k].is {
                        Is::Finished => {
                            t.free(queue, k);
                            p.n += 1;
                        }
                        Is::Ready => t.slots[queue][k].is = Is::Popped,
                        _ => {}
                    }
                }
                let popped = t.slots[queue].iter().any(|k| k.is == Is::Popped);
                match (p.n > 0, popped) {
                    (true, _) => p.pc = Pc::FreeMove,
                    (false, true) => p.pc = Pc::Copy,
                    (false, false) => next(p),
                }
            }),
            Pc::Copy => match in_state(Is::Popped) {
                Some(k) => go("copies an item, stores FINISHED", &|t, p| {
                    t.slots[queue][k].is = Is::Finished;
                    t.has += 1;
                    (p.any, p.pc) = (true, Pc::Copy);
                }),
                None => go("has copied all", &|_, p| p.pc = Pc::Drain),
            },
            Pc::FreeMove => go("moves the sequence of what is free", &|t, p| {
                t.moves(queue);
                p.pc = Pc::FreeWake;
            }),
            Pc::FreeWake => {
                let sleeps = |&i: &usize| s.workers[i].pc == worker::Pc::Asleep && usize::from(s.workers[i].on) == queue + 1;
                let asleep: Vec<usize> = (0..WORKERS).filter(sleeps).collect();
                let many = asleep.len().min(p.n as usize);
                for some in (0u8..1 << asleep.len()).filter(|m| m.count_ones() as usize == many) {
                    go("wakes as many as there are slots", &|t, p| {
                        let woken = asleep.iter().enumerate().filter(|(k, _)| some >> k & 1 == 1);
                        woken.for_each(|(_, &i)| t.workers[i].pc = worker::Pc::Uncount);
                        (p.n, p.pc) = (0, Pc::RoomMove);
                    });
                }
            }
            Pc::RoomMove => go("moves the sequence of room", &|t, p| {
                t.moves(ROOM);
                p.pc = Pc::RoomWake;
            }),
            Pc::RoomWake => go("wakes who waits for room", &|t, p| {
                t.wake_all(ROOM);
                let popped = t.slots[queue].iter().any(|k| k.is == Is::Popped);
                match (p.takes, popped) {
                    (_, true) => p.pc = Pc::Copy,
                    (true, false) => (p.takes, p.any, p.pc) = (false, false, Pc::Look),
                    (false, false) => p.pc = Pc::Drain,
                }
            }),
            Pc::Count => go("counts itself as a sleeper", &|_, p| {
                (p.marked, p.pc) = (true, if bug == Bug::LooksBeforeCounting { Pc::Wait } else { Pc::Arena });
            }),
            Pc::Wait => go("futex wait", &|_, p| {
                p.pc = if p.moved { Pc::Uncount } else { Pc::Asleep };
                p.moved = false;
            }),
            Pc::Uncount => go("counts itself out", &|_, p| (p.marked, p.moved, p.pc) = (false, false, Pc::Look)),
            Pc::Asleep | Pc::Over => {}
        }
    }
}
