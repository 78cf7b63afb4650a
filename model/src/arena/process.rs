//! A process that puts its items, then takes.

use super::*;

impl Arena {
    pub(super) fn process(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let p = s.processes[i];
        let me = i as u8 + 1;
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Process)| {
            let mut t = *s;
            let mut mine = p;
            f(&mut t, &mut mine);
            t.processes[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        let slot = usize::from(p.slot).wrapping_sub(1);
        let size = usize::from(self.sizes[i]);
        let any = |is: Is| (0..self.slots).find(|&k| s.slots[k].is == is);
        match p.pc {
            Pc::Next if p.left > 0 => {
                if let Some(k) = any(Is::Free) {
                    go("takes a free slot", &|t, p| {
                        (t.slots[k].is, t.slots[k].owner) = (Is::Owned, me);
                        (p.slot, p.left, p.pc) = (k as u8 + 1, p.left - 1, Pc::Look);
                        t.put += 1;
                        p.item = t.put;
                    });
                }
            }
            Pc::Next if any(Is::Ready).is_some() && s.job_lock() => go("takes an item", &|t, p| {
                let k = any(Is::Ready).expect("just looked");
                (t.slots[k].is, t.slots[k].owner) = (Is::Running, me);
                (p.slot, p.item, p.pc) = (k as u8 + 1, t.slots[k].item, Pc::Copy);
            }),
            Pc::Next if p.finished != [0; FINISHED] => go("delivers before it sleeps", &|_, p| p.pc = Pc::Deliver),
            Pc::Look => go("reads the sequence of the room", &|_, p| (p.moved, p.pc) = (false, Pc::Lock)),
            Pc::Lock if s.lock == 0 => go("takes the arena's lock", &|t, p| (t.lock, p.pc) = (me, Pc::Find)),
            Pc::Find => go("looks for free units, sets their bits", &|t, p| {
                let fits = |&u: &usize| u + size <= UNITS && t.bits[u..u + size].iter().all(|b| !b);
                match (0..UNITS).find(fits) {
                    None => p.pc = Pc::Full,
                    Some(u) => {
                        t.bits[u..u + size].iter_mut().for_each(|b| *b = true);
                        (p.unit, p.pc) = (u as u8, Pc::Table);
                    }
                }
            }),
            Pc::Table => go("writes length and tag", &|t, p| {
                let u = usize::from(p.unit);
                t.lengths[u] = size as u8;
                t.tags[u] = Tag { slot: p.slot, generation: t.slots[slot].generation };
                p.pc = Pc::Unlock;
            }),
            Pc::Unlock => go("unlocks", &|t, p| (t.lock, p.pc) = (0, Pc::Write)),
            Pc::Write => go("writes the item into its block", &|t, p| {
                let u = usize::from(p.unit);
                t.bytes[u..u + size].iter_mut().for_each(|b| *b = p.item);
                t.slots[slot].block = p.unit + 1;
                t.slots[slot].item = p.item;
                p.pc = Pc::Publish;
            }),
            Pc::Publish if s.job_lock() => go("publishes", &|t, p| {
                (t.slots[slot].is, t.slots[slot].owner) = (Is::Ready, 0);
                (p.slot, p.item, p.unit, p.pc) = (0, 0, 0, Pc::Next);
            }),
            Pc::Full => go("unlocks", &|t, p| {
                t.lock = 0;
                p.pc = if bug == Bug::HelpsBeforeCounting { Pc::Help } else { Pc::Count };
            }),
            Pc::Count => go("counts itself as a sleeper", &|t, p| {
                (t.sleepers, p.counted) = (t.sleepers + 1, true);
                p.moved &= bug != Bug::SequenceAfterLook;
                p.pc = if bug == Bug::HelpsBeforeCounting { Pc::Wait } else { Pc::Help };
            }),
            Pc::Help => match any(Is::Finished) {
                Some(k) if s.job_lock() => go("delivers what is FINISHED", &|t, p| {
                    t.deliver(p, k);
                    p.pc = Pc::FreeLock;
                }),
                Some(_) => {}
                None => go("finds nothing FINISHED", &|_, p| p.pc = if p.counted { Pc::Wait } else { Pc::Count }),
            },
            Pc::Wait => go("futex wait", &|_, p| p.pc = if p.moved { Pc::Uncount } else { Pc::Asleep }),
            Pc::Uncount => go("counts itself out", &|t, p| {
                t.sleepers -= i8::from(p.counted);
                (p.counted, p.moved, p.pc) = (false, false, Pc::Look);
            }),
            Pc::Copy if self.endless >> (p.item - 1) & 1 == 1 => {}
            Pc::Copy => go("copies the item", &|t, p| {
                let from = t.slots[slot];
                if t.over >> (p.item - 1) & 1 == 1 {
                    t.fail("an item is taken again after it was over");
                }
                if t.bytes[usize::from(from.block) - 1] != p.item {
                    t.fail("copied an item out of a block in other hands");
                }
                p.pc = if bug == Bug::FreesBeforeFinished { Pc::EarlyLock } else { Pc::Finish };
            }),
            Pc::EarlyLock if s.lock == 0 => go("takes the arena's lock", &|t, p| (t.lock, p.pc) = (me, Pc::EarlyFree)),
            Pc::EarlyFree => go("frees the block, unlocks", &|t, p| {
                t.release(t.slots[slot].block);
                (t.lock, p.pc) = (0, Pc::Finish);
            }),
            Pc::Finish => go("CAS RUNNING to FINISHED", &|t, p| {
                t.slots[slot].is = Is::Finished;
                t.over |= 1 << (p.item - 1);
                let end = p.finished.iter().position(|&k| k == 0).expect("more than there are slots");
                p.finished[end] = p.slot;
                (p.slot, p.item, p.pc) = (0, 0, Pc::Waited);
            }),
            Pc::Waited => go("looks whether somebody waits for room", &|t, p| {
                let waits = t.sleepers != 0 && bug != Bug::RoomIsNotSeen;
                p.pc = if waits { Pc::Deliver } else { Pc::Next };
            }),
            Pc::Deliver if s.job_lock() => go("delivers: FINISHED to FREE", &|t, p| {
                let k = usize::from(p.finished[0]) - 1;
                p.finished.rotate_left(1);
                p.finished[FINISHED - 1] = 0;
                p.pc = Pc::Next;
                if (t.slots[k].is, t.slots[k].owner) == (Is::Finished, me) {
                    t.deliver(p, k);
                    p.pc = if bug == Bug::WakesBeforeFree { Pc::EarlyWake } else { Pc::FreeLock };
                }
            }),
            Pc::EarlyWake => go("moves the sequence of the room, wakes all", &|t, p| {
                t.wake_room();
                p.pc = Pc::FreeLock;
            }),
            Pc::FreeLock if s.lock == 0 => go("takes the arena's lock", &|t, p| (t.lock, p.pc) = (me, Pc::Free)),
            Pc::Free => go("frees the block if it has that tag", &|t, p| {
                let first = usize::from(p.block).wrapping_sub(1);
                if first < UNITS && (t.tags[first] == p.freed || bug == Bug::FreesAnyTag) {
                    t.release(p.block);
                }
                (p.freed, p.block, p.pc) = (Tag::default(), 0, Pc::FreeUnlock);
            }),
            Pc::FreeUnlock => {
                go("unlocks", &|t, p| (t.lock, p.pc) = (0, if bug == Bug::WakesBeforeFree { Pc::Next } else { Pc::Move }))
            }
            Pc::Move => go("moves the sequence of the room", &|t, p| {
                t.processes.iter_mut().for_each(|q| q.moved = q.counted_or_looks());
                p.moved = p.counted_or_looks();
                p.pc = Pc::Wake;
            }),
            Pc::Wake => go("wakes all", &|t, p| {
                t.processes.iter_mut().filter(|q| q.pc == Pc::Asleep).for_each(|q| q.pc = Pc::Uncount);
                p.pc = if p.counted || p.item != 0 { Pc::Uncount } else { Pc::Next };
            }),
            _ => {}
        }
        if s.crashes > 0 && i > 0 && p.pc != Pc::Dead {
            let mut t = *s;
            t.crashes -= 1;
            t.processes[i] = Process { pc: Pc::Dead, counted: p.counted, ..Process::default() };
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }
}
