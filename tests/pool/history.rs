//! What a job has cost stays with it, whatever moves at the same time. No processes here: a region that this test attaches twice plays
//! parent and workers, step by step, so that each interleaving happens in every run.

use crate::support::tests;
use gristmill::lock::Holder;
use gristmill::ring::bundle::{BeforeWaiting, Bundle};
use gristmill::ring::frame::{self, Kind, Record};
use gristmill::ring::outcomes::Fill;
use gristmill::ring::recovery::{Dead, Deaths, Watch, recover};
use gristmill::ring::{self, Channel, ChannelPlan, Entry, Plan, Region, Stop, WaitPolicy};
use gristmill::sys::mapping::Mapping;
use std::collections::VecDeque;
use std::sync::Arc;

struct Nobody;

impl BeforeWaiting for Nobody {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}

/// The supervisor's answers; `meanwhile` happens while it decides about a job that was condemned.
struct Answers<'a> {
    meanwhile: &'a mut dyn FnMut(),
    deaths: &'a Deaths,
}

impl Watch for Answers<'_> {
    fn dead(&mut self, _: u16) -> Option<Dead> {
        None
    }
    fn stuck(&mut self, id: u16) -> bool {
        panic!("participant {id} holds a lock");
    }
    fn knows(&mut self, _: u32, _: u32, _: u32) -> bool {
        true
    }
    fn death(&mut self, _: u32, _: u32, done: u32, in_hand: bool) -> Option<u32> {
        self.deaths.count(done, in_hand)
    }
    fn condemned(&mut self, _: u32, _: u32) -> Kind {
        (self.meanwhile)();
        Kind::TimedOut
    }
}

struct Stage {
    parent: Arc<Channel>,
    workers: Vec<Arc<Channel>>,
    deaths: Deaths,
}

const SLOT: u32 = 3;
const JOBS: u32 = 5;

impl Stage {
    /// A bundle of five jobs, published, and three workers.
    fn new(attempts: u32) -> Stage {
        let plan = Plan { arena: 64 << 10, participants: 8, channels: 2, wait: WaitPolicy::Block };
        let region = Region::create(Mapping::anonymous(1 << 20).unwrap(), plan).unwrap();
        let attach = |id| {
            let mapping = Mapping::from_fd(region.mapping().fd().try_clone_to_owned().unwrap()).unwrap();
            let region = Region::attach(mapping, Holder::new(id, 1)).unwrap();
            region.enter(std::process::id(), 1);
            Arc::new(region)
        };
        let workers: Vec<_> = (2..5).map(attach).collect();
        let region = Arc::new(region);
        let plan = ChannelPlan {
            kind: ring::Kind::Pool,
            slots: 8,
            payload: 512,
            result: 512,
            attempts,
            type_hash: 0,
            counters_from: 0,
        };
        let parent = Arc::new(Channel::create(&region, 0, &plan).unwrap());
        let workers = workers.iter().map(|region| Arc::new(Channel::open(region, 0).unwrap())).collect();
        let mut jobs = vec![];
        (0..JOBS).for_each(|n| frame::push(&mut jobs, Kind::Value, &[n as u8]));
        let filled = parent.fill(SLOT, Fill { items: JOBS, jobs: &jobs, room: 0, task: 0, fold: None, cancelled: 0 }).unwrap();
        parent.publish(&[filled]).unwrap();
        Stage { parent, workers, deaths: Deaths::default() }
    }

    /// A worker takes the bundle, ends `done` jobs, and stops with the next one in hand; which one that is.
    fn runs(&self, worker: usize, done: u32) -> Option<u8> {
        let channel = &self.workers[worker];
        let mut popped = VecDeque::new();
        channel.pop(1, &mut popped, &[]).unwrap();
        let word = channel.start(popped.pop_front()?)?;
        self.opened(worker, word, done)
    }

    fn starts(&self, worker: usize) -> gristmill::layout::SlotWord {
        let mut popped: VecDeque<Entry> = VecDeque::new();
        self.workers[worker].pop(1, &mut popped, &[]).unwrap();
        self.workers[worker].start(popped[0]).unwrap()
    }

