//! Jobs that do not end, or end as nobody should, all in one pool, and each with exactly its own outcome. Workers are stopped here at random moments;
//! in stopped.rs and in tests/engine/stepped.rs one is stopped at the first instruction at which it owns a lock that others need, and in
//! `steps::jobs_that_the_parent_delivers_for_a_stopped_worker` at each instruction at which it owns none.

use crate::held::{Held, Watchdog};
use crate::oracle::{self, Oracle, Outcome};
use gristmill::sys::clock;
use gristmill::{JobError, ProcessPool};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

/// What a job does to its worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trouble {
    Nothing,
    /// Takes so many microseconds.
    Takes(u32),
    /// Stops its own process.
    Stops,
    /// Never ends, and SIGTERM does not end it.
    IgnoresTerm,
    /// Never ends.
    Loops,
    /// Forks a child that outlives it; gives the child's number.
    Forks,
    /// Closes all descriptors, the first three too.
    ClosesAll,
    /// Allocates until there is no more, with a limit on its address space.
    Exhausts,
    /// The same, in this control group.
    ExhaustsGroup(PathBuf),
    Exits,
    Aborts,
    Overflows,
}

impl Trouble {
    fn is_loud(&self) -> bool {
        matches!(self, Trouble::Exhausts | Trouble::ExhaustsGroup(_) | Trouble::Aborts | Trouble::Overflows)
    }
}

/// What this process says on standard error while it dies is of no interest.
fn quiet() {
    let nothing = fs::File::options().write(true).open("/dev/null").unwrap();
    // SAFETY: both descriptors are open, and nothing here owns the second.
    unsafe { libc::dup2(nothing.as_raw_fd(), 2) };
}

pub fn trouble((id, what): (u64, Trouble)) -> u64 {
    let _run = oracle::run(id);
    if what.is_loud() {
        quiet();
    }
    match what {
        Trouble::Nothing => {}
        Trouble::Takes(micros) => {
            let end = clock::now() + 1000 * u64::from(micros);
            std::thread::sleep(Duration::from_micros((micros / 2).into()));
            while clock::now() < end {
                std::hint::spin_loop();
            }
        }
        // SAFETY: a signal to this process touches no memory.
        Trouble::Stops => drop(unsafe { libc::raise(libc::SIGSTOP) }),
        Trouble::IgnoresTerm => {
            // SAFETY: no handler of ours is installed by this.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            forever();
        }
        Trouble::Loops => forever(),
        Trouble::Forks => {
            // SAFETY: the worker has one thread; the child calls nothing but alarm and pause.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: touches no memory. If a test fails, nobody else ends the child.
                unsafe { libc::alarm(60) };
                loop {
                    // SAFETY: touches no memory.
                    unsafe { libc::pause() };
                }
            }
            return child as u64;
        }
        // SAFETY: none. Whoever uses one of these descriptors meets an error: that is the fault that a pool has to survive.
        Trouble::ClosesAll => drop(unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) }),
        Trouble::Exhausts => {
            let most = libc::rlimit { rlim_cur: 256 << 20, rlim_max: 256 << 20 };
            // SAFETY: `most` is a valid rlimit, for this process alone.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &most) }, 0);
            exhaust(false);
        }
        Trouble::ExhaustsGroup(group) => {
            fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
            exhaust(true);
        }
        Trouble::Exits => std::process::exit(0),
        Trouble::Aborts => std::process::abort(),
        Trouble::Overflows => return deeper(id),
    }
    id
}

fn forever() {
    loop {
        std::thread::park();
    }
}

/// Takes 512 MiB of addresses and, if they are to be `used`, of memory: more than any of these may have.
fn exhaust(used: bool) {
    let one = || if used { vec![1u8; 8 << 20] } else { Vec::with_capacity(8 << 20) };
    let all: Vec<Vec<u8>> = (0..64).map(|_| std::hint::black_box(one())).collect();
    drop(std::hint::black_box(all));
}

#[allow(unconditional_recursion, reason = "it is to overflow the stack")]
fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 512]);
    deeper(frame[7] + 1) + frame[3]
}

