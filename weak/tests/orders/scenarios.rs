//! Small programs over the engine's own rings, locks, slots and events, each with its promise. One word of the description is what must hold; the machine
//! adds that nobody sleeps for ever and no payload is read while it may be written.

use crate::machine::{Body, Site, Weakened, run};
use crate::queues;
use gristmill::layout::{MIN_REGION, OutcomeKind, SlotWord, State};
use gristmill::lock::{FutexLock, Holder, RawLock};
use gristmill::ring::bundle::{BeforeWaiting, Bundle, Left};
use gristmill::ring::channel::Popped;
use gristmill::ring::outcomes::{CancelledWhere, Fill};
use gristmill::ring::region::Condition;
use gristmill::ring::{Channel, ChannelPlan, Kind, Plan, Region, Stop, WaitPolicy, event, frame};
use gristmill::sys::atomic::{AtomicU32, plain_read, plain_write};
use gristmill::sys::futex;
use gristmill::sys::mapping::Mapping;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{self, *};

/// What one run of a scenario gives.
pub type Outcome = (Result<(), String>, BTreeMap<Site, Ordering>);

/// Runs it once, from a seed, with the access at a place made relaxed.
pub type Scenario = fn(u64, Option<Weakened>) -> Outcome;

/// All of them, by name.
pub const ALL: [(&str, Scenario); 17] = [
    ("lock", lock),
    ("pool", pool),
    ("pool_with_blocks", pool_with_blocks),
    ("numbers", numbers),
    ("numbers_in_parts", numbers_in_parts),
    ("cancel", cancel),
    ("cancel_the_first", cancel_the_first),
    ("cut", cut),
    ("impatience", impatience),
    ("behind_a_long_job", behind_a_long_job),
    ("kept_back", kept_back),
    ("stale_entry", stale_entry),
    ("queue", queues::queue),
    ("two_put", queues::two_put),
    ("full_behind_a_long_job", queues::full_behind_a_long_job),
    ("no_room_behind_a_long_job", queues::no_room_behind_a_long_job),
    ("shutdown", shutdown),
];

/// Three take a lock in turn, and change what it guards.
fn lock(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let shared: Rc<(FutexLock, Cell<u64>)> = Rc::new((FutexLock::new(), Cell::new(0)));
    let one = |who: u16| -> Body {
        let shared = shared.clone();
        Box::new(move || {
            for _ in 0..2 {
                let me = Holder::new(who + 1, 1);
                shared.0.lock(me);
                let at = shared.1.as_ptr().cast::<u8>();
                plain_read(at, 8);
                plain_write(at, 8);
                shared.1.set(shared.1.get() + 1);
                // SAFETY: locked above, by this thread.
                unsafe { shared.0.unlock(me) };
            }
        })
    };
    let (result, sites) = run(seed, weakened, vec![], (0..3).map(one).collect());
    let result = result.and_then(|()| if shared.1.get() == 6 { Ok(()) } else { Err("two had the lock at a time".into()) });
    (result, sites)
}

/// One region as the parent and two workers map it.
pub struct Views {
    pub parent: Rc<Channel>,
    pub workers: [Rc<Channel>; 2],
    mappings: Vec<(usize, usize)>,
}

impl Views {
    pub fn new(kind: Kind, slots: u32, payload: usize) -> Views {
        let mapping = Mapping::anonymous(MIN_REGION).unwrap();
        let again = || Mapping::from_fd(mapping.fd().try_clone_to_owned().unwrap()).unwrap();
        let plan = Plan { arena: 4096, participants: 4, channels: 1, wait: WaitPolicy::Block };
        let region = Arc::new(Region::create(again(), plan).unwrap());
        region.header().workers.store(2, Relaxed);
        let plan = ChannelPlan { kind, slots, payload, result: 64, attempts: 2, type_hash: 0, counters_from: u32::MAX - 2 };
        let parent = Channel::create(&region, 0, &plan).unwrap();
        let worker = |id| {
            let region = Arc::new(Region::attach(again(), Holder::new(id, 1)).unwrap());
            region.enter(std::process::id(), 1);
            Channel::open(&region, 0).unwrap()
        };
        let workers = [worker(2), worker(3)];
        let place = |c: &Channel| (c.region().mapping().base() as usize, MIN_REGION);
        let mappings = vec![place(&parent), place(&workers[0]), place(&workers[1])];
        Views { parent: Rc::new(parent), workers: workers.map(Rc::new), mappings }
    }

