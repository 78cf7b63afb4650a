//! Workers, and their recovery.

use super::*;

impl Collect {
    pub(super) fn worker(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let name = 20 + i as u8;
        let w = s.workers[i];
        let mut put = |what: &'static str, helps: bool, f: &dyn Fn(&mut State, &mut Worker)| {
            let mut t = *s;
            let mut mine = w;
            f(&mut t, &mut mine);
            t.workers[i] = mine;
            out.push(Step { who: name, what, helps, to: t });
        };
        let slot = usize::from(w.slot);
        match w.at {
            At::Idle => {
                for k in (0..self.slots).filter(|&k| s.slots[k].is == Is::Ready) {
                    put("starts a job", true, &|t, w| {
                        (t.slots[k].is, t.slots[k].owner) = (Is::Running, name);
                        *w = Worker { at: At::Run, slot: k as u8 };
                    });
                }
            }
            At::Run if self.endless >> s.slots[slot].job & 1 == 1 => {}
            At::Run => put("stores FINISHED", true, &|t, w| (t.slots[slot].is, w.at) = (Is::Finished, At::Deliver)),
            At::Deliver if s.lock == 0 => put("takes the result lock", true, &|t, w| (t.lock, w.at) = (name, At::In)),
            At::In => put("pushes, stores DONE", true, &|t, w| {
                if (t.slots[slot].is, t.slots[slot].owner) == (Is::Finished, name) {
                    (t.slots[slot].is, t.slots[slot].owner) = (Is::Done, 0);
                    t.push(slot);
                }
                w.at = At::Unlock;
            }),
            At::Unlock => put("unlocks", true, &|t, w| (t.lock, w.at) = (0, At::Move)),
            At::Move => put("moves the sequence", true, &|t, w| {
                t.moves();
                w.at = At::Load;
            }),
            At::Load => put("looks for sleepers", true, &|t, w| {
                *w = Worker { at: if t.sleepers > 0 { At::Wake } else { At::Idle }, slot: 0 };
            }),
            At::Wake => put("wakes", true, &|t, w| {
                t.wake();
                *w = Worker::default();
            }),
            At::Deliver | At::Dead | At::Noted => {}
        }
        if s.crashes > 0 && !matches!(w.at, At::Dead | At::Noted) {
            put("dies", false, &|t, w| (t.crashes, *w) = (t.crashes - 1, Worker { at: At::Dead, slot: 0 }));
        }
    }

    pub(super) fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut put = |what: &'static str, helps: bool, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps, to: t });
        };
        let is_of = |owner: u8, at: At| owner >= 20 && s.workers[usize::from(owner) - 20].at == at;
        let begins = |t: &mut State| {
            t.workers.iter_mut().filter(|w| w.at == At::Dead).for_each(|w| w.at = At::Noted);
            t.recovery = Recovery::Lock;
        };
        match s.recovery {
            Recovery::Idle => {
                if s.workers.iter().any(|w| w.at == At::Dead) {
                    put("notes who has died", true, &begins);
                }
                if s.scans > 0 {
                    put("begins a recovery that nobody asked for", false, &|t| {
                        t.scans -= u8::from(t.scans != u8::MAX);
                        begins(t);
                    });
                }
            }
            Recovery::Lock if s.lock == 0 || is_of(s.lock, At::Noted) || is_of(s.lock, At::Dead) => {
                put("takes the lock", true, &|t| {
                    if is_of(s.lock, At::Dead) {
                        t.workers[usize::from(s.lock) - 20].at = At::Noted;
                    }
                    (t.lock, t.recovery) = (SUPERVISOR, Recovery::Scan);
                });
            }
            Recovery::Lock => {}
            Recovery::Scan => put("looks at all slots", true, &|t| {
                for slot in t.slots.iter_mut().filter(|k| is_of(k.owner, At::Noted)) {
                    slot.is = if slot.is == Is::Finished { Is::Done } else { Is::Ready };
                    slot.owner = 0;
                }
                t.recovery = Recovery::Rebuild;
            }),
            Recovery::Rebuild => put("rebuilds the ring", true, &|t| {
                t.ring = [0; 2 * SLOTS];
                (0..SLOTS).filter(|&k| s.slots[k].is == Is::Done).for_each(|k| t.push(k));
                t.recovery = Recovery::Unlock;
            }),
            Recovery::Unlock => put("unlocks", true, &|t| {
                t.lock = 0;
                t.recovery = match bug {
                    Bug::NoWakeAll => Recovery::Replace,
                    Bug::WakesWithoutMove => Recovery::Wake,
                    _ => Recovery::Move,
                };
            }),
            Recovery::Move => put("moves the sequence", true, &|t| {
                t.moves();
                t.recovery = Recovery::Wake;
            }),
            Recovery::Wake => put("wakes all", true, &|t| {
                t.wake();
                t.recovery = Recovery::Replace;
            }),
            Recovery::Replace => put("starts replacements", true, &|t| {
                let named = t.slots.iter().any(|k| is_of(k.owner, At::Noted)) || is_of(t.lock, At::Noted);
                t.error = if named { Some("a replacement starts while a word names its predecessor") } else { t.error };
                t.workers.iter_mut().filter(|w| w.at == At::Noted).for_each(|w| *w = Worker::default());
                t.recovery = Recovery::Idle;
            }),
        }
    }
}
