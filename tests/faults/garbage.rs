//! The live region is written over by one of its own workers, while others work and the parent waits: with random bytes, forged, duplicate, stale and
//! over-long outcomes, numbers out of range, lengths past the end, locks of nobody. The parent goes on or gives an error; every job has an
//! outcome, nothing panics, nothing hangs, and the next pool works.
//!
//! What a value *is* cannot be told any more: the rogue can write another's result. That it is there, and once, can.

use super::held::{Held, PATIENCE};
use super::oracle::{self, Oracle};
use super::scribble::{KINDS, fill, hide, kind_of, ruin, scribble};
use crate::numbers::Numbers;
use gristmill::{GetError, JoinableQueue, Mill, ProcessPool, Queue};
use serde::{Deserialize, Serialize};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

pub const TESTS: super::Tests = &[
    ("a_pool_whose_region_is_written_over_answers_every_job", pools),
    ("a_worker_that_says_it_runs_nothing_gets_room_for_its_results", hidden),
    ("room_for_results_that_nobody_has_comes_back", filled),
    ("workers_that_start_slowly_and_cannot_attach_are_given_up", slow),
    ("queues_whose_region_is_written_over_end_with_an_error_or_go_on", queues),
];

/// So long one case may take. Locks of nobody are given up after seconds; a busy machine takes longer.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What a job is to do. Whatever bytes come, it ends soon.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Give this number.
    Value(u64),
    /// Give so many bytes.
    Bytes(u16),
    /// Take a little while.
    Sleep(u8),
    /// Write over the region; then end in one of several ways.
    Scribble(u64),
    /// Write over what the workers say of themselves.
    Hide,
    /// Write over what is known of the room for results.
    Fill,
    /// Write over what every worker looks at when it starts, and die.
    Ruin,
}

pub fn act(act: Act) -> Vec<u8> {
    match act {
        Act::Value(n) => n.to_le_bytes().to_vec(),
        Act::Bytes(n) => vec![7; n.into()],
        Act::Sleep(ms) => {
            std::thread::sleep(Duration::from_millis(u64::from(ms) % 8));
            vec![]
        }
        Act::Scribble(seed) => {
            rogue(seed);
            vec![]
        }
        Act::Hide => {
            hide();
            vec![]
        }
        Act::Fill => {
            fill();
            vec![]
        }
        Act::Ruin => {
            ruin();
            std::process::abort()
        }
    }
}

/// Numbers from here on are rogues.
const ROGUES: u64 = 1 << 40;

pub fn number(n: u64) -> u64 {
    if n >= ROGUES {
        rogue(n);
    }
    n.wrapping_mul(3)
}

fn rogue(seed: u64) {
    {
        // Before it writes: it may be ended for that.
        let _run = oracle::run(kind_of(seed) as u64);
        scribble(seed);
    }
    match seed % 8 {
        0 => std::process::exit(0),
        1 => std::process::abort(),
        // So that others meet it first.
        2 | 3 => std::thread::sleep(Duration::from_millis(seed / 8 % 16)),
        _ => {}
    }
}

/// A daemon of the queues: each job gives a result.
pub fn serve(jobs: &JoinableQueue<u64>, results: &Queue<u64>) {
    while let Ok(job) = jobs.get() {
        if *job >= ROGUES {
            rogue(*job);
        }
        if results.put_timeout(*job, Duration::from_secs(1)).is_err() {
            return;
        }
        job.task_done();
    }
}

/// Panics of this process's other threads, which nobody would hear of.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, SeqCst);
            before(info);
        }));
    });
}

/// Runs cases from the seed on, so many unless the environment says otherwise; `one` is told what to start from.
fn run(what: &str, cases: u64, one: fn(&mut Numbers) -> &'static str) {
    let cases = super::amount("GRISTMILL_GARBAGE", cases);
    // Rogues note here what they have written: the numbers of jobs are those of kinds.
    let oracle = Oracle::new(KINDS.len());
    watched(what, cases, one);
    let used: Vec<_> = (0..).zip(KINDS).map(|(kind, name)| (name, oracle.runs(kind).0)).collect();
    println!("{what}: written {used:?}");
    // Each kind is the first of one case in so many.
    let unused: Vec<_> = used.iter().filter(|(_, times)| *times == 0).collect();
    assert!(cases < 2 * KINDS.len() as u64 || unused.is_empty(), "not written by anybody: {unused:?}");
}

