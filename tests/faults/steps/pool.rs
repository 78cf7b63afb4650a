//! A pool's worker: bundles of jobs, one job to a slot, and arrays of numbers.

use super::drive::{Scene, until};
use super::look::{Lock, Look};
use super::second::Second;
use super::turnstile::Turnstile;
use crate::common::Scratch;
use gristmill::sys::mapping::Mapping;
use gristmill::{JobError, JobHandle, MillStats, ProcessPool, WaitPolicy};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::time::Duration;

/// So many jobs at most are told apart.
const JOBS: usize = 64;

/// What workers write down about their jobs, outside the region.
#[repr(C)]
struct Page {
    /// How often each was begun, and ended.
    begun: [AtomicU32; JOBS],
    ended: [AtomicU32; JOBS],
    /// The last one that was begun, plus 1.
    last: AtomicU32,
}

pub struct Log(Mapping);

impl Log {
    fn page(&self) -> &Page {
        assert!(self.0.size() >= size_of::<Page>());
        // SAFETY: so many bytes are mapped as long as `self` lives, at the start of a page; all of them is atomics.
        unsafe { &*self.0.base().cast() }
    }

    fn note<R>(&self, job: usize, run: impl FnOnce() -> R) -> R {
        let page = self.page();
        page.last.store(job as u32 + 1, SeqCst);
        page.begun[job].fetch_add(1, SeqCst);
        let result = run();
        page.ended[job].fetch_add(1, SeqCst);
        result
    }
}

/// An initializer: each worker's state.
pub fn open_log(path: String) -> Result<Log, String> {
    Mapping::open_file(Path::new(&path)).map(Log).map_err(|e| e.to_string())
}

/// A job that is no number: its argument says which cycle it is of, and how long its result is.
pub fn fill(log: &mut Log, (cycle, job, length, _weight): Argument) -> String {
    log.note(job, || text(cycle, job, length))
}

/// Text and not bytes: those are encoded one by one. No two cycles have the same, so that what the last one has left in a slot is no result.
fn text(cycle: usize, job: usize, length: usize) -> String {
    char::from(b'A' + ((cycle + job) % 26) as u8).to_string().repeat(length)
}

/// A job that is one, from this number on in each cycle.
pub fn triple(log: &mut Log, job: u64) -> u64 {
    log.note((job % NUMBERS) as usize, || 3 * job)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// So many jobs in one bundle; the result of the second one goes to the arena.
    Bundle(usize),
    /// Jobs so large that each has a slot of its own, as many as there are slots and one more.
    Slots,
    /// Numbers in two chunks.
    Numbers,
}

#[derive(Clone, Copy)]
pub struct How {
    pub work: Work,
    pub retries: u32,
    pub wait: WaitPolicy,
    pub counters_from: u32,
    /// Whether the worker is not killed, but stopped, while the parent delivers what is finished.
    pub helped: bool,
    /// These are held by the parent while the worker comes to them, one after the other.
    pub locks: &'static [Lock],
    /// Whether there is a second worker, which stands still, asleep, until the first one is dead.
    pub second: bool,
}

pub const USUAL: How = How {
    work: Work::Bundle(4),
    retries: 60_000,
    wait: WaitPolicy::Block,
    counters_from: 0,
    helped: false,
    locks: &[],
    second: false,
};

/// Cycles are counted from here: as a part of an argument, each has as many bytes as any other, and the worker decodes all of them alike.
const FIRST: usize = 1 << 15;

/// Numbers in all, and in a chunk.
const NUMBERS: u64 = 24;
const CHUNK: usize = 12;

type Argument = (usize, usize, usize, String);
type Outcomes = Vec<Result<(), JobError>>;

/// Of the results: the second one needs a block of the arena.
fn length(job: usize) -> usize {
    if job == 1 { 2030 } else { 10 }
}

enum Pool {
    Fill(ProcessPool<Argument, String>, Vec<JobHandle<String>>),
    Triple(std::sync::Arc<ProcessPool<u64, u64>>, Option<std::thread::JoinHandle<Outcomes>>),
}

