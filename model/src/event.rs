//! The event count of src/ring/event.rs: producers that remember whom they have told, workers that pop under the ring's lock (one step here),
//! and recovery.

use crate::case::{Case, holds, large, planted};
use crate::explore::{Model, Spurious, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The waker does not move the sequence.
    NoMove,
    /// Recovery neither moves the sequence nor wakes.
    SkipWakeAll,
    /// Recovery sets the number of sleepers to 0.
    ResetSleepers,
    /// Whoever comes to sleep says so before it reads the sequence.
    TurnBeforeLook,
    /// The waker looks at the turns after the sequence has moved, and not before.
    TurnsAfterMove,
    /// The waker does not look whether somebody has come since it told all.
    ForgetsTurns,
    /// The waker compares how many it has woken with how many are counted now.
    CountsAnew,
}

/// The sequence is no number: who has read it has whether it has moved since.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pc {
    Look,
    Turn(bool),
    Count(bool),
    Mark(bool),
    Wait(bool),
    Asleep,
    Unmark,
    Uncount,
    Work,
    Dead { holds: bool, marked: bool },
    Scanned,
    Moved,
    Repaired,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum At {
    Push,
    Before,
    Move,
    Load,
    /// With the sleepers.
    Tell(i8),
    /// With what it remembers afterwards.
    Wake(Option<i8>),
}

/// Nor are the turns: a producer has whether anybody has come since it read them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Producer {
    at: At,
    left: u8,
    nobody_since: bool,
    /// How many are not told yet, if nobody has come since it began to.
    told: Option<i8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    ring: u8,
    done: u8,
    sleepers: i8,
    producers: Vec<Producer>,
    workers: Vec<Pc>,
    /// With the bug that needs it: the worker has said that it comes to sleep, and looks only now.
    early: Vec<bool>,
    crashes: u8,
    /// Somebody slept when a producer thought that there was nobody to wake.
    forgotten: bool,
}

impl State {
    /// The sequence moves.
    fn moves(&mut self) {
        for pc in &mut self.workers {
            if let Pc::Turn(moved) | Pc::Count(moved) | Pc::Mark(moved) | Pc::Wait(moved) = pc {
                *moved = true;
            }
        }
    }

    /// Somebody comes to sleep.
    fn turn(&mut self, bug: Bug) {
        for producer in &mut self.producers {
            producer.nobody_since = false;
            if bug != Bug::ForgetsTurns {
                producer.told = None;
                if let At::Wake(after) = &mut producer.at {
                    *after = None;
                }
            }
        }
    }
}

pub struct Event {
    workers: usize,
    /// Of each producer.
    jobs: &'static [u8],
    crashes: u8,
    bug: Bug,
}

impl Model for Event {
    type State = State;