    pub fn run(self, seed: u64, weakened: Option<Weakened>, bodies: Vec<Body>) -> Outcome {
        run(seed, weakened, self.mappings, bodies)
    }
}

/// Publishes a bundle of jobs in a slot of the parent's; each is a number, as so many bytes.
fn publish(parent: &Channel, slot: u32, jobs: &[u8], width: usize) {
    let mut records = vec![];
    jobs.iter().for_each(|job| frame::push(&mut records, OutcomeKind::Value, &vec![*job; width]));
    let fill = Fill { items: jobs.len() as u32, jobs: &records, room: 0, task: 0, fold: None, cancelled: 0 };
    parent.publish(&[parent.fill(slot, fill).unwrap()]).unwrap();
}

struct Deliver<'a>(&'a Channel, Vec<(u32, SlotWord)>);

impl BeforeWaiting for Deliver<'_> {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        let finished = std::mem::take(&mut self.1);
        if finished.is_empty() { Ok(()) } else { self.0.deliver_done(&finished) }
    }
}

/// A pool's worker until the region ends: `run` is called for each bundle.
fn serve(channel: &Channel, mut run: impl FnMut(&mut Bundle<'_>)) {
    let (mut entries, mut memory) = (VecDeque::new(), vec![]);
    let mut finished = Deliver(channel, vec![]);
    loop {
        match channel.pop(4, &mut entries, &[]) {
            Ok(Popped::Some(_)) => {}
            Ok(Popped::Empty(seen)) => {
                if finished.before_waiting().is_err() || channel.check().is_err() {
                    return;
                }
                event::wait(channel.region(), &channel.desc().jobs, seen, None, || {
                    channel.ask_for_jobs();
                    false
                });
                continue;
            }
            Err(_) => return,
        }
        while let Some(entry) = entries.pop_front() {
            let Some(word) = channel.start(entry) else { continue };
            channel.runs(Some(entry.slot));
            let mut budget = 100;
            let mut bundle = Bundle::open(channel, entry.slot, word, &mut memory, &mut budget, &mut finished).unwrap();
            run(&mut bundle);
            let Ok(Left::Finished(word)) = bundle.leave(0) else { panic!("a bundle that cannot be left") };
            channel.runs(None);
            finished.1.push((entry.slot, word));
            if channel.somebody_waits() && finished.before_waiting().is_err() {
                return;
            }
        }
    }
}

/// Runs each job: the value has the job's bytes twice.
fn twice(bundle: &mut Bundle<'_>) {
    while let Some(job) = bundle.next_job().map(|job| [job, job].concat()) {
        bundle.finish(OutcomeKind::Value, &job);
    }
}

/// Waits for the next bundle that is done; its slot and outcomes.
fn collect(parent: &Channel) -> (u32, Vec<Vec<u8>>) {
    let mut entries = vec![];
    loop {
        let (n, seen) = parent.pop_results(1, &mut entries).unwrap();
        if n == 0 {
            event::wait(parent.region(), &parent.desc().done, seen.unwrap(), None, || parent.help());
            continue;
        }
        let slot = entries[0].slot;
        let word = parent.word(slot);
        assert!(word.is(State::Done) && word.generation() == entries[0].generation, "{word:?}");
        let progress = parent.progress(slot);
        let outcomes = outcomes(parent, slot, word, progress.done(), progress.length());
        parent.free_slot(slot, word);
        return (slot, outcomes);
    }
}

fn outcomes(parent: &Channel, slot: u32, word: SlotWord, jobs: u32, length: u32) -> Vec<Vec<u8>> {
    let mut bytes = vec![];
    parent.copy_outcomes(slot, 0, length, &mut bytes).unwrap();
    let (mut at, mut values) = (0, vec![]);
    while values.len() < jobs as usize {
        let (record, next) = frame::read(&bytes, at).expect("a record for each job");
        at = next;
        match record {
            frame::Record::Here(OutcomeKind::Cancelled, _) => values.push(vec![]),
            frame::Record::Here(_, value) => values.push(value.to_vec()),
            frame::Record::Array(width, all) => values.extend(all.chunks(width).map(<[u8]>::to_vec)),
            frame::Record::In { block, length } => {
                let mut there = vec![];
                parent.take_block(slot, word, block, length, &mut there).unwrap();
                let Some((frame::Record::Here(_, value), _)) = frame::read(&there, 0) else { panic!("no record in a block") };
                values.push(value.to_vec());
            }
        }
    }
    values
}

pub fn end(parent: &Channel) {
    parent.region().condemn(Condition::Shutdown);
    parent.wake_everybody();
}

/// Bundles through two slots that are used again, and two workers.
fn through_a_pool(seed: u64, weakened: Option<Weakened>, width: usize) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let parent = views.parent.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[1, 2], width);
        publish(&parent, 1, &[3], width);
        let mut got = vec![];
        let (slot, some) = collect(&parent);
        got.extend(some);
        publish(&parent, slot, &[4], width);
        got.extend(collect(&parent).1);
        got.extend(collect(&parent).1);
        got.sort();
        assert_eq!(got, (1..5u8).map(|n| vec![n; 2 * width]).collect::<Vec<_>>());
        assert_eq!(parent.pending(), 0);
        end(&parent);
    });
    let worker = |n: usize| -> Body {
        let worker = views.workers[n].clone();
        Box::new(move || serve(&worker, twice))
    };
    let bodies = vec![main, worker(0), worker(1)];
    views.run(seed, weakened, bodies)
}

