//! Sections of the job lock: delivering and popping, offering again.

use super::*;

impl Queue {
    pub(super) fn deliver(&self, s: &State, i: usize, go: Go<'_>) {
        let p = s.processes[i];
        let bug = self.bug;
        let me = i as u8 + 1;
        match p.pc {
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
            _ => {}
        }
    }
}