    fn init(&self) -> State {
        let workers = vec![Pc::Look; self.workers];
        let producers =
            self.jobs.iter().map(|&left| Producer { at: At::Push, left, nobody_since: false, told: None }).collect();
        let early = vec![false; self.workers];
        let (crashes, forgotten) = (self.crashes, false);
        State { ring: 0, done: 0, sleepers: 0, producers, workers, early, crashes, forgotten }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut go = |who: usize, what: &'static str, crash: bool, change: &dyn Fn(&mut State)| {
            let mut to = s.clone();
            change(&mut to);
            out.push(Step { who: who as u8, what, helps: !crash, to });
        };
        for (i, &Producer { at, left, told, .. }) in s.producers.iter().enumerate() {
            let mut go = |what, change: &dyn Fn(&mut State, &mut Producer)| {
                go(10 + i, what, false, &|t| {
                    let mut producer = t.producers[i];
                    change(t, &mut producer);
                    t.producers[i] = producer;
                });
            };
            match at {
                At::Push if left > 0 => go("pushes one", &|t, p| (t.ring, p.left, p.at) = (t.ring + 1, left - 1, At::Before)),
                At::Push => {}
                At::Before => go("reads the turns", &|_, p| (p.nobody_since, p.at) = (true, At::Move)),
                At::Move => go("W1", &|t, p| {
                    if self.bug != Bug::NoMove {
                        t.moves();
                    }
                    p.at = At::Load;
                }),
                At::Load => go("W2", &|t, p| {
                    p.nobody_since |= self.bug == Bug::TurnsAfterMove;
                    p.at = if t.sleepers == 0 { At::Push } else { At::Tell(t.sleepers) };
                }),
                At::Tell(sleepers) => go("looks whom it has told", &|t, p| {
                    // With the bug `CountsAnew` those are remembered that were woken.
                    let (left, after) = match (self.bug, told) {
                        (Bug::CountsAnew, _) => (sleepers - told.unwrap_or(0), told.unwrap_or(0) + 1),
                        _ => (told.unwrap_or(sleepers), told.unwrap_or(sleepers) - 1),
                    };
                    t.forgotten |= left <= 0 && t.workers.contains(&Pc::Asleep);
                    p.at = if left <= 0 { At::Push } else { At::Wake(if p.nobody_since { Some(after) } else { told }) };
                }),
                At::Wake(told) => {
                    let asleep: Vec<usize> = (0..s.workers.len()).filter(|&j| s.workers[j] == Pc::Asleep).collect();
                    if asleep.is_empty() {
                        go("wakes nobody", &|_, p| (p.at, p.told) = (At::Push, told));
                    }
                    for j in asleep {
                        go("wakes one", &|t, p| (t.workers[j], p.at, p.told) = (Pc::Unmark, At::Push, told));
                    }
                }
            }
        }
        for (i, &pc) in s.workers.iter().enumerate() {
            let me = i + 1;
            match pc {
                Pc::Look if self.bug == Bug::TurnBeforeLook && s.ring == 0 && !s.early[i] => go(me, "T", false, &|t| {
                    t.turn(self.bug);
                    t.early[i] = true;
                }),
                Pc::Look if s.ring > 0 => go(me, "pops", false, &|t| {
                    (t.ring, t.early[i], t.workers[i]) = (t.ring - 1, false, Pc::Work);
                }),
                Pc::Look => go(me, "S0: ring empty", false, &|t| {
                    t.early[i] = false;
                    t.workers[i] = if self.bug == Bug::TurnBeforeLook { Pc::Count(false) } else { Pc::Turn(false) };
                }),
                Pc::Turn(moved) => go(me, "T", false, &|t| {
                    t.turn(self.bug);
                    t.workers[i] = Pc::Count(moved);
                }),
                Pc::Count(moved) => go(me, "S1", false, &|t| {
                    t.sleepers += 1;
                    t.workers[i] = Pc::Mark(moved);
                }),
                Pc::Mark(moved) => go(me, "sleeps_on set", false, &|t| t.workers[i] = Pc::Wait(moved)),
                Pc::Wait(moved) => go(me, "futex wait", false, &|t| t.workers[i] = if moved { Pc::Unmark } else { Pc::Asleep }),
                Pc::Unmark => go(me, "sleeps_on cleared", false, &|t| t.workers[i] = Pc::Uncount),
                Pc::Uncount => go(me, "counts itself out", false, &|t| {
                    (t.sleepers, t.workers[i]) = (t.sleepers - 1, Pc::Look);
                }),
                Pc::Work => go(me, "finishes", false, &|t| (t.done, t.workers[i]) = (t.done + 1, Pc::Look)),
                Pc::Dead { holds, marked } => go(me, "recovery scans", false, &|t| {
                    t.ring += holds as u8;
                    t.sleepers = if self.bug == Bug::ResetSleepers { 0 } else { t.sleepers - marked as i8 };
                    t.workers[i] = if self.bug == Bug::SkipWakeAll { Pc::Repaired } else { Pc::Scanned };
                }),
                Pc::Scanned => go(me, "recovery moves the sequence", false, &|t| {
                    t.moves();
                    t.workers[i] = Pc::Moved;
                }),
                Pc::Moved => go(me, "recovery wakes all", false, &|t| {
                    t.workers[i] = Pc::Repaired;
                    t.workers.iter_mut().filter(|p| **p == Pc::Asleep).for_each(|p| *p = Pc::Unmark);
                }),
                Pc::Asleep | Pc::Repaired => {}
            }
            if s.crashes > 0 && !matches!(pc, Pc::Dead { .. } | Pc::Scanned | Pc::Moved | Pc::Repaired) {
                go(me, "dies", true, &|t| {
                    let marked = matches!(pc, Pc::Wait(_) | Pc::Asleep | Pc::Unmark);
                    t.workers[i] = Pc::Dead { holds: pc == Pc::Work, marked };
                    t.crashes -= 1;
                });
            }
        }
    }

    fn woken(&self, s: &State) -> Vec<(u8, State)> {
        let asleep = |&i: &usize| s.workers[i] == Pc::Asleep;
        let wake = |i: usize| {
            let mut t = s.clone();
            t.workers[i] = Pc::Unmark;
            (i as u8 + 1, t)
        };
        (0..s.workers.len()).filter(asleep).map(wake).collect()
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        let sleeping = s.workers.iter().filter(|p| **p == Pc::Asleep).count() as i8;
        if s.forgotten {
            return Some("a sleeper is forgotten");
        }
        (s.sleepers < sleeping).then_some("a sleeper is not counted")
    }

    fn quiet(&self, s: &State) -> bool {
        let put = s.producers.iter().all(|p| p.at == At::Push && p.left == 0);
        put && s.done == self.jobs.iter().sum::<u8>() && s.workers.iter().all(|p| matches!(p, Pc::Asleep | Pc::Repaired))
    }
}

pub fn cases() -> Vec<Case> {
    let event = |workers, jobs, crashes, bug| Event { workers, jobs, crashes, bug };
    vec![
        holds("event-2-crashes", event(3, &[3], 2, Bug::None)),
        holds("event-4-puts", event(2, &[4], 1, Bug::None)),
        holds("event-2-producers", event(2, &[2, 2], 1, Bug::None)),
        holds("event-spurious", Spurious(event(2, &[3], 1, Bug::None))),
        large("event-spurious-2-crashes", Spurious(event(3, &[3], 2, Bug::None))),
        planted("event", "NoMove", event(2, &[1], 0, Bug::NoMove), "stuck"),
        planted("event", "SkipWakeAll", event(2, &[1], 1, Bug::SkipWakeAll), "stuck"),
        planted("event", "ResetSleepers", event(2, &[1], 1, Bug::ResetSleepers), "a sleeper is not counted"),
        planted("event", "TurnBeforeLook", event(2, &[3], 0, Bug::TurnBeforeLook), "a sleeper is forgotten"),
        planted("event", "TurnsAfterMove", event(2, &[3], 0, Bug::TurnsAfterMove), "a sleeper is forgotten"),
        planted("event", "ForgetsTurns", event(2, &[2], 0, Bug::ForgetsTurns), "a sleeper is forgotten"),
        planted("event", "CountsAnew", event(2, &[2], 0, Bug::CountsAnew), "a sleeper is forgotten"),
    ]
}
