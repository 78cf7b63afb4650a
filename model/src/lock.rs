//! The futex lock of src/lock/futex.rs, without its bound on one sleep (so nothing here leans on it), and its recovery.

use crate::case::{Case, holds, large, planted};
use crate::explore::{Model, Spurious, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Who has slept takes the lock without the waiters' bit.
    DropBit,
    /// Recovery wakes one, as an unlock does, and not all.
    SkipWakeAll,
    /// A takeover drops the waiters' bit; all are woken.
    TakesOverBitless,
    /// The same, and who is woken depends on the bit.
    TrustsThat,
    /// A release leaves the bit behind.
    KeepsBit,
    /// Recovery wakes all before it releases, by a plain store.
    WakesBeforeRelease,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pc {
    Fast,
    Slow(bool),
    Wait(u8),
    Asleep,
    Held,
    Waking,
    Done,
    Dead,
    TakenOver,
    Releasing,
    RecoveryWakes(bool),
    Repaired,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    word: u8,
    pcs: Vec<(Pc, u8)>,
    crashes: u8,
}

pub struct Lock {
    takers: usize,
    rounds: u8,
    crashes: u8,
    bug: Bug,
}

const WAITERS: u8 = 128;
const SUPERVISOR: u8 = 100;

impl Model for Lock {
    type State = State;

    fn init(&self) -> State {
        State { word: 0, pcs: vec![(Pc::Fast, self.rounds); self.takers], crashes: self.crashes }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        for (i, &(pc, rounds)) in s.pcs.iter().enumerate() {
            let me = i as u8 + 1;
            let mut go = |what: &'static str, crash: bool, change: &dyn Fn(&mut State)| {
                let mut to = s.clone();
                change(&mut to);
                out.push(Step { who: me, what, helps: !crash, to });
            };
            let left = |t: &mut State| t.pcs[i] = (if rounds > 1 { Pc::Fast } else { Pc::Done }, rounds - 1);
            match pc {
                Pc::Fast if s.word == 0 => go("CAS 0 to me", false, &|t| (t.word, t.pcs[i].0) = (me, Pc::Held)),
                Pc::Fast => go("CAS fails", false, &|t| t.pcs[i].0 = Pc::Slow(false)),
                Pc::Slow(slept) if s.word == 0 => {
                    let bit = if slept && self.bug != Bug::DropBit { WAITERS } else { 0 };
                    go("takes, having waited", false, &|t| (t.word, t.pcs[i].0) = (me | bit, Pc::Held));
                }
                Pc::Slow(_) => go("sets the waiters' bit", false, &|t| {
                    t.word |= WAITERS;
                    t.pcs[i].0 = Pc::Wait(t.word);
                }),
                Pc::Wait(seen) => {
                    go("futex wait", false, &|t| t.pcs[i].0 = if t.word == seen { Pc::Asleep } else { Pc::Slow(true) });
                }
                Pc::Held => go("swaps in 0", false, &|t| {
                    if t.word & WAITERS != 0 {
                        t.pcs[i].0 = Pc::Waking
                    } else {
                        left(t)
                    }
                    t.word = if self.bug == Bug::KeepsBit { t.word & WAITERS } else { 0 };
                }),
                Pc::Waking => wake_one(s, |j| {
                    go("wakes one", false, &|t| {
                        left(t);
                        if let Some(j) = j {
                            t.pcs[j].0 = Pc::Slow(true)
                        }
                    })
                }),
                Pc::Dead => go("supervisor takes over", false, &|t| {
                    if t.word & !WAITERS == me {
                        let bitless = matches!(self.bug, Bug::TakesOverBitless | Bug::TrustsThat);
                        t.word = SUPERVISOR | if bitless { 0 } else { t.word & WAITERS };
                        t.pcs[i].0 = Pc::TakenOver;
                    } else {
                        t.pcs[i].0 = Pc::RecoveryWakes(false);
                    }
                }),
                Pc::TakenOver if self.bug == Bug::WakesBeforeRelease => go("supervisor wakes all", false, &|t| {
                    t.pcs[i].0 = Pc::Releasing;
                    t.pcs.iter_mut().filter(|p| p.0 == Pc::Asleep).for_each(|p| p.0 = Pc::Slow(true));
                }),
                Pc::Releasing => go("supervisor stores 0", false, &|t| (t.word, t.pcs[i].0) = (0, Pc::Repaired)),
                Pc::TakenOver => go("supervisor unlocks", false, &|t| {
                    t.pcs[i].0 = Pc::RecoveryWakes(t.word & WAITERS != 0);
                    t.word = 0;
                }),
                Pc::RecoveryWakes(one) if matches!(self.bug, Bug::SkipWakeAll | Bug::TrustsThat) => wake_one(s, |j| {
                    go("supervisor wakes one", false, &|t| {
                        t.pcs[i].0 = Pc::Repaired;
                        if let (Some(j), true) = (j, one) {
                            t.pcs[j].0 = Pc::Slow(true)
                        }
                    })
                }),
                Pc::RecoveryWakes(_) => go("supervisor wakes all", false, &|t| {
                    t.pcs[i].0 = Pc::Repaired;
                    t.pcs.iter_mut().filter(|p| p.0 == Pc::Asleep).for_each(|p| p.0 = Pc::Slow(true));
                }),
                Pc::Asleep | Pc::Done | Pc::Repaired => {}
            }
            if s.crashes > 0
                && !matches!(pc, Pc::Done | Pc::Dead | Pc::TakenOver | Pc::Releasing | Pc::RecoveryWakes(_) | Pc::Repaired)
            {
                go("dies", true, &|t| {
                    t.pcs[i].0 = Pc::Dead;
                    t.crashes -= 1;
                });
            }
        }
    }

    fn woken(&self, s: &State) -> Vec<(u8, State)> {
        let asleep = |&i: &usize| s.pcs[i].0 == Pc::Asleep;
        let wake = |i: usize| {
            let mut t = s.clone();
            t.pcs[i].0 = Pc::Slow(true);
            (i as u8 + 1, t)
        };
        (0..s.pcs.len()).filter(asleep).map(wake).collect()
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        let holders = s.pcs.iter().filter(|p| matches!(p.0, Pc::Held | Pc::TakenOver | Pc::Releasing)).count();
        if holders > 1 {
            return Some("two hold the lock");
        }
        (s.word == WAITERS).then_some("a word of the bit alone")
    }

    fn quiet(&self, s: &State) -> bool {
        s.word == 0 && s.pcs.iter().all(|p| matches!(p.0, Pc::Done | Pc::Repaired))
    }
}