fn pool(seed: u64, weakened: Option<Weakened>) -> Outcome {
    through_a_pool(seed, weakened, 3)
}

/// Jobs and results do not fit their slots.
fn pool_with_blocks(seed: u64, weakened: Option<Weakened>) -> Outcome {
    through_a_pool(seed, weakened, 100)
}

/// Runs numbers of a byte, several at once where that goes.
fn double(bundle: &mut Bundle<'_>) {
    let double = |job: &[u8], write: &mut dyn FnMut(&[u8])| {
        write(&[2 * job[0]]);
        Ok::<(), ()>(())
    };
    while bundle.step(1, 1, double).unwrap() {}
    while let Some(job) = bundle.next_job().map(|job| job[0]) {
        bundle.finish(OutcomeKind::Value, &[2 * job]);
    }
}

/// An array of numbers with room behind it, begun several at once.
fn numbers(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let parent = views.parent.clone();
    let main: Body = Box::new(move || {
        for slot in 0..2 {
            let jobs = [&frame::array(1, 7)[..], &[1, 2, 3, 4, 5, 6, 7]].concat();
            let fill = Fill { items: 7, jobs: &jobs, room: 70, task: 0, fold: None, cancelled: 0 };
            parent.publish(&[parent.fill(slot, fill).unwrap()]).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(collect(&parent).1, (1..8u8).map(|n| vec![2 * n]).collect::<Vec<_>>());
        }
        end(&parent);
    });
    let worker = |n: usize| -> Body {
        let worker = views.workers[n].clone();
        Box::new(move || serve(&worker, double))
    };
    let bodies = vec![main, worker(0), worker(1)];
    views.run(seed, weakened, bodies)
}

fn cancel(seed: u64, weakened: Option<Weakened>) -> Outcome {
    cancelled(seed, weakened, 1)
}

fn cancel_the_first(seed: u64, weakened: Option<Weakened>) -> Outcome {
    cancelled(seed, weakened, 0)
}

