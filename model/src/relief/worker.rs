//! A worker whose job puts items.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pc {
    #[default]
    Put,
    Slot,
    Room,
    Block,
    Early,
    Publish,
    Move,
    WakeTaker,
    WantsSlot,
    WantsRoom,
    Count,
    Movable,
    Place,
    Tell,
    Wake,
    Wait,
    Asleep,
    Uncount,
    LastMoves,
    LastWakes,
    Over,
    Dead,
    Buried,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Worker {
    pub pc: Pc,
    /// Items that are still to be put; whether the job has ended.
    pub left: u8,
    pub ended: bool,
    /// The slot that it owns, plus 1.
    pub slot: u8,
    /// The event, plus 1, at which it is about to sleep; whether that has moved since; whether it is counted there.
    pub on: u8,
    pub moved: bool,
    pub marked: bool,
    /// The Queue at which it looks.
    pub at: u8,
    pub early: bool,
}

impl Relief {
    pub(super) fn worker(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let w = s.workers[i];
        let me = i as u8 + 1;
        let bug = self.bug;
        let mine = self.queue(i);
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Worker)| {
            let mut t = *s;
            let mut now = w;
            f(&mut t, &mut now);
            t.workers[i] = now;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        // About to sleep, or after a put.
        let called = match bug {
            Bug::CallsBeforeCounting if w.on != 0 && !w.marked => Pc::Count,
            _ if w.on != 0 => Pc::Wait,
            _ => Pc::Put,
        };
        let full = if bug == Bug::CallsBeforeCounting { Pc::Movable } else { Pc::Count };
        let wants = |event: usize| s.sleepers[event] > 0;
        match w.pc {
            Pc::Put if w.left == 0 => go("ends its job", &|t, w| {
                w.ended = true;
                t.workers[i].ended = true;
                w.pc = if self.over(t) { Pc::LastMoves } else { Pc::Over };
            }),
            Pc::Put => go("reads the sequence of what is free (S0)", &|_, w| {
                (w.on, w.moved, w.pc) = (mine as u8 + 1, false, Pc::Slot);
            }),
            Pc::Slot => match (0..self.slots).find(|&k| s.slots[mine][k].is == Is::Free) {
                Some(k) => go("takes a slot", &|t, w| {
                    t.slots[mine][k] = Slot { is: Is::Owned, owner: me, block: false };
                    (w.on, w.moved, w.slot, w.pc) = (0, false, k as u8 + 1, Pc::Room);
                }),
                None => go("finds no slot", &|_, w| w.pc = full),
            },
            Pc::Room => go("reads the sequence of room (S0)", &|_, w| {
                (w.on, w.moved, w.pc) = (ROOM as u8 + 1, false, Pc::Block);
            }),
            Pc::Block if s.room > 0 => go("takes a block", &|t, w| {
                t.room -= 1;
                t.slots[mine][usize::from(w.slot) - 1].block = true;
                (w.on, w.moved) = (0, false);
                w.pc = if bug == Bug::AsksBeforePut { Pc::Early } else { Pc::Publish };
            }),
            Pc::Block => go("finds no room", &|_, w| w.pc = full),
            Pc::Early => go("looks who waits for room", &|_, w| {
                (w.early, w.pc) = (wants(mine) || wants(ROOM), Pc::Publish);
            }),
            Pc::Publish => go("publishes: READY, pending", &|t, w| {
                let slot = &mut t.slots[mine][usize::from(w.slot) - 1];
                (slot.is, slot.owner) = (Is::Ready, 0);
                t.put += 1;
                (w.slot, w.left, w.pc) = (0, w.left - 1, Pc::Move);
            }),
            Pc::Move => go("moves the items' sequence", &|t, w| {
                t.parent.moved |= self.takes && mine == 0;
                w.pc = if self.takes && mine == 0 { Pc::WakeTaker } else { Pc::WantsSlot };
            }),
            Pc::WakeTaker => go("wakes who takes", &|t, w| {
                t.parent.wake();
                w.pc = Pc::WantsSlot;
            }),
            Pc::WantsSlot => go("looks whether somebody waits for a slot", &|_, w| {
                w.pc = match bug {
                    Bug::NobodyAsksAfterPut => Pc::Put,
                    Bug::AsksBeforePut if w.early => Pc::Movable,
                    Bug::AsksBeforePut => Pc::Put,
                    Bug::AsksForRoomAlone => Pc::WantsRoom,
                    _ if wants(mine) => Pc::Movable,
                    Bug::AsksForSlotsAlone => Pc::Put,
                    _ => Pc::WantsRoom,
                };
                w.early = false;
            }),
            Pc::WantsRoom => go("looks whether somebody waits for room", &|_, w| {
                w.pc = if wants(ROOM) { Pc::Movable } else { Pc::Put };
            }),
            Pc::Count => go("counts itself as a sleeper", &|t, w| {
                t.sleepers[usize::from(w.on) - 1] += 1;
                w.marked = true;
                w.pc = match bug {
                    Bug::CallsBeforeCounting | Bug::NobodyCalls => Pc::Wait,
                    _ => Pc::Movable,
                };
            }),
            Pc::Movable => go("looks whether a Queue has items", &|t, w| {
                let looks = bug != Bug::LooksAtItsOwnAlone || usize::from(w.at) == mine;
                w.pc = match w.at + 1 {
                    _ if looks && t.pending(usize::from(w.at)) > 0 => Pc::Place,
                    next if usize::from(next) < self.queues => Pc::Movable,
                    _ => called,
                };
                w.at = if w.pc == Pc::Movable { w.at + 1 } else { 0 };
            }),
            Pc::Place => go("looks whether the parent sleeps", &|t, w| {
                w.pc = match t.parent.marked {
                    true if bug == Bug::CallsSilently => Pc::Wake,
                    true => Pc::Tell,
                    false => called,
                };
            }),
            Pc::Tell => go("moves the sequence at which it sleeps", &|t, w| (t.parent.moved, w.pc) = (true, Pc::Wake)),
            Pc::Wake => go("wakes it", &|t, w| {
                t.parent.wake();
                w.pc = called;
            }),
            Pc::Wait => go("futex wait", &|_, w| {
                w.pc = if w.moved { Pc::Uncount } else { Pc::Asleep };
                w.moved = false;
            }),
            Pc::Uncount => go("counts itself out", &|t, w| {
                t.sleepers[usize::from(w.on) - 1] -= 1;
                (w.on, w.moved, w.marked) = (0, false, false);
                w.pc = if w.slot > 0 { Pc::Room } else { Pc::Put };
            }),
            Pc::LastMoves => go("was the last: moves the sequence of what is done", &|t, w| {
                t.parent.moved |= !self.takes;
                w.pc = if self.takes { Pc::Over } else { Pc::LastWakes };
            }),
            Pc::LastWakes => go("wakes who waits for that", &|t, w| {
                t.parent.wake();
                w.pc = Pc::Over;
            }),
            Pc::Asleep | Pc::Over | Pc::Dead | Pc::Buried => {}
        }
        if s.crashes > 0 && !matches!(w.pc, Pc::Over | Pc::Dead | Pc::Buried) {
            let mut t = *s;
            t.crashes -= 1;
            let on = if w.marked { w.on } else { 0 };
            t.workers[i] = Worker { pc: Pc::Dead, on, marked: w.marked, ended: w.ended, ..Worker::default() };
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }
}
