//! Recovery of a queue's channel.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pc {
    #[default]
    Idle,
    Lock,
    Scan,
    Rebuild,
    Count,
    Bits,
    Forget,
    Unlock,
    Move,
    Wake,
    Replace,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Supervisor {
    pub pc: Pc,
    slot: u8,
    pending: i8,
}

impl Queue {
    pub(super) fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let v = s.supervisor;
        let mut put = |what: &'static str, helps: bool, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps, to: t });
        };
        let begins = |t: &mut State| {
            t.processes.iter_mut().filter(|p| p.pc == super::Pc::Dead).for_each(|p| p.noted = true);
            t.supervisor.pc = match bug {
                Bug::ReplacesFirst => Pc::Replace,
                Bug::ScanWithoutLock => Pc::Scan,
                _ => Pc::Lock,
            };
        };
        if v.pc == Pc::Idle && s.scans > 0 {
            put("begins a recovery that nobody asked for", false, &|t| {
                t.scans -= u8::from(t.scans != u8::MAX);
                begins(t);
            });
        }
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| put(what, true, f);
        match v.pc {
            Pc::Idle if s.processes.iter().any(|p| p.pc == super::Pc::Dead) => go("notes who has died", &begins),
            Pc::Idle => {}
            Pc::Lock => {
                let owner = usize::from(s.lock);
                let dead = (1..=PROCESSES).contains(&owner) && s.processes[owner - 1].pc == super::Pc::Dead;
                if owner == 0 || dead {
                    go("takes the lock", &|t| {
                        if dead {
                            t.processes[owner - 1].noted = true;
                        }
                        (t.lock, t.supervisor.pc) = (SUPERVISOR, Pc::Scan);
                    });
                }
            }
            Pc::Scan if usize::from(v.slot) < self.slots => go("looks at a slot", &|t| {
                self.scan(t, usize::from(v.slot));
                t.supervisor.slot += 1;
            }),
            Pc::Scan => go("has looked at all", &|t| (t.supervisor.slot, t.supervisor.pc) = (0, Pc::Rebuild)),
            Pc::Rebuild => go("rebuilds the ring", &|t| {
                if bug != Bug::RebuildAppends {
                    t.ring = [0; 8];
                }
                t.in_state(Is::Ready).into_iter().for_each(|e| t.push(self, e));
                t.supervisor.pc = Pc::Count;
            }),
            Pc::Count => go("stores pending", &|t| {
                t.accept();
                (t.pending, t.supervisor.pending, t.supervisor.pc) = (t.supervisor.pending, 0, Pc::Bits);
            }),
            Pc::Bits => go("sets the bits of free slots", &|t| {
                if bug != Bug::BitsStayLost {
                    (0..self.slots)
                        .filter(|&k| t.slots[k].is == Is::Free)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|k| t.slots[k].bit = true);
                }
                t.supervisor.pc = Pc::Forget;
            }),
            Pc::Forget => go("takes back who slept", &|t| {
                for p in t.processes.iter_mut().filter(|p| p.noted) {
                    if p.marked {
                        t.sleepers[usize::from(p.on) - 1] -= 1;
                    }
                    (p.marked, p.on, p.holding) = (false, 0, false);
                }
                t.supervisor.pc = Pc::Unlock;
            }),
            Pc::Unlock => go("unlocks", &|t| {
                t.lock = 0;
                t.supervisor.pc = match bug {
                    Bug::NoWakeAll => Pc::Replace,
                    Bug::WakesWithoutMove => Pc::Wake,
                    _ => Pc::Move,
                };
            }),
            Pc::Move => go("moves all sequences", &|t| {
                (0..3).for_each(|event| t.moves(event));
                t.supervisor.pc = Pc::Wake;
            }),
            Pc::Wake => go("wakes all", &|t| {
                (0..3).for_each(|event| t.wake_all(event));
                t.supervisor.pc = Pc::Replace;
            }),
            Pc::Replace => match s.processes.iter().position(|p| p.noted) {
                None => go("is done", &|t| t.supervisor = Supervisor::default()),
                Some(i) => go("starts a replacement", &|t| {
                    if t.slots.iter().any(|k| usize::from(k.owner) == i + 1) || usize::from(t.lock) == i + 1 {
                        t.fail("a replacement starts while a word names its predecessor");
                    }
                    t.processes[i] = Process::default();
                }),
            },
        }
    }

    fn scan(&self, t: &mut State, slot: usize) {
        let word = t.slots[slot];
        let owner = usize::from(word.owner);
        if (1..=PROCESSES).contains(&owner) && t.processes[owner - 1].noted {
            match word.is {
                Is::Owned if self.bug == Bug::LosesOwned => {}
                Is::Owned => t.free(self, slot),
                Is::Finished if self.bug == Bug::ForgetFinished => (t.slots[slot].is, t.slots[slot].owner) = (Is::Ready, 0),
                Is::Finished => t.free(self, slot),
                _ => self.returned(t, slot),
            }
        }
        t.supervisor.pending += i8::from(matches!(t.slots[slot].is, Is::Ready | Is::Running | Is::Finished));
    }

    /// RUNNING of the dead: of a joinable queue it is charged, and given up if it has cost as many workers as it may.
    fn returned(&self, t: &mut State, slot: usize) {
        let item = usize::from(t.slots[slot].payload) - 1;
        let charge = self.kind == Kind::Joinable;
        (t.slots[slot].is, t.slots[slot].owner) = (Is::Ready, 0);
        t.slots[slot].attempt += u8::from(charge && self.bug != Bug::NoCharge);
        if charge && t.slots[slot].attempt != t.items[item].kills {
            t.fail("an item is charged for other than the workers that it has cost");
        }
        if charge && t.slots[slot].attempt >= self.attempts {
            if t.items[item].kills < self.attempts {
                t.fail("an item was given up that has not cost as many workers");
            }
            t.items[item].over = true;
            t.free(self, slot);
        }
    }
}