/// A job that waits is cancelled: it is not run, or the caller knows that it may have been.
fn cancelled(seed: u64, weakened: Option<Weakened>, index: u32) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let ran = Rc::new(RefCell::new(vec![]));
    let runs = ran.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[0, 1], 1);
        let cancelled = parent.cancel_one(0, index, false);
        let outcomes = collect(&parent).1;
        match cancelled {
            CancelledWhere::Waiting => {
                assert!(!ran.borrow().contains(&(index as u8)) && outcomes[index as usize].is_empty(), "it was run");
            }
            CancelledWhere::Over => {}
            CancelledWhere::Running => panic!("that was not asked for"),
        }
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, |bundle| note(bundle, &runs)));
    views.run(seed, weakened, vec![main, work])
}

/// Runs each job and notes that.
fn note(bundle: &mut Bundle<'_>, runs: &RefCell<Vec<u8>>) {
    while let Some(job) = bundle.next_job().map(<[u8]>::to_vec) {
        runs.borrow_mut().extend(&job);
        bundle.finish(OutcomeKind::Value, &job);
    }
}

/// The parent takes jobs back: each is run here or given back, and never both.
fn cut(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let ran = Rc::new(RefCell::new(vec![]));
    let runs = ran.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[0, 1, 2], 1);
        let rest = parent.cut(0);
        let outcomes = collect(&parent).1;
        let expected: Vec<u8> = (0..rest.start as u8).collect();
        assert_eq!((&*ran.borrow(), outcomes.concat()), (&expected, expected.clone()), "{rest:?} was given back");
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, |bundle| note(bundle, &runs)));
    views.run(seed, weakened, vec![main, work])
}

/// What one thread waits for and another opens.
#[derive(Clone, Default)]
pub struct Gate(Rc<AtomicU32>);

impl Gate {
    pub fn open(&self) {
        self.0.store(1, Release);
        futex::wake_all(&self.0);
    }

    pub fn pass(&self) {
        while self.0.load(Acquire) == 0 {
            futex::wait(&self.0, 0, None);
        }
    }
}

/// Runs each job, number 2 not before the gate is open.
fn second_waits(bundle: &mut Bundle<'_>, gate: &Gate) {
    while let Some(job) = bundle.next_job().map(<[u8]>::to_vec) {
        if job == [2] {
            gate.pass();
        }
        bundle.finish(OutcomeKind::Value, &job);
    }
}

/// Waits as `wait_until` in pool/engine.rs does for single outcomes: what is seen first is what is slept on.
fn collect_part(parent: &Channel, jobs: u32) -> Vec<Vec<u8>> {
    let d = parent.desc();
    loop {
        let seen = event::look(&d.done);
        d.impatient.store(1, SeqCst);
        let progress = parent.progress(0);
        if progress.done() >= jobs {
            return outcomes(parent, 0, parent.word(0), progress.done(), progress.length());
        }
        event::wait(parent.region(), &d.done, seen, None, || parent.help());
    }
}

/// The second job of a bundle goes on until the parent has the first one's outcome.
fn impatience(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let gate = Gate::default();
    let opened = gate.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[1, 2], 1);
        assert_eq!(collect_part(&parent, 1), [vec![1]]);
        opened.open();
        assert_eq!(collect(&parent).1, [vec![1], vec![2]]);
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, |bundle| second_waits(bundle, &gate)));
    views.run(seed, weakened, vec![main, work])
}

