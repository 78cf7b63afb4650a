//! A process that uses a queue: puts, takes, delivers, offers again, sleeps; the parent joins and closes.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub enum Pc {
    #[default]
    Get,
    Put,
    Bit,
    Cas,
    Fill,
    Publish,
    PublishIn,
    PublishCount,
    PublishOut,
    PublishLate,
    Move,
    Load,
    Wake,
    Deliver,
    DeliverIn,
    DeliverCount,
    PopIn,
    DeliverOut,
    DeliverLate,
    Bits,
    FreeMove,
    FreeLoad,
    FreeWake,
    DoneAll,
    Popped,
    Closed,
    OfferLock,
    OfferIn,
    OfferOut,
    OfferMove,
    OfferLoad,
    OfferWake,
    Snap,
    Count,
    Mark,
    Look,
    Wait,
    Asleep,
    Unmark,
    Uncount,
    Start,
    Copy,
    CopyLate,
    Run,
    Finish,
    Waited,
    Join,
    Close,
    CloseJobs,
    CloseFree,
    Over,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct Process {
    pub pc: Pc,
    /// Where it goes on after a delivery.
    then: Pc,
    /// Popped and not started; looked up to be offered again.
    pub list: [u8; SLOTS],
    /// Filled, not published.
    filled: [u8; SLOTS],
    /// FINISHED, not delivered.
    pub finished: [u8; SLOTS],
    /// Slots that it has set FREE, one bit each; whether nothing is pending any more.
    won: u8,
    last: bool,
    /// The slot that it runs, plus 1; the item that it has of it, plus 1; whether its job has put what it puts.
    runs: u8,
    pub item: u8,
    has_put: bool,
    /// The slot whose bit it has taken.
    slot: u8,
    /// Items that it has still to put.
    pub left: u8,
    /// The event, plus 1, whose sequence it has read; whether that has moved since; whether `sleeps_on` says so.
    pub on: u8,
    pub moved: bool,
    pub marked: bool,
    pub holding: bool,
    closed: bool,
    n: i8,
    /// What the look for sleepers gave before FINISHED was stored.
    early: bool,
    pub noted: bool,
}

impl Process {
    fn reads(&mut self, event: usize) {
        (self.on, self.moved) = (event as u8 + 1, false);
    }

    /// After its puts.
    fn goes_on(&mut self, queue: &Queue, parent: bool) {
        (self.on, self.moved) = (0, false);
        self.pc = match (self.runs, parent, queue.kind) {
            _ if self.left > 0 => Pc::Put,
            (1.., ..) => Pc::Run,
            (0, false, _) => Pc::Get,
            (0, true, Kind::Joinable) => Pc::Join,
            (0, true, Kind::Plain) => Pc::Close,
        };
    }
}

