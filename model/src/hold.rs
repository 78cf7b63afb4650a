//! The bound on a stopped owner: `acquire` in src/ring/recovery.rs, `observe` in src/lock/futex.rs, `Section::enter` in src/ring/channel.rs. A worker
//! takes and releases the lock again and again, and may be stopped anywhere; another one, and a thread of the parent, want it too.

use crate::case::{Case, holds, large, planted};
use crate::explore::{Model, Step};

/// The parent is process 0.
const PROCESSES: usize = 3;
const SUPERVISOR: u8 = 11;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    NoBell,
    TwoLooks,
    LooksAtTheWordAlone,
    KillsTheParent,
    TakesOverAlive,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Take,
    Counts,
    Unlock,
    Done,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Process {
    pc: Pc,
    rounds: u8,
    stopped: bool,
}

/// What the supervisor has seen of the lock: its word, then its count of acquisitions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Seen {
    word: u8,
    count: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    processes: [Process; PROCESSES],
    word: u8,
    count: u8,
    rung: bool,
    stops: u8,
    /// 0: idle; 1: tries the lock; 2: reads the word; 3: reads the count; 4: compares; 5: releases, replaces.
    supervisor: u8,
    now: Seen,
    seen: Seen,
    /// Equal looks in a row, the first of which stands for the beginning of the bound and the last for its end; whether the lock was released since
    /// the last look, between that and the one before, and between each two.
    looks: u8,
    released: bool,
    between: bool,
    short: bool,
    error: u8,
}

struct Hold {
    rounds: [u8; PROCESSES],
    stops: u8,
    bug: Bug,
}

const WHY: [&str; 3] = ["a worker is ended that holds nothing for long", "the parent is ended", "two hold the lock"];

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }
}

impl Model for Hold {
    type State = State;

    fn init(&self) -> State {
        let mut s = State { stops: self.stops, ..State::default() };
        s.processes.iter_mut().zip(self.rounds).for_each(|(p, rounds)| p.rounds = rounds);
        s
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut put = |who: u8, what: &'static str, helps: bool, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who, what, helps, to: t });
        };
        for (i, p) in s.processes.iter().enumerate().filter(|(_, p)| !p.stopped) {
            let me = i as u8 + 1;
            match p.pc {
                Pc::Take if p.rounds == 0 => put(me, "has done", true, &|t| t.processes[i].pc = Pc::Done),
                Pc::Take if s.word == 0 => put(me, "CAS 0 to me", true, &|t| (t.word, t.processes[i].pc) = (me, Pc::Counts)),
                // Who has waited for a second asks the supervisor to look.
                Pc::Take if !s.rung && bug != Bug::NoBell => put(me, "rings the bell", true, &|t| t.rung = true),
                Pc::Counts => {
                    put(me, "counts the acquisition", true, &|t| (t.count, t.processes[i].pc) = (t.count + 1, Pc::Unlock))
                }
                Pc::Unlock => put(me, "swaps in 0", true, &|t| {
                    if t.word != me {
                        t.fail("two hold the lock");
                    }
                    (t.word, t.released) = (0, true);
                    t.processes[i].rounds -= 1;
                    t.processes[i].pc = Pc::Take;
                }),
                Pc::Take | Pc::Done | Pc::Dead => {}
            }
            if i > 0 && s.stops > 0 && !matches!(p.pc, Pc::Done | Pc::Dead) {
                put(me, "is stopped", false, &|t| (t.stops, t.processes[i].stopped) = (t.stops - 1, true));
            }
        }
        let owner = usize::from(s.word).wrapping_sub(1);
        let takes_over = owner < PROCESSES && (s.processes[owner].pc == Pc::Dead || bug == Bug::TakesOverAlive);
        match s.supervisor {
            0 if s.rung => put(SUPERVISOR, "hears the bell", true, &|t| (t.rung, t.supervisor) = (false, 1)),
            1 if s.word == 0 || takes_over => put(SUPERVISOR, "takes the lock", true, &|t| {
                (t.word, t.supervisor) = (SUPERVISOR, 5);
            }),
            1 => put(SUPERVISOR, "finds it held", true, &|t| t.supervisor = 2),
            2 => put(SUPERVISOR, "reads its word", true, &|t| {
                (t.now.word, t.between, t.supervisor) = (t.word, t.released, 3);
            }),
            3 => put(SUPERVISOR, "reads its count", true, &|t| {
                (t.now.count, t.released, t.supervisor) = (t.count, false, 4);
            }),
            4 => put(SUPERVISOR, "compares with what it has seen", true, &|t| {
                let same = t.now.word == t.seen.word && (t.now.count == t.seen.count || bug == Bug::LooksAtTheWordAlone);
                t.supervisor = 1;
                if !same || t.now.word == 0 {
                    (t.seen, t.looks, t.short) = (t.now, 1, true);
                } else {
                    t.looks += 1;
                    t.short &= t.between;
                }
                (t.now, t.between) = (Seen::default(), false);
                let enough = if bug == Bug::TwoLooks { 2 } else { 3 };
                if t.looks >= enough {
                    let owner = usize::from(t.seen.word) - 1;
                    t.looks = 0;
                    // For a lock that names the parent it goes on waiting.
                    if owner == 0 && bug == Bug::KillsTheParent {
                        t.fail("the parent is ended");
                    }
                    if owner > 0 && owner < PROCESSES {
                        if t.short {
                            t.fail("a worker is ended that holds nothing for long");
                        }
                        t.processes[owner] = Process { pc: Pc::Dead, ..Process::default() };
                    }
                    (t.seen, t.short) = (Seen::default(), false);
                }
            }),
            5 => put(SUPERVISOR, "releases the lock, replaces the dead", true, &|t| {
                (t.word, t.supervisor) = (0, 0);
                (t.now, t.seen, t.looks, t.released, t.short) = (Seen::default(), Seen::default(), 0, false, false);
                t.processes
                    .iter_mut()
                    .filter(|p| p.pc == Pc::Dead)
                    .for_each(|p| *p = Process { pc: Pc::Done, ..Process::default() });
            }),
            _ => {}
        }
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    /// Everybody has had the lock as often as they wanted, or is gone, or is stopped and in nobody's way.
    fn quiet(&self, s: &State) -> bool {
        s.supervisor == 0 && s.processes.iter().all(|p| p.pc == Pc::Done || p.stopped)
    }
}

pub fn cases() -> Vec<Case> {
    let hold = |rounds, stops, bug| Hold { rounds, stops, bug };
    let mut all = vec![holds("hold", hold([1, 3, 1], 1, Bug::None)), large("hold-2-stopped", hold([2, 3, 2], 2, Bug::None))];
    for (bug, rounds, stops, why) in [
        (Bug::NoBell, [1, 1, 1], 1, "stuck"),
        (Bug::TwoLooks, [1, 3, 1], 0, "a worker is ended that holds nothing for long"),
        (Bug::LooksAtTheWordAlone, [1, 4, 1], 0, "a worker is ended that holds nothing for long"),
        (Bug::KillsTheParent, [3, 1, 1], 0, "the parent is ended"),
        (Bug::TakesOverAlive, [1, 2, 1], 0, "two hold the lock"),
    ] {
        all.push(planted("hold", format!("{bug:?}"), hold(rounds, stops, bug), why));
    }
    all
}