/// The parent takes what steps through an array have given so far.
fn numbers_in_parts(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let main: Body = Box::new(move || {
        let jobs = [&frame::array(1, 9)[..], &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
        let fill = Fill { items: 9, jobs: &jobs, room: 90, task: 0, fold: None, cancelled: 0 };
        parent.publish(&[parent.fill(0, fill).unwrap()]).unwrap();
        let part = collect_part(&parent, 1);
        assert_eq!(part, (0..part.len() as u8).map(|n| vec![2 * n]).collect::<Vec<_>>());
        assert_eq!(collect(&parent).1, (0..9u8).map(|n| vec![2 * n]).collect::<Vec<_>>());
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, double));
    views.run(seed, weakened, vec![main, work])
}

/// A bundle is done, and its worker runs another one that goes on until the first one has been collected.
fn behind_a_long_job(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let gate = Gate::default();
    let opened = gate.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[1], 1);
        publish(&parent, 1, &[2], 1);
        assert_eq!(collect(&parent).1, [vec![1]]);
        opened.open();
        assert_eq!(collect(&parent).1, [vec![2]]);
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, |bundle| second_waits(bundle, &gate)));
    views.run(seed, weakened, vec![main, work])
}

/// The parent keeps a job back unless a worker is idle, and sleeps until one asks: `submit` in pool/engine.rs, and the pool's assistant.
fn kept_back(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    let main: Body = Box::new(move || {
        let d = parent.desc();
        let seen = event::look(&d.assist);
        d.held.store(1, SeqCst);
        if d.wanted.load(SeqCst) == 0 && d.jobs.sleepers.load(SeqCst) == 0 {
            event::wait(parent.region(), &d.assist, seen, None, || false);
        }
        d.held.store(0, Relaxed);
        publish(&parent, 0, &[1], 1);
        assert_eq!(collect(&parent).1, [vec![1, 1]]);
        end(&parent);
    });
    let work: Body = Box::new(move || serve(&worker, twice));
    views.run(seed, weakened, vec![main, work])
}

/// An entry that was popped long ago names a bundle that has been begun by another worker, which may run no more and has put the rest back.
fn stale_entry(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let (parent, first, second) = (views.parent.clone(), views.workers[0].clone(), views.workers[1].clone());
    let entry = Rc::new(Cell::new(None));
    let old = entry.clone();
    let main: Body = Box::new(move || {
        publish(&parent, 0, &[1, 2], 1);
        assert_eq!(collect(&parent).1, [vec![1, 1], vec![2, 2]]);
        end(&parent);
    });
    let one: Body = Box::new(move || {
        let mut entries = VecDeque::new();
        while let Ok(Popped::Empty(seen)) = first.pop(1, &mut entries, &[]) {
            event::wait(first.region(), &first.desc().jobs, seen, None, || false);
        }
        let popped = entries[0];
        let word = first.start(popped).unwrap();
        entry.set(Some(popped));
        let (mut memory, mut budget, mut nobody) = (vec![], 1, Deliver(&first, vec![]));
        let mut bundle = Bundle::open(&first, 0, word, &mut memory, &mut budget, &mut nobody).unwrap();
        twice(&mut bundle);
        assert!(matches!(bundle.leave(0), Ok(Left::Rest)));
        first.put_rest_back(0, word).unwrap();
    });
    let two: Body = Box::new(move || {
        let word = loop {
            // The start itself is what is tested: nothing else has told this thread of the other.
            if let Some(word) = old.get().and_then(|entry| second.start(entry)) {
                break word;
            }
            if second.check().is_err() {
                return;
            }
        };
        let (mut memory, mut budget, mut nobody) = (vec![], 9, Deliver(&second, vec![]));
        let mut bundle = Bundle::open(&second, 0, word, &mut memory, &mut budget, &mut nobody).unwrap();
        twice(&mut bundle);
        let Ok(Left::Finished(word)) = bundle.leave(0) else { panic!("a bundle that cannot be left") };
        // Who waits may have delivered it already, and ended the region.
        let _ = second.deliver_done(&[(0, word)]);
    });
    views.run(seed, weakened, vec![main, one, two])
}

/// The end of the region reaches those who are about to sleep.
fn shutdown(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Pool, 2, 24);
    let parent = views.parent.clone();
    let worker = |n: usize| -> Body {
        let worker = views.workers[n].clone();
        Box::new(move || serve(&worker, twice))
    };
    let bodies = vec![Box::new(move || end(&parent)) as Body, worker(0), worker(1)];
    views.run(seed, weakened, bodies)
}