/// Whether a job that would have ended was ended by its deadline: that is no mistake on a machine that is very busy.
fn was_slow(what: &Trouble, result: &Result<u64, JobError>) -> bool {
    let hangs = matches!(what, Trouble::Stops | Trouble::Loops | Trouble::IgnoresTerm);
    !hangs && matches!(result, Err(JobError::TimedOut { .. }))
}

/// Whether the outcome is the one that this trouble has to have; ends a child that it left.
fn judge(what: &Trouble, id: u64, attempts: u32, result: Result<u64, JobError>) -> Outcome {
    match (what, result) {
        (Trouble::Forks, Ok(child)) => {
            let maps = fs::read_to_string(format!("/proc/{child}/maps")).expect("it outlives its job");
            assert!(!maps.contains("memfd:gristmill"), "it has the region mapped");
            // SAFETY: no memory is touched; the process was there just now, and waits for nothing but this.
            assert_eq!(unsafe { libc::kill(child as i32, libc::SIGKILL) }, 0);
            Outcome::Value
        }
        (Trouble::Nothing | Trouble::ClosesAll, Ok(value)) if value == id => Outcome::Value,
        (Trouble::Stops | Trouble::Loops | Trouble::IgnoresTerm, Err(JobError::TimedOut { .. })) => Outcome::Failed,
        (
            Trouble::Exits | Trouble::Aborts | Trouble::Overflows | Trouble::Exhausts | Trouble::ExhaustsGroup(_),
            Err(JobError::WorkerDied { attempts: cost, .. }),
        ) if cost == attempts => Outcome::Failed,
        (what, result) => panic!("job {id}, {what:?}: {result:?}"),
    }
}

/// Hundreds of jobs, a third of which are trouble, in a random order. Where the others do not end in time, all have more of it.
fn every_trouble_in_one_pool_costs_its_own_job_and_no_other() {
    let seed = crate::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (before, dog) = (Held::now(), Watchdog::new(Duration::from_secs(120), "trouble"));
    let mut oracle = Oracle::new(4096);
    for retries in [0, 1] {
        let mut limit = Duration::from_millis(1500);
        while !all_troubles(&mut oracle, &mut random, retries, limit, &dog) {
            limit *= 2;
            println!("hangs: the machine is busy: jobs have {limit:?} now, seed {seed}");
        }
    }
    drop((oracle, dog));
    before.compare();
}

/// `false` if a job was slow.
fn all_troubles(oracle: &mut Oracle, random: &mut StdRng, retries: u32, limit: Duration, dog: &Watchdog) -> bool {
    let pool = ProcessPool::builder().workers(4).retries(retries).job_timeout(limit);
    let pool = pool.build(trouble).unwrap();
    let mut list = vec![];
    let kinds = [
        (Trouble::Nothing, 400),
        (Trouble::Stops, 2),
        (Trouble::Loops, 2),
        (Trouble::IgnoresTerm, 2),
        (Trouble::Forks, 15),
        (Trouble::ClosesAll, 15),
        (Trouble::Exhausts, 15),
        (Trouble::Exits, 25),
        (Trouble::Aborts, 25),
        (Trouble::Overflows, 15),
    ];
    kinds.iter().for_each(|(what, count)| list.extend(vec![what.clone(); *count]));
    list.shuffle(random);
    let jobs: Vec<_> = list.iter().map(|what| pool.submit((oracle.accept(), what.clone())).unwrap()).collect();
    let mut slow = false;
    for ((id, what), job) in (0..).zip(&list).zip(jobs) {
        let result = job.result();
        let late = was_slow(what, &result);
        oracle.outcome(id, if late { Outcome::Failed } else { judge(what, id, retries + 1, result) });
        slow |= late;
        dog.feed(format!("job {id}"));
    }
    let verdict = oracle.verdict(retries + 1);
    verdict.clean();
    if !slow {
        let ends = 6 + 15 + 25 + 25 + 15;
        assert_eq!((verdict.jobs, verdict.failed), (list.len() as u64, ends));
        let deaths = 6 + (ends - 6) * (u64::from(retries) + 1);
        assert_eq!(pool.stats().worker_deaths, deaths);
    }
    !slow
}