/// Each sleeper that a wake of one may meet; `None` if nobody sleeps.
fn wake_one(s: &State, mut met: impl FnMut(Option<usize>)) {
    let asleep: Vec<usize> = (0..s.pcs.len()).filter(|&j| s.pcs[j].0 == Pc::Asleep).collect();
    if asleep.is_empty() {
        met(None);
    }
    asleep.into_iter().for_each(|j| met(Some(j)));
}

pub fn cases() -> Vec<Case> {
    let lock = |takers, rounds, crashes, bug| Lock { takers, rounds, crashes, bug };
    vec![
        holds("lock-2-crashes", lock(3, 2, 2, Bug::None)),
        holds("lock-spurious", Spurious(lock(3, 2, 1, Bug::None))),
        large("lock-4-takers", lock(4, 2, 3, Bug::None)),
        planted("lock", "DropBit", lock(3, 1, 0, Bug::DropBit), "stuck"),
        planted("lock", "SkipWakeAll", lock(3, 1, 1, Bug::SkipWakeAll), "stuck"),
        holds("lock-takes-over-bitless", lock(3, 1, 2, Bug::TakesOverBitless)),
        planted("lock", "TrustsThat", lock(3, 1, 1, Bug::TrustsThat), "stuck"),
        planted("lock", "KeepsBit", lock(3, 1, 0, Bug::KeepsBit), "a word of the bit alone"),
        planted("lock", "WakesBeforeRelease", lock(3, 1, 1, Bug::WakesBeforeRelease), "stuck"),
    ]
}
