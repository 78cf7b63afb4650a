//! A pool's worker: pop, start, run, finish, deliver, offer again, sleep.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Default, Hash)]
#[repr(u8)]
pub enum Pc {
    #[default]
    Pop,
    PopIn,
    PopOut,
    Hold,
    Snap,
    EmptyOut,
    Offer,
    OfferLock,
    OfferIn,
    OfferOut,
    OfferMove,
    OfferLoad,
    OfferWake,
    Count,
    Mark,
    Wait,
    Asleep,
    Unmark,
    Uncount,
    Start,
    Cas,
    Begin,
    Run,
    Counted,
    Finish,
    Waited,
    Deliver,
    DeliverIn,
    DeliverCount,
    DeliverOut,
    DeliverLate,
    DeliverMove,
    DeliverLoad,
    DeliverWake,
    Dead,
}

impl Pc {
    /// Whether it has read the sequence of the jobs' event and has not come to look at the ring again.
    pub fn has_seen(self) -> bool {
        matches!(
            self,
            Pc::EmptyOut
                | Pc::Offer
                | Pc::OfferLock
                | Pc::OfferIn
                | Pc::OfferOut
                | Pc::Count
                | Pc::Mark
                | Pc::Wait
                | Pc::Asleep
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Default, Hash)]
pub struct Worker {
    pub pc: Pc,
    /// Popped and not started; or looked up, to be offered again.
    pub list: [u8; SLOTS],
    /// FINISHED, not delivered.
    pub finished: [u8; SLOTS],
    /// The slot that it runs; the attempt of the word that it has read.
    pub slot: u8,
    attempt: u8,
    /// The sequence is no longer what it has read.
    pub moved: bool,
    /// In its participant's entry: `sleeps_on`, `holding`.
    pub marked: bool,
    pub holding: bool,
    /// A number for the steps that follow.
    n: i8,
    /// What the look for sleepers gave before FINISHED was stored.
    early: bool,
    /// Dead, and noted for the recovery that is under way.
    pub noted: bool,
}

impl Pool {
    pub(super) fn worker(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let w = s.workers[i];
        let me = i as u8 + 1;
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Worker)| {
            let mut t = *s;
            let mut mine = w;
            f(&mut t, &mut mine);
            // What happened to all who have seen a sequence happened to us too; our lists age with the others'.
            mine.moved = mine.pc.has_seen() && (mine.moved || t.workers[i].moved && w.pc.has_seen());
            t.workers[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        let slot = usize::from(w.slot);
        match w.pc {
            Pc::Pop if s.locks[JOB] == 0 => go("takes the job lock", &|t, w| {
                t.locks[JOB] = me;
                w.pc = Pc::PopIn;
            }),
            Pc::PopIn if s.rings[JOB][0] != 0 => go("pops", &|t, w| {
                let n = self.batch.min(length(&t.rings[JOB]));
                (0..n).for_each(|_| add(&mut w.list, shift(&mut t.rings[JOB])));
                w.holding = n > 1 && bug != Bug::HoldingAfterUnlock;
                w.pc = Pc::PopOut;
            }),
            Pc::PopIn => go("finds the ring empty, reads the sequence (S0)", &|_, w| w.pc = Pc::EmptyOut),
            Pc::PopOut => go("unlocks", &|t, w| {
                t.locks[JOB] = 0;
                w.pc = if bug == Bug::HoldingAfterUnlock && w.list[1] != 0 { Pc::Hold } else { Pc::Start };
            }),
            Pc::Hold => go("notes that it holds some", &|_, w| (w.holding, w.pc) = (true, Pc::Start)),
            Pc::EmptyOut => go("unlocks", &|t, w| {
                t.locks[JOB] = 0;
                w.pc = if bug == Bug::SequenceAfterLook { Pc::Snap } else { Pc::Offer };
            }),
            Pc::Snap => go("reads the sequence", &|_, w| (w.moved, w.pc) = (false, Pc::Offer)),
            Pc::Offer => go("looks who holds entries, and for READY slots", &|t, w| {
                let others = (0..self.workers).any(|j| j != i && t.workers[j].holding);
                w.pc = Pc::Count;
                if others && bug != Bug::NeverOffers || bug == Bug::OffersWithoutLock {
                    ready(t).into_iter().for_each(|e| add(&mut w.list, e));
                    w.pc = match w.list[0] {
                        0 => Pc::Count,
                        _ if bug == Bug::OffersWithoutLock => Pc::Start,
                        _ => Pc::OfferLock,
                    };
                }
            }),
            Pc::OfferLock if s.locks[JOB] == 0 => go("takes the job lock", &|t, w| {
                t.locks[JOB] = me;
                w.pc = Pc::OfferIn;
            }),
            Pc::OfferIn => go("offers again, if the ring is empty", &|t, w| {
                w.n = length(&t.rings[JOB]) as i8;
                if w.n == 0 || bug == Bug::OffersWithoutLook {
                    w.n = length(&w.list) as i8;
                    w.list.iter().filter(|&&e| e != 0).for_each(|&e| t.push(self, JOB, e));
                }
                (w.list, w.pc) = ([0; SLOTS], Pc::OfferOut);
            }),
            Pc::OfferOut => go("unlocks", &|t, w| {
                t.locks[JOB] = 0;
                w.pc = if w.n > 1 { Pc::OfferMove } else { Pc::Pop };
                w.n = (w.n - 1).max(0);
            }),
            Pc::OfferMove => go("moves the jobs' sequence (W1)", &|t, w| {
                t.moves(JOB);
                w.pc = Pc::OfferLoad;
            }),
            Pc::OfferLoad => go("looks for sleepers (W2)", &|t, w| {
                w.n = w.n.min(t.sleepers[JOB]);
                w.pc = if w.n > 0 { Pc::OfferWake } else { Pc::Pop };
            }),
            Pc::OfferWake => self.wakes(s, w.n, |woken| {
                go("wakes", &|t, w| {
                    woken(t);
                    (w.n, w.pc) = (0, Pc::Pop);
                })
            }),
            Pc::Count => go("counts itself as a sleeper (S1)", &|t, w| {
                t.sleepers[JOB] += 1;
                w.pc = Pc::Mark;
            }),
            Pc::Mark => go("sets sleeps_on", &|_, w| (w.marked, w.pc) = (true, Pc::Wait)),
            Pc::Wait => go("futex wait", &|_, w| w.pc = if w.moved { Pc::Unmark } else { Pc::Asleep }),
            Pc::Unmark => go("clears sleeps_on", &|_, w| (w.marked, w.pc) = (false, Pc::Uncount)),
            Pc::Uncount => go("counts itself out", &|t, w| {
                t.sleepers[JOB] -= 1;
                w.pc = Pc::Pop;
            }),
            Pc::Start if w.list[0] == 0 && w.finished[0] != 0 => go("ends its batch", &|_, w| w.pc = Pc::Deliver),
            Pc::Start if w.list[0] == 0 => go("ends its batch", &|_, w| (w.holding, w.pc) = (false, Pc::Pop)),
            Pc::Start => go("looks at the slot's word", &|t, w| {
                let to = t.slots[slot_of(w.list[0])];
                if to.is == Is::Ready && (w.list[0] & NOW != 0 || bug == Bug::StartAnyGeneration) {
                    (w.attempt, w.pc) = (to.attempt, Pc::Cas);
                } else {
                    shift(&mut w.list);
                }
            }),
            Pc::Cas => go("CAS READY to RUNNING", &|t, w| {
                let entry = shift(&mut w.list);
                let to = &mut t.slots[slot_of(entry)];
                let same = to.is == Is::Ready && to.attempt == w.attempt;
                w.attempt = 0;
                w.pc = Pc::Start;
                if same && (entry & NOW != 0 || bug == Bug::StartAnyGeneration) {
                    (to.is, to.owner) = (Is::Running, me);
                    (w.slot, w.pc) = (slot_of(entry) as u8, Pc::Begin);
                }
            }),
            Pc::Begin => go("begins the job, if it is not done", &|t, w| {
                let to = &mut t.slots[slot];
                w.pc = Pc::Run;
                if to.payload == 0 {
                    return t.fail("ran a payload that was not written");
                }
                if to.progress == 2 {
                    w.pc = Pc::Finish;
                    return;
                }
                to.progress = 1;
                let job = to.payload;
                if (0..self.workers).any(|j| j != i && t.runs(j) == job) {
                    t.fail("one job runs in two live workers");
                }
                if t.jobs[usize::from(job) - 1].finished {
                    t.fail("a job runs again after its outcome counted");
                }
            }),
            Pc::Run if s.slots[slot].over => go("writes down how the job's worker died", &|t, w| {
                t.slots[slot].outcome = DIED;
                w.pc = Pc::Counted;
            }),
            Pc::Run if self.is_endless(s.slots[slot].payload.saturating_sub(1)) => {}
            Pc::Run => go("runs the job, writes its outcome", &|t, w| {
                w.pc = Pc::Counted;
                if bug == Bug::DoneBeforeOutcome {
                    t.slots[slot].progress = 2;
                    t.jobs[usize::from(t.slots[slot].payload) - 1].finished = true;
                } else {
                    t.slots[slot].outcome = t.slots[slot].payload;
                }
            }),
            Pc::Counted => go("makes the outcome count", &|t, w| {
                w.pc = Pc::Finish;
                let to = &mut t.slots[slot];
                let job = usize::from(to.payload).saturating_sub(1);
                if bug == Bug::DoneBeforeOutcome {
                    to.outcome = to.payload;
                }
                to.progress = 2;
                t.jobs[job].finished = true;
            }),
            Pc::Finish if bug == Bug::LooksBeforeFinished && w.n == 0 => go("looks whether somebody waits", &|t, w| {
                (w.n, w.early) = (1, t.sleepers[RESULT] != 0);
            }),
            Pc::Finish => go("CAS RUNNING to FINISHED", &|t, w| {
                if (t.slots[slot].is, t.slots[slot].owner) != (Is::Running, me) {
                    t.fail("the slot of a running job was changed by another");
                }
                t.slots[slot].is = Is::Finished;
                add(&mut w.finished, now(slot));
                (w.slot, w.n, w.pc) = (0, 0, Pc::Waited);
            }),
            Pc::Waited => go("looks whether somebody waits", &|t, w| {
                let waits = if bug == Bug::LooksBeforeFinished { w.early } else { t.sleepers[RESULT] != 0 };
                w.early = false;
                w.pc = if waits && bug != Bug::NobodyHelps { Pc::Deliver } else { Pc::Start };
            }),
            Pc::Deliver if s.locks[RESULT] == 0 => go("takes the result lock", &|t, w| {
                t.locks[RESULT] = me;
                w.pc = Pc::DeliverIn;
            }),
            Pc::DeliverIn if w.finished[0] == 0 => go("has delivered all", &|t, w| {
                if bug == Bug::CountByLoadAndStore {
                    w.n = t.pending - w.n;
                }
                w.pc = Pc::DeliverCount;
            }),
            Pc::DeliverIn => go("CAS FINISHED to DONE, pushes", &|t, w| {
                let entry = shift(&mut w.finished);
                w.n += i8::from(t.deliver(self, entry, me));
            }),
            Pc::DeliverCount => go("lowers pending", &|t, w| {
                w.pc = Pc::DeliverOut;
                match bug {
                    Bug::CountByLoadAndStore => (t.pending, w.n) = (w.n, 1),
                    Bug::DeliverCountsAfterUnlock => {}
                    _ => t.pending -= w.n,
                }
            }),
            Pc::DeliverOut => go("unlocks", &|t, w| {
                t.locks[RESULT] = 0;
                w.pc = match w.n {
                    0 => Pc::Start,
                    _ if bug == Bug::DeliverCountsAfterUnlock => Pc::DeliverLate,
                    _ => Pc::DeliverMove,
                };
            }),
            Pc::DeliverLate => go("lowers pending", &|t, w| {
                t.pending -= w.n;
                w.pc = Pc::DeliverMove;
            }),
            Pc::DeliverMove => go("moves the results' sequence (W1)", &|t, w| {
                t.moves(RESULT);
                (w.n, w.pc) = (0, Pc::DeliverLoad);
            }),
            Pc::DeliverLoad => go("looks for sleepers (W2)", &|t, w| {
                w.pc = if t.sleepers[RESULT] != 0 { Pc::DeliverWake } else { Pc::Start };
            }),
            Pc::DeliverWake => go("wakes the parent", &|t, w| {
                t.parent.wake();
                w.pc = Pc::Start;
            }),
            Pc::Pop | Pc::OfferLock | Pc::Deliver | Pc::Asleep | Pc::Dead => {}
        }
        if self.spurious && w.pc == Pc::Asleep {
            let mut t = *s;
            (t.workers[i].pc, t.workers[i].moved) = (Pc::Unmark, false);
            out.push(Step { who: me, what: "wakes up for nothing", helps: false, to: t });
        }
        if s.crashes > 0 && w.pc != Pc::Dead && !(bug == Bug::TakesLiveForDead) {
            let mut t = *s;
            t.crashes -= 1;
            let in_hand = w.pc == Pc::Run || w.pc == Pc::Counted;
            let job = t.slots[slot];
            if in_hand && !job.over {
                t.jobs[usize::from(job.payload) - 1].kills += 1;
            }
            t.workers[i] = Worker { pc: Pc::Dead, marked: w.marked, holding: w.holding, ..Worker::default() };
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }
}

/// Entries for all READY slots, in the order in which they were put: jobs are numbered in that order.
pub fn ready(s: &State) -> Vec<u8> {
    in_state(s, Is::Ready)
}

pub fn in_state(s: &State, is: Is) -> Vec<u8> {
    let mut found: Vec<usize> = (0..SLOTS).filter(|&k| s.slots[k].is == is).collect();
    found.sort_by_key(|&k| s.slots[k].payload);
    found.into_iter().map(now).collect()
}

impl State {
    /// The job, plus 1, that live worker `j` has begun and not made count; 0: none.
    pub fn runs(&self, j: usize) -> u8 {
        let w = &self.workers[j];
        if matches!(w.pc, Pc::Run | Pc::Counted) { self.slots[usize::from(w.slot)].payload } else { 0 }
    }

    /// FINISHED of `owner` to DONE, in the result ring; whether it was that.
    pub fn deliver(&mut self, pool: &Pool, entry: u8, owner: u8) -> bool {
        let slot = &mut self.slots[slot_of(entry)];
        let won = slot.is == Is::Finished && slot.owner == owner && entry & NOW != 0;
        if won {
            (slot.is, slot.owner) = (Is::Done, 0);
            self.push(pool, RESULT, entry);
        }
        won
    }
}
