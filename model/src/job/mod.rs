//! The life of a pool's job: src/ring/{slots,channel,recovery}.rs, src/pool/{worker,engine,ledger}.rs, src/process/supervisor.rs. Each bundle
//! is one job here; what is inside of bundles is bundle.rs.

mod cases;
mod parent;
mod recovery;
mod worker;

use crate::explore::{Model, Step};
pub use cases::cases;

/// Room in a state.
const WORKERS: usize = 3;
const SLOTS: usize = 3;
const JOBS: usize = 4;

/// Holders of locks, owners of slots: workers are 1, 2, 3.
const PARENT: u8 = 10;
const SUPERVISOR: u8 = 11;

/// An entry of a ring: the slot's number plus 1, and whether it is of the slot's use of now. Generations are compared with that of now only, so
/// that is all there is to know of them.
const NOW: u8 = 0x80;

/// The job ring's lock and event; the result ring's.
const JOB: usize = 0;
const RESULT: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    None,
    ReadyBeforePayload,
    LedgerAfterReady,
    CountAfterUnlock,
    UnlockFirst,
    DoneBeforeOutcome,
    ForgetFinished,
    StartAnyGeneration,
    TakeAnyGeneration,
    FreeKeepsGeneration,
    DeliverCountsAfterUnlock,
    CountByLoadAndStore,
    ScanWithoutResultLock,
    CountBeforeLocks,
    TakesLiveForDead,
    TakesLockOfLive,
    OldNotice,
    NotesDuringWake,
    ReplacesFirst,
    ChargesPopped,
    NoCharge,
    RebuildAppends,
    ScanFreesDone,
    LooksBeforeMove,
    WakesBeforeMove,
    SequenceAfterLook,
    LooksBeforeFinished,
    HelpsBeforeCounting,
    ResetSleepers,
    OffersWithoutLook,
    OffersWithoutLock,
    NeverOffers,
    HoldingAfterUnlock,
    NobodyHelps,
    NoWakeAll,
    WakesWithoutMove,
    WakesOnlyIfItHeld,
    LedgerMutex,
    LedgerKnowsDone,
    WaitsForTheDead,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Default, Hash)]
#[repr(u8)]
enum Is {
    #[default]
    Free,
    Owned,
    Ready,
    Running,
    Finished,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, PartialOrd, Ord, Hash)]
struct Slot {
    is: Is,
    owner: u8,
    attempt: u8,
    /// The job whose bytes stand in it, plus 1.
    payload: u8,
    /// Its progress: 1 job in hand, 2 done.
    progress: u8,
    /// The job whose outcome stands in it, plus 1; or `DIED`.
    outcome: u8,
    /// `ends` of the result's head: the job is over with its worker.
    over: bool,
    /// The parent's ledger: it holds this use of the slot; deaths of the job in hand.
    known: bool,
    deaths: u8,
}

const DIED: u8 = 99;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
struct Job {
    /// Its outcome has been made to count; how often it has run.
    finished: bool,
    /// Workers that have died with it in hand.
    kills: u8,
    outcome: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Copy, Hash)]
pub struct State {
    slots: [Slot; SLOTS],
    jobs: [Job; JOBS],
    workers: [worker::Worker; WORKERS],
    parent: parent::Parent,
    supervisor: recovery::Supervisor,
    rings: [[u8; 8]; 2],
    locks: [u8; 2],
    pending: i8,
    sleepers: [i8; 2],
    put: u8,
    crashes: u8,
    scans: u8,
    /// The place of a text in `WHY`, plus 1.
    error: u8,
}

/// A case's sizes.
#[derive(Clone, Copy)]
pub struct Pool {
    pub workers: usize,
    pub slots: usize,
    pub jobs: u8,
    pub batch: usize,
    pub crashes: u8,
    /// Workers that a job may cost.
    pub attempts: u8,
    /// Recoveries that nobody asked for; 255: any number.
    pub scans: u8,
    pub spurious: bool,
    /// Jobs that never end, one bit each.
    pub endless: u8,
    /// Entries that a ring holds; 0: as built.
    pub ring: usize,
    pub bug: Bug,
}

const WHY: [&str; 15] = [
    "a ring overflows",
    "ran a payload that was not written",
    "one job runs in two live workers",
    "a job runs again after its outcome counted",
    "the slot of a running job was changed by another",
    "a DONE slot changed under its collector",
    "a second outcome for a job",
    "an outcome of a job that has not finished",
    "a job was given up that has not cost as many workers",
    "garbage for an outcome",
    "a replacement starts while a word names its predecessor",
    "the ledger does not know a job",
    "a job is charged for other than the workers that it has cost",
    "an outcome is given for no job",
    "a worker runs what it has not begun",
];

fn length(list: &[u8]) -> usize {
    list.iter().position(|&e| e == 0).unwrap_or(list.len())
}

fn shift(list: &mut [u8]) -> u8 {
    let first = list[0];
    list.rotate_left(1);
    *list.last_mut().expect("lists have room") = 0;
    first
}

fn add(list: &mut [u8], entry: u8) {
    let at = length(list);
    list[at] = entry;
}

/// The entry of a slot's use of now.
fn now(slot: usize) -> u8 {
    (slot as u8 + 1) | NOW
}

