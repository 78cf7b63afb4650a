//! The event count of src/ring/event.rs: one producer, workers that pop under the ring's lock (one step here), and recovery.

use crate::case::{Case, holds, planted};
use crate::explore::{Model, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The waker does not move the sequence.
    NoMove,
    /// Recovery neither moves the sequence nor wakes.
    SkipWakeAll,
    /// Recovery sets the number of sleepers to 0.
    ResetSleepers,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pc {
    Look,
    Count(u8),
    Mark(u8),
    Wait(u8),
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
pub enum Producer {
    Push,
    Move,
    Load,
    Wake(u8),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    ring: u8,
    left: u8,
    done: u8,
    sequence: u8,
    sleepers: i8,
    producer: Producer,
    workers: Vec<Pc>,
    crashes: u8,
}

pub struct Event {
    workers: usize,
    jobs: u8,
    crashes: u8,
    bug: Bug,
}

impl Model for Event {
    type State = State;

    fn init(&self) -> State {
        let workers = vec![Pc::Look; self.workers];
        let (left, crashes) = (self.jobs, self.crashes);
        State { ring: 0, left, done: 0, sequence: 0, sleepers: 0, producer: Producer::Push, workers, crashes }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut go = |who: usize, what: &'static str, crash: bool, change: &dyn Fn(&mut State)| {
            let mut to = s.clone();
            change(&mut to);
            out.push(Step { who: who as u8, what, helps: !crash, to });
        };
        match s.producer {
            Producer::Push if s.left > 0 => go(0, "pushes one", false, &|t| {
                (t.ring, t.left) = (t.ring + 1, t.left - 1);
                t.producer = if self.bug == Bug::NoMove { Producer::Load } else { Producer::Move };
            }),
            Producer::Push => {}
            Producer::Move => go(0, "W1", false, &|t| (t.sequence, t.producer) = (t.sequence + 1, Producer::Load)),
            Producer::Load => go(0, "W2", false, &|t| {
                t.producer = if t.sleepers == 0 { Producer::Push } else { Producer::Wake(1) };
            }),
            Producer::Wake(_) => {
                let asleep: Vec<usize> = (0..s.workers.len()).filter(|&j| s.workers[j] == Pc::Asleep).collect();
                if asleep.is_empty() {
                    go(0, "wakes nobody", false, &|t| t.producer = Producer::Push);
                }
                for j in asleep {
                    go(0, "wakes one", false, &|t| (t.producer, t.workers[j]) = (Producer::Push, Pc::Unmark));
                }
            }
        }
        for (i, &pc) in s.workers.iter().enumerate() {
            let me = i + 1;
            match pc {
                Pc::Look if s.ring > 0 => go(me, "pops", false, &|t| (t.ring, t.workers[i]) = (t.ring - 1, Pc::Work)),
                Pc::Look => go(me, "S0: ring empty", false, &|t| t.workers[i] = Pc::Count(t.sequence)),
                Pc::Count(seen) => go(me, "S1", false, &|t| (t.sleepers, t.workers[i]) = (t.sleepers + 1, Pc::Mark(seen))),
                Pc::Mark(seen) => go(me, "sleeps_on set", false, &|t| t.workers[i] = Pc::Wait(seen)),
                Pc::Wait(seen) => go(me, "futex wait", false, &|t| {
                    t.workers[i] = if t.sequence == seen { Pc::Asleep } else { Pc::Unmark };
                }),
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
                    (t.sequence, t.workers[i]) = (t.sequence + 1, Pc::Moved);
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

    fn broken(&self, s: &State) -> Option<&'static str> {
        let sleeping = s.workers.iter().filter(|p| **p == Pc::Asleep).count() as i8;
        (s.sleepers < sleeping).then_some("a sleeper is not counted")
    }

    fn quiet(&self, s: &State) -> bool {
        s.done == self.jobs && s.producer == Producer::Push && s.workers.iter().all(|p| matches!(p, Pc::Asleep | Pc::Repaired))
    }
}

pub fn cases() -> Vec<Case> {
    let event = |workers, jobs, crashes, bug| Event { workers, jobs, crashes, bug };
    vec![
        holds("event-2-crashes", event(3, 3, 2, Bug::None)),
        planted("event", "NoMove", event(2, 1, 0, Bug::NoMove), "stuck"),
        planted("event", "SkipWakeAll", event(2, 1, 1, Bug::SkipWakeAll), "stuck"),
        planted("event", "ResetSleepers", event(2, 1, 1, Bug::ResetSleepers), "a sleeper is not counted"),
    ]
}
