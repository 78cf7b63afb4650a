//! The supervisor: ends workers whose job in hand is condemned, and puts the bundles of the dead back.

use super::worker::{Pc, Worker};
use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Supervisor {
    /// 0: idle; 1: has read the word; 2: has let go of what was in hand.
    at: u8,
    worker: u8,
    slot: u8,
    read: Progress,
    why: Outcome,
}

impl Bundles {
    pub(super) fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let v = s.supervisor;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: 11, what, helps: true, to: t });
        };
        let k = usize::from(v.slot);
        match v.at {
            0 => {
                for k in (0..SLOTS).filter(|&k| s.slots[k].kill) {
                    go("ends the worker of a condemned job", &|t| {
                        t.slots[k].kill = false;
                        let owner = usize::from(t.slots[k].owner);
                        let has = t.slots[k].is == Is::Running && t.slots[k].progress.condemned;
                        if has && t.workers[owner - 1].pc != Pc::Dead {
                            t.die(owner - 1, true);
                        }
                    });
                }
                if let Some(i) = s.workers.iter().position(|w| w.pc == Pc::Dead) {
                    match (0..SLOTS).find(|&k| usize::from(s.slots[k].owner) == i + 1) {
                        None => go("starts a replacement", &|t| t.workers[i] = Worker::default()),
                        Some(k) if s.slots[k].is == Is::Finished => go("delivers for the dead", &|t| {
                            (t.slots[k].is, t.slots[k].owner) = (Is::Done, 0);
                            t.call_main();
                        }),
                        Some(k) => go("reads the bundle's word", &|t| {
                            let read = t.slots[k].progress;
                            let why = if read.condemned { t.slots[k].why } else { Outcome::None };
                            t.supervisor = Supervisor { at: 1, worker: i as u8, slot: k as u8, read, why };
                        }),
                    }
                }
            }
            1 => go("lets go of what was in hand (CAS)", &|t| {
                if t.slots[k].progress != v.read && bug != Bug::RecoversByStore {
                    t.supervisor = Supervisor::default();
                    return;
                }
                t.slots[k].progress =
                    if bug == Bug::KeepsFlags { v.read } else { Progress { hand: false, condemned: false, ..v.read } };
                t.supervisor.at = 2;
            }),
            _ => go("puts it back, charges", &|t| {
                self.put_back(t, k);
                t.supervisor = Supervisor::default();
                // Recovery wakes all.
                t.workers.iter_mut().filter(|w| w.pc == Pc::Asleep).for_each(|w| w.pc = Pc::Awake);
                t.call_main();
            }),
        }
    }

    fn put_back(&self, t: &mut State, k: usize) {
        let v = t.supervisor;
        let slot = &mut t.slots[k];
        (slot.is, slot.owner) = (Is::Ready, 0);
        if v.read.condemned {
            (slot.ends, slot.charged) = (v.why, v.read.done);
            return;
        }
        let is_over = slot.ends != Outcome::None && slot.charged == v.read.done;
        if (!v.read.hand && self.bug != Bug::ChargesUnbegun) || is_over {
            return;
        }
        let before = if slot.deaths_at == v.read.done { slot.deaths } else { 0 };
        (slot.deaths, slot.deaths_at) = (before + 1, v.read.done);
        let deaths = slot.deaths;
        slot.ends = if deaths >= self.attempts { Outcome::Died } else { Outcome::None };
        slot.charged = v.read.done;
        let job = usize::from(slot.jobs[usize::from(v.read.done).min(JOBS - 1)]).saturating_sub(1);
        if t.jobs[job].kills != deaths {
            t.fail("a job is charged for other than the workers that it has cost");
        }
    }
}
