//! The worker that runs a bundle, and one that is idle.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub enum Pc {
    #[default]
    Idle,
    Asks,
    Counts,
    Asleep,
    Awake,
    Open,
    Early,
    Begin,
    Look,
    Run,
    WriteEnd,
    Written,
    EarlyLook,
    Told,
    Leave,
    Deliver,
    Condemned,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct Worker {
    pub pc: Pc,
    pub slot: u8,
    /// Its private copy of the word.
    progress: Progress,
    outcome: Outcome,
    /// Whether it is counted among the sleepers; what an early look gave.
    counted: bool,
    early: bool,
}

impl Bundles {
    pub(super) fn worker(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let w = s.workers[i];
        let me = i as u8 + 1;
        let bug = self.bug;
        let k = usize::from(w.slot);
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Worker)| {
            let mut t = *s;
            let mut mine = w;
            f(&mut t, &mut mine);
            t.workers[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        // A CAS that meets another word: `became`.
        let became = |t: &State, w: &mut Worker| {
            w.progress = t.slots[k].progress;
            if w.progress.condemned {
                w.pc = Pc::Condemned;
            }
        };
        let index = usize::from(w.progress.done);
        match w.pc {
            Pc::Idle => {
                let ready: Vec<usize> = (0..SLOTS).filter(|&k| s.slots[k].is == Is::Ready).collect();
                if ready.is_empty() {
                    go("finds nothing", &|_, w| w.pc = if bug == Bug::AsksBeforeCounting { Pc::Asks } else { Pc::Counts });
                }
                for k in ready {
                    go("pops and starts a bundle", &|t, w| {
                        (t.slots[k].is, t.slots[k].owner) = (Is::Running, me);
                        (w.slot, w.pc) = (k as u8, Pc::Open);
                    });
                }
            }
            Pc::Counts => go("counts itself as a sleeper", &|t, w| {
                (t.idle, w.counted) = (t.idle + 1, true);
                w.pc = if bug == Bug::AsksBeforeCounting { Pc::Asleep } else { Pc::Asks };
                if bug == Bug::AsksBeforeCounting && t.slots.iter().any(|k| k.is == Is::Ready) {
                    w.pc = Pc::Awake;
                }
            }),
            Pc::Asks => go("looks whether jobs wait behind another", &|t, w| {
                if t.slots.iter().any(|k| k.is == Is::Running && k.progress.done + 1 < k.progress.limit) {
                    t.call_main();
                }
                // The sequence has moved if a slot became READY since it found none: the event count is event.rs.
                let woken = t.slots.iter().any(|k| k.is == Is::Ready);
                w.pc = match bug {
                    Bug::AsksBeforeCounting => Pc::Counts,
                    _ if woken => Pc::Awake,
                    _ => Pc::Asleep,
                };
            }),
            Pc::Awake => go("counts itself out", &|t, w| {
                (t.idle, w.counted, w.pc) = (t.idle - 1, false, Pc::Idle);
            }),
            Pc::Open => go("opens it", &|t, w| {
                w.progress = t.slots[k].progress;
                let early = bug == Bug::BitBeforeBegin;
                w.pc = if early { Pc::Early } else { Pc::Begin };
                if w.progress.hand || w.progress.condemned {
                    t.fail("a worker finds a job in hand that it has not begun");
                }
            }),
            Pc::Early => go("looks whether the next is cancelled", &|t, w| {
                w.early = index < JOBS && t.slots[k].cancelled >> index & 1 == 1;
                w.pc = Pc::Begin;
            }),
            Pc::Begin if w.progress.done >= w.progress.limit => go("has none to begin", &|_, w| w.pc = Pc::Leave),
            Pc::Begin => go("begins the next (CAS)", &|t, w| {
                if t.slots[k].progress != w.progress {
                    return became(t, w);
                }
                t.slots[k].progress.hand = true;
                w.progress = t.slots[k].progress;
                w.pc = if t.slots[k].ends != Outcome::None && t.slots[k].charged == w.progress.done {
                    Pc::WriteEnd
                } else {
                    Pc::Look
                };
            }),
            Pc::WriteEnd => go("writes down how it is over", &|t, w| {
                t.slots[k].outcomes[index] = t.slots[k].ends;
                (w.outcome, w.pc) = (t.slots[k].ends, Pc::Written);
            }),
            Pc::Look => go("looks whether it is cancelled", &|t, w| {
                let bit = if bug == Bug::BitBeforeBegin { w.early } else { t.slots[k].cancelled >> index & 1 == 1 };
                w.early = false;
                let job = usize::from(t.slots[k].jobs[index]).wrapping_sub(1);
                if job >= JOBS {
                    return t.fail("a job has no place");
                }
                if bit {
                    t.slots[k].outcomes[index] = Outcome::Cancelled;
                    (w.outcome, w.pc) = (Outcome::Cancelled, Pc::Written);
                    return;
                }
                w.pc = Pc::Run;
                if t.jobs[job].waiting {
                    t.fail("a job runs of which cancel has said that it will not");
                }
                if t.jobs[job].finished {
                    t.fail("a job runs again after its outcome counted");
                }
                let other = &t.workers[1 - i];
                if other.pc == Pc::Run && t.job_in_hand(usize::from(other.slot)) == job {
                    t.fail("one job runs in two live workers");
                }
            }),
            Pc::Run if self.endless >> (s.slots[k].jobs[index].saturating_sub(1)) & 1 == 1 => {}
            Pc::Run => go("runs it, writes its outcome", &|t, w| {
                if bug != Bug::CountsBeforeOutcome {
                    t.slots[k].outcomes[index] = Outcome::Value;
                }
                w.pc = if bug == Bug::LooksBeforeAdvance { Pc::EarlyLook } else { Pc::Written };
                w.outcome = Outcome::Value;
            }),
            Pc::EarlyLook => go("looks whether somebody is impatient", &|t, w| {
                w.early = t.impatient;
                w.pc = Pc::Written;
            }),
            Pc::Written => go("makes it count and begins the next (CAS)", &|t, w| {
                if t.slots[k].progress != w.progress && bug != Bug::AdvancesByStore {
                    return became(t, w);
                }
                let more = w.progress.done + 1 < w.progress.limit;
                t.slots[k].progress = Progress { done: w.progress.done + 1, hand: more, ..w.progress };
                w.progress = t.slots[k].progress;
                let job = usize::from(t.slots[k].jobs[index]).saturating_sub(1);
                t.jobs[job].finished = true;
                w.pc = Pc::Told;
            }),
            Pc::Told => go("looks whether somebody is impatient", &|t, w| {
                let impatient = if bug == Bug::LooksBeforeAdvance { w.early } else { t.impatient };
                if bug == Bug::CountsBeforeOutcome {
                    t.slots[k].outcomes[index - 1] = w.outcome;
                }
                if impatient && w.progress.hand {
                    t.call_main();
                }
                w.early = false;
                w.outcome = Outcome::None;
                w.pc = match (w.progress.hand, bug) {
                    (true, _) => Pc::Look,
                    (false, Bug::BitBeforeBegin) => Pc::Early,
                    (false, _) => Pc::Begin,
                };
            }),
            Pc::Leave => go("CAS RUNNING to FINISHED", &|t, w| {
                t.slots[k].is = Is::Finished;
                w.pc = Pc::Deliver;
            }),
            Pc::Deliver => go("delivers", &|t, w| {
                (t.slots[k].is, t.slots[k].owner) = (Is::Done, 0);
                t.call_main();
                *w = Worker::default();
            }),
            Pc::Asleep | Pc::Condemned | Pc::Dead => {}
        }
        if s.crashes > 0 && w.pc != Pc::Dead {
            let mut t = *s;
            t.crashes -= 1;
            t.die(i, false);
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }
}

impl State {
    /// Worker `i` ends, of itself or by the pool's hand.
    pub fn die(&mut self, i: usize, by_us: bool) {
        let w = self.workers[i];
        let slot = self.slots[usize::from(w.slot)];
        let runs = slot.owner == i as u8 + 1 && slot.is == Is::Running && slot.progress.hand;
        let is_over = slot.ends != Outcome::None && slot.charged == slot.progress.done;
        if runs && !slot.progress.condemned {
            let job = self.job_in_hand(usize::from(w.slot));
            if by_us {
                self.fail("the pool killed an innocent job");
            } else if !is_over && job < JOBS {
                self.jobs[job].kills += 1;
            }
        }
        self.idle -= u8::from(w.counted);
        self.workers[i] = Worker { pc: Pc::Dead, ..Worker::default() };
    }
}
