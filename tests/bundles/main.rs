//! Deaths inside a pool's bundle, and the parent's hand in it meanwhile: three views of one region are the parent and two workers, in one process.
#![allow(missing_docs)] // A test has no reader but this file's.

mod arrays;
mod forged;

use gristmill::layout::{MIN_REGION, OutcomeKind, ResultHead, SlotHead, SlotWord, State};
use gristmill::lock::{Holder, RawLock};
use gristmill::ring::arena::Tag;
use gristmill::ring::bundle::{BeforeWaiting, Bundle, Left};
use gristmill::ring::channel::Popped;
use gristmill::ring::outcomes::{CancelledWhere, Fill};
use gristmill::ring::recovery::{self, Dead, Deaths, Report, Watch};
use gristmill::ring::{Channel, ChannelPlan, Kind, Plan, Region, Stop, WaitPolicy, event, frame};
use gristmill::sys::mapping::Mapping;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

const KILLED: u32 = 0x1_0009;
/// Bytes of the arena, in 16 units.
const ARENA: usize = 4096;

/// One region and its pool, whose jobs may cost two workers, as the parent and the workers 2 and 3 see it.
struct Scene {
    parent: Arc<Channel>,
    workers: [Channel; 2],
    /// Of slot 0's bundle.
    deaths: Deaths,
}

impl Scene {
    fn new() -> Scene {
        let mapping = Mapping::guarded(MIN_REGION).unwrap();
        let plan = Plan { arena: ARENA, participants: 4, channels: 1, wait: WaitPolicy::Adaptive };
        let region = Arc::new(Region::create(mapping.again().unwrap(), plan).unwrap());
        let plan =
            ChannelPlan { kind: Kind::Pool, slots: 4, payload: 64, result: 64, attempts: 2, type_hash: 0, counters_from: 0 };
        let parent = Channel::create(&region, 0, &plan).unwrap();
        let worker = |id| {
            let region = Arc::new(Region::attach(mapping.again().unwrap(), Holder::new(id, 1)).unwrap());
            region.enter(std::process::id(), 1);
            Channel::open(&region, 0).unwrap()
        };
        Scene { parent: Arc::new(parent), workers: [worker(2), worker(3)], deaths: Deaths::default() }
    }

    /// Publishes a bundle of so many jobs in slot 0; each is its number.
    fn publish(&self, items: u32) {
        let mut jobs = vec![];
        (0..items as u8).for_each(|job| frame::push(&mut jobs, OutcomeKind::Value, &[job]));
        self.deaths.clear();
        let filling = self.parent.fill(0, Fill { items, jobs: &jobs, room: 0, task: 0, fold: None, cancelled: 0 }).unwrap();
        self.parent.publish(&[filling]).unwrap();
    }

    /// Worker `who` (0 or 1) dies; `asked` is done when recovery asks why its job was condemned.
    fn dies(&self, who: u16, asked: impl FnMut()) -> SlotWord {
        self.recover(who, asked).unwrap();
        let word = self.parent.word(0);
        assert!(word.is(State::Ready), "{word:?}");
        word
    }

    fn recover(&self, who: u16, asked: impl FnMut()) -> Result<Report, Stop> {
        let dead = Dead { who: Holder::new(who + 2, 1), status: KILLED };
        let channels = [self.parent.clone()];
        recovery::recover(self.parent.region(), &channels, &mut vec![dead], &mut Reason(asked, &self.deaths))
    }

    /// Slot 0 and its result's head, as anybody who has the region mapped can write them.
    fn heads(&self) -> (&SlotHead, &ResultHead) {
        let d = self.parent.desc();
        let at = d.slots_offset.load(Relaxed) as usize;
        let base = self.parent.region().mapping().base();
        // SAFETY: the channel has been opened, so both lie in the mapping, which lives as long as the channel; all atomics.
        unsafe { (&*base.add(at).cast(), &*base.add(at + d.result_offset.load(Relaxed) as usize).cast()) }
    }

