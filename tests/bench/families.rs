//! Contenders of other families in small shapes: shared memory, threads, and the engine itself.

use gristmill::bench::attempt::{Limits, attempt};
use gristmill::bench::contender::{Contender, Family, Info, Opened, Pattern, Queue, Receiver, Result, Sender, Shape};
use gristmill::bench::contenders;
use gristmill::bench::control::{Address, Control};
use gristmill::bench::isolate::{Ended, isolated};
use gristmill::bench::kill::{Fate, SHORT};
use gristmill::bench::turn::{Aim, Lengths, play};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits { ready: LIMIT, over: LIMIT };

pub fn shape(payload: usize, producers: usize, consumers: usize, batch: usize) -> Shape {
    Shape { pattern: Pattern::OneWay, payload, producers, consumers, batch, capacity: 8, work: 0 }
}

/// Those that have any part in queues.
fn contenders(family: Family) -> Vec<Box<dyn Contender>> {
    let mut all = contenders::all();
    all.retain(|contender| contender.info().family == family && contender.is_about(Pattern::OneWay));
    all
}

fn plays(contender: &dyn Contender, shape: &Shape) {
    let name = contender.info().name;
    match isolated(LIMIT, &|| false, || play(contender, shape, &Lengths::shortest(), Aim::Throughput)) {
        Ok(Ended::Value(turn)) => assert!(turn.jobs > 0 && turn.wall > 0 && turn.memory > 0, "{name}, {shape}: {turn:?}"),
        Ok(Ended::Failed(why) | Ended::Died(why)) => panic!("{name}, {shape}: {why}"),
        _ => panic!("{name}, {shape}: hangs"),
    }
}

pub fn memory_threads_and_the_engine_hand_over_everything_in_small_shapes() {
    for (family, least) in [(Family::Memory, 8), (Family::Threads, 4), (Family::Engine, 3)] {
        let contenders = contenders(family);
        assert!(contenders.len() >= least, "{family:?}");
        for contender in contenders {
            let mut shapes = vec![Shape { pattern: Pattern::Calls, ..shape(64, 1, 2, 1) }];
            // A size that is a value everywhere, and one that needs a box; batches that fit and that do not.
            shapes.extend([shape(64, 2, 2, 1), shape(64, 1, 2, 16), shape(40, 2, 1, 3)]);
            if family == Family::Engine {
                // As much as a full run has in a queue at most: there must be room for that.
                shapes.extend(
                    [(64 << 10, 1024), (1 << 20, 64)].map(|(size, capacity)| Shape { capacity, ..shape(size, 1, 2, 1) }),
                );
            }
            let takes: Vec<_> = shapes.into_iter().filter(|shape| contender.refuses(shape).is_none()).collect();
            assert!(!takes.is_empty(), "{} takes part in nothing", contender.info().name);
            takes.iter().for_each(|shape| plays(&*contender, shape));
        }
    }
}

pub fn the_engines_pool_has_all_jobs_worked_on_and_goes_on_when_a_worker_dies() {
    let pool = contenders::all().into_iter().find(|one| one.info().name == "gristmill-pool").unwrap();
    let calls = |payload, batch| Shape { pattern: Pattern::Calls, capacity: 64, ..shape(payload, 1, 2, batch) };
    for shape in [calls(64, 1), calls(8, 16), calls(40_000, 1), Shape { work: 10_000, ..calls(4096, 5) }] {
        plays(&*pool, &shape);
    }
    assert!(pool.refuses(&shape(64, 1, 2, 1)).is_some() && !pool.is_about(Pattern::OneWay), "it is no queue");
    // So late that who takes the first jobs for the rule is done by then.
    let fate = attempt(&*pool, &calls(64, 1), Duration::from_millis(25), SHORT, LIMITS, &|| false).unwrap();
    assert_eq!(fate, Some(Fate::GoesOn { lost: 0, again: 0 }));
}

pub fn the_engines_pool_has_started_when_all_its_workers_have() {
    let pool = contenders::all().into_iter().find(|one| one.info().name == "gristmill-pool").unwrap();
    let shape = Shape { pattern: Pattern::Calls, ..shape(64, 1, 2, 1) };
    // The kernel shows no mapping of the pool's memory in a worker that has not come to it.
    let is_there = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("memfd:"));
    let there = || match pool.open(&shape, &Control::create(0)?)? {
        Opened::Pool(pool) => Ok(pool.pids().iter().filter(|pid| is_there(pid)).count()),
        _ => Err("it is no pool".into()),
    };
    // One that is early is not each time so early that it does all the first jobs.
    match isolated(LIMIT, &|| false, || (0..20).map(|_| there()).collect::<Result<Vec<_>>>()).unwrap() {
        Ended::Value(there) => assert_eq!(there, [2; 20]),
        Ended::Failed(why) | Ended::Died(why) => panic!("{why}"),
        _ => panic!("hangs"),
    }
}

/// A contender whose workers take long to get ready.
struct Late(Box<dyn Contender>);

const LATE: Duration = Duration::from_millis(200);

impl Contender for Late {
    fn info(&self) -> Info {
        self.0.info()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        self.0.refuses(shape)
    }

    fn open(&self, shape: &Shape, control: &Control) -> Result<Opened> {
        match self.0.open(shape, control)? {
            // Results, of 8 bytes, go to the one who collects: that one is in time.
            Opened::Processes(queue) if shape.payload > 8 => {
                Ok(Opened::Processes(Box::new(LateQueue(queue, control.address()))))
            }
            opened => Ok(opened),
        }
    }
}

struct LateQueue(Box<dyn Queue>, Address);

impl Queue for LateQueue {
    fn sender(&self, producer: usize) -> Result<Box<dyn Sender + '_>> {
        self.0.sender(producer)
    }

    fn receiver(&self, consumer: usize) -> Result<Box<dyn Receiver + '_>> {
        std::thread::sleep(LATE);
        self.0.receiver(consumer)
    }

    /// What was sent before somebody asked.
    fn room(&self, _: usize) -> Option<usize> {
        Some(Control::open(&self.1).ok()?.seat(0).count.load(Relaxed) as usize)
    }
}

pub fn start_up_lasts_until_the_last_worker_is_ready() {
    let contender = contenders(Family::Kernel).into_iter().find(|one| one.info().name == "pipe-atomic").unwrap();
    let shape = Shape { pattern: Pattern::Calls, ..shape(64, 1, 2, 1) };
    match isolated(LIMIT, &|| false, || play(&Late(contender), &shape, &Lengths::shortest(), Aim::Throughput)).unwrap() {
        Ended::Value(turn) => {
            assert!(u128::from(turn.start_up) >= LATE.as_nanos(), "{turn:?}");
            assert!(turn.room >= Some(turn.jobs), "looking for the room is part of start-up, or of what is measured: {turn:?}");
        }
        Ended::Failed(why) | Ended::Died(why) => panic!("{why}"),
        _ => panic!("hangs"),
    }
}

pub fn the_engine_goes_on_when_a_consumer_dies_and_threads_have_none_to_kill() {
    let fate = |family| {
        let contender = contenders(family).remove(0);
        let shape = Shape { capacity: 64, ..shape(64, 2, 2, 1) };
        attempt(&*contender, &shape, Duration::from_millis(5), SHORT, LIMITS, &|| false).unwrap().unwrap()
    };
    let engine = fate(Family::Engine);
    assert!(matches!(engine, Fate::GoesOn { .. }), "{engine:?}");
    assert_eq!(fate(Family::Threads), Fate::NoProcess);
}
