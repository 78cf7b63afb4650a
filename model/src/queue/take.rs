//! Sleeping, running a job, ending it; joining and closing.

use super::*;

impl Queue {
    pub(super) fn take(&self, s: &State, i: usize, go: Go<'_>) {
        let p = s.processes[i];
        let bug = self.bug;
        let me = i as u8 + 1;
        let kind = self.kind;
        let waits = |s: &State| s.sleepers[FREE] != 0 || s.sleepers[DONE] != 0;
        let endless = |item: u8| self.endless >> item.saturating_sub(1) & 1 == 1;
        match p.pc {
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
            _ => {}
        }
    }
}