    fn opened(&self, worker: usize, word: gristmill::layout::SlotWord, done: u32) -> Option<u8> {
        let (mut jobs, mut budget, mut nobody) = (vec![], u64::MAX, Nobody);
        let mut bundle = Bundle::open(&self.workers[worker], SLOT, word, &mut jobs, &mut budget, &mut nobody).unwrap();
        for _ in 0..done {
            bundle.next_job()?;
            bundle.finish(Kind::Value, b"done");
        }
        bundle.next_job().map(|job| job[0])
    }

    fn dies(&self, worker: usize, meanwhile: &mut dyn FnMut()) {
        let who = self.workers[worker].region().me();
        let mut dead = vec![Dead { who, status: 0x1_0000 + 9 }];
        let region = self.parent.region();
        recover(region, std::slice::from_ref(&self.parent), &mut dead, &mut Answers { meanwhile, deaths: &self.deaths })
            .unwrap();
    }

    fn outcomes(&self) -> Vec<Kind> {
        let mut bytes = vec![];
        self.parent.copy_outcomes(SLOT, 0, self.parent.progress(SLOT).length(), &mut bytes).unwrap();
        let (mut at, mut kinds) = (0, vec![]);
        while let Some((Record::Here(kind, _), next)) = frame::read(&bytes, at) {
            kinds.push(kind);
            at = next;
        }
        kinds
    }
}

/// Recovery has looked at the bundle and is about to write; then the parent gives the jobs behind to another worker. They must not come
/// back to this slot: they would be run twice.
fn a_rest_that_is_given_away_during_recovery_does_not_come_back() {
    let stage = Stage::new(1);
    assert_eq!(stage.runs(0, 1), Some(1));
    assert!(stage.parent.condemn(SLOT, 1));
    let mut given = 0..0;
    stage.dies(0, &mut || {
        // Asked again after the first, since the word has changed.
        if given.is_empty() {
            given = stage.parent.cut_behind(SLOT);
        }
    });
    assert_eq!(given, 2..5);
    assert_eq!(stage.runs(1, 0), None, "the next worker has nothing to run");
    assert_eq!(stage.parent.progress(SLOT).done(), 2);
    assert_eq!(stage.outcomes(), [Kind::Value, Kind::TimedOut]);
}

/// Its worker died, it may not run again, and another worker is about to write that down. The parent gives the rest away at that moment: not
/// this job, whose end would be forgotten.
fn a_job_that_is_over_is_not_given_away_to_be_run_again() {
    let stage = Stage::new(1);
    assert_eq!(stage.runs(0, 1), Some(1));
    stage.dies(0, &mut || {});
    let word = stage.starts(1);
    assert_eq!(stage.parent.cut_behind(SLOT), 2..5, "job 1 stays");
    assert_eq!(stage.opened(1, word, 0), None);
    assert_eq!(stage.outcomes(), [Kind::Value, Kind::Died]);
}

fn a_job_that_has_cost_a_worker_keeps_its_count() {
    let stage = Stage::new(2);
    for worker in 0..2 {
        assert_eq!(stage.runs(worker, 0), Some(0), "it may run twice");
        stage.dies(worker, &mut || {});
        if worker == 0 {
            assert!(stage.parent.word(SLOT).attempt() == 1);
        }
    }
    let word = stage.starts(2);
    assert_eq!(stage.parent.cut_behind(SLOT), 1..5);
    assert_eq!(stage.opened(2, word, 0), None, "and not a third time");
    assert_eq!(stage.outcomes(), [Kind::Died]);
}

fn the_count_is_of_one_job_and_not_of_its_bundle() {
    let stage = Stage::new(2);
    assert_eq!(stage.runs(0, 0), Some(0));
    stage.dies(0, &mut || {});
    // The second run of job 0 succeeds; job 1 kills that worker.
    assert_eq!(stage.runs(1, 1), Some(1));
    stage.dies(1, &mut || {});
    assert_eq!(stage.runs(2, 0), Some(1), "it is its first death");
    assert_eq!(stage.outcomes(), [Kind::Value]);
}

tests![
    a_rest_that_is_given_away_during_recovery_does_not_come_back,
    a_job_that_is_over_is_not_given_away_to_be_run_again,
    a_job_that_has_cost_a_worker_keeps_its_count,
    the_count_is_of_one_job_and_not_of_its_bundle,
];