fn watched(what: &str, cases: u64, one: fn(&mut Numbers) -> &'static str) {
    count_panics();
    let (at_first, first) = (Held::now(), super::seed());
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    for n in 0..cases {
        let seed = first.wrapping_add(n);
        let (told, ends) = channel();
        let (before, panics) = (Held::now(), PANICS.load(SeqCst));
        let case = std::thread::spawn(move || {
            let outcome = std::panic::catch_unwind(|| one(&mut Numbers(seed)));
            let _ = told.send(());
            outcome
        });
        let again = format!("GRISTMILL_SEED={seed} GRISTMILL_GARBAGE=1 cargo test --test faults {what}");
        if ends.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            // The thread cannot be ended, and would be waited for.
            eprintln!("hangs: not over after {WATCHDOG:?}; again: {again}");
            std::process::exit(101);
        }
        let outcome = case.join().ok().and_then(Result::ok);
        let Some(outcome) = outcome.filter(|_| PANICS.load(SeqCst) == panics) else { panic!("a panic; again: {again}") };
        *seen.entry(outcome).or_default() += 1;
        if let Some(left) = before.difference(PATIENCE) {
            panic!("left behind: {left}; again: {again}");
        }
    }
    // What is too little to be seen after one.
    at_first.compare();
    println!("{what}: {seen:?}");
}

/// The rogues of one case: each writes another kind than the one before, and cases that follow each other begin with kinds that do.
struct Rogues(usize);

impl Rogues {
    fn of(case: &Numbers) -> Rogues {
        Rogues((case.0 % KINDS.len() as u64) as usize)
    }

    /// The next one, by its number.
    fn next(&mut self, numbers: &mut Numbers) -> u64 {
        let kind = self.0;
        self.0 = (kind + 1) % KINDS.len();
        loop {
            let seed = ROGUES | numbers.next();
            if kind_of(seed) == kind {
                return seed;
            }
        }
    }
}

fn pools() {
    run("a_pool_whose_region_is_written_over_answers_every_job", 12, one_pool);
    // After all of that a pool is as it should be.
    let pool = ProcessPool::builder().workers(2).build(number).unwrap();
    assert_eq!(
        pool.map(0..1000).unwrap().collect::<Result<Vec<_>, _>>().unwrap(),
        (0..1000).map(|n| n * 3).collect::<Vec<_>>()
    );
}

fn one_pool(numbers: &mut Numbers) -> &'static str {
    let mut rogues = Rogues::of(numbers);
    let mut builder = ProcessPool::builder().workers(1 + numbers.below(3) as usize).retries(numbers.below(3) as u32);
    builder = builder.region_size(2 << 20).arena_size(256 << 10).capacity(64 + numbers.below(1000) as usize);
    if numbers.below(3) == 0 {
        builder = builder.job_timeout(Duration::from_secs(2));
    }
    let pool = builder.build(act).unwrap();
    let values = pool.task(number).unwrap();
    let mut broken = false;
    for _ in 0..1 + numbers.below(3) {
        let rogue = rogues.next(numbers);
        if numbers.below(2) == 0 {
            broken |= !singles(&pool, rogue, numbers);
        } else {
            broken |= !mapped(&values, rogue, numbers);
        }
    }
    let (unfinished, stats) = (pool.unfinished(), pool.stats());
    assert_eq!(unfinished, 0, "every job has been answered");
    assert!(!stats.explain().to_string().contains('\n'));
    drop(values);
    match numbers.below(3) {
        0 => pool.shutdown(true, false),
        1 => pool.kill_workers(),
        _ => drop(pool),
    }
    if broken { "ended" } else { "went on" }
}

/// Single jobs, among which one is a rogue; whether the pool takes more afterwards.
fn singles(pool: &ProcessPool<Act, Vec<u8>>, rogue: u64, numbers: &mut Numbers) -> bool {
    let count = 1 + numbers.below(200);
    let at = numbers.below(count);
    let mut handles = vec![];
    for n in 0..count {
        let what = match numbers.below(24) {
            _ if n == at => Act::Scribble(rogue),
            0 => Act::Bytes(numbers.below(20_000) as u16),
            1 => Act::Sleep(numbers.next() as u8),
            _ => Act::Value(n),
        };
        // A region that has ended refuses it.
        handles.extend(pool.submit(what));
    }
    let cancel = (numbers.below(4) == 0).then(|| numbers.below(count) as usize);
    if let Some(handle) = cancel.and_then(|n| handles.get(n)) {
        handle.cancel();
    }
    for handle in &handles {
        if let Err(why) = handle.result() {
            assert!(!why.to_string().contains('\n'), "{why}");
        }
    }
    pool.submit(Act::Value(1)).is_ok_and(|handle| handle.result().is_ok())
}