/// Each job takes about as long as it may: it ends in time or not, but never both, and never again.
fn a_deadline_races_with_the_end_of_its_job() {
    let count = crate::amount("GRISTMILL_DEADLINES", 1000);
    let seed = crate::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (before, dog) = (Held::now(), Watchdog::new(Duration::from_secs(120), "deadlines"));
    let mut oracle = Oracle::new(count as usize);
    let limit = Duration::from_millis(4);
    let pool = ProcessPool::builder().workers(4).retries(3).job_timeout(limit).build(trouble).unwrap();
    let near = |random: &mut StdRng| Trouble::Takes(random.random_range(2500..5000));
    let jobs: Vec<_> = (0..count).map(|_| pool.submit((oracle.accept(), near(&mut random))).unwrap()).collect();
    let mut late = 0;
    for (id, job) in (0..).zip(jobs) {
        oracle.outcome(
            id,
            match job.result() {
                Ok(value) => [Outcome::Wrong, Outcome::Value][usize::from(value == id)],
                Err(JobError::TimedOut { .. }) => {
                    late += 1;
                    Outcome::Failed
                }
                Err(other) => panic!("{other}, seed {seed}"),
            },
        );
        dog.feed(format!("deadline of job {id}, seed {seed}"));
    }
    println!("hangs: {late} of {count} jobs ended late, seed {seed}");
    assert!(late > 0 && late < count, "there was no race");
    oracle.verdict(1).clean();
    drop((pool, oracle, dog));
    before.compare();
}

/// Workers are stopped at random moments for random times, in a job or between jobs, in a lock or outside; some stay so until
/// the deadline of their job ends them, some go on at that very moment.
fn workers_stopped_at_random_cost_no_more_than_their_jobs() {
    let seed = crate::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (before, dog) = (Held::now(), Watchdog::new(Duration::from_secs(120), "stops"));
    let mut oracle = Oracle::new(1 << 14);
    let limit = Duration::from_millis(60);
    let pool = ProcessPool::builder().workers(3).job_timeout(limit).build(trouble).unwrap();
    let (over, mut late) = (AtomicBool::new(false), 0);
    let stopped = std::thread::scope(|scope| {
        let (pool, over) = (&pool, &over);
        let mut stops = StdRng::seed_from_u64(seed ^ 1);
        let stopper = scope.spawn(move || {
            let mut stopped = 0;
            while !over.load(Relaxed) {
                let pids = pool.worker_pids();
                std::thread::sleep(Duration::from_micros(stops.random_range(0..3000)));
                let Some(&pid) = pids.get(stops.random_range(0..3)) else { continue };
                if crate::system::signal(pid, libc::SIGSTOP) {
                    stopped += 1;
                    let long = stops.random_range(0..4) == 0;
                    std::thread::sleep(Duration::from_millis(if long {
                        stops.random_range(55..75)
                    } else {
                        stops.random_range(0..5)
                    }));
                    crate::system::signal(pid, libc::SIGCONT);
                }
            }
            stopped
        });
        for round in 0..crate::amount("GRISTMILL_STOPS", 40) {
            let list: Vec<_> = (0..100).map(|_| (oracle.accept(), Trouble::Takes(random.random_range(0..500)))).collect();
            for ((id, _), job) in list.iter().zip(pool.submit_many(list.clone()).unwrap()) {
                let outcome = match job.result() {
                    Ok(value) => [Outcome::Wrong, Outcome::Value][usize::from(value == *id)],
                    Err(JobError::TimedOut { .. }) => Outcome::Failed,
                    Err(other) => panic!("{other}, seed {seed}"),
                };
                oracle.outcome(*id, outcome);
            }
            let verdict = oracle.verdict(1);
            verdict.clean();
            late += verdict.failed;
            dog.feed(format!("round {round}, seed {seed}"));
        }
        over.store(true, Relaxed);
        stopper.join().unwrap()
    });
    println!("hangs: workers were stopped {stopped} times, and {late} ended by a deadline meanwhile, seed {seed}");
    assert!(stopped > 0, "nobody was stopped");
    drop((pool, oracle, dog));
    before.compare();
}

