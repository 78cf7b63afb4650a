//! Jobs that the parent keeps back (rule 18): `submit`, `flush` in src/pool/engine.rs, src/pool/assistant.rs, `wait` in src/pool/worker.rs,
//! `ask_for_jobs` in src/ring/outcomes.rs. The parent submits and calls no more. Pop, publish and the futex are one step each.

use crate::case::{Case, holds, large, planted, walks};
use crate::explore::{Model, Step};

const WORKERS: usize = 3;
const PARENT: u8 = 10;
const SUPERVISOR: u8 = 11;
const ASSISTANT: u8 = 12;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    HeldAfterLook,
    AsksBeforeCounting,
    NobodyIsNudged,
    AssistantReadsLate,
    NobodyAsks,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Pop,
    Wanted,
    Count,
    Want,
    Ask,
    Call,
    Wait,
    Asleep,
    Uncount,
    Run,
    Dead,
    /// Recovery has seen to it.
    Buried,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Worker {
    pc: Pc,
    moved: bool,
    /// It is counted as a sleeper; of one that is dead: it had a job in hand.
    counted: bool,
    had: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Parent {
    #[default]
    Submit,
    Held,
    Look,
    Nudge,
    Flush,
    Unlock,
    Call,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Assistant {
    #[default]
    Snap,
    Lock,
    Late,
    Wait,
    Asleep,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    workers: [Worker; WORKERS],
    parent: Parent,
    assistant: Assistant,
    /// Whether the event at which the assistant sleeps has moved since it read it.
    assistant_moved: bool,
    mutex: u8,
    left: u8,
    open: u8,
    ring: u8,
    done: u8,
    held: bool,
    wanted: bool,
    nudged: bool,
    calls: bool,
    sleepers: u8,
    supervisor: u8,
    crashes: u8,
}

#[derive(Clone, Copy)]
struct Held {
    workers: usize,
    jobs: u8,
    /// So many kept back are published at once; so many make it worth a hand-over to an idle worker.
    most: u8,
    enough: u8,
    endless: u8,
    crashes: u8,
    spurious: bool,
    bug: Bug,
}

impl State {
    /// `flush`, with the mutex held: each bundle is one entry, of all its jobs.
    fn flush(&mut self) {
        if self.open > 0 {
            self.ring += self.open;
            (self.open, self.held, self.wanted) = (0, false, false);
            self.workers_move();
            if let Some(w) = self.workers.iter_mut().find(|w| w.pc == Pc::Asleep) {
                w.pc = Pc::Uncount;
            }
        }
    }

    /// All who have read the jobs' sequence will find that it has moved.
    fn workers_move(&mut self) {
        let reads = |w: &&mut Worker| !matches!(w.pc, Pc::Asleep | Pc::Pop | Pc::Run | Pc::Dead | Pc::Buried);
        self.workers.iter_mut().filter(reads).for_each(|w| w.moved = true);
    }

    fn call_assistant(&mut self) {
        self.assistant_moved = true;
        if self.assistant == Assistant::Asleep {
            (self.assistant, self.assistant_moved) = (Assistant::Snap, false);
        }
    }
}

impl Held {
    /// What was in the hands of the dead goes back into the ring; they sleep no more.
    fn supervisor(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut put = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: SUPERVISOR, what, helps: true, to: t });
        };
        match s.supervisor {
            0 if s.workers.iter().any(|w| w.pc == Pc::Dead) => put("recovers", &|t| {
                for w in t.workers.iter_mut().filter(|w| w.pc == Pc::Dead) {
                    t.ring += u8::from(w.had);
                    t.sleepers -= u8::from(w.counted);
                    *w = Worker { pc: Pc::Buried, ..Worker::default() };
                }
                t.supervisor = 1;
            }),
            1 => put("moves all sequences", &|t| {
                t.workers_move();
                t.assistant_moved = true;
                t.supervisor = 2;
            }),
            2 => put("wakes all", &|t| {
                t.workers.iter_mut().filter(|w| w.pc == Pc::Asleep).for_each(|w| w.pc = Pc::Uncount);
                if t.assistant == Assistant::Asleep {
                    (t.assistant, t.assistant_moved) = (Assistant::Snap, false);
                }
                t.supervisor = 3;
            }),
            3 => put("starts replacements", &|t| {
                t.workers.iter_mut().filter(|w| w.pc == Pc::Buried).for_each(|w| *w = Worker::default());
                t.supervisor = 0;
            }),
            _ => {}
        }
    }

    /// A worker dies, or somebody wakes up for nothing.
    fn accidents(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut put = |who: u8, what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who, what, helps: false, to: t });
        };
        for i in 0..self.workers {
            let w = s.workers[i];
            if s.crashes > 0 && !matches!(w.pc, Pc::Dead | Pc::Buried) {
                put(i as u8 + 1, "dies", &|t| {
                    t.crashes -= 1;
                    t.workers[i] = Worker { pc: Pc::Dead, moved: false, had: w.pc == Pc::Run, ..w };
                });
            }
            if self.spurious && w.pc == Pc::Asleep {
                put(i as u8 + 1, "wakes up for nothing", &|t| t.workers[i].pc = Pc::Uncount);
            }
        }
        if self.spurious && s.assistant == Assistant::Asleep {
            put(ASSISTANT, "wakes up for nothing", &|t| t.assistant = Assistant::Snap);
        }
    }
}