/// The same with numbers that travel side by side.
fn mapped(pool: &ProcessPool<u64, u64>, rogue: u64, numbers: &mut Numbers) -> bool {
    let count = 1 + numbers.below(30_000);
    let at = numbers.below(count);
    let arguments = (0..count).map(move |n| if n == at { rogue } else { n });
    let Ok(map) = pool.map(arguments) else { return false };
    let mut errors = 0;
    let got = map.inspect(|result| errors += u64::from(result.is_err())).count() as u64;
    // One for each, unless everything has ended: that is the last one's error.
    let ended = pool.check().is_err();
    assert!(got == count || ended && errors > 0, "{got} of {count}, {errors} errors");
    !ended
}

fn hidden() {
    watched("a_worker_that_says_it_runs_nothing_gets_room_for_its_results", 1, |_| large(Act::Hide));
}

fn filled() {
    watched("room_for_results_that_nobody_has_comes_back", 1, |_| large(Act::Fill));
}

fn slow() {
    watched("workers_that_start_slowly_and_cannot_attach_are_given_up", 1, |_| {
        let pool = ProcessPool::builder().workers(1).build(act).unwrap();
        pool.submit(Act::Value(1)).unwrap().result().unwrap();
        // SAFETY: no other thread looks at the environment but the supervisor, for the workers that it starts, and the first one is there.
        unsafe { std::env::set_var(super::SLOW_START, "1100") };
        let jobs = [Act::Ruin, Act::Value(2)].map(|what| pool.submit(what).unwrap());
        let why = jobs.map(|job| job.result().unwrap_err().to_string());
        // SAFETY: as above; all that it has started has ended.
        unsafe { std::env::remove_var(super::SLOW_START) };
        assert!(why[1].contains("no worker can live"), "{why:?}");
        "ended"
    });
}

/// One bundle, whose first job is that one, and whose results have room in the region only if they are taken meanwhile.
fn large(first: Act) -> &'static str {
    let pool = ProcessPool::builder().workers(1).region_size(2 << 20).arena_size(256 << 10).build(act).unwrap();
    let acts = std::iter::once(first).chain([Act::Bytes(20_000); 60]);
    let lengths: Vec<_> = pool.map(acts).unwrap().chunk_size(61).map(|bytes| bytes.unwrap().len()).collect();
    assert!(lengths[0] == 0 && lengths[1..] == [20_000; 60], "{lengths:?}");
    "went on"
}

fn queues() {
    run("queues_whose_region_is_written_over_end_with_an_error_or_go_on", 5, one_mill);
}

fn one_mill(numbers: &mut Numbers) -> &'static str {
    let rogue = Rogues::of(numbers).next(numbers);
    let mill = Mill::builder().region_size(1 << 20).arena_size(128 << 10).retries(2).build().unwrap();
    let (jobs, results) = (mill.joinable_queue::<u64>(64).unwrap(), mill.queue::<u64>(64).unwrap());
    let daemons = mill.spawn_daemons(2, serve, (&jobs, &results)).unwrap();
    let count = 1 + numbers.below(300);
    let at = numbers.below(count);
    // Not for ever: how many there are is a claim of the region, and nobody else has a record of a queue's jobs.
    let patience = Duration::from_millis(300);
    let mut put = 0;
    for n in 0..count {
        let job = if n == at { rogue } else { n };
        put += u64::from(jobs.put_timeout(job, patience).is_ok());
        if put < n {
            break;
        }
    }
    let joined = jobs.join_timeout(patience);
    let mut got = 0;
    loop {
        match results.get_timeout(patience) {
            Ok(_) => got += 1,
            // One that cannot be decoded is over.
            Err(GetError::Decode(_)) => {}
            Err(_) => break,
        }
        // Positions that go round must not make it endless.
        if got > 10 * count + 1000 {
            break;
        }
    }
    let _ = (jobs.pending(), results.qsize(), jobs.unfinished(), mill.stats());
    jobs.close();
    drop(daemons);
    if joined.is_ok() { "went on" } else { "ended" }
}