fn slot_of(entry: u8) -> usize {
    usize::from(entry & !NOW) - 1
}

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }

    /// Pushes an entry of a slot's use of now.
    fn push(&mut self, pool: &Pool, ring: usize, entry: u8) {
        if length(&self.rings[ring]) >= pool.ring_size() {
            self.fail("a ring overflows");
        } else {
            add(&mut self.rings[ring], entry);
        }
    }

    /// FREE in the next generation: every entry of this use is old from here on.
    fn free(&mut self, pool: &Pool, slot: usize) {
        self.slots[slot] = Slot { known: self.slots[slot].known, ..Slot::default() };
        if pool.bug == Bug::FreeKeepsGeneration {
            return;
        }
        let entry = now(slot);
        let age = |e: &mut u8| *e = if *e == entry { *e & !NOW } else { *e };
        self.rings.iter_mut().flatten().for_each(age);
        self.parent.list.iter_mut().for_each(age);
        for w in self.workers.iter_mut() {
            w.list.iter_mut().chain(&mut w.finished).for_each(age);
        }
    }

    /// All who have read an event's sequence will find that it has moved.
    fn moves(&mut self, event: usize) {
        if event == RESULT {
            self.parent.moved = true;
        } else {
            self.workers.iter_mut().filter(|w| w.pc.has_seen() && w.pc != worker::Pc::Asleep).for_each(|w| w.moved = true);
        }
    }

    fn accepted(&self) -> i8 {
        self.slots.iter().filter(|s| matches!(s.is, Is::Ready | Is::Running | Is::Finished)).count() as i8
    }
}

impl Pool {
    fn ring_size(&self) -> usize {
        if self.ring > 0 { self.ring } else { 2 * self.slots.next_power_of_two() }
    }

    fn is_endless(&self, job: u8) -> bool {
        self.endless >> job & 1 == 1
    }

    /// Every way in which a wake-up of up to `count` sleeping workers may go.
    fn wakes(&self, s: &State, count: i8, mut woken: impl FnMut(&dyn Fn(&mut State))) {
        let asleep: Vec<usize> = (0..self.workers).filter(|&i| s.workers[i].pc == worker::Pc::Asleep).collect();
        let many = asleep.len().min(count.max(0) as usize);
        for some in (0u8..1 << asleep.len()).filter(|m| m.count_ones() as usize == many) {
            woken(&|t| {
                for (k, &i) in asleep.iter().enumerate() {
                    if some >> k & 1 == 1 {
                        t.workers[i].pc = worker::Pc::Unmark;
                    }
                }
            });
        }
    }
}

impl Model for Pool {
    type State = State;

    fn init(&self) -> State {
        State {
            slots: [Slot::default(); SLOTS],
            jobs: [Job::default(); JOBS],
            workers: [worker::Worker::default(); WORKERS],
            parent: parent::Parent::default(),
            supervisor: recovery::Supervisor::default(),
            rings: [[0; 8]; 2],
            locks: [0; 2],
            pending: 0,
            sleepers: [0; 2],
            put: 0,
            crashes: self.crashes,
            scans: self.scans,
            error: 0,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..self.workers).for_each(|i| self.worker(s, i, out));
        self.parent(s, out);
        self.supervisor(s, out);
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        if s.pending < 0 {
            return Some("pending below zero");
        }
        let asleep = s.workers.iter().filter(|w| w.pc == worker::Pc::Asleep).count() as i8;
        if s.sleepers[JOB] < asleep {
            return Some("a sleeper is not counted");
        }
        if s.locks == [0; 2] && s.pending != s.accepted() {
            return Some("pending differs from the slots");
        }
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    fn quiet(&self, s: &State) -> bool {
        let over = |job: u8| s.jobs[usize::from(job)].outcome || self.is_endless(job);
        let idle = |w: &worker::Worker| match w.pc {
            worker::Pc::Asleep => true,
            worker::Pc::Run => self.is_endless(s.slots[usize::from(w.slot)].payload - 1),
            _ => false,
        };
        (0..self.jobs).all(over)
            && s.workers[..self.workers].iter().all(idle)
            && matches!(s.parent.pc, parent::Pc::Over | parent::Pc::Asleep)
            && s.supervisor.pc == recovery::Pc::Idle
    }

    /// Workers are interchangeable: they are sorted, and what names them is renamed.
    fn normal(&self, mut s: State) -> State {
        let key = |i: usize| {
            let owns = s.slots.iter().fold(0u8, |m, slot| m << 1 | u8::from(usize::from(slot.owner) == i + 1));
            (s.workers[i], owns, s.locks.map(|l| usize::from(l) == i + 1))
        };
        if (1..self.workers).all(|i| key(i - 1) <= key(i)) {
            return s;
        }
        let mut order: Vec<usize> = (0..self.workers).collect();
        order.sort_by_key(|&i| key(i));
        let before = s;
        for (new, &old) in order.iter().enumerate() {
            s.workers[new] = before.workers[old];
            let rename = |name: &mut u8, was: u8| *name = if usize::from(was) == old + 1 { new as u8 + 1 } else { *name };
            (0..SLOTS).for_each(|k| rename(&mut s.slots[k].owner, before.slots[k].owner));
            (0..2).for_each(|k| rename(&mut s.locks[k], before.locks[k]));
        }
        s
    }
}
