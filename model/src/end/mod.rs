//! How it ends: shutdown (`Engine::close`, `Supervisor::quit`) and giving up (`Supervisor::failed`, `give_up`), with one thread that waits for the
//! outcomes of jobs. Jobs are counted only; a section of a lock is three steps, so that a death may fall into it.

mod supervisor;

use crate::case::{Case, holds, large, planted};
use crate::explore::{Model, Step};

const WORKERS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    WakesBeforeCondition,
    NoLastLook,
    SilentGiveUp,
    NeverGivesUp,
    GivesUpTooEarly,
    QuitsWithoutReaping,
    ReplacesAfterTheEnd,
    StopsRecoveringWhenItQuits,
    NoOutcomeAtTheEnd,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Gone,
    Starting,
    Check,
    Lock,
    In,
    Unlock,
    Count,
    Look,
    Wait,
    Asleep,
    Uncount,
    Run,
    DeliverLock,
    Deliver,
    DeliverOut,
    Tell,
    /// Its end is to be dealt with; `settled` says whether it had shown that workers can live.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Worker {
    pc: Pc,
    job: bool,
    moved: bool,
    counted: bool,
    settled: bool,
    /// It has returned, which is no death.
    well: bool,
    noted: bool,
    /// Its replacement is due.
    due: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Waiter {
    #[default]
    Check,
    Lock,
    In,
    Unlock,
    Count,
    Look,
    Wait,
    Asleep,
    Uncount,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Closer {
    #[default]
    Idle,
    Waits,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Supervisor {
    #[default]
    Idle,
    Lock,
    Repair,
    Unlock,
    Wake,
    Bury,
    GiveUp,
    GiveUpWake,
    QuitWake,
    Kill,
    Over,
}

/// Of the region.
const SHUTDOWN: u8 = 1;
const NO_WORKERS: u8 = 2;
const WAITER: u8 = 10;
const SUPERVISOR: u8 = 11;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    workers: [Worker; WORKERS],
    waiter: Waiter,
    waiter_moved: bool,
    closer: Closer,
    supervisor: Supervisor,
    quit: bool,
    asked: bool,
    condition: u8,
    lock: u8,
    ring: u8,
    delivered: u8,
    taken: u8,
    /// Why the waiter's jobs ended without a value; 0: they did not.
    ended: u8,
    failures: u8,
    fit: u8,
    crashes: u8,
    error: u8,
}

struct End {
    workers: usize,
    jobs: u8,
    crashes: u8,
    /// So many processes can be started that live; later ones die at once.
    fit: u8,
    closes: bool,
    bug: Bug,
}

/// So many deaths at once in a row are borne.
const FAILURES: u8 = 2;

const WHY: [&str; 3] =
    ["workers are given up although one lives", "the supervisor ends before its children", "a worker is started after the end"];

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }

    fn wake_everybody(&mut self) {
        for w in self.workers.iter_mut() {
            w.moved = matches!(w.pc, Pc::Unlock | Pc::Count | Pc::Look | Pc::Wait) && !w.job;
            w.pc = if w.pc == Pc::Asleep { Pc::Uncount } else { w.pc };
        }
        self.call_waiter();
    }

    fn call_waiter(&mut self) {
        self.waiter_moved = matches!(self.waiter, Waiter::Unlock | Waiter::Count | Waiter::Look | Waiter::Wait);
        self.waiter = if self.waiter == Waiter::Asleep { Waiter::Uncount } else { self.waiter };
    }
}