impl Model for Held {
    type State = State;

    fn init(&self) -> State {
        State { left: self.jobs, crashes: self.crashes, ..State::default() }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        self.supervisor(s, out);
        self.accidents(s, out);
        let bug = self.bug;
        let mut put = |who: u8, what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who, what, helps: true, to: t });
        };
        for i in 0..self.workers {
            let w = s.workers[i];
            let me = i as u8 + 1;
            match w.pc {
                Pc::Pop if s.ring > 0 => put(me, "pops a job", &|t| (t.ring, t.workers[i].pc) = (t.ring - 1, Pc::Run)),
                Pc::Pop => put(me, "finds the ring empty, reads the sequence", &|t| {
                    t.workers[i] = Worker { pc: Pc::Wanted, ..Worker::default() };
                }),
                Pc::Wanted => put(me, "says that it wants jobs", &|t| {
                    t.wanted = true;
                    t.workers[i].pc = if bug == Bug::AsksBeforeCounting { Pc::Ask } else { Pc::Count };
                }),
                Pc::Count => put(me, "counts itself as a sleeper", &|t| {
                    t.sleepers += 1;
                    t.workers[i].counted = true;
                    t.workers[i].pc =
                        if matches!(bug, Bug::AsksBeforeCounting | Bug::NobodyAsks) { Pc::Wait } else { Pc::Want };
                }),
                Pc::Want => put(me, "says that it wants jobs", &|t| (t.wanted, t.workers[i].pc) = (true, Pc::Ask)),
                Pc::Ask => put(me, "looks whether jobs are kept back", &|t| {
                    let next = if bug == Bug::AsksBeforeCounting { Pc::Count } else { Pc::Wait };
                    t.workers[i].pc = if t.held { Pc::Call } else { next };
                }),
                Pc::Call => put(me, "calls the parent", &|t| {
                    t.call_assistant();
                    t.workers[i].pc = if bug == Bug::AsksBeforeCounting { Pc::Count } else { Pc::Wait };
                }),
                Pc::Wait => put(me, "futex wait", &|t| t.workers[i].pc = if w.moved { Pc::Uncount } else { Pc::Asleep }),
                Pc::Uncount => put(me, "counts itself out", &|t| {
                    t.sleepers -= 1;
                    t.workers[i] = Worker::default();
                }),
                // The first jobs to be done may never end.
                Pc::Run if s.done >= self.jobs - self.endless => {}
                Pc::Run => put(me, "runs it", &|t| (t.done, t.workers[i].pc) = (t.done + 1, Pc::Pop)),
                Pc::Asleep | Pc::Dead | Pc::Buried => {}
            }
        }
        let idle = s.wanted && bug != Bug::AsksBeforeCounting || s.sleepers > 0;
        match s.parent {
            Parent::Submit if s.left > 0 && s.mutex == 0 => put(PARENT, "takes the mutex, keeps a job back", &|t| {
                (t.mutex, t.left, t.open) = (PARENT, t.left - 1, t.open + 1);
                t.parent = match (t.open >= self.most, bug) {
                    (true, _) => Parent::Flush,
                    (false, Bug::HeldAfterLook) => Parent::Look,
                    (false, _) => Parent::Held,
                };
            }),
            Parent::Held => put(PARENT, "says that jobs are kept back", &|t| {
                (t.held, t.parent) = (true, if bug == Bug::HeldAfterLook { Parent::Unlock } else { Parent::Look });
            }),
            Parent::Look => put(PARENT, "looks whether a worker is idle", &|t| {
                let next = if bug == Bug::HeldAfterLook { Parent::Held } else { Parent::Unlock };
                t.parent = match (idle, t.open >= self.enough) {
                    (true, true) => Parent::Flush,
                    _ if t.open == 1 && !t.nudged && bug != Bug::NobodyIsNudged => Parent::Nudge,
                    _ => next,
                };
            }),
            Parent::Nudge => put(PARENT, "looks whether a worker sleeps already", &|t| {
                t.nudged |= t.sleepers > 0;
                t.calls = t.sleepers > 0;
                t.parent = if bug == Bug::HeldAfterLook { Parent::Held } else { Parent::Unlock };
            }),
            Parent::Flush => put(PARENT, "publishes", &|t| {
                t.flush();
                t.parent = Parent::Unlock;
            }),
            Parent::Unlock => put(PARENT, "releases the mutex", &|t| {
                t.mutex = 0;
                t.parent = if t.calls { Parent::Call } else { Parent::Submit };
            }),
            Parent::Call => put(PARENT, "calls the assistant", &|t| {
                t.call_assistant();
                (t.calls, t.parent) = (false, Parent::Submit);
            }),
            Parent::Submit => {}
        }
        match s.assistant {
            Assistant::Snap => put(ASSISTANT, "reads its event's sequence", &|t| {
                (t.assistant_moved, t.assistant) = (false, Assistant::Lock);
            }),
            Assistant::Lock if s.mutex == 0 => put(ASSISTANT, "publishes with the mutex held", &|t| {
                let kept = t.open > 0;
                t.flush();
                t.nudged &= kept;
                // If there were any, it looks once more after a while.
                t.assistant = match (t.nudged, bug) {
                    (true, _) => Assistant::Snap,
                    (false, Bug::AssistantReadsLate) => Assistant::Late,
                    (false, _) => Assistant::Wait,
                };
            }),
            Assistant::Late => put(ASSISTANT, "reads its event's sequence", &|t| {
                (t.assistant_moved, t.assistant) = (false, Assistant::Wait);
            }),
            Assistant::Wait => put(ASSISTANT, "futex wait", &|t| {
                t.assistant = if t.assistant_moved { Assistant::Snap } else { Assistant::Asleep };
                t.assistant_moved = false;
            }),
            Assistant::Lock | Assistant::Asleep => {}
        }
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        if usize::from(s.sleepers) < s.workers.iter().filter(|w| w.pc == Pc::Asleep).count() {
            return Some("a sleeper is not counted");
        }
        (s.held && s.open == 0 && s.mutex == 0).then_some("nothing is kept back and the region says so")
    }

    /// All jobs but the endless ones have been run, or every worker is busy with one of those.
    fn quiet(&self, s: &State) -> bool {
        let busy = s.workers[..self.workers].iter().all(|w| w.pc == Pc::Run);
        // What waits behind one that never ends in its bundle goes to others: see bundle/.
        let behind = s.workers.iter().any(|w| w.pc == Pc::Run);
        let recovered = s.supervisor == 0 && s.workers.iter().all(|w| w.pc != Pc::Dead);
        recovered
            && s.left == 0
            && s.parent == Parent::Submit
            && (s.done + self.endless >= self.jobs && s.open == 0 && (s.ring == 0 || behind) || busy)
    }

    fn normal(&self, mut s: State) -> State {
        s.workers[..self.workers].sort();
        s
    }
}

