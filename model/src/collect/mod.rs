//! leader.rs with what it leaves out: the result ring, slots that are used again, deaths, recoveries at any time. Threads of the parent put jobs, for
//! which they may have to wait, and wait for their outcomes: `wait_until`, `collect` in src/pool/engine.rs, src/ring/{outcomes,recovery}.rs.
//! Workers find jobs without sleeping; the sections of the result lock that the parent runs are one step each.

mod worker;

use crate::case::{Case, holds, large, planted, walks};
use crate::explore::{Model, Spurious, Step};

const THREADS: usize = 2;
const WORKERS: usize = 2;
const SLOTS: usize = 2;
const SUPERVISOR: u8 = 11;
/// An entry is its slot's number plus 1, with this if it is of the slot's use of now.
const NOW: u8 = 0x80;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    LeavesSilently,
    CollectsSilently,
    SequenceAfterCollect,
    NoWakeAll,
    WakesWithoutMove,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Is {
    #[default]
    Free,
    Ready,
    Running,
    Finished,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Slot {
    is: Is,
    owner: u8,
    /// The thread that waits for its outcome.
    job: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Pc {
    #[default]
    Lock,
    Look,
    Claim,
    Late,
    Count,
    Sleep,
    Asleep,
    Woken,
    Follows,
    Told,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Thread {
    pc: Pc,
    /// Jobs that it has still to put; whether it waits for an outcome.
    left: u8,
    put: bool,
    outcome: bool,
    /// Entries that it has popped; whether any was an outcome.
    list: [u8; 2 * SLOTS],
    any: bool,
    moved: bool,
    late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum At {
    #[default]
    Idle,
    Run,
    Deliver,
    In,
    Unlock,
    Move,
    Load,
    Wake,
    Dead,
    Noted,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Worker {
    at: At,
    slot: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Recovery {
    #[default]
    Idle,
    Lock,
    Scan,
    Rebuild,
    Unlock,
    Move,
    Wake,
    Replace,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    slots: [Slot; SLOTS],
    ring: [u8; 2 * SLOTS],
    /// The result lock; the engine's mutex.
    lock: u8,
    mutex: u8,
    leader: bool,
    sleepers: u8,
    threads: [Thread; THREADS],
    workers: [Worker; WORKERS],
    recovery: Recovery,
    crashes: u8,
    scans: u8,
    error: Option<&'static str>,
}

#[derive(Clone, Copy)]
struct Collect {
    /// Jobs of each thread.
    jobs: [u8; THREADS],
    workers: usize,
    slots: usize,
    crashes: u8,
    scans: u8,
    /// Threads that may stop waiting, one bit each.
    leave: u8,
    /// Threads whose jobs never end.
    endless: u8,
    bug: Bug,
}

fn add(list: &mut [u8], entry: u8) -> bool {
    let free = list.iter_mut().find(|e| **e == 0);
    free.map(|e| *e = entry).is_some()
}

impl State {
    fn tell_followers(&mut self) {
        self.threads.iter_mut().filter(|t| t.pc == Pc::Follows).for_each(|t| t.pc = Pc::Told);
    }

    fn moves(&mut self) {
        self.threads
            .iter_mut()
            .filter(|t| matches!(t.pc, Pc::Claim | Pc::Late | Pc::Count | Pc::Sleep))
            .for_each(|t| t.moved = true);
    }

    fn wake(&mut self) {
        self.threads.iter_mut().filter(|t| t.pc == Pc::Asleep).for_each(|t| t.pc = Pc::Woken);
    }

    /// FREE in the next generation: every entry of this use is old from here on.
    fn free(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
        let (new, old) = ((slot as u8 + 1) | NOW, slot as u8 + 1);
        let lists = self.threads.iter_mut().flat_map(|t| &mut t.list);
        self.ring.iter_mut().chain(lists).filter(|e| **e == new).for_each(|e| *e = old);
    }

    fn push(&mut self, slot: usize) {
        if !add(&mut self.ring, (slot as u8 + 1) | NOW) {
            self.error = Some("a ring overflows");
        }
    }
}

impl Collect {
    fn leaves(&self, t: &mut State, i: usize) {
        t.threads[i] = Thread { pc: Pc::Over, ..Thread::default() };
        t.mutex = 0;
        if self.bug != Bug::LeavesSilently {
            t.tell_followers();
        }
    }

    fn thread(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let bug = self.bug;
        let me = i as u8 + 1;
        let thread = s.threads[i];
        let mut put = |what: &'static str, f: &dyn Fn(&mut State, &mut Thread)| {
            let mut t = *s;
            let mut mine = thread;
            f(&mut t, &mut mine);
            t.threads[i] = mine;
            out.push(Step { who: me, what, helps: true, to: t });
        };
        let free = (0..self.slots).find(|&k| s.slots[k].is == Is::Free);
        match thread.pc {
            Pc::Lock | Pc::Told if s.mutex == 0 => put("takes the mutex", &|t, mine| (t.mutex, mine.pc) = (me, Pc::Look)),
            Pc::Woken if s.mutex == 0 => put("takes the mutex, leads no longer", &|t, mine| {
                (t.mutex, t.leader, t.sleepers, mine.pc) = (me, false, t.sleepers - 1, Pc::Look);
            }),
            Pc::Look if thread.outcome => put("has its outcome", &|_, mine| {
                (mine.outcome, mine.put) = (false, false);
            }),
            Pc::Look if !thread.put && thread.left == 0 => {
                let mut t = *s;
                self.leaves(&mut t, i);
                out.push(Step { who: me, what: "is done", helps: true, to: t });
            }
            Pc::Look if !thread.put && free.is_some() => put("puts a job", &|t, mine| {
                t.slots[free.unwrap_or(0)] = Slot { is: Is::Ready, owner: 0, job: i as u8 };
                (mine.put, mine.left, mine.pc, t.mutex) = (true, mine.left - 1, Pc::Lock, 0);
            }),
            Pc::Look if s.leader && thread.late => self.stops(s, i, out),
            Pc::Look if s.leader => put("follows", &|t, mine| (t.mutex, mine.pc) = (0, Pc::Follows)),
            Pc::Look if s.lock == 0 => put("pops all outcomes, or reads the sequence", &|t, mine| {
                mine.list = std::mem::take(&mut t.ring);
                mine.moved = false;
                mine.pc = Pc::Claim;
            }),
            Pc::Claim if thread.list[0] != 0 => {
                let mut t = *s;
                let entry = t.threads[i].list[0];
                t.threads[i].list.rotate_left(1);
                t.threads[i].list[2 * SLOTS - 1] = 0;
                let slot = usize::from(entry & !NOW) - 1;
                if entry & NOW != 0 && t.slots[slot].is == Is::Done {
                    let waits = &mut t.threads[usize::from(t.slots[slot].job)];
                    let known = waits.put && !waits.outcome || waits.pc == Pc::Over;
                    waits.outcome = waits.pc != Pc::Over;
                    t.error = if known { t.error } else { Some("a second outcome for a job") };
                    t.free(slot);
                    t.threads[i].any = true;
                }
                out.push(Step { who: me, what: "claims an outcome, frees the slot", helps: true, to: t });
            }
            Pc::Claim if thread.any => put("tells who follows", &|t, mine| {
                if bug != Bug::CollectsSilently {
                    t.tell_followers();
                }
                (mine.any, mine.pc) = (false, Pc::Look);
            }),
            Pc::Claim => put("has found nothing", &|_, mine| {
                mine.pc = Pc::Late;
                mine.moved &= bug != Bug::SequenceAfterCollect;
            }),
            Pc::Late if thread.late => self.stops(s, i, out),
            Pc::Late => put("leads", &|t, mine| (t.leader, t.mutex, mine.pc) = (true, 0, Pc::Count)),
            Pc::Count => put("counts itself as a sleeper", &|t, mine| (t.sleepers, mine.pc) = (t.sleepers + 1, Pc::Sleep)),
            Pc::Sleep => put("futex wait", &|_, mine| {
                mine.pc = if mine.moved { Pc::Woken } else { Pc::Asleep };
                mine.moved = false;
            }),
            _ => {}
        }
        if self.leave >> i & 1 == 1 && matches!(thread.pc, Pc::Asleep | Pc::Follows) && !thread.late {
            let mut t = *s;
            t.threads[i].late = true;
            t.threads[i].pc = if thread.pc == Pc::Asleep { Pc::Woken } else { Pc::Told };
            out.push(Step { who: me, what: "is late", helps: true, to: t });
        }
    }

    fn stops(&self, s: &State, i: usize, out: &mut Vec<Step<State>>) {
        let mut t = *s;
        self.leaves(&mut t, i);
        out.push(Step { who: i as u8 + 1, what: "stops waiting", helps: true, to: t });
    }
}

impl Model for Collect {
    type State = State;

    fn init(&self) -> State {
        let mut s = State { crashes: self.crashes, scans: self.scans, ..State::default() };
        s.threads.iter_mut().zip(self.jobs).for_each(|(t, left)| t.left = left);
        s
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..THREADS).for_each(|i| self.thread(s, i, out));
        (0..self.workers).for_each(|i| self.worker(s, i, out));
        self.supervisor(s, out);
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
        let asleep = s.threads.iter().filter(|t| t.pc == Pc::Asleep).count();
        s.error.or((usize::from(s.sleepers) < asleep).then_some("a sleeper is not counted"))
    }

    /// Each thread has the outcomes of all its jobs, or has stopped waiting.
    fn quiet(&self, s: &State) -> bool {
        let dead = |w: &Worker| matches!(w.at, At::Dead | At::Noted);
        let waits =
            |i: usize| self.endless >> i & 1 == 1 && s.threads[i].put && matches!(s.threads[i].pc, Pc::Asleep | Pc::Follows);
        (0..THREADS).all(|i| s.threads[i].pc == Pc::Over || waits(i))
            && s.recovery == Recovery::Idle
            && !s.workers.iter().any(dead)
    }
}

pub fn cases() -> Vec<Case> {
    const BASE: Collect =
        Collect { jobs: [1, 1], workers: 1, slots: 1, crashes: 1, scans: 0, leave: 0, endless: 0, bug: Bug::None };
    let mut all = vec![
        holds("collect", BASE),
        holds("collect-reuse", Collect { jobs: [2, 1], crashes: 0, scans: 1, ..BASE }),
        holds("collect-endless", Collect { endless: 1, workers: 2, slots: 2, ..BASE }),
        holds("collect-leave", Collect { leave: 1, slots: 2, ..BASE }),
        holds("collect-spurious", Spurious(Collect { leave: 1, ..BASE })),
        large("collect-2-workers", Collect { jobs: [2, 1], workers: 2, slots: 2, scans: 1, ..BASE }),
        large("collect-2-crashes", Collect { jobs: [2, 2], workers: 2, slots: 2, crashes: 2, ..BASE }),
        large("collect-any-scans", Collect { jobs: [2, 2], workers: 2, scans: u8::MAX, ..BASE }),
        walks("walk-collect", Spurious(Collect { jobs: [4, 4], workers: 2, slots: 2, crashes: 3, scans: 4, leave: 1, ..BASE })),
    ];
    let calm = Collect { crashes: 0, ..BASE };
    for (bug, model, why) in [
        (Bug::LeavesSilently, Collect { leave: 1, slots: 2, ..calm }, "stuck"),
        (Bug::CollectsSilently, Collect { slots: 2, workers: 2, endless: 1, ..calm }, "stuck"),
        (Bug::SequenceAfterCollect, calm, "stuck"),
        (Bug::NoWakeAll, BASE, "stuck"),
        (Bug::WakesWithoutMove, BASE, "stuck"),
    ] {
        all.push(planted("collect", format!("{bug:?}"), Collect { bug, ..model }, why));
    }
    all
}
