//! Two threads of the parent: the one that leads, and one that cancels a job or ends one whose time is over.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MainPc {
    #[default]
    Lock,
    Collect,
    Impatient,
    Cut,
    CutStore,
    Give,
    Parts,
    Late,
    Sleep,
    Asleep,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Main {
    pub pc: MainPc,
    moved: bool,
    impatient: bool,
    /// The slot of which it gives the rest, and where that starts and ends.
    slot: u8,
    from: u8,
    to: u8,
    read: Progress,
}

impl Main {
    pub fn called(&mut self) {
        match self.pc {
            MainPc::Asleep => self.pc = MainPc::Lock,
            _ => self.moved = true,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OtherPc {
    #[default]
    Lock,
    Note,
    Bit,
    Look,
    Condemn,
    Kill,
    Unlock,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Other {
    pub pc: OtherPc,
    slot: u8,
    index: u8,
    /// What its look before the bit gave.
    waits: bool,
}

impl Bundles {
    pub(super) fn main(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let m = s.main;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: 10, what, helps: true, to: t });
        };
        let k = usize::from(m.slot);
        let free = s.slots.iter().filter(|k| k.is == Is::Free).count();
        match m.pc {
            MainPc::Lock if s.mutex == 0 => go("takes the mutex", &|t| (t.mutex, t.main.pc) = (1, MainPc::Collect)),
            MainPc::Collect => go("takes what is DONE, reads the sequence", &|t| {
                let done: Vec<usize> = (0..SLOTS).filter(|&k| t.slots[k].is == Is::Done).collect();
                t.main.moved = false;
                for &k in &done {
                    t.take(self, k);
                    t.slots[k] = Slot::default();
                }
                let all = (0..usize::from(self.jobs)).all(|j| t.jobs[j].outcome != Outcome::None);
                if all {
                    (t.mutex, t.main, t.impatient) = (0, Main { pc: MainPc::Over, ..Main::default() }, false);
                } else if done.is_empty() {
                    t.main.pc = if t.main.impatient { MainPc::Cut } else { MainPc::Sleep };
                }
            }),
            // Nothing to give, or nobody to give it to.
            MainPc::Cut => {
                let movable = |k: &Slot| k.is == Is::Running && k.progress.done + 1 < k.progress.limit;
                match (0..SLOTS).find(|&k| movable(&s.slots[k]) && s.idle > 0 && free >= 2) {
                    None => go("has no rest to give", &|t| t.main.pc = MainPc::Parts),
                    Some(k) => go("cuts a bundle behind its job in hand", &|t| {
                        t.main.slot = k as u8;
                        t.main.read = t.slots[k].progress;
                        t.main.pc = MainPc::CutStore;
                        if bug != Bug::CutsByStore {
                            t.cut(self);
                        }
                    }),
                }
            }
            MainPc::CutStore => go("stores what it has cut", &|t| t.cut(self)),
            MainPc::Give if m.from == m.to => go("has given all", &|t| {
                (t.main.slot, t.main.from, t.main.to, t.main.pc) = (0, 0, 0, MainPc::Cut);
            }),
            MainPc::Give => go("publishes a job of the rest in a slot of its own", &|t| {
                let to = (0..SLOTS).find(|&k| t.slots[k].is == Is::Free);
                let Some(to) = to else { return t.fail("a job has no place") };
                let many = if free > 1 { 1 } else { t.main.to - t.main.from };
                let from = t.slots[k];
                let mut new = Slot { is: Is::Ready, items: many, ..Slot::default() };
                new.progress.limit = many;
                for n in 0..many {
                    let at = usize::from(t.main.from + n);
                    new.jobs[usize::from(n)] = from.jobs[at];
                    new.cancelled |= (from.cancelled >> at & 1) << n;
                }
                t.slots[to] = new;
                t.main.from += many;
                t.wake_worker();
            }),
            MainPc::Parts => go("takes outcomes of bundles that are not finished", &|t| {
                let mut any = false;
                for k in 0..SLOTS {
                    if matches!(t.slots[k].is, Is::Running | Is::Ready) && t.slots[k].items > 0 {
                        any |= t.take(self, k);
                    }
                }
                t.main.pc = match (any, bug) {
                    (true, _) => MainPc::Collect,
                    (false, Bug::ImpatientAfterLook) if !t.impatient => MainPc::Late,
                    _ => MainPc::Sleep,
                };
            }),
            MainPc::Late => go("says that it is impatient", &|t| (t.impatient, t.main.pc) = (true, MainPc::Sleep)),
            MainPc::Sleep => go("releases the mutex, sleeps unless the sequence has moved", &|t| {
                t.mutex = 0;
                t.main.pc = if t.main.moved { MainPc::Lock } else { MainPc::Asleep };
                t.main.moved = false;
            }),
            MainPc::Asleep if !m.impatient && bug != Bug::NobodyIsImpatient => go("runs out of patience", &|t| {
                (t.main.impatient, t.main.pc) = (true, MainPc::Impatient);
            }),
            MainPc::Impatient if s.mutex == 0 => go("takes the mutex, says that it is impatient", &|t| {
                t.impatient = bug != Bug::ImpatientAfterLook;
                (t.mutex, t.main.pc) = (1, MainPc::Collect);
            }),
            MainPc::Lock | MainPc::Impatient | MainPc::Asleep | MainPc::Over => {}
        }
    }

    pub(super) fn other(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: 12, what, helps: true, to: t });
        };
        let k = usize::from(s.other.slot);
        let index = s.other.index;
        match s.other.pc {
            OtherPc::Lock if s.mutex == 0 && (self.timeout || self.cancels.is_some()) => {
                go("takes the mutex, finds the job", &|t| {
                    t.mutex = 2;
                    let place = match self.cancels {
                        None => Some((0, t.slots[0].progress.done))
                            .filter(|_| t.slots[0].is == Is::Running && t.slots[0].progress.hand),
                        Some(job) => t.place(job),
                    };
                    t.other.pc = if place.is_some() { OtherPc::Note } else { OtherPc::Unlock };
                    if let Some((slot, index)) = place {
                        (t.other.slot, t.other.index) = (slot as u8, index);
                    }
                    if self.cancels.is_some_and(|job| t.jobs[usize::from(job)].outcome != Outcome::None) {
                        t.other.pc = OtherPc::Unlock;
                    }
                });
            }
            OtherPc::Note => go("notes why", &|t| {
                if !t.slots[k].progress.condemned {
                    t.slots[k].why = if self.cancels.is_some() { Outcome::Cancelled } else { Outcome::TimedOut };
                }
                t.other.pc = match (self.cancels, bug) {
                    (None, Bug::KillsWithoutCondemning) => OtherPc::Kill,
                    (None, _) => OtherPc::Condemn,
                    (Some(_), Bug::LooksBeforeBit) => OtherPc::Look,
                    _ => OtherPc::Bit,
                };
            }),
            OtherPc::Bit => go("sets the job's bit", &|t| {
                t.slots[k].cancelled |= 1 << index;
                t.other.pc = OtherPc::Look;
                if bug == Bug::LooksBeforeBit {
                    t.verdict(self, k, index);
                }
            }),
            OtherPc::Look => go("looks whether it has been begun", &|t| {
                let p = t.slots[k].progress;
                t.other.waits = p.done + u8::from(p.hand) <= index;
                if bug == Bug::LooksBeforeBit {
                    t.other.pc = OtherPc::Bit;
                } else {
                    t.verdict(self, k, index);
                }
            }),
            OtherPc::Condemn => go("condemns it, if it is in hand (CAS)", &|t| {
                let p = &mut t.slots[k].progress;
                let in_hand = p.hand && p.done == index && !p.condemned;
                p.condemned |= in_hand;
                t.slots[k].kill |= in_hand;
                t.other.pc = if self.cancels.is_some() && !in_hand { OtherPc::Look } else { OtherPc::Unlock };
                if let Some(job) = self.cancels.filter(|_| in_hand) {
                    t.jobs[usize::from(job)].told = true;
                }
            }),
            OtherPc::Kill => go("has its worker killed", &|t| {
                if t.slots[k].is == Is::Running && t.slots[k].progress.done != index && t.slots[k].progress.hand {
                    let owner = usize::from(t.slots[k].owner) - 1;
                    if t.workers[owner].pc != super::worker::Pc::Dead {
                        t.die(owner, true);
                    }
                }
                t.other.pc = OtherPc::Unlock;
            }),
            OtherPc::Unlock => go("releases the mutex", &|t| {
                (t.mutex, t.other) = (0, Other { pc: OtherPc::Over, ..Other::default() });
            }),
            OtherPc::Lock | OtherPc::Over => {}
        }
    }
}

