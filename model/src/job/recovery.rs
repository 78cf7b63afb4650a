//! The supervisor: all locks, scan, install, release, move and wake, replace.

use super::worker::{self, Worker, in_state, ready};
use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum Pc {
    #[default]
    Idle,
    LockJobs,
    LockResults,
    Scan,
    Rebuild,
    Count,
    Forget,
    UnlockResults,
    UnlockJobs,
    Move,
    Wake,
    Replace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Supervisor {
    pub pc: Pc,
    slot: u8,
    pending: i8,
    /// Whether a dead one held a lock or a slot.
    found: bool,
}

type Go<'a> = &'a mut dyn FnMut(&'static str, &dyn Fn(&mut State));

impl Pool {
    pub(super) fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let v = s.supervisor;
        let mut put = |what: &'static str, helps: bool, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps, to: t });
        };
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| put(what, true, f);
        let slot = usize::from(v.slot);
        match v.pc {
            Pc::Idle => {
                let begins = |t: &mut State| {
                    t.note_dead();
                    t.supervisor.pending = if bug == Bug::CountBeforeLocks { t.accepted() } else { 0 };
                    t.supervisor.pc = Pc::LockJobs;
                    if bug == Bug::ReplacesFirst {
                        t.supervisor.pc = Pc::Replace;
                    }
                };
                if s.workers.iter().any(|w| w.pc == worker::Pc::Dead || w.noted) {
                    go("notes who has died", &begins);
                }
                let any = s.scans == u8::MAX;
                if s.scans > 0 {
                    put("begins a recovery that nobody asked for", false, &|t| {
                        t.scans -= u8::from(!any);
                        begins(t);
                    });
                }
                if bug == Bug::TakesLiveForDead && s.crashes > 0 {
                    for i in (0..self.workers).filter(|&i| s.workers[i].pc == worker::Pc::Run) {
                        put("takes a live worker for dead", false, &|t| {
                            t.crashes -= 1;
                            t.workers[i].noted = true;
                            begins(t);
                        });
                    }
                }
            }
            Pc::LockJobs => {
                self.takes_lock(s, JOB, &mut go, if bug == Bug::ScanWithoutResultLock { Pc::Scan } else { Pc::LockResults })
            }
            Pc::LockResults => self.takes_lock(s, RESULT, &mut go, Pc::Scan),
            Pc::Scan if bug == Bug::LedgerMutex && s.parent.pc.holds_mutex() => {}
            Pc::Scan if slot < self.slots => go("looks at a slot", &|t| {
                self.scan(t, slot);
                t.supervisor.slot += 1;
            }),
            Pc::Scan => go("has looked at all", &|t| (t.supervisor.slot, t.supervisor.pc) = (0, Pc::Rebuild)),
            Pc::Rebuild => go("rebuilds the rings", &|t| {
                if bug != Bug::RebuildAppends {
                    t.rings = [[0; 8]; 2];
                }
                ready(t).into_iter().for_each(|e| t.push(self, JOB, e));
                in_state(t, Is::Done).into_iter().for_each(|e| t.push(self, RESULT, e));
                t.supervisor.pc = Pc::Count;
            }),
            Pc::Count => go("stores pending", &|t| {
                (t.pending, t.supervisor.pending, t.supervisor.pc) = (t.supervisor.pending, 0, Pc::Forget);
            }),
            Pc::Forget => go("takes back who slept", &|t| {
                for w in t.workers.iter_mut().filter(|w| w.noted && w.pc == worker::Pc::Dead) {
                    t.sleepers[JOB] -= i8::from(w.marked);
                    (w.marked, w.holding) = (false, false);
                }
                if bug == Bug::ResetSleepers {
                    t.sleepers[JOB] = 0;
                }
                t.supervisor.pc = match bug {
                    Bug::ScanWithoutResultLock => Pc::UnlockJobs,
                    _ => Pc::UnlockResults,
                };
            }),
            Pc::UnlockResults => go("unlocks", &|t| (t.locks[RESULT], t.supervisor.pc) = (0, Pc::UnlockJobs)),
            Pc::UnlockJobs => go("unlocks", &|t| {
                t.locks[JOB] = 0;
                let skips = bug == Bug::NoWakeAll || bug == Bug::WakesOnlyIfItHeld && !t.supervisor.found;
                t.supervisor.pc = match bug {
                    Bug::WakesWithoutMove => Pc::Wake,
                    _ if skips => Pc::Replace,
                    _ => Pc::Move,
                };
            }),
            Pc::Move => go("moves all sequences", &|t| {
                t.moves(JOB);
                t.moves(RESULT);
                if bug == Bug::NotesDuringWake {
                    t.note_dead();
                }
                t.supervisor.pc = Pc::Wake;
            }),
            Pc::Wake => go("wakes all", &|t| {
                t.workers
                    .iter_mut()
                    .filter(|w| w.pc == worker::Pc::Asleep)
                    .for_each(|w| (w.pc, w.moved) = (worker::Pc::Unmark, false));
                t.parent.wake();
                t.supervisor.pc = Pc::Replace;
            }),
            Pc::Replace => match s.workers.iter().position(|w| w.noted) {
                None => go("is done", &|t| {
                    t.supervisor = Supervisor::default();
                    if bug == Bug::ReplacesFirst && t.workers.iter().any(|w| w.noted) {
                        t.supervisor.pc = Pc::LockJobs;
                    }
                }),
                Some(i) => go("starts a replacement", &|t| {
                    let name = i as u8 + 1;
                    let dead = t.workers[i].pc == worker::Pc::Dead;
                    if dead && (t.slots.iter().any(|k| k.owner == name) || t.locks.contains(&name)) {
                        t.fail("a replacement starts while a word names its predecessor");
                    }
                    if t.workers[i].pc == worker::Pc::Dead {
                        t.workers[i] = Worker::default();
                    }
                    t.workers[i].noted = bug == Bug::OldNotice && t.scans > 0;
                    if bug == Bug::OldNotice && t.scans > 0 {
                        t.scans -= 1;
                        t.supervisor = Supervisor::default();
                    }
                }),
            },
        }
    }

    /// Takes a free lock, or one that a dead worker holds; one that dies while it is waited for is noted too.
    fn takes_lock(&self, s: &State, which: usize, go: Go<'_>, then: Pc) {
        let owner = usize::from(s.locks[which]);
        let worker = (1..=self.workers).contains(&owner).then(|| s.workers[owner - 1]);
        let dead = worker.is_some_and(|w| match self.bug {
            Bug::WaitsForTheDead => w.noted,
            Bug::TakesLockOfLive => true,
            _ => w.noted || w.pc == worker::Pc::Dead,
        });
        if owner == 0 {
            go("takes a lock", &|t| (t.locks[which], t.supervisor.pc) = (SUPERVISOR, then));
        } else if dead {
            go("takes a lock over", &|t| {
                t.workers[owner - 1].noted |= t.workers[owner - 1].pc == worker::Pc::Dead;
                t.supervisor.found = self.bug == Bug::WakesOnlyIfItHeld;
                (t.locks[which], t.supervisor.pc) = (SUPERVISOR, then);
            });
        }
    }

    fn scan(&self, t: &mut State, slot: usize) {
        let bug = self.bug;
        let word = t.slots[slot];
        let accepted = matches!(word.is, Is::Ready | Is::Running | Is::Finished);
        if !word.known && (accepted || bug == Bug::LedgerKnowsDone && word.is == Is::Done) {
            t.fail("the ledger does not know a job");
        }
        let owner = usize::from(word.owner);
        if (1..=self.workers).contains(&owner) && t.workers[owner - 1].noted {
            t.supervisor.found = bug == Bug::WakesOnlyIfItHeld;
            t.slots[slot].owner = 0;
            match word.is {
                Is::Finished if bug == Bug::ForgetFinished => t.slots[slot].is = Is::Ready,
                Is::Finished => t.slots[slot].is = Is::Done,
                _ => self.after_death(t, slot),
            }
        }
        if bug == Bug::ChargesPopped && word.is == Is::Ready && !t.rings[JOB].iter().any(|&e| e == now(slot)) {
            t.charge(slot);
        }
        if bug == Bug::ScanFreesDone && word.is == Is::Done && !word.known {
            t.free(self, slot);
        }
        if bug != Bug::CountBeforeLocks {
            t.supervisor.pending += i8::from(matches!(t.slots[slot].is, Is::Ready | Is::Running | Is::Finished));
        }
    }

    /// RUNNING of the dead goes back to READY; the job in hand is charged, and over if it has cost as many workers as it may.
    fn after_death(&self, t: &mut State, slot: usize) {
        let before = t.slots[slot];
        let now = &mut t.slots[slot];
        now.is = Is::Ready;
        now.progress = if before.progress == 1 { 0 } else { before.progress };
        now.outcome = if before.progress == 2 { before.outcome } else { 0 };
        if self.bug == Bug::TakesLiveForDead && before.progress == 1 {
            // So it believes.
            t.jobs[usize::from(before.payload) - 1].kills += 1;
        }
        if before.progress == 1 && !before.over && self.bug != Bug::NoCharge {
            t.charge(slot);
            t.slots[slot].over = t.slots[slot].deaths >= self.attempts;
        } else if before.progress == 1 && !before.over {
            t.check_charges(slot);
        }
    }
}

impl State {
    fn note_dead(&mut self) {
        self.workers.iter_mut().filter(|w| w.pc == worker::Pc::Dead).for_each(|w| w.noted = true);
    }

    fn charge(&mut self, slot: usize) {
        self.slots[slot].deaths += 1;
        self.slots[slot].attempt = self.slots[slot].deaths;
        self.check_charges(slot);
    }

    fn check_charges(&mut self, slot: usize) {
        let Slot { payload, deaths, .. } = self.slots[slot];
        if payload > 0 && self.jobs[usize::from(payload) - 1].kills != deaths {
            self.fail("a job is charged for other than the workers that it has cost");
        }
    }
}