impl End {
    fn worker(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let w = s.workers[i];
        let me = i as u8 + 1;
        let mut go = |what: &'static str, f: &dyn Fn(&mut State, &mut Worker)| {
            let mut t = *s;
            let mut mine = w;
            f(&mut t, &mut mine);
            t.workers[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        let returns = |w: &mut Worker| *w = Worker { pc: Pc::Ended, well: true, settled: true, ..Worker::default() };
        match w.pc {
            Pc::Starting if s.fit == 0 => go("dies at once", &|_, w| *w = Worker { pc: Pc::Ended, ..Worker::default() }),
            Pc::Starting => go("starts", &|t, w| (t.fit, w.pc) = (t.fit - 1, Pc::Check)),
            Pc::Check if s.condition != 0 => go("sees that the region has ended, returns", &|_, w| returns(w)),
            Pc::Check => go("sees that the region is open", &|_, w| w.pc = Pc::Lock),
            Pc::Lock if s.lock == 0 => go("takes the lock", &|t, w| (t.lock, w.pc) = (me, Pc::In)),
            Pc::Lock | Pc::DeliverLock if s.condition != 0 => go("gives up waiting for the lock, returns", &|t, w| {
                t.ring += u8::from(w.job);
                returns(w);
            }),
            Pc::In => go("pops a job, or reads the sequence", &|t, w| {
                w.job = t.ring > 0;
                t.ring -= u8::from(w.job);
                (w.moved, w.pc) = (false, Pc::Unlock);
            }),
            Pc::Unlock => go("unlocks", &|t, w| (t.lock, w.pc) = (0, if w.job { Pc::Run } else { Pc::Count })),
            Pc::Count => go("counts itself as a sleeper", &|_, w| (w.counted, w.pc) = (true, Pc::Look)),
            Pc::Look => go("looks at the region's condition", &|t, w| {
                let over = t.condition != 0 && self.bug != Bug::NoLastLook;
                w.pc = if over { Pc::Uncount } else { Pc::Wait };
            }),
            Pc::Wait => go("futex wait", &|_, w| {
                w.pc = if w.moved { Pc::Uncount } else { Pc::Asleep };
                (w.moved, w.settled) = (false, true);
            }),
            Pc::Uncount => go("counts itself out", &|_, w| (w.counted, w.moved, w.pc) = (false, false, Pc::Check)),
            Pc::Run => go("runs the job", &|_, w| (w.settled, w.pc) = (true, Pc::DeliverLock)),
            Pc::DeliverLock if s.lock == 0 => go("takes the lock", &|t, w| (t.lock, w.pc) = (me, Pc::Deliver)),
            Pc::Deliver => go("delivers", &|t, w| {
                (t.delivered, w.job, w.pc) = (t.delivered + 1, false, Pc::DeliverOut);
            }),
            Pc::DeliverOut => go("unlocks", &|t, w| (t.lock, w.pc) = (0, Pc::Tell)),
            Pc::Tell => go("moves the results' sequence, wakes", &|t, w| {
                t.call_waiter();
                w.pc = Pc::Check;
            }),
            _ => {}
        }
        if s.crashes > 0 && !matches!(w.pc, Pc::Gone | Pc::Ended) {
            let mut t = *s;
            t.crashes -= 1;
            t.die(i);
            out.push(Step { who: me, what: "dies", helps: false, to: t });
        }
    }

    fn waiter(&self, s: &State, out: &mut Vec<Step<State>>) {
        let mut go = |what: &'static str, f: &dyn Fn(&mut State)| {
            let mut t = *s;
            f(&mut t);
            out.push(Step { who: WAITER, what, helps: true, to: t });
        };
        let ends = |t: &mut State| {
            t.ended = t.condition;
            t.waiter = Waiter::Over;
        };
        match s.waiter {
            Waiter::Check if s.taken == self.jobs => go("has all outcomes", &|t| t.waiter = Waiter::Over),
            Waiter::Check if s.condition != 0 && self.bug != Bug::NoOutcomeAtTheEnd => {
                go("gives what is left the end for an outcome", &ends)
            }
            Waiter::Check => go("sees that the region is open", &|t| t.waiter = Waiter::Lock),
            Waiter::Lock if s.lock == 0 => go("takes the lock", &|t| (t.lock, t.waiter) = (WAITER, Waiter::In)),
            Waiter::Lock if s.condition != 0 => go("gives up waiting for the lock", &|t| t.waiter = Waiter::Check),
            Waiter::In => go("takes outcomes, or reads the sequence", &|t| {
                t.waiter_moved = t.delivered > t.taken;
                (t.taken, t.waiter) = (t.delivered, Waiter::Unlock);
            }),
            Waiter::Unlock => go("unlocks", &|t| {
                t.lock = 0;
                t.waiter = if t.waiter_moved { Waiter::Check } else { Waiter::Count };
                t.waiter_moved = false;
            }),
            Waiter::Count => go("counts itself as a sleeper", &|t| t.waiter = Waiter::Look),
            Waiter::Look => go("looks at the region's condition", &|t| {
                let over = t.condition != 0 && self.bug != Bug::NoLastLook;
                t.waiter = if over { Waiter::Uncount } else { Waiter::Wait };
            }),
            Waiter::Wait => go("futex wait", &|t| {
                t.waiter = if t.waiter_moved { Waiter::Uncount } else { Waiter::Asleep };
                t.waiter_moved = false;
            }),
            Waiter::Uncount => go("counts itself out", &|t| (t.waiter_moved, t.waiter) = (false, Waiter::Check)),
            _ => {}
        }
        match s.closer {
            Closer::Idle if self.closes => go("another thread closes: asks the supervisor to quit", &|t| {
                (t.asked, t.closer) = (true, Closer::Waits);
            }),
            Closer::Waits if s.supervisor == Supervisor::Over => {
                go("the one that closes sees the supervisor gone", &|t| t.closer = Closer::Over)
            }
            _ => {}
        }
    }
}

