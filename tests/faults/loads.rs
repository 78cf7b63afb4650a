//! The work that goes on while workers die: each way in which jobs travel.

use crate::oracle::{self, Oracle, Outcome, Verdict};
use crate::view::View;
use gristmill::layout::{EventWords, presence};
use gristmill::ring::slots::{JOBS, RESULTS};
use gristmill::sys::clock;
use gristmill::{Daemons, JobError, JoinableQueue, Mill, MillBuilder, ProcessPool, Queue, SharedVec, StartMethod, WaitPolicy};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::{Duration, Instant};

/// As many runs as a slot word counts.
const RETRIES: u32 = 60_000;
/// Items of a chunk of a shared vector.
const CHUNK: usize = 512;
/// Payloads may be so large that the arena has room for a few dozen of them only.
const LARGE: u64 = 40_000;

/// One region with its workers, and a kind of work for them.
pub trait Load {
    /// Gives out some jobs, waits for all of them, and asks the oracle.
    fn round(&mut self, oracle: &mut Oracle, random: &mut StdRng) -> Verdict;
    /// How to see the workers that live.
    fn pids(&self) -> Box<dyn Fn() -> Vec<u32> + Sync>;
    fn deaths(&self) -> u64;
    /// Waits until every worker sleeps, and finds nothing left in the region but sleepers counted too many, whose number it
    /// returns.
    fn at_rest(&self, view: &View) -> u64;
}

const NAMES: [&str; 4] = ["a pool with retries", "queues", "a pool without retries", "queues and few jobs"];

pub fn name(life: usize) -> &'static str {
    NAMES[life % NAMES.len()]
}

pub fn choose(life: usize, workers: usize, policy: WaitPolicy, start: StartMethod) -> Box<dyn Load> {
    match life % NAMES.len() {
        0 => Box::new(Pool::new(workers, policy, start, RETRIES)),
        2 => Box::new(Pool::new(workers, policy, start, 0)),
        few => queues(Mill::builder().wait_policy(policy).start_method(start), workers, few == 3),
    }
}

/// Queues in a region that is made as the builder says: a pool's has neither a name nor a file.
pub fn queues(builder: MillBuilder, workers: usize, few: bool) -> Box<dyn Load> {
    Box::new(Queues::new(builder, workers, if few { 1..5 } else { 1..400 }))
}

/// A job: its number, how long it takes, and bytes that it carries along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    id: u64,
    micros: u32,
    bytes: Vec<u8>,
}

