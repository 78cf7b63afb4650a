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
    pub then: Pc,
    /// Popped and not started; looked up to be offered again.
    pub list: [u8; SLOTS],
    /// Filled, not published.
    pub filled: [u8; SLOTS],
    /// FINISHED, not delivered.
    pub finished: [u8; SLOTS],
    /// Slots that it has set FREE, one bit each; whether nothing is pending any more.
    pub won: u8,
    pub last: bool,
    /// The slot that it runs, plus 1; the item that it has of it, plus 1; whether its job has put what it puts.
    pub runs: u8,
    pub item: u8,
    pub has_put: bool,
    /// The slot whose bit it has taken.
    pub slot: u8,
    /// Items that it has still to put.
    pub left: u8,
    /// The event, plus 1, whose sequence it has read; whether that has moved since; whether `sleeps_on` says so.
    pub on: u8,
    pub moved: bool,
    pub marked: bool,
    pub holding: bool,
    pub closed: bool,
    pub n: i8,
    /// What the look for sleepers gave before FINISHED was stored.
    pub early: bool,
    pub noted: bool,
}

impl Process {
    pub fn reads(&mut self, event: usize) {
        (self.on, self.moved) = (event as u8 + 1, false);
    }

    /// After its puts.
    pub fn goes_on(&mut self, queue: &Queue, parent: bool) {
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
        let free_bit = || (0..self.slots).find(|&k| s.slots[k].bit && s.pending < self.slots as i8);
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
                t.push(self, now(slot));
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
            _ => {
                self.deliver(s, i, &mut go);
                self.take(s, i, &mut go);
            }
        }
        if self.spurious && p.pc == Pc::Asleep {
            let mut t = *s;
            (t.processes[i].pc, t.processes[i].moved) = (Pc::Unmark, false);
            out.push(Step { who: me, what: "wakes up for nothing", helps: false, to: t });
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