impl State {
    fn die(&mut self, i: usize) {
        let w = self.workers[i];
        self.workers[i] =
            Worker { pc: Pc::Ended, job: w.job, settled: w.settled || w.job, counted: w.counted, ..Worker::default() };
    }

    fn start(&mut self, i: usize, over: bool) {
        if over {
            self.workers[i] = Worker::default();
        } else {
            if self.condition != 0 || self.quit {
                self.fail("a worker is started after the end");
            }
            self.workers[i] = Worker { pc: Pc::Starting, ..Worker::default() };
        }
    }
}

impl Model for End {
    type State = State;

    fn init(&self) -> State {
        let mut workers = [Worker::default(); WORKERS];
        workers[..self.workers].iter_mut().for_each(|w| w.pc = Pc::Starting);
        State {
            workers,
            waiter: Waiter::Check,
            waiter_moved: false,
            closer: Closer::Idle,
            supervisor: Supervisor::Idle,
            quit: false,
            asked: false,
            condition: 0,
            lock: 0,
            ring: self.jobs,
            delivered: 0,
            taken: 0,
            ended: 0,
            failures: 0,
            fit: self.fit,
            crashes: self.crashes,
            error: 0,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..self.workers).for_each(|i| self.worker(s, i, out));
        self.waiter(s, out);
        self.supervisor(s, out);
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        if s.ring + s.delivered + s.workers.iter().filter(|w| w.job).count() as u8 > self.jobs {
            return Some("a job is there twice");
        }
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    /// The waiter has been told, the supervisor has nothing to do, and after the end nobody is left.
    fn quiet(&self, s: &State) -> bool {
        // As long as one can live, the others are tried again and again.
        let lives = s.workers.iter().any(|w| w.pc == Pc::Asleep);
        let left = |w: &Worker| match w.pc {
            Pc::Gone => !w.due || lives,
            Pc::Asleep => s.condition == 0,
            _ => false,
        };
        let over = if self.closes { s.closer == Closer::Over } else { s.supervisor == Supervisor::Idle };
        s.waiter == Waiter::Over && over && s.workers.iter().all(left)
    }

    /// Workers are interchangeable.
    fn normal(&self, mut s: State) -> State {
        let holder = usize::from(s.lock).checked_sub(1).filter(|&i| i < WORKERS);
        let mut order: Vec<usize> = (0..self.workers).collect();
        order.sort_by_key(|&i| (s.workers[i], holder == Some(i)));
        let before = s;
        for (new, &old) in order.iter().enumerate() {
            s.workers[new] = before.workers[old];
            if holder == Some(old) {
                s.lock = new as u8 + 1;
            }
        }
        s
    }
}

pub fn cases() -> Vec<Case> {
    let end = |workers, jobs, crashes, fit, closes, bug| End { workers, jobs, crashes, fit, closes, bug };
    let mut all = vec![
        holds("end-shutdown", end(2, 1, 1, 4, true, Bug::None)),
        holds("end-no-workers", end(2, 1, 1, 0, false, Bug::None)),
        holds("end-no-more-workers", end(2, 2, 2, 2, false, Bug::None)),
        holds("end-no-workers-shutdown", end(2, 1, 1, 2, true, Bug::None)),
        large("end-shutdown-3-workers", end(3, 2, 2, 5, true, Bug::None)),
        large("end-no-workers-3", end(3, 2, 3, 3, true, Bug::None)),
    ];
    for (bug, crashes, fit, closes, why) in [
        (Bug::WakesBeforeCondition, 0, 0, false, "stuck"),
        (Bug::NoLastLook, 0, 0, false, "stuck"),
        (Bug::SilentGiveUp, 0, 0, false, "stuck"),
        (Bug::NeverGivesUp, 0, 0, false, "stuck"),
        (Bug::GivesUpTooEarly, 0, 1, false, "workers are given up although one lives"),
        (Bug::QuitsWithoutReaping, 0, 4, true, "the supervisor ends before its children"),
        (Bug::ReplacesAfterTheEnd, 0, 4, true, "a worker is started after the end"),
        (Bug::StopsRecoveringWhenItQuits, 0, 4, true, "stuck"),
        (Bug::NoOutcomeAtTheEnd, 0, 4, true, "stuck"),
    ] {
        all.push(planted("end", format!("{bug:?}"), end(2, 1, crashes, fit, closes, bug), why));
    }
    all
}