/// What a job of this number gives.
fn mix(id: u64) -> u64 {
    (id ^ id >> 7).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Work {
    fn new(id: u64, random: &mut StdRng, large: bool) -> Work {
        let micros = match random.random_range(0..100) {
            0 => 1000,
            1..10 => random.random_range(1..60),
            _ => 0,
        };
        let length = if large { random.random_range(0..LARGE) } else { 0 };
        Work { id, micros, bytes: vec![mix(id) as u8; length as usize] }
    }

    fn spend(&self) {
        if self.micros >= 500 {
            std::thread::sleep(Duration::from_micros(self.micros.into()));
        } else {
            let end = clock::now() + 1000 * u64::from(self.micros);
            while clock::now() < end {}
        }
    }

    /// Its result.
    fn done(mut self) -> Work {
        self.bytes.reverse();
        self.micros = 0;
        self
    }
}

/// What a pool runs: small jobs and large ones.
pub fn work(job: Work) -> Work {
    let _run = oracle::run(job.id);
    job.spend();
    job.done()
}

/// Numbers, which travel as arrays.
pub fn number(id: u64) -> u64 {
    let _run = oracle::run(id);
    // Seldom, so that they stay so short that a worker begins many at once.
    if id % 4096 == 7 {
        Work { id, micros: 50, bytes: vec![] }.spend();
    }
    mix(id)
}

/// A chunk of a shared vector.
pub fn chunk(start: usize, items: &mut [u64]) {
    let _run = oracle::run((start / CHUNK) as u64);
    items.iter_mut().zip(start as u64..).for_each(|(item, n)| *item = mix(n));
}

/// A daemon between two queues.
pub fn grind(jobs: &JoinableQueue<Work>, results: &Queue<Work>) {
    while let Ok(job) = jobs.get() {
        let run = oracle::run(job.id);
        job.spend();
        if results.put(job.clone().done()).is_err() {
            return;
        }
        let ended = run.end();
        job.task_done();
        ended.done();
    }
}

/// Waits until all workers sleep in wait for jobs of the first channel; then nothing is left in the region. Returns how many
/// sleepers are counted too many: a death between two certain instructions leaves one, which costs needless wake-ups and
/// nothing else (shm-layout.md, the table of deaths).
fn rests(view: &View, workers: usize) -> u64 {
    let jobs = view.channel(0);
    let here = &jobs.desc().jobs;
    let place = here as *const EventWords as u64 - view.region.mapping().base() as u64;
    let asleep = || {
        view.region
            .participants()
            .filter(|(_, p)| p.state.load(SeqCst) == presence::ATTACHED && p.sleeps_on.load(SeqCst) == place)
            .count()
    };
    let start = Instant::now();
    // The last one that died may not be replaced yet; and who has been woken in vain is not counted for a moment, before it sleeps again. That one
    // who sleeps is not counted for long would be a lost wake-up.
    let counted = loop {
        let counted = sleepers(here);
        let rest = asleep() == workers && view.region.header().workers.load(SeqCst) as usize == workers;
        if rest && counted >= workers as u64 {
            break counted;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{} of {workers} workers sleep, {counted} are counted; pending {}; {:?}",
            asleep(),
            jobs.pending(),
            view.region.participants().map(|(id, p)| (id, p.state.load(SeqCst), p.sleeps_on.load(SeqCst))).collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(jobs.pending(), 0);
    let mut others: u64 = [&jobs.desc().free, &jobs.desc().done].into_iter().map(sleepers).sum();
    for (which, name) in [(JOBS, "jobs"), (RESULTS, "results")] {
        assert_eq!(view.region.arena(which).used(), 0, "blocks of the arena of {name} are left behind");
        others += sleepers(view.region.arena(which).room());
    }
    (counted - workers as u64) + others
}

fn sleepers(event: &EventWords) -> u64 {
    event.sleepers.load(SeqCst).into()
}

struct Pool {
    pool: ProcessPool<Work, Work>,
    numbers: ProcessPool<u64, u64>,
    retries: u32,
    workers: usize,
}

impl Pool {
    fn new(workers: usize, policy: WaitPolicy, start: StartMethod, retries: u32) -> Pool {
        let builder = ProcessPool::builder().workers(workers).retries(retries).wait_policy(policy).start_method(start);
        let pool = builder.region_size(4 << 20).arena_size(512 << 10).build(work).unwrap();
        Pool { numbers: pool.task(number).unwrap(), pool, retries, workers }
    }

    fn judge<R: PartialEq>(&self, result: Result<R, JobError>, expected: &R) -> Outcome {
        match result {
            Ok(value) if value == *expected => Outcome::Value,
            Ok(_) => Outcome::Wrong,
            Err(JobError::WorkerDied { attempts: 1, .. }) if self.retries == 0 => Outcome::Failed,
            Err(other) => panic!("{other}"),
        }
    }

    fn submitted(&self, oracle: &mut Oracle, random: &mut StdRng) {
        let large = random.random_range(0..3) == 0;
        let count = match random.random_range(0..3) {
            _ if large => 80,
            // So few that workers sleep in between.
            0 => random.random_range(1..5),
            _ => random.random_range(1..1500),
        };
        let jobs: Vec<Work> = (0..count).map(|_| Work::new(oracle.accept(), random, large)).collect();
        let handles = self.pool.submit_many(jobs.iter().cloned()).unwrap();
        for (job, handle) in jobs.into_iter().zip(handles) {
            let id = job.id;
            oracle.outcome(id, self.judge(handle.result(), &job.done()));
        }
    }

    fn mapped(&self, oracle: &mut Oracle, random: &mut StdRng) {
        let large = random.random_range(0..3) == 0;
        let count = if large { 80 } else { random.random_range(1..2000) };
        let jobs: Vec<Work> = (0..count).map(|_| Work::new(oracle.accept(), random, large)).collect();
        let results = self.pool.map(jobs.clone()).unwrap();
        for (job, result) in jobs.into_iter().zip(results) {
            let id = job.id;
            oracle.outcome(id, self.judge(result, &job.done()));
        }
    }

    fn mapped_numbers(&self, oracle: &mut Oracle, random: &mut StdRng) {
        let ids: Vec<u64> = (0..random.random_range(1..60_000)).map(|_| oracle.accept()).collect();
        for (&id, result) in ids.iter().zip(self.numbers.map(ids.clone()).unwrap()) {
            oracle.outcome(id, self.judge(result, &mix(id)));
        }
    }

    fn in_place(&self, oracle: &mut Oracle, random: &mut StdRng) {
        let mut items = SharedVec::<u64>::zeroed(random.random_range(1..100 * CHUNK)).unwrap();
        let chunks: Vec<u64> = (0..items.len().div_ceil(CHUNK)).map(|_| oracle.accept()).collect();
        self.pool.chunks_of(CHUNK).for_each_chunk(chunk, &mut items).unwrap();
        for id in chunks {
            let here = (id as usize * CHUNK..items.len()).take(CHUNK);
            let right = here.clone().all(|n| items[n] == mix(n as u64));
            oracle.outcome(id, if right { Outcome::Value } else { Outcome::Wrong });
        }
    }
}

impl Load for Pool {
    fn round(&mut self, oracle: &mut Oracle, random: &mut StdRng) -> Verdict {
        match random.random_range(0..6) {
            0..3 => self.submitted(oracle, random),
            3 => self.mapped(oracle, random),
            // What is not begun when a chunk fails is not run: nothing to count.
            4 if self.retries > 0 => self.in_place(oracle, random),
            _ => self.mapped_numbers(oracle, random),
        }
        oracle.verdict(self.retries + 1)
    }

    fn pids(&self) -> Box<dyn Fn() -> Vec<u32> + Sync> {
        let pool = self.pool.clone();
        Box::new(move || pool.worker_pids())
    }

    fn deaths(&self) -> u64 {
        self.pool.stats().worker_deaths
    }

    fn at_rest(&self, view: &View) -> u64 {
        assert_eq!(self.pool.unfinished(), 0);
        rests(view, self.workers)
    }
}

struct Queues {
    mill: Mill,
    jobs: JoinableQueue<Work>,
    results: Queue<Work>,
    daemons: Arc<Daemons>,
    workers: usize,
    count: std::ops::Range<u32>,
}

impl Queues {
    fn new(builder: MillBuilder, workers: usize, count: std::ops::Range<u32>) -> Queues {
        let mill = builder.retries(RETRIES).region_size(4 << 20).arena_size(512 << 10).build().unwrap();
        let (jobs, results) = (mill.joinable_queue(64).unwrap(), mill.queue(64).unwrap());
        let daemons = Arc::new(mill.spawn_daemons(workers, grind, (&jobs, &results)).unwrap());
        Queues { mill, jobs, results, daemons, workers, count }
    }
}

impl Load for Queues {
    fn round(&mut self, oracle: &mut Oracle, random: &mut StdRng) -> Verdict {
        let large = random.random_range(0..4) == 0;
        let count = random.random_range(self.count.clone());
        let list: Vec<Work> =
            (0..if large { count.min(40) } else { count }).map(|_| Work::new(oracle.accept(), random, large)).collect();
        if random.random() {
            list.iter().for_each(|job| self.jobs.put(job.clone()).unwrap());
        } else {
            assert_eq!(self.jobs.put_many(list.iter().cloned()).unwrap(), list.len());
        }
        self.jobs.join().unwrap();
        let mut times = vec![0; list.len()];
        for result in self.results.drain().unwrap() {
            let id = result.id;
            times[id as usize] += 1;
            if result != list[id as usize].clone().done() {
                oracle.outcome(id, Outcome::Wrong);
            }
        }
        for (job, times) in list.iter().zip(times) {
            // A worker that died between the result and `task_done` leaves a result of a run too many, and no other does.
            let most = oracle.runs(job.id).0;
            (0..if times > most { 2 } else { times.min(1) }).for_each(|_| oracle.outcome(job.id, Outcome::Value));
        }
        oracle.verdict(RETRIES + 1)
    }

    fn pids(&self) -> Box<dyn Fn() -> Vec<u32> + Sync> {
        let daemons = self.daemons.clone();
        Box::new(move || daemons.pids())
    }

    fn deaths(&self) -> u64 {
        self.mill.stats().deaths
    }

    fn at_rest(&self, view: &View) -> u64 {
        let results = view.channel(1);
        assert_eq!((self.jobs.qsize(), self.results.qsize(), results.pending()), (0, 0, 0));
        rests(view, self.workers) + sleepers(&results.desc().free)
    }
}
