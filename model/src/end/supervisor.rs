//! The supervisor: recovers, buries, replaces, gives up, quits.

use super::*;

impl End {
    pub(super) fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps: true, to: t });
        };
        let gone = s.workers[..self.workers].iter().all(|w| w.pc == Pc::Gone);
        match s.supervisor {
            Supervisor::Idle => {
                if s.asked && !s.quit {
                    go("is asked to quit", &|t| {
                        (t.quit, t.supervisor) = (true, Supervisor::QuitWake);
                        t.condition = if t.condition == 0 { SHUTDOWN } else { t.condition };
                    });
                }
                if s.quit && (gone || bug == Bug::QuitsWithoutReaping) {
                    go("ends", &|t| {
                        if t.workers.iter().any(|w| w.pc != Pc::Gone) {
                            t.fail("the supervisor ends before its children");
                        }
                        t.workers.iter_mut().for_each(|w| w.due = false);
                        t.supervisor = Supervisor::Over;
                    });
                }
                let blind = s.quit && bug == Bug::StopsRecoveringWhenItQuits;
                if s.workers.iter().any(|w| w.pc == Pc::Ended) && !blind {
                    go("notes who has ended", &|t| {
                        t.workers.iter_mut().filter(|w| w.pc == Pc::Ended).for_each(|w| w.noted = true);
                        t.supervisor = Supervisor::Lock;
                    });
                }
                if let Some(i) = s.workers.iter().position(|w| w.due) {
                    go("starts what is due", &|t| {
                        t.workers[i].due = false;
                        let over = (t.condition != 0 || t.quit) && bug != Bug::ReplacesAfterTheEnd;
                        t.start(i, over);
                    });
                }
            }
            Supervisor::Lock => {
                let owner = usize::from(s.lock);
                let dead = (1..=WORKERS).contains(&owner) && s.workers[owner - 1].pc == Pc::Ended;
                if owner == 0 || dead {
                    go("takes the lock", &|t| {
                        if dead {
                            t.workers[owner - 1].noted = true;
                        }
                        (t.lock, t.supervisor) = (SUPERVISOR, Supervisor::Repair);
                    });
                }
            }
            Supervisor::Repair => go("puts back what the dead ran", &|t| {
                for w in t.workers.iter_mut().filter(|w| w.noted) {
                    t.ring += u8::from(w.job);
                    (w.job, w.counted) = (false, false);
                }
                t.supervisor = Supervisor::Unlock;
            }),
            Supervisor::Unlock => go("unlocks", &|t| (t.lock, t.supervisor) = (0, Supervisor::Wake)),
            Supervisor::Wake => go("moves all sequences, wakes all", &|t| {
                t.wake_everybody();
                t.supervisor = Supervisor::Bury;
            }),
            Supervisor::Bury => match s.workers.iter().position(|w| w.noted) {
                None => go("has buried all", &|t| t.supervisor = Supervisor::Idle),
                Some(i) => go("buries one", &|t| self.bury(t, i)),
            },
            Supervisor::GiveUp => go("notes that no worker can live", &|t| {
                if bug == Bug::WakesBeforeCondition {
                    t.wake_everybody();
                } else if t.condition == 0 {
                    t.condition = NO_WORKERS;
                }
                t.supervisor = if bug == Bug::SilentGiveUp { Supervisor::Bury } else { Supervisor::GiveUpWake };
            }),
            Supervisor::GiveUpWake => go("moves all sequences, wakes all", &|t| {
                if bug == Bug::WakesBeforeCondition {
                    t.condition = NO_WORKERS;
                } else {
                    t.wake_everybody();
                }
                t.supervisor = Supervisor::Bury;
            }),
            Supervisor::QuitWake => go("moves all sequences, wakes all", &|t| {
                t.wake_everybody();
                t.supervisor = Supervisor::Kill;
            }),
            Supervisor::Kill => match s.workers.iter().position(|w| !matches!(w.pc, Pc::Gone | Pc::Ended)) {
                Some(i) => go("kills a child", &|t| t.die(i)),
                None => go("has killed all", &|t| t.supervisor = Supervisor::Idle),
            },
            Supervisor::Over => {}
        }
    }

    fn bury(&self, t: &mut State, i: usize) {
        let w = t.workers[i];
        t.workers[i] = Worker::default();
        let over = t.condition != 0 || t.quit;
        if over && self.bug != Bug::ReplacesAfterTheEnd {
            return;
        }
        if w.settled {
            t.failures = 0;
            return t.start(i, false);
        }
        t.failures = (t.failures + 1).min(FAILURES + 1);
        let lives = t.workers.iter().any(|w| w.settled && !matches!(w.pc, Pc::Gone | Pc::Ended));
        if t.failures <= FAILURES || lives && self.bug != Bug::GivesUpTooEarly || self.bug == Bug::NeverGivesUp {
            t.workers[i].due = true;
            return;
        }
        if lives {
            t.fail("workers are given up although one lives");
        }
        t.supervisor = Supervisor::GiveUp;
    }
}
