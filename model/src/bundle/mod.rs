//! Inside a pool's bundle: src/ring/{bundle,outcomes}.rs, src/layout/progress.rs, `after_death` in src/ring/recovery.rs, and of
//! src/pool/engine.rs `cancel_in`, `condemn`, `rebalance`, `give_rest`, `take_part`. What job.rs explores is one step here.

mod cases;
mod parent;
mod recovery;
mod worker;

use crate::explore::{Model, Step};
pub use cases::cases;

const SLOTS: usize = 3;
const JOBS: usize = 3;
const WORKERS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    None,
    CountsBeforeOutcome,
    BitBeforeBegin,
    LooksBeforeBit,
    KillsWithoutCondemning,
    CutsWhatIsBegun,
    CutsByStore,
    RecoversByStore,
    KeepsFlags,
    ChargesUnbegun,
    AdvancesByStore,
    ImpatientAfterLook,
    LooksBeforeAdvance,
    AsksBeforeCounting,
    NobodyIsImpatient,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
enum Is {
    #[default]
    Free,
    Ready,
    Running,
    Finished,
    Done,
}

/// The word of src/layout/progress.rs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
struct Progress {
    done: u8,
    limit: u8,
    hand: bool,
    condemned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
#[repr(u8)]
enum Outcome {
    #[default]
    None,
    Value,
    Cancelled,
    TimedOut,
    Died,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Slot {
    is: Is,
    owner: u8,
    progress: Progress,
    /// The jobs whose bytes stand in it, plus 1; their outcomes; those that are cancelled, one bit each.
    jobs: [u8; JOBS],
    outcomes: [Outcome; JOBS],
    cancelled: u8,
    /// How the job that would be next is over, and how many jobs were done when that was noted.
    ends: Outcome,
    charged: u8,
    /// The parent's own: how many jobs are in it, how many outcomes it has taken; deaths of the job in hand, and at how many done; why the
    /// job in hand is condemned; whether its worker is to be killed.
    items: u8,
    taken: u8,
    deaths: u8,
    deaths_at: u8,
    why: Outcome,
    kill: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Job {
    outcome: Outcome,
    finished: bool,
    kills: u8,
    /// `cancel` has said that it will give no value; that it will not be run.
    told: bool,
    waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    slots: [Slot; SLOTS],
    jobs: [Job; JOBS],
    workers: [worker::Worker; WORKERS],
    main: parent::Main,
    other: parent::Other,
    supervisor: recovery::Supervisor,
    /// The engine's mutex: 1 the main thread, 2 the other one.
    mutex: u8,
    impatient: bool,
    idle: u8,
    crashes: u8,
    error: u8,
}

#[derive(Clone, Copy)]
pub struct Bundles {
    pub jobs: u8,
    pub crashes: u8,
    pub attempts: u8,
    pub endless: u8,
    /// What the other thread does once: cancels this job; or ends what is in hand of the first slot, for its time is over.
    pub cancels: Option<u8>,
    pub timeout: bool,
    pub bug: Bug,
}

const WHY: [&str; 10] = [
    "one job runs in two live workers",
    "a job runs again after its outcome counted",
    "a job runs of which cancel has said that it will not",
    "a job gives a value of which cancel has said that it gives none",
    "an outcome is taken that was not written",
    "a job is charged for other than the workers that it has cost",
    "a job was given up that has not cost as many workers",
    "the pool killed an innocent job",
    "a worker finds a job in hand that it has not begun",
    "a job has no place",
];

impl State {
    fn fail(&mut self, why: &'static str) {
        let at = WHY.iter().position(|&w| w == why).expect(why) as u8 + 1;
        self.error = if self.error == 0 { at } else { self.error };
    }

    /// The results' event moves, and whoever waits there is woken.
    fn call_main(&mut self) {
        self.main.called();
    }

    /// A slot is READY: one of those that sleep is woken. Which one makes no difference: they are alike.
    fn wake_worker(&mut self) {
        if let Some(w) = self.workers.iter_mut().find(|w| w.pc == worker::Pc::Asleep) {
            w.pc = worker::Pc::Awake;
        }
    }

    fn job_in_hand(&self, slot: usize) -> usize {
        let s = &self.slots[slot];
        usize::from(s.jobs[usize::from(s.progress.done)]).wrapping_sub(1)
    }
}

impl Model for Bundles {
    type State = State;

    fn init(&self) -> State {
        let mut slots = [Slot::default(); SLOTS];
        slots[0].is = Is::Ready;
        slots[0].progress.limit = self.jobs;
        slots[0].items = self.jobs;
        (0..self.jobs).for_each(|j| slots[0].jobs[usize::from(j)] = j + 1);
        State {
            slots,
            jobs: [Job::default(); JOBS],
            workers: [worker::Worker::default(); WORKERS],
            main: parent::Main::default(),
            other: parent::Other::default(),
            supervisor: recovery::Supervisor::default(),
            mutex: 0,
            impatient: false,
            idle: 0,
            crashes: self.crashes,
            error: 0,
        }
    }

    fn next(&self, s: &State, out: &mut Vec<Step<State>>) {
        (0..WORKERS).for_each(|i| self.worker(s, i, out));
        self.main(s, out);
        self.other(s, out);
        self.supervisor(s, out);
    }

    fn broken(&self, s: &State) -> Option<&'static str> {
        s.error.checked_sub(1).map(|at| WHY[usize::from(at)])
    }

    fn quiet(&self, s: &State) -> bool {
        let over = |j: usize| s.jobs[j].outcome != Outcome::None || self.endless >> j & 1 == 1;
        let idle = |w: &worker::Worker| match w.pc {
            worker::Pc::Asleep => true,
            worker::Pc::Run => self.endless >> s.job_in_hand(usize::from(w.slot)) & 1 == 1,
            _ => false,
        };
        (0..usize::from(self.jobs)).all(over)
            && s.workers.iter().all(idle)
            && matches!(s.main.pc, parent::MainPc::Asleep | parent::MainPc::Over)
            && s.supervisor == recovery::Supervisor::default()
    }

    /// The two workers are alike.
    fn normal(&self, mut s: State) -> State {
        let owns = |name: u8| s.slots.iter().fold(0u8, |m, k| m << 1 | u8::from(k.owner == name));
        if (s.workers[0], owns(1)) > (s.workers[1], owns(2)) {
            s.workers.swap(0, 1);
            s.slots.iter_mut().filter(|k| k.owner > 0).for_each(|k| k.owner = 3 - k.owner);
        }
        s
    }
}