impl Pool {
    fn pids(&self) -> Vec<u32> {
        match self {
            Pool::Fill(pool, _) => pool.worker_pids(),
            Pool::Triple(pool, _) => pool.worker_pids(),
        }
    }
}

pub struct Jobs {
    how: How,
    pool: Pool,
    look: Look,
    turnstile: Turnstile,
    second: Option<Second>,
    log: Log,
    _file: Scratch,
    jobs: usize,
    cycle: usize,
    /// The job that the dead one began last.
    last: Option<u32>,
}

fn outcome<R: PartialEq + std::fmt::Debug>(result: Result<R, JobError>, expected: R) -> Result<(), JobError> {
    result.map(|value| assert_eq!(value, expected))
}

impl Jobs {
    pub fn new(how: How) -> Self {
        let file = Scratch::new("steps");
        let log = Log(Mapping::file(&file.0, 1 << 16).unwrap());
        let path = file.0.to_string_lossy().into_owned();
        let builder = ProcessPool::builder()
            .workers(1 + usize::from(how.second))
            .region_size(96 << 10)
            .arena_size(10 << 10)
            .retries(how.retries);
        let builder = builder.wait_policy(how.wait).counters_from(how.counters_from).initializer(open_log, path);
        let pool = match how.work {
            Work::Numbers => Pool::Triple(builder.build(triple).unwrap().into(), None),
            _ => Pool::Fill(builder.build(fill).unwrap(), vec![]),
        };
        let second = how.second.then(|| Second::new(|| pool.pids()));
        let (look, turnstile) = (Look::new(), Turnstile::new(how.locks, false));
        Jobs { how, pool, look, turnstile, second, log, _file: file, jobs: 0, cycle: FIRST, last: None }
    }

    fn outcomes(&mut self) -> Outcomes {
        match &mut self.pool {
            Pool::Fill(_, handles) => {
                let jobs = handles.drain(..).enumerate();
                jobs.map(|(n, job)| outcome(job.result(), text(self.cycle, n, length(n)))).collect()
            }
            Pool::Triple(_, reader) => reader.take().expect("work has been given").join().unwrap(),
        }
    }
}

impl Scene for Jobs {
    fn look(&self) -> &Look {
        &self.look
    }

    fn stats(&self) -> MillStats {
        match &self.pool {
            Pool::Fill(pool, _) => pool.with_mill(|mill| mill.stats()).unwrap(),
            Pool::Triple(pool, _) => pool.with_mill(|mill| mill.stats()).unwrap(),
        }
    }

    fn pids(&self) -> Vec<u32> {
        self.pool.pids()
    }

    fn second(&self) -> Option<u32> {
        self.second.as_ref().map(Second::pid)
    }

    fn turnstile(&self) -> Option<&Turnstile> {
        Some(&self.turnstile)
    }

