//! Threads of the parent that wait for outcomes (`wait_until` in src/pool/engine.rs): one leads, that is, sleeps on the region and collects for all, the
//! others follow. Deliveries are one step, each with its move of the sequence and its wake-up.

use crate::case::{Case, holds, planted};
use crate::explore::{Model, Spurious, Step};

const THREADS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    LeavesSilently,
    CollectsSilently,
    SequenceAfterCollect,
    LeadsBeside,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Lock,
    Look,
    Collect,
    Late,
    Sleep,
    Asleep,
    Woken,
    /// Waits for the condition variable; has been told.
    Follows,
    Told,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Thread {
    pc: Pc,
    moved: bool,
    late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    threads: [Thread; THREADS],
    mutex: u8,
    leader: bool,
    /// Jobs that have been delivered, and that have their outcomes: one bit each.
    delivered: u8,
    outcomes: u8,
    two: bool,
}

/// Thread n waits for job n; those with a bit in `leave` may stop waiting.
struct Leader {
    threads: usize,
    leave: u8,
    /// Jobs that never end.
    endless: u8,
    bug: Bug,
}

impl State {
    fn tell_followers(&mut self) {
        self.threads.iter_mut().filter(|t| t.pc == Pc::Follows).for_each(|t| t.pc = Pc::Told);
    }
}

impl Leader {
    fn leaves(&self, t: &mut State, i: usize) {
        t.threads[i] = Thread { pc: Pc::Over, ..Thread::default() };
        t.mutex = 0;
        if self.bug != Bug::LeavesSilently {
            t.tell_followers();
        }
    }
}

impl Model for Leader {
    type State = State;

    fn init(&self) -> State {
        let mut s = State::default();
        s.threads[self.threads..].iter_mut().for_each(|t| t.pc = Pc::Over);
        s
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let mut put = |who: u8, what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who, what, helps: true, to: t });
        };
        for job in (0..self.threads).filter(|&j| (s.delivered | self.endless) >> j & 1 == 0) {
            put(20, "delivers a job, moves the sequence, wakes one", &|t| {
                t.delivered |= 1 << job;
                t.threads.iter_mut().filter(|t| matches!(t.pc, Pc::Late | Pc::Sleep)).for_each(|t| t.moved = true);
                if let Some(one) = t.threads.iter_mut().find(|t| t.pc == Pc::Asleep) {
                    one.pc = Pc::Woken;
                }
            });
        }
        for i in 0..self.threads {
            let me = i as u8 + 1;
            let thread = s.threads[i];
            match thread.pc {
                Pc::Lock | Pc::Told if s.mutex == 0 => put(me, "takes the mutex", &|t| {
                    t.mutex = me;
                    t.threads[i].pc = Pc::Look;
                }),
                Pc::Woken if s.mutex == 0 => put(me, "takes the mutex, leads no longer", &|t| {
                    (t.mutex, t.leader, t.threads[i].pc) = (me, false, Pc::Look);
                }),
                Pc::Look if s.outcomes >> i & 1 == 1 => put(me, "has its outcome", &|t| self.leaves(t, i)),
                Pc::Look if s.leader && thread.late => put(me, "stops waiting", &|t| self.leaves(t, i)),
                Pc::Look if s.leader && bug != Bug::LeadsBeside => put(me, "follows", &|t| {
                    (t.mutex, t.threads[i].pc) = (0, Pc::Follows);
                }),
                Pc::Look => put(me, "collects, reads the sequence", &|t| {
                    let any = t.delivered != t.outcomes;
                    t.outcomes = t.delivered;
                    if any && bug != Bug::CollectsSilently {
                        t.tell_followers();
                    }
                    t.threads[i].moved = false;
                    t.threads[i].pc = match any {
                        true => Pc::Look,
                        false if bug == Bug::SequenceAfterCollect => Pc::Collect,
                        false => Pc::Late,
                    };
                }),
                Pc::Collect => put(me, "reads the sequence", &|t| t.threads[i].pc = Pc::Late),
                Pc::Late if thread.late => put(me, "stops waiting", &|t| self.leaves(t, i)),
                Pc::Late => put(me, "leads", &|t| {
                    t.two |= t.leader;
                    (t.leader, t.mutex, t.threads[i].pc) = (true, 0, Pc::Sleep);
                }),
                Pc::Sleep => put(me, "futex wait", &|t| {
                    t.threads[i].pc = if thread.moved { Pc::Woken } else { Pc::Asleep };
                    t.threads[i].moved = false;
                }),
                _ => {}
            }
            if self.leave >> i & 1 == 1 && matches!(thread.pc, Pc::Asleep | Pc::Follows) {
                put(me, "is late", &|t| {
                    t.threads[i].late = true;
                    t.threads[i].pc = if thread.pc == Pc::Asleep { Pc::Woken } else { Pc::Told };
                });
            }
        }
    }

    fn woken(&self, s: &State) -> Vec<(u8, State)> {
        let asleep = |&i: &usize| s.threads[i].pc == Pc::Asleep;
        let wake = |i: usize| {
            let mut t = *s;
            t.threads[i].pc = Pc::Woken;
            (i as u8 + 1, t)
        };
        (0..THREADS).filter(asleep).map(wake).collect()
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        s.two.then_some("two lead")
    }

    /// Everybody has its outcome, or has stopped waiting.
    fn quiet(&self, s: &State) -> bool {
        let waits = |i: usize| self.endless >> i & 1 == 1 && matches!(s.threads[i].pc, Pc::Asleep | Pc::Follows);
        (0..THREADS).all(|i| s.threads[i].pc == Pc::Over || waits(i))
    }
}

pub fn cases() -> Vec<Case> {
    let leader = |threads, leave, endless, bug| Leader { threads, leave, endless, bug };
    let mut all = vec![
        holds("leader", leader(2, 1, 0, Bug::None)),
        holds("leader-3", leader(3, 0, 1, Bug::None)),
        holds("leader-3-leave", leader(3, 3, 4, Bug::None)),
        holds("leader-3-spurious", Spurious(leader(3, 3, 4, Bug::None))),
    ];
    for (bug, threads, leave, endless, why) in [
        (Bug::LeavesSilently, 2, 1, 0, "stuck"),
        (Bug::CollectsSilently, 2, 0, 1, "stuck"),
        (Bug::SequenceAfterCollect, 2, 0, 0, "stuck"),
        (Bug::LeadsBeside, 2, 0, 0, "two lead"),
    ] {
        all.push(planted("leader", format!("{bug:?}"), leader(threads, leave, endless, bug), why));
    }
    all
}