impl State {
    /// Where a job stands.
    fn place(&self, job: u8) -> Option<(usize, u8)> {
        (0..SLOTS).find_map(|k| {
            let s = &self.slots[k];
            let at = s.jobs[..usize::from(s.items)].iter().position(|&j| j == job + 1)?;
            (s.is != Is::Free).then_some((k, at as u8))
        })
    }

    /// What `cancel` says after its look.
    fn verdict(&mut self, model: &Bundles, k: usize, index: u8) {
        let job = usize::from(model.cancels.unwrap_or(0));
        let p = self.slots[k].progress;
        self.other.pc = if self.other.waits {
            let job = &mut self.jobs[job];
            (job.told, job.waiting) = (true, true);
            if job.outcome == Outcome::None {
                job.outcome = Outcome::Cancelled;
            }
            OtherPc::Unlock
        } else if p.done > index || p.condemned {
            OtherPc::Unlock
        } else {
            OtherPc::Condemn
        };
        self.other.waits = false;
    }

    /// `Channel::cut_behind`, and what `give_rest` makes of it.
    fn cut(&mut self, model: &Bundles) {
        let k = usize::from(self.main.slot);
        let now = if model.bug == Bug::CutsByStore { self.main.read } else { self.slots[k].progress };
        let begun = now.done + u8::from(now.hand);
        let next = if now.done < now.limit { now.done + 1 } else { now.done };
        let limit = if model.bug == Bug::CutsWhatIsBegun { now.done } else { next.max(begun) };
        self.slots[k].progress = Progress { limit, ..now };
        self.main.read = Progress::default();
        let rest = limit..now.limit;
        if rest.is_empty() || rest.end != self.slots[k].items || self.slots[k].is == Is::Free {
            (self.main.slot, self.main.pc) = (0, MainPc::Parts);
        } else {
            self.slots[k].items = limit;
            (self.main.from, self.main.to, self.main.pc) = (limit, rest.end, MainPc::Give);
        }
    }

    /// Takes what is new of a slot's outcomes; whether a job has got one.
    fn take(&mut self, model: &Bundles, k: usize) -> bool {
        let slot = self.slots[k];
        let mut any = false;
        for at in slot.taken..slot.progress.done {
            let job = usize::from(slot.jobs[usize::from(at)]).saturating_sub(1);
            let outcome = slot.outcomes[usize::from(at)];
            if outcome == Outcome::None {
                self.fail("an outcome is taken that was not written");
            }
            let kills = self.jobs[job].kills;
            if outcome == Outcome::Value && self.jobs[job].told {
                self.fail("a job gives a value of which cancel has said that it gives none");
            }
            if outcome == Outcome::Died && kills != model.attempts {
                self.fail("a job was given up that has not cost as many workers");
            }
            if self.jobs[job].outcome == Outcome::None {
                (self.jobs[job].outcome, any) = (outcome, true);
            }
        }
        self.slots[k].taken = slot.progress.done;
        any
    }
}
