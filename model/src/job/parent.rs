//! The parent's one thread, which puts all jobs and then waits for their outcomes: `submit`, `wait_until`, `collect`, `take_done`.

use super::worker::in_state;
use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum Pc {
    #[default]
    Put,
    Note,
    Publish,
    PublishIn,
    PublishCount,
    PublishOut,
    PublishLate,
    Early,
    Move,
    Load,
    Wake,
    Collect,
    CollectIn,
    CollectOut,
    Take,
    Claim,
    Free,
    Count,
    Look,
    HelpLock,
    HelpIn,
    HelpOut,
    HelpMove,
    Wait,
    Asleep,
    Uncount,
    Over,
}

impl Pc {
    /// Whether a lock of the region is waited for or held with the engine's mutex held.
    pub fn holds_mutex(self) -> bool {
        matches!(
            self,
            Pc::Publish | Pc::PublishIn | Pc::PublishCount | Pc::PublishOut | Pc::Collect | Pc::CollectIn | Pc::CollectOut
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Parent {
    pub pc: Pc,
    /// Entries popped from the result ring; or FINISHED slots that it helps to deliver.
    pub list: [u8; 8],
    slot: u8,
    n: i8,
    /// Whether it has read the results' sequence with their ring empty; whether that has moved since.
    seen: bool,
    pub moved: bool,
    /// Whether it has collected anything this time.
    any: bool,
}

impl Parent {
    pub fn wake(&mut self) {
        if self.pc == Pc::Asleep {
            self.pc = Pc::Uncount;
        }
    }
}

impl Pool {
    pub(super) fn parent(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let p = s.parent;
        let slot = usize::from(p.slot);
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: PARENT, what, helps: true, to: t });
        };
        let unfinished = (0..usize::from(s.put)).any(|j| !s.jobs[j].outcome);
        // Its list of free slots is private; one at a time is used here, so the lowest is as good as any.
        let free = (0..self.slots).find(|&k| s.slots[k].is == Is::Free);
        match p.pc {
            Pc::Put if s.put < self.jobs && free.is_some() => go("takes a free slot, fills it", &|t| {
                let k = free.expect("just looked");
                let mut word = Slot { is: Is::Owned, owner: PARENT, ..Slot::default() };
                word.payload = if bug == Bug::ReadyBeforePayload { 0 } else { t.put + 1 };
                word.known = t.slots[k].known;
                t.slots[k] = word;
                (t.put, t.parent.slot, t.parent.pc) = (t.put + 1, k as u8, Pc::Note);
            }),
            Pc::Put if s.put == self.jobs && !unfinished => go("has all outcomes", &|t| {
                t.parent = Parent { pc: Pc::Over, ..Parent::default() };
            }),
            Pc::Put => go("has to wait", &|t| (t.parent.any, t.parent.pc) = (false, Pc::Collect)),
            Pc::Note => go("notes it in the ledger", &|t| {
                t.slots[slot].known = bug != Bug::LedgerAfterReady;
                t.parent.pc = Pc::Publish;
            }),
            Pc::Publish if s.locks[JOB] == 0 => go("takes the job lock", &|t| {
                (t.locks[JOB], t.parent.pc) = (PARENT, Pc::PublishIn);
                if bug == Bug::UnlockFirst {
                    t.locks[JOB] = 0;
                }
            }),
            Pc::PublishIn => go("pushes, stores READY", &|t| {
                t.push(self, JOB, now(slot));
                (t.slots[slot].is, t.slots[slot].owner, t.parent.pc) = (Is::Ready, 0, Pc::PublishCount);
            }),
            Pc::PublishCount => go("raises pending", &|t| {
                t.pending += i8::from(bug != Bug::CountAfterUnlock && bug != Bug::UnlockFirst);
                t.parent.pc = Pc::PublishOut;
            }),
            Pc::PublishOut => go("unlocks", &|t| {
                t.locks[JOB] = 0;
                t.parent.pc = match bug {
                    Bug::CountAfterUnlock | Bug::UnlockFirst | Bug::ReadyBeforePayload | Bug::LedgerAfterReady => {
                        Pc::PublishLate
                    }
                    Bug::LooksBeforeMove => Pc::Load,
                    Bug::WakesBeforeMove => Pc::Early,
                    _ => Pc::Move,
                };
            }),
            Pc::PublishLate => go("does what it had to do before", &|t| {
                match bug {
                    Bug::ReadyBeforePayload => t.slots[slot].payload = t.put,
                    Bug::LedgerAfterReady => t.slots[slot].known = true,
                    _ => t.pending += 1,
                }
                t.parent.pc = Pc::Move;
            }),
            Pc::Early => self.wakes(s, s.sleepers[JOB].min(1), |woken| {
                go("wakes one", &|t| {
                    woken(t);
                    t.parent.pc = Pc::Move;
                })
            }),
            Pc::Move => go("moves the jobs' sequence (W1)", &|t| {
                t.moves(JOB);
                t.parent.pc = match bug {
                    Bug::LooksBeforeMove if t.parent.n > 0 => Pc::Wake,
                    Bug::LooksBeforeMove | Bug::WakesBeforeMove => Pc::Put,
                    _ => Pc::Load,
                };
                t.parent.slot = 0;
            }),
            Pc::Load => go("looks for sleepers (W2)", &|t| {
                t.parent.n = t.sleepers[JOB].min(1);
                t.parent.pc = match t.parent.n {
                    _ if bug == Bug::LooksBeforeMove => Pc::Move,
                    0 => Pc::Put,
                    _ => Pc::Wake,
                };
            }),
            Pc::Wake => self.wakes(s, p.n, |woken| {
                go("wakes one", &|t| {
                    woken(t);
                    (t.parent.n, t.parent.pc) = (0, Pc::Put);
                })
            }),
            Pc::Collect if p.seen && !p.moved => go("sees that nothing has been delivered", &|t| t.parent.pc = Pc::Count),
            Pc::Collect if s.locks[RESULT] == 0 => go("takes the result lock", &|t| {
                (t.locks[RESULT], t.parent.pc) = (PARENT, Pc::CollectIn);
            }),
            Pc::CollectIn => go("pops all, reads the sequence (S0)", &|t| {
                t.parent.list = std::mem::take(&mut t.rings[RESULT]);
                t.parent.any = t.parent.list[0] != 0;
                (t.parent.seen, t.parent.moved, t.parent.pc) = (true, false, Pc::CollectOut);
            }),
            Pc::CollectOut => go("unlocks", &|t| (t.locks[RESULT], t.parent.pc) = (0, Pc::Take)),
            Pc::Take if p.list[0] == 0 => go("has taken all", &|t| {
                t.parent.pc = if t.parent.any { Pc::Put } else { Pc::Count };
            }),
            Pc::Take => go("takes the outcome of a DONE slot that the ledger knows", &|t| {
                let entry = shift(&mut t.parent.list);
                let from = t.slots[slot_of(entry)];
                if from.is == Is::Done && (entry & NOW != 0 || bug == Bug::TakeAnyGeneration) && from.known {
                    t.takes(self, slot_of(entry));
                    (t.parent.slot, t.parent.pc) = (slot_of(entry) as u8, Pc::Claim);
                }
            }),
            Pc::Claim => go("claims the ledger's entry", &|t| (t.slots[slot].known, t.parent.pc) = (false, Pc::Free)),
            Pc::Free => go("frees the slot", &|t| {
                if t.slots[slot].is != Is::Done {
                    t.fail("a DONE slot changed under its collector");
                }
                t.free(self, slot);
                (t.parent.slot, t.parent.pc) = (0, Pc::Take);
            }),
            Pc::Count if bug == Bug::HelpsBeforeCounting && p.n == 0 => go("looks for FINISHED slots", &|t| {
                t.parent.n = 1;
                if looks(t) {
                    (t.parent.n, t.parent.pc) = (2, Pc::HelpLock);
                }
            }),
            Pc::Count => go("counts itself as a sleeper (S1)", &|t| {
                t.sleepers[RESULT] += 1;
                t.parent.n = 0;
                t.parent.pc = if bug == Bug::HelpsBeforeCounting || bug == Bug::NobodyHelps { Pc::Wait } else { Pc::Look };
            }),
            Pc::Look => go("looks for FINISHED slots", &|t| t.parent.pc = if looks(t) { Pc::HelpLock } else { Pc::Wait }),
            Pc::HelpLock if s.locks[RESULT] == 0 => go("takes the result lock", &|t| {
                (t.locks[RESULT], t.parent.pc) = (PARENT, Pc::HelpIn);
            }),
            Pc::HelpIn => go("delivers, lowers pending", &|t| {
                let mut wins = 0;
                while t.parent.list[0] != 0 {
                    let entry = shift(&mut t.parent.list);
                    let owner = t.slots[slot_of(entry)].owner;
                    wins += i8::from(t.deliver(self, entry, owner));
                }
                t.pending -= wins;
                t.parent.any = wins > 0;
                t.parent.pc = Pc::HelpOut;
            }),
            Pc::HelpOut => go("unlocks", &|t| {
                t.locks[RESULT] = 0;
                let counted = bug != Bug::HelpsBeforeCounting;
                t.parent.pc = match (t.parent.any, counted) {
                    (true, _) => Pc::HelpMove,
                    (false, true) => Pc::Uncount,
                    (false, false) => Pc::Put,
                };
            }),
            // Nobody else sleeps there.
            Pc::HelpMove => go("moves the results' sequence", &|t| {
                t.moves(RESULT);
                t.parent.pc = if bug == Bug::HelpsBeforeCounting { Pc::Put } else { Pc::Uncount };
                t.parent.n = 0;
            }),
            Pc::Wait => go("futex wait", &|t| t.parent.pc = if t.parent.moved { Pc::Uncount } else { Pc::Asleep }),
            Pc::Uncount => go("counts itself out", &|t| {
                t.sleepers[RESULT] -= 1;
                t.parent.pc = Pc::Put;
            }),
            Pc::Publish | Pc::Collect | Pc::HelpLock | Pc::Asleep | Pc::Over => {}
        }
        if self.spurious && p.pc == Pc::Asleep {
            let mut t = *s;
            t.parent.pc = Pc::Uncount;
            out.push(Step { who: PARENT, what: "wakes up for nothing", helps: false, to: t });
        }
    }
}

/// Notes FINISHED slots to be delivered; whether there are any.
fn looks(t: &mut State) -> bool {
    in_state(t, Is::Finished).into_iter().for_each(|e| add(&mut t.parent.list, e));
    t.parent.list[0] != 0
}

impl State {
    /// Gives the job of a DONE slot its outcome.
    fn takes(&mut self, pool: &Pool, slot: usize) {
        let Slot { payload, outcome, .. } = self.slots[slot];
        let job = &mut self.jobs[usize::from(payload) - 1];
        let why = if job.outcome {
            Some("a second outcome for a job")
        } else if !job.finished {
            Some("an outcome of a job that has not finished")
        } else if outcome == DIED {
            (job.kills != pool.attempts).then_some("a job was given up that has not cost as many workers")
        } else {
            (outcome != payload).then_some("garbage for an outcome")
        };
        job.outcome = true;
        if let Some(why) = why {
            self.fail(why);
        }
    }
}