    fn wake(&mut self) {
        self.second.iter().for_each(Second::stop);
        let page = self.log.page();
        page.begun.iter().chain(&page.ended).chain([&page.last]).for_each(|n| n.store(0, SeqCst));
        self.cycle += 1;
        let cycle = self.cycle;
        let channel = self.look.channel(0);
        let nanos = |n| channel.desc().job_nanos.store(n, SeqCst);
        // It begins where the last one ended, and goes another way from each place. From this one it is the longest: there is no room behind it.
        self.look.search_from(36);
        match &mut self.pool {
            Pool::Fill(pool, handles) => match self.how.work {
                Work::Bundle(count) => {
                    // A sleeper gets a bundle when it holds a microsecond's work.
                    nanos(1000 / count as u32);
                    // While one sleeps the supervisor may hand over the first ones before the last is there: until then nobody does, it says.
                    let d = channel.desc();
                    let idle = [&d.jobs.sleepers, &d.wanted].map(|word| (word, word.swap(0, SeqCst)));
                    handles.extend((0..count).map(|n| pool.submit((cycle, n, length(n), String::new())).unwrap()));
                    idle.into_iter().for_each(|(word, value)| word.store(value, SeqCst));
                    // Whoever waits for a result hands over what is kept.
                    assert_eq!(handles[0].result_timeout(Duration::ZERO), None);
                    self.jobs = count;
                }
                _ => {
                    // Long ones go one by one.
                    nanos(u32::MAX);
                    let next = |n| pool.try_submit((cycle, n, length(n), text(cycle, n, 1500))).ok();
                    handles.extend((0..).map_while(next));
                    self.jobs = handles.len();
                    assert!((3..JOBS).contains(&self.jobs), "{} jobs fill the pool", self.jobs);
                }
            },
            Pool::Triple(pool, reader) => {
                // As many as this are begun by one step.
                nanos(100);
                let pool = pool.clone();
                let read = move || {
                    let numbers = (cycle as u64 * NUMBERS..).take(NUMBERS as usize);
                    let map = pool.map(numbers.clone()).unwrap().chunk_size(CHUNK);
                    numbers.zip(map).map(|(n, result)| outcome(result, 3 * n)).collect()
                };
                *reader = Some(std::thread::spawn(read));
                self.jobs = NUMBERS as usize;
                until(|| channel.pending() >= NUMBERS / CHUNK as u64);
            }
        }
        until(|| channel.pending() > 0);
        self.turnstile.shut();
    }

    fn go_on(&mut self) -> bool {
        let passed = self.turnstile.pass();
        assert!(passed || self.turnstile.is_through(), "it has not come to a lock that is held");
        passed
    }

    fn meddle(&self, id: u16) -> bool {
        if self.how.helped && !self.look.owns_a_lock(id) {
            // The parent delivers what is finished, takes the outcomes, and then waits for a moment: so it puts what it has kept back into the slots.
            self.settle();
            if let Pool::Fill(_, handles) = &self.pool {
                let _ = handles[handles.len() - 1].result_timeout(Duration::from_micros(100));
            }
        }
        self.how.helped
    }

    fn note(&mut self, _id: u16) {
        assert_eq!(self.look.uncounted(), None);
        self.last = self.log.page().last.load(SeqCst).checked_sub(1);
    }

    fn killed(&mut self) {
        self.turnstile.open();
        self.second.iter().for_each(Second::go_on);
    }

    fn settle(&self) {
        // The parent takes a slot whose outcomes it has had before when it looks for others.
        match &self.pool {
            Pool::Fill(pool, _) => drop(pool.stats()),
            Pool::Triple(pool, _) => drop(pool.stats()),
        }
    }

    fn check(&mut self, before: &MillStats) {
        let last = self.last;
        let outcomes = self.outcomes();
        assert_eq!(outcomes.len(), self.jobs);
        let after = self.stats();
        let (again, given_up) = (after.run_again - before.run_again, after.given_up - before.given_up);
        assert!(again + given_up <= 1, "{again} and {given_up} of one death");
        assert!(if self.how.retries == 0 { again == 0 } else { given_up == 0 });
        let mut failed = 0;
        let page = self.log.page();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let (begun, ended) = (page.begun[n].load(SeqCst), page.ended[n].load(SeqCst));
            let what = format!("job {n}: begun {begun} times, ended {ended} times, the last one begun was {last:?}");
            match outcome {
                Ok(()) => {
                    assert!(ended >= 1 && begun >= ended, "{what}");
                    // A death may fall between what the job does and its outcome: that job alone may be run twice.
                    assert!(begun == 1 || begun == 2 && again == 1 && last == Some(n as u32), "{what}");
                }
                Err(JobError::WorkerDied { attempts: 1, .. }) => {
                    failed += 1;
                    assert!(begun <= 1, "{what}");
                    assert!(begun == 0 || last == Some(n as u32), "{what}");
                }
                Err(e) => panic!("{what}: {e}"),
            }
        }
        assert_eq!(failed, given_up, "told as given up");
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // After a failed check.
        if let Pool::Triple(_, reader) = &mut self.pool
            && let Some(reader) = reader.take()
        {
            let _ = reader.join();
        }
    }
}