impl Queue {
    pub(super) fn process(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let p = s.processes[i];
        let me = i as u8 + 1;
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Process)| {
            let mut t = *s;
            let mut mine = p;
            f(&mut t, &mut mine);
            // Others' entries and ours grow old together.
            if t.slots != s.slots {
                let aged = t.processes[i];
                for (m, (a, b)) in mine.list.iter_mut().zip(aged.list.iter().zip(&p.list)) {
                    *m = if *m == *b { *a } else { *m };
                }
            }
            t.processes[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        let kind = self.kind;
        let free_bit = || (0..self.slots).find(|&k| s.slots[k].bit && s.pending < self.slots as i8);
        let waits = |s: &State| s.sleepers[FREE] != 0 || s.sleepers[DONE] != 0;
        let endless = |item: u8| self.endless >> item.saturating_sub(1) & 1 == 1;
        match p.pc {
            Pc::Put if p.left == 0 => go("has put all", &|_, p| p.goes_on(self, i == 0)),
            Pc::Put => go("reads the sequence of what is free (S0)", &|t, p| {
                p.reads(FREE);
                p.pc = Pc::Bit;
                if t.closed {
                    p.left = 0;
                    p.goes_on(self, i == 0);
                }
            }),
            Pc::Bit => match free_bit() {
                Some(k) => go("takes a bit", &|t, p| {
                    t.slots[k].bit = false;
                    (p.slot, p.pc) = (k as u8 + 1, Pc::Cas);
                }),
                None if p.filled[0] != 0 => go("publishes what it has filled", &|_, p| p.pc = Pc::Publish),
                None => go("finds no slot", &|_, p| {
                    p.then = if bug == Bug::SequenceAfterLook { Pc::Snap } else { Pc::Count };
                    p.pc = if p.finished[0] != 0 { Pc::Deliver } else { p.then };
                }),
            },
            Pc::Cas => go("CAS FREE to OWNED", &|t, p| {
                let slot = usize::from(p.slot) - 1;
                let free = t.slots[slot].is == Is::Free;
                if !free && bug == Bug::TakesByStore {
                    t.fail("a slot in use was taken");
                }
                p.pc = if free { Pc::Fill } else { Pc::Bit };
                if free {
                    (t.slots[slot].is, t.slots[slot].owner) = (Is::Owned, me);
                } else {
                    p.slot = 0;
                }
            }),
            Pc::Fill => go("fills it", &|t, p| {
                let slot = usize::from(p.slot) - 1;
                t.put += 1;
                t.slots[slot].payload = if bug == Bug::ReadyBeforePayload { 0 } else { t.put };
                add(&mut p.filled, p.slot);
                (p.slot, p.left) = (0, p.left - 1);
                p.pc = if p.left > 0 && length(&p.filled) < self.many { Pc::Bit } else { Pc::Publish };
            }),
            Pc::Publish if s.lock == 0 => go("takes the lock", &|t, p| {
                (t.lock, p.n, p.pc) = (me, length(&p.filled) as i8, Pc::PublishIn);
            }),
            Pc::PublishIn => go("pushes, stores READY", &|t, p| {
                let slot = usize::from(shift(&mut p.filled)) - 1;
                t.push(self, slot as u8 + 1 | NOW);
                (t.slots[slot].is, t.slots[slot].owner, t.slots[slot].attempt) = (Is::Ready, 0, 0);
                p.slot = if bug == Bug::ReadyBeforePayload { slot as u8 + 1 } else { 0 };
                p.pc = if p.filled[0] == 0 { Pc::PublishCount } else { Pc::PublishIn };
            }),
            Pc::PublishCount => go("raises pending", &|t, p| {
                (t.pending, p.pc) = (t.pending + p.n, Pc::PublishOut);
                t.accept();
            }),
            Pc::PublishOut => go("unlocks", &|t, p| {
                t.lock = 0;
                p.n = if bug == Bug::WakesOneForMany { 1 } else { p.n };
                p.pc = if bug == Bug::ReadyBeforePayload { Pc::PublishLate } else { Pc::Move };
            }),
            Pc::PublishLate => go("writes the payload", &|t, p| {
                t.slots[usize::from(p.slot) - 1].payload = t.put;
                (p.slot, p.pc) = (0, Pc::Move);
            }),
            Pc::Move => go("moves the jobs' sequence (W1)", &|t, p| {
                t.moves(JOBS);
                p.pc = Pc::Load;
            }),
            Pc::Load => go("looks for sleepers (W2)", &|t, p| {
                p.n = p.n.min(t.sleepers[JOBS]);
                if p.n > 0 {
                    p.pc = Pc::Wake;
                } else {
                    p.goes_on(self, i == 0);
                }
            }),
            Pc::Wake => self.wakes(s, JOBS, p.n, |woken| {
                go("wakes", &|t, p| {
                    woken(t);
                    p.n = 0;
                    p.goes_on(self, i == 0);
                })
            }),
            Pc::Get => go("looks whether the queue is closed", &|t, p| {
                p.closed = t.closed && bug != Bug::ClosedAfterLook;
                (p.holding, p.then, p.pc) = (false, Pc::Popped, Pc::Deliver);
            }),
            Pc::Deliver if s.lock == 0 => go("takes the lock", &|t, p| {
                (t.lock, p.n) = (me, 0);
                p.pc = if bug == Bug::CountBeforeFree { Pc::DeliverCount } else { Pc::DeliverIn };
            }),
            Pc::DeliverIn if p.finished[0] == 0 => go("has freed all", &|_, p| {
                p.pc = match bug {
                    Bug::CountBeforeFree if p.then == Pc::Popped => Pc::PopIn,
                    Bug::CountBeforeFree => Pc::DeliverOut,
                    _ => Pc::DeliverCount,
                };
            }),
            Pc::DeliverIn => go("CAS FINISHED to FREE", &|t, p| {
                let entry = shift(&mut p.finished);
                if t.slots[slot_of(entry)].is == Is::Finished && entry & NOW != 0 {
                    t.free(self, slot_of(entry));
                    p.won |= 1 << slot_of(entry);
                    p.n += 1;
                }
            }),
            Pc::DeliverCount => go("lowers pending", &|t, p| {
                let finished = |&&e: &&u8| e & NOW != 0 && t.slots[slot_of(e)].is == Is::Finished;
                let n = if bug == Bug::CountBeforeFree { p.finished.iter().filter(finished).count() as i8 } else { p.n };
                if bug != Bug::CountAfterUnlock {
                    t.pending -= n;
                    p.last = n > 0 && t.pending == 0;
                    p.n = 0;
                }
                p.pc = match p.then {
                    _ if bug == Bug::CountBeforeFree => Pc::DeliverIn,
                    Pc::Popped => Pc::PopIn,
                    _ => Pc::DeliverOut,
                };
            }),
            Pc::PopIn if s.ring[0] != 0 => go("pops", &|t, p| {
                let n = self.batch.min(length(&t.ring));
                for _ in 0..n {
                    let entry = shift(&mut t.ring);
                    add(&mut p.list, entry);
                    let slot = &mut t.slots[slot_of(entry)];
                    if bug == Bug::RunningAtPop && slot.is == Is::Ready {
                        (slot.is, slot.owner) = (Is::Running, me);
                    }
                }
                (p.holding, p.pc) = (n > 1, Pc::DeliverOut);
            }),
            Pc::PopIn => go("finds the ring empty, reads the sequence (S0)", &|_, p| {
                p.reads(JOBS);
                p.pc = Pc::DeliverOut;
            }),
            Pc::DeliverOut => go("unlocks", &|t, p| {
                t.lock = 0;
                p.pc = match p.won {
                    0 => p.then,
                    _ if bug == Bug::CountAfterUnlock => Pc::DeliverLate,
                    _ => Pc::Bits,
                };
            }),
            Pc::DeliverLate => go("lowers pending", &|t, p| {
                t.pending -= p.n;
                (p.last, p.n, p.pc) = (t.pending == 0, 0, Pc::Bits);
            }),
            Pc::Bits => go("sets the bits of free slots", &|t, p| {
                (0..SLOTS).filter(|k| p.won >> k & 1 == 1).for_each(|k| t.slots[k].bit = true);
                (p.n, p.won, p.pc) = (p.won.count_ones() as i8, 0, Pc::FreeMove);
            }),
            Pc::FreeMove => go("moves the sequence of what is free (W1)", &|t, p| {
                t.moves(FREE);
                p.moved |= usize::from(p.on) == FREE + 1;
                p.pc = Pc::FreeLoad;
            }),
            Pc::FreeLoad => go("looks for sleepers (W2)", &|t, p| {
                p.n = p.n.min(t.sleepers[FREE]);
                p.pc = if p.n > 0 { Pc::FreeWake } else { Pc::DoneAll };
            }),
            Pc::FreeWake => self.wakes(s, FREE, p.n, |woken| {
                go("wakes", &|t, p| {
                    woken(t);
                    (p.n, p.pc) = (0, Pc::DoneAll);
                })
            }),
            Pc::DoneAll => go("if that was the last, moves the sequence of what is done, wakes all", &|t, p| {
                if p.last {
                    t.moves(DONE);
                    t.wake_all(DONE);
                    p.moved |= usize::from(p.on) == DONE + 1;
                }
                (p.n, p.last, p.pc) = (0, false, p.then);
            }),
            Pc::Popped if p.list[0] != 0 => go("has entries", &|_, p| p.pc = Pc::Start),
            Pc::Popped => go("looks who holds entries, and for READY slots", &|t, p| {
                p.pc = Pc::Closed;
                if (0..=self.workers).any(|j| j != i && t.processes[j].holding) {
                    t.in_state(Is::Ready).into_iter().for_each(|e| add(&mut p.list, e));
                    p.pc = if p.list[0] == 0 { Pc::Closed } else { Pc::OfferLock };
                }
            }),
            Pc::OfferLock if s.lock == 0 => go("takes the lock", &|t, p| (t.lock, p.pc) = (me, Pc::OfferIn)),
            Pc::OfferIn => go("offers again, if the ring is empty", &|t, p| {
                p.n = length(&t.ring) as i8;
                if p.n == 0 {
                    p.n = length(&p.list) as i8;
                    p.list.iter().filter(|&&e| e != 0).for_each(|&e| t.push(self, e));
                }
                (p.list, p.pc) = ([0; SLOTS], Pc::OfferOut);
            }),
            Pc::OfferOut => go("unlocks", &|t, p| {
                t.lock = 0;
                (p.on, p.moved) = (0, false);
                (p.n, p.pc) = (p.n - 1, if p.n > 1 { Pc::OfferMove } else { Pc::Get });
            }),
            Pc::OfferMove => go("moves the jobs' sequence (W1)", &|t, p| {
                t.moves(JOBS);
                p.pc = Pc::OfferLoad;
            }),
            Pc::OfferLoad => go("looks for sleepers (W2)", &|t, p| {
                p.n = p.n.min(t.sleepers[JOBS]);
                p.pc = if p.n > 0 { Pc::OfferWake } else { Pc::Get };
            }),
            Pc::OfferWake => self.wakes(s, JOBS, p.n, |woken| {
                go("wakes", &|t, p| {
                    woken(t);
                    (p.n, p.pc) = (0, Pc::Get);
                })
            }),
            Pc::Closed => go("ends if it was closed", &|t, p| {
                let closed = p.closed || bug == Bug::ClosedAfterLook && t.closed;
                p.pc = if closed { Pc::Over } else { Pc::Count };
                if closed {
                    *p = Process { pc: Pc::Over, ..Process::default() };
                }
            }),
            Pc::Snap => go("reads the sequence", &|_, p| {
                p.reads(FREE);
                p.pc = Pc::Count;
            }),
            Pc::Count if bug == Bug::HelpsBeforeCounting && usize::from(p.on) != JOBS + 1 && p.n == 0 => {
                go("looks for FINISHED slots", &|t, p| {
                    p.n = 1;
                    t.in_state(Is::Finished).into_iter().for_each(|e| add(&mut p.finished, e));
                    if p.finished[0] != 0 {
                        let put = usize::from(p.on) == FREE + 1;
                        (p.n, p.then, p.pc) = (0, if put { Pc::Put } else { Pc::Join }, Pc::Deliver);
                    }
                })
            }
            Pc::Count => go("counts itself as a sleeper (S1)", &|t, p| {
                t.sleepers[usize::from(p.on) - 1] += 1;
                p.pc = if i == 0 { Pc::Look } else { Pc::Mark };
                if bug == Bug::HelpsBeforeCounting && p.n == 1 {
                    (p.n, p.pc) = (0, Pc::Wait);
                }
            }),
            Pc::Mark => go("sets sleeps_on", &|_, p| (p.marked, p.pc) = (true, Pc::Look)),
            Pc::Look if usize::from(p.on) == JOBS + 1 => go("looks whether the queue is closed", &|t, p| {
                p.pc = if t.closed && bug != Bug::NoLastLookAtClosed { Pc::Unmark } else { Pc::Wait };
            }),
            Pc::Look => go("looks for FINISHED slots", &|t, p| {
                t.in_state(Is::Finished).into_iter().for_each(|e| add(&mut p.finished, e));
                (p.then, p.pc) = (Pc::Unmark, if p.finished[0] != 0 { Pc::Deliver } else { Pc::Wait });
            }),
            Pc::Wait => go("futex wait", &|_, p| (p.moved, p.pc) = (false, if p.moved { Pc::Unmark } else { Pc::Asleep })),
            Pc::Asleep if p.runs != 0 && bug != Bug::NeverFull => go("says Full: nothing has moved", &|_, p| {
                (p.left, p.pc) = (0, Pc::Unmark);
            }),
            Pc::Unmark => go("clears sleeps_on", &|_, p| (p.marked, p.pc) = (false, Pc::Uncount)),
            Pc::Uncount => go("counts itself out", &|t, p| {
                let event = usize::from(p.on) - 1;
                t.sleepers[event] -= 1;
                (p.on, p.moved, p.then) = (0, false, Pc::Get);
                p.pc = [Pc::Get, Pc::Put, Pc::Join][event];
            }),
            Pc::Start if p.list[0] == 0 => go("ends its batch", &|_, p| p.pc = Pc::Get),
            Pc::Start => go("CAS READY to RUNNING", &|t, p| {
                let entry = shift(&mut p.list);
                let slot = &mut t.slots[slot_of(entry)];
                let ours = bug == Bug::RunningAtPop && (slot.is, slot.owner) == (Is::Running, me);
                let fresh = entry & NOW != 0;
                if ours || slot.is == Is::Ready && fresh {
                    (slot.is, slot.owner) = (Is::Running, me);
                    (p.runs, p.pc) = (slot_of(entry) as u8 + 1, Pc::Copy);
                }
            }),
            Pc::Copy if bug == Bug::FreeBeforeCopy => go("leaves the copy for later", &|t, p| {
                p.item = t.slots[usize::from(p.runs) - 1].payload;
                p.pc = Pc::Finish;
            }),
            Pc::Copy => go("copies the item", &|t, p| {
                let slot = t.slots[usize::from(p.runs) - 1];
                p.item = slot.payload;
                p.pc = if kind == Kind::Plain { Pc::Finish } else { Pc::Run };
                if slot.payload == 0 {
                    return t.fail("took a payload that was not written");
                }
                if t.items[usize::from(slot.payload) - 1].over {
                    t.fail("an item is taken again after it was over");
                }
                let others = s.processes[1..=self.workers].iter().enumerate().filter(|&(j, _)| j + 1 != i);
                if others.map(|(_, q)| q).any(|q| q.runs != 0 && q.item == slot.payload && q.pc != Pc::Dead) {
                    t.fail("one item is in the hands of two");
                }
            }),
            Pc::Run if self.putters >> (p.item - 1) & 1 == 1 && !p.has_put && usize::from(s.put) < ITEMS => {
                go("its job puts an item", &|_, p| (p.has_put, p.left, p.pc) = (true, 1, Pc::Put));
            }
            Pc::Run if endless(p.item) => {}
            Pc::Run => go("ends the job", &|_, p| p.pc = Pc::Finish),
            Pc::Finish if bug == Bug::LooksBeforeFinished && p.n == 0 => go("looks whether somebody waits", &|t, p| {
                (p.n, p.early) = (1, waits(t));
            }),
            Pc::Finish => go("CAS RUNNING to FINISHED", &|t, p| {
                let slot = &mut t.slots[usize::from(p.runs) - 1];
                if (slot.is, slot.owner) != (Is::Running, me) {
                    return t.fail("the slot of a running job was changed by another");
                }
                slot.is = Is::Finished;
                let item = usize::from(slot.payload);
                if item > 0 {
                    t.items[item - 1].over = true;
                }
                add(&mut p.finished, p.runs | NOW);
                p.pc = Pc::Waited;
                if bug == Bug::FreeBeforeCopy {
                    p.pc = Pc::CopyLate;
                } else {
                    (p.runs, p.item, p.has_put) = (0, 0, false);
                }
                p.n = 0;
            }),
            Pc::CopyLate => go("copies the item", &|t, p| {
                if t.slots[usize::from(p.runs) - 1].payload != p.item {
                    t.fail("copied an item out of a slot in other hands");
                }
                (p.runs, p.item, p.pc) = (0, 0, Pc::Waited);
            }),
            Pc::Waited => go("looks whether somebody waits", &|t, p| {
                let waits = if bug == Bug::LooksBeforeFinished { p.early } else { waits(t) };
                p.early = false;
                (p.then, p.pc) = (Pc::Start, if waits { Pc::Deliver } else { Pc::Start });
            }),
            Pc::Join => go("looks whether anything is pending", &|t, p| {
                p.reads(DONE);
                p.pc = Pc::Count;
                if t.pending == 0 {
                    let counted = |k: &Slot| {
                        matches!(k.is, Is::Ready | Is::Running | Is::Finished) && t.items[usize::from(k.payload) - 1].accepted
                    };
                    if t.slots.iter().any(counted) || t.items.iter().any(|item| item.accepted && !item.over) {
                        t.fail("join returned early");
                    }
                    (p.on, p.pc) = (0, Pc::Close);
                }
            }),
            Pc::Close if !self.closes => go("is done", &|_, p| p.pc = Pc::Over),
            Pc::Close => go("closes", &|t, p| {
                (t.closed, p.pc) = (true, if bug == Bug::ClosesSilently { Pc::Over } else { Pc::CloseJobs });
            }),
            Pc::CloseJobs => go("moves the jobs' sequence, wakes all", &|t, p| {
                t.moves(JOBS);
                t.wake_all(JOBS);
                p.pc = Pc::CloseFree;
            }),
            Pc::CloseFree => go("moves the sequence of what is free, wakes all", &|t, p| {
                t.moves(FREE);
                t.wake_all(FREE);
                *p = Process { pc: Pc::Over, ..Process::default() };
            }),
            Pc::Publish | Pc::Deliver | Pc::OfferLock | Pc::Asleep | Pc::Over | Pc::Dead => {}
        }
        if s.crashes > 0 && i > 0 && !matches!(p.pc, Pc::Over | Pc::Dead) {
            let mut t = *s;
            t.crashes -= 1;
            for slot in t.slots.iter().filter(|slot| slot.owner == me && slot.is == Is::Running) {
                // To pop charges nobody: what it has not started is not its doing.
                if p.runs > 0 && t.slots[usize::from(p.runs) - 1] == *slot {
                    t.items[usize::from(slot.payload) - 1].kills += 1;
                }
            }
            t.processes[i] = Process {
                pc: Pc::Dead,
                on: if p.marked { p.on } else { 0 },
                marked: p.marked,
                holding: p.holding,
                ..Process::default()
            };
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }
}