/// `terminate_workers` asks with SIGTERM; who does not listen is ended all the same, and every job has its outcome.
fn workers_that_ignore_sigterm_end_with_their_pool() {
    let (before, dog) = (Held::now(), Watchdog::new(Duration::from_secs(120), "terminate_workers"));
    let mut oracle = Oracle::new(64);
    let pool = ProcessPool::builder().workers(2).build(trouble).unwrap();
    let what = |n| if n % 3 == 0 { Trouble::IgnoresTerm } else { Trouble::Nothing };
    let jobs: Vec<_> = (0..30).map(|n| pool.submit((oracle.accept(), what(n))).unwrap()).collect();
    while (0..30).filter(|&id| oracle.runs(id) == (1, 0)).count() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pids = pool.worker_pids();
    pool.terminate_workers();
    for (id, job) in (0..).zip(&jobs) {
        let ended = oracle.runs(id).1 > 0;
        oracle.outcome(
            id,
            match job.result() {
                Ok(value) if value == id && what(id) == Trouble::Nothing => Outcome::Value,
                Err(JobError::PoolEnded { .. }) => Outcome::Failed,
                other => panic!("{other:?}, which has ended: {ended}"),
            },
        );
    }
    oracle.verdict(1).clean();
    assert!(pids.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap()), "they are gone when it returns");
    drop((jobs, pool, oracle, dog));
    before.compare();
}

/// A group of processes that may have 64 MiB together; `None`, and a word why, where that cannot be had.
fn small_group() -> Option<PathBuf> {
    let name = format!("gristmill-test-{}", std::process::id());
    let (v1, v2) = (PathBuf::from("/sys/fs/cgroup/memory").join(&name), PathBuf::from("/sys/fs/cgroup").join(&name));
    for (path, limit) in [(v1, "memory.limit_in_bytes"), (v2, "memory.max")] {
        if fs::create_dir(&path).is_ok() {
            if fs::write(path.join(limit), (64 << 20).to_string()).is_ok() {
                return Some(path);
            }
            let _ = fs::remove_dir(path);
        }
    }
    crate::skip::skipped("no control group for memory can be made here");
    None
}

fn a_job_that_exhausts_its_control_group_costs_itself() {
    let Some(group) = small_group() else { return };
    let before = Held::now();
    let dog = Watchdog::new(Duration::from_secs(120), "a control group");
    let mut oracle = Oracle::new(64);
    let pool = ProcessPool::builder().workers(2).build(trouble).unwrap();
    let what = |n| if n % 10 == 3 { Trouble::ExhaustsGroup(group.clone()) } else { Trouble::Nothing };
    let jobs: Vec<_> = (0..40).map(|n| pool.submit((oracle.accept(), what(n))).unwrap()).collect();
    let results: Vec<_> = jobs.iter().map(|job| job.result()).collect();
    drop((jobs, pool));
    // Its last process may still be about to leave it.
    while fs::remove_dir(&group).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (id, result) in (0..).zip(results) {
        oracle.outcome(id, judge(&what(id), id, 1, result));
    }
    oracle.verdict(1).clean();
    drop((oracle, dog));
    before.compare();
}

pub const TESTS: crate::Tests = &[
    ("every_trouble_in_one_pool_costs_its_own_job_and_no_other", every_trouble_in_one_pool_costs_its_own_job_and_no_other),
    ("a_deadline_races_with_the_end_of_its_job", a_deadline_races_with_the_end_of_its_job),
    ("workers_stopped_at_random_cost_no_more_than_their_jobs", workers_stopped_at_random_cost_no_more_than_their_jobs),
    ("workers_that_ignore_sigterm_end_with_their_pool", workers_that_ignore_sigterm_end_with_their_pool),
    ("a_job_that_exhausts_its_control_group_costs_itself", a_job_that_exhausts_its_control_group_costs_itself),
];