    /// The records of slot 0's outcomes, as kinds and bytes; blocks are freed.
    fn outcomes(&self) -> Vec<(OutcomeKind, Vec<u8>)> {
        let (word, progress, mut bytes) = (self.parent.word(0), self.parent.progress(0), vec![]);
        self.parent.copy_outcomes(0, 0, progress.length(), &mut bytes).unwrap();
        let mut at = 0;
        let mut one = || {
            let (record, next) = frame::read(&bytes, at).expect("a record for each job that is done");
            at = next;
            match record {
                frame::Record::Here(kind, bytes) => vec![(kind, bytes.to_vec())],
                frame::Record::Array(width, values) => {
                    values.chunks(width).map(|value| (OutcomeKind::Value, value.to_vec())).collect()
                }
                frame::Record::In { block, length } => {
                    let mut there = vec![];
                    self.parent.take_block(0, word, block, length, &mut there).unwrap();
                    match frame::read(&there, 0) {
                        Some((frame::Record::Here(kind, bytes), _)) => vec![(kind, bytes.to_vec())],
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        let mut outcomes = vec![];
        while outcomes.len() < progress.done() as usize {
            outcomes.extend(one());
        }
        assert_eq!((outcomes.len(), at), (progress.done() as usize, bytes.len()));
        outcomes
    }
}

/// Everybody else lives, and what is condemned is overdue.
struct Reason<'s, F>(F, &'s Deaths);

impl<F: FnMut()> Watch for Reason<'_, F> {
    fn dead(&mut self, _: u16) -> Option<Dead> {
        None
    }
    fn stuck(&mut self, _: u16) -> bool {
        false
    }
    fn knows(&mut self, _: u32, _: u32, _: u32) -> bool {
        true
    }
    fn death(&mut self, _: u32, _: u32, done: u32, in_hand: bool) -> Option<u32> {
        self.1.count(done, in_hand)
    }
    fn condemned(&mut self, _: u32, _: u32) -> OutcomeKind {
        (self.0)();
        OutcomeKind::TimedOut
    }
}

struct NoRoom;

impl BeforeWaiting for NoRoom {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        panic!("there is no room in the arena, and nobody will make any")
    }
}

fn start(worker: &Channel) -> SlotWord {
    let mut entries = VecDeque::new();
    worker.pop(1, &mut entries, &[]).unwrap();
    worker.start(entries.pop_front().expect("a bundle in the ring")).expect("nobody else starts it")
}

/// A worker's bundle, with what it needs.
fn with<R>(worker: &Channel, word: SlotWord, mut budget: u64, f: impl FnOnce(&mut Bundle<'_>) -> R) -> (R, Left) {
    let (mut memory, mut waiting) = (vec![], NoRoom);
    let mut bundle = Bundle::open(worker, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    let result = f(&mut bundle);
    (result, bundle.leave(0).unwrap())
}

/// Starts the bundle, finishes `done` jobs of it with their own bytes, begins the next one, and stops there.
fn stop_in_hand(worker: &Channel, done: usize) {
    let word = start(worker);
    let (mut memory, mut budget, mut waiting) = (vec![], 99, NoRoom);
    let mut bundle = Bundle::open(worker, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    for _ in 0..done {
        let job = bundle.next_job().unwrap().to_vec();
        bundle.finish(OutcomeKind::Value, &job);
    }
    bundle.next_job().expect("one more");
}

/// Runs all that is left; the numbers of the jobs that were run.
fn run_all(bundle: &mut Bundle<'_>) -> Vec<u8> {
    let mut ran = vec![];
    while let Some(job) = bundle.next_job().map(<[u8]>::to_vec) {
        bundle.finish(OutcomeKind::Value, &job);
        ran.extend(job);
    }
    ran
}

/// The story: a worker has taken an entry and not begun, so that another one is offered the same slot, and runs its bundle. Its outcomes have been taken and
/// the slot has another bundle by the time that the first one comes to its entry.
#[test]
fn an_old_entry_does_not_start_the_next_bundle_of_its_slot() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    scene.publish(1);
    let mut old = VecDeque::new();
    first.pop(1, &mut old, &[]).unwrap();
    scene.dies(2, || ());
    let (_, left) = with(second, start(second), 9, run_all);
    let Left::Finished(word) = left else { panic!("{left:?}") };
    second.deliver_done(&[(0, word)]).unwrap();
    scene.parent.free_slot(0, scene.parent.word(0));
    scene.publish(1);
    assert_eq!(first.start(old[0]), None);
    start(first);
}

/// The story: a worker finds the ring empty, and a bundle is published before it has counted itself as a sleeper. Nobody is woken.
#[test]
fn who_is_about_to_sleep_sees_that_something_was_published() {
    let scene = Scene::new();
    let Ok(Popped::Empty(seen)) = scene.workers[0].pop(1, &mut VecDeque::new(), &[]) else { panic!("there is nothing") };
    scene.publish(1);
    assert_ne!(event::look(&scene.parent.desc().jobs), seen);
}

fn died(workers: u32) -> (OutcomeKind, Vec<u8>) {
    (OutcomeKind::Died, [KILLED, workers].map(u32::to_le_bytes).concat())
}

/// The story: job 0 kills its first worker. The next one has started the bundle and not yet begun a job when the parent, which sees a worker
/// without work, takes jobs out of it. Were job 0 among them, it would stand in another slot as if it had cost nobody, and kill two more.
#[test]
fn a_job_that_has_cost_a_worker_is_not_moved_to_where_that_is_forgotten() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    scene.publish(3);
    stop_in_hand(first, 0);
    assert_eq!(scene.dies(0, || ()).attempt(), 1);
    let word = start(second);
    assert_eq!(scene.parent.cut_behind(0), 1..3);
    let (mut memory, mut budget, mut waiting) = (vec![], 99, NoRoom);
    let mut bundle = Bundle::open(second, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    assert_eq!(bundle.next_job(), Some(&[0][..]));
    assert_eq!(scene.dies(1, || ()).attempt(), 2);
    // It is over, and stays: nobody runs it, here or elsewhere.
    let word = start(first);
    assert!(scene.parent.cut_behind(0).is_empty());
    let (ran, left) = with(first, word, 99, run_all);
    assert!(ran.is_empty() && matches!(left, Left::Finished(_)), "{ran:?} {left:?}");
    assert_eq!(scene.outcomes(), [died(2)]);
}

/// The story: a worker has taken a block for a large result and is killed before the bundle's progress counts it. The bundle goes on in the
/// same use of its slot, so the block's tag names something that is in use; but nobody refers to the block. If it stayed, the same job's next
/// worker would wait for room for ever. The blocks of outcomes that do count stay as they are.
#[test]
fn a_block_that_died_with_its_worker_is_free_for_the_next_one() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    scene.publish(2);
    let word = start(first);
    let (mut memory, mut budget, mut waiting) = (vec![], 99, NoRoom);
    let mut bundle = Bundle::open(first, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    bundle.next_job().unwrap();
    bundle.finish(OutcomeKind::Value, &[7; 1000]);
    bundle.next_job().unwrap();
    let arena = first.region().arena(1);
    let me = first.region().me();
    assert!(arena.lock().try_lock(me).is_some());
    arena.allocate(2500, Tag::new(0, 0, word.generation()), 1).expect("12 of 16 units are free");
    // SAFETY: locked above, by this thread.
    unsafe { arena.lock().unlock(me) };
    assert_eq!(arena.used(), 14);
    scene.dies(0, || ());
    assert_eq!(arena.used(), 4);
    let ((), left) = with(second, start(second), 99, |bundle| {
        bundle.next_job().unwrap();
        bundle.finish(OutcomeKind::Value, &[8; 2500]);
    });
    assert!(matches!(left, Left::Finished(_)));
    assert_eq!(scene.outcomes(), [(OutcomeKind::Value, vec![7; 1000]), (OutcomeKind::Value, vec![8; 2500])]);
    assert_eq!(arena.used(), 0);
}

/// The story: a worker that has been condemned dies, and while recovery asks for the reason, another thread of the parent takes the jobs that
/// have not been begun. What it has been told is its own must not be run here as well.
#[test]
fn what_is_cut_while_a_death_is_repaired_stays_cut() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    scene.publish(4);
    stop_in_hand(first, 1);
    assert!(scene.parent.condemn(0, 1));
    let mut cut = None;
    scene.dies(0, || cut = cut.take().or_else(|| Some(scene.parent.cut_behind(0))));
    assert_eq!(cut, Some(2..4));
    let (ran, left) = with(second, start(second), 99, run_all);
    assert!(ran.is_empty() && matches!(left, Left::Finished(_)), "{ran:?} {left:?}");
    let value = (OutcomeKind::Value, vec![0]);
    assert_eq!(scene.outcomes(), [value, (OutcomeKind::TimedOut, vec![])]);
}

/// A worker dies at each step of a bundle of four jobs, of which it has done some; then another one does.
#[test]
fn a_death_costs_the_job_in_hand_an_attempt_and_nothing_else() {
    for done in 0..4 {
        let scene = Scene::new();
        let [first, second] = &scene.workers;
        scene.publish(4);
        // Before anything has been begun.
        start(first);
        assert_eq!(scene.dies(0, || ()).attempt(), 0);
        stop_in_hand(first, done);
        assert_eq!(scene.dies(0, || ()).attempt(), 1, "{done} done");
        assert_eq!(scene.parent.progress(0).done() as usize, done);
        // The next one dies in the next job, which has cost nobody before.
        if done < 3 {
            stop_in_hand(second, 1);
            assert_eq!(scene.dies(1, || ()).attempt(), 1, "{done} done");
        }
        let (ran, left) = with(first, start(first), 99, run_all);
        let from = if done < 3 { done + 1 } else { done };
        assert_eq!(ran, (from as u8..4).collect::<Vec<_>>());
        assert!(matches!(left, Left::Finished(_)));
        assert_eq!(scene.outcomes(), [0, 1, 2, 3].map(|n| (OutcomeKind::Value, vec![n])));
    }
}

/// The story: a worker may run two jobs more, does, and puts the rest of its bundle back. Its successor dies in the third job: that is the
/// first death of that job, whatever happened before. The second one ends it, and the worker that writes this down dies while it does.
#[test]
fn a_rest_that_was_put_back_keeps_its_outcomes_through_deaths() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    scene.publish(4);
    stop_in_hand(first, 0);
    assert_eq!(scene.dies(0, || ()).attempt(), 1);
    let word = start(first);
    let (ran, left) = with(first, word, 2, run_all);
    assert_eq!((ran, left), (vec![0, 1], Left::Rest));
    first.put_rest_back(0, word).unwrap();
    stop_in_hand(second, 0);
    assert_eq!(scene.dies(1, || ()).attempt(), 1);
    stop_in_hand(second, 0);
    assert_eq!(scene.dies(1, || ()).attempt(), 2);
    // It begins the job that is over, writes its outcome, and begins the last one with the same step.
    stop_in_hand(first, 0);
    assert_eq!(scene.parent.progress(0).done(), 3);
    assert_eq!(scene.dies(0, || ()).attempt(), 1);
    let (ran, left) = with(second, start(second), 99, run_all);
    assert!(ran == [3] && matches!(left, Left::Finished(_)), "{ran:?} {left:?}");
    let value = |n| (OutcomeKind::Value, vec![n]);
    assert_eq!(scene.outcomes(), [value(0), value(1), died(2), value(3)]);
}

/// Repeats a race between a worker that runs a bundle of `items` jobs and what the parent does with it; then compares.
fn race<P: Send>(items: u32, parent: impl Fn(&Channel) -> P + Sync, compare: impl Fn(P, Vec<u8>, Left, &Scene)) {
    let scene = Scene::new();
    let worker = &scene.workers[0];
    for round in 0..3000 {
        scene.publish(items);
        let word = start(worker);
        let barrier = std::sync::Barrier::new(2);
        let ((ran, left), told) = std::thread::scope(|scope| {
            let told = scope.spawn(|| {
                barrier.wait();
                (0..round % 50).for_each(|_| std::hint::spin_loop());
                parent(&scene.parent)
            });
            barrier.wait();
            (with(worker, word, 99, run_all), told.join().unwrap())
        });
        compare(told, ran, left, &scene);
        scene.parent.free_slot(0, scene.parent.word(0));
    }
}

#[test]
fn each_job_is_run_here_or_given_away_and_never_both() {
    let given = std::cell::Cell::new(0);
    race(
        8,
        |parent| parent.cut_behind(0),
        |cut, ran, left, _| {
            let kept = if cut.is_empty() { 8 } else { cut.start as u8 };
            given.set(given.get() + cut.len());
            assert_eq!(ran, (0..kept).collect::<Vec<_>>(), "cut {cut:?}");
            assert!(matches!(left, Left::Finished(_)));
        },
    );
    assert!(given.get() > 0);
}

#[test]
fn a_job_is_finished_or_condemned_and_never_both() {
    race(
        3,
        |parent| parent.condemn(0, 1),
        |condemned, ran, left, scene| {
            assert_eq!(condemned, left == Left::Condemned);
            assert_eq!(scene.parent.progress(0).done(), if condemned { 1 } else { 3 });
            assert!(condemned || ran == [0, 1, 2]);
        },
    );
}

#[test]
fn a_cancelled_job_that_was_waiting_is_not_run() {
    race(
        3,
        |parent| parent.cancel_one(0, 1, true),
        |cancelled, ran, left, scene| match cancelled {
            CancelledWhere::Waiting => {
                assert_eq!((ran, scene.outcomes()[1].0), (vec![0, 2], OutcomeKind::Cancelled));
            }
            CancelledWhere::Running => assert_eq!(left, Left::Condemned),
            CancelledWhere::Over => assert_eq!(scene.parent.progress(0).done(), 3),
        },
    );
}