pub fn cases() -> Vec<Case> {
    let held = |workers, jobs, most, enough, endless, bug| Held {
        workers,
        jobs,
        most,
        enough,
        endless,
        crashes: 0,
        spurious: false,
        bug,
    };
    let small = held(2, 2, 2, 2, 0, Bug::None);
    let mut all = vec![
        holds("held", held(2, 3, 2, 2, 0, Bug::None)),
        holds("held-endless", held(2, 4, 3, 2, 1, Bug::None)),
        holds("held-1-crash", Held { crashes: 1, ..small }),
        holds("held-spurious", Held { spurious: true, ..small }),
        large("held-2-crashes", Held { crashes: 2, spurious: true, ..held(2, 3, 2, 2, 0, Bug::None) }),
        large("held-endless-1-crash", Held { crashes: 1, ..held(2, 4, 3, 2, 1, Bug::None) }),
        large("held-3-workers-1-crash", Held { crashes: 1, ..held(3, 3, 3, 2, 0, Bug::None) }),
        walks("walk-held", Held { crashes: 4, spurious: true, ..held(3, 10, 4, 3, 0, Bug::None) }),
        large("held-3-workers", held(3, 5, 4, 3, 1, Bug::None)),
        large("held-many", held(3, 10, 4, 3, 2, Bug::None)),
    ];
    for (bug, workers, jobs, endless) in [
        (Bug::HeldAfterLook, 2, 3, 0),
        (Bug::AsksBeforeCounting, 2, 3, 0),
        (Bug::NobodyIsNudged, 2, 2, 0),
        (Bug::AssistantReadsLate, 2, 3, 0),
        (Bug::NobodyAsks, 2, 3, 0),
    ] {
        all.push(planted("held", format!("{bug:?}"), held(workers, jobs, 4, 2, endless, bug), "stuck"));
    }
    all
}
