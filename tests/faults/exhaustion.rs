//! Each system call of creation, start and recovery is refused once, every n-th of its kind: an error that says what to do or a success, nothing
//! left, and the next pool works.
//!
//! The story of each case: a program makes a pool, uses it and lets go of it. Somewhere in between the system has no descriptor, no memory or no
//! process for it, or a signal interrupts it. Which call that is, each of the program's threads and of its workers, comes from a run in which
//! none fails, each error that is legal in turn. `GRISTMILL_EXHAUSTION=all cargo test --release --test faults exhaustion`: in addition, what is
//! refused to the program once is refused to it and its workers from then on, until it gives up.

use crate::held::{Held, PATIENCE};
use crate::refuse::{self, Counted, Fault, Run, Who};
use gristmill::sync::{Barrier, Counter, Mutex};
use gristmill::sys::pidfd::Exit;
use gristmill::{JobError, JoinableQueue, Mill, PoolBuilder, ProcessPool, Queue, SharedVec, StartMethod};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex as Guarded;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub const TESTS: crate::Tests = &[
    ("a_pool_made_while_a_call_fails_works_or_says_why", || each("pool")),
    ("a_worker_is_replaced_although_a_call_fails", || each("recovery")),
    ("a_forked_worker_is_replaced_although_a_call_fails", || each("forked recovery")),
    ("a_single_worker_dies_while_calls_fail_for_good", || each("alone")),
    ("a_single_forked_worker_dies_while_calls_fail_for_good", || each("forked alone")),
    ("a_region_in_a_file_made_while_a_call_fails_leaves_no_file", || each("file")),
    ("a_named_region_made_while_a_call_fails_leaves_no_name", || each("named")),
    ("arrays_made_while_a_call_fails_are_right_or_not_there", || each("arrays")),
    ("workers_are_forked_or_not_although_a_call_fails", || each("fork")),
];

/// A job that ends its worker.
const DEADLY: usize = 666;
/// More than a slot holds.
const LARGE: usize = 20_000;

pub fn bytes(count: usize) -> Vec<u8> {
    if count == DEADLY {
        std::process::abort();
    }
    vec![count as u8; count]
}

pub fn double(from: &[u64], to: &mut [u64]) {
    from.iter().zip(to).for_each(|(a, b)| *b = 2 * a);
}

pub fn relay(jobs: &JoinableQueue<u64>, back: &Queue<u64>, sum: &Mutex<u64>, met: &Barrier, count: &Counter) {
    // The program has died or gone: there is nobody to tell.
    let _ = met.wait();
    while let Ok(job) = jobs.get() {
        if let Ok(mut sum) = sum.lock() {
            *sum += *job;
        }
        count.add(1);
        if back.put(*job).is_err() {
            return;
        }
        job.task_done();
    }
}

type Said = Result<(), String>;

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn builder(workers: usize) -> PoolBuilder {
    ProcessPool::builder().workers(workers).region_size(1 << 20).arena_size(100 << 10)
}

fn use_pool(builder: PoolBuilder) -> Said {
    let pool = builder.build(bytes).map_err(say)?;
    let jobs: Vec<_> =
        [1, 2, LARGE, 3].into_iter().map(|n| pool.submit(n).map(|job| (n, job))).collect::<Result<_, _>>().map_err(say)?;
    for (n, job) in jobs {
        assert_eq!(job.result().map_err(say)?, vec![n as u8; n]);
    }
    for (n, result) in pool.map(0..100).map_err(say)?.enumerate() {
        assert_eq!(result.map_err(say)?.len(), n);
    }
    pool.shutdown(true, false);
    Ok(())
}

fn recovery(workers: usize, start: StartMethod) -> Said {
    let pool = builder(workers).start_method(start).build(bytes).map_err(say)?;
    let before = pool.submit_many(0..20).map_err(say)?;
    let deadly = pool.submit(DEADLY).map_err(say)?;
    let after = pool.submit_many(20..40).map_err(say)?;
    match deadly.result() {
        Err(JobError::WorkerDied { exit: Exit::Signal { signal: libc::SIGABRT, .. }, attempts: 1, .. }) => {}
        Err(e) => return Err(say(e)),
        Ok(_) => return Err("the deadly job has a result".into()),
    }
    for (n, job) in before.into_iter().chain(after).enumerate() {
        assert_eq!(job.result().map_err(say)?.len(), n);
    }
    let until = Instant::now() + Duration::from_secs(30);
    while workers > 1 && pool.worker_pids().len() < workers {
        if Instant::now() > until {
            return Err("the dead worker is not replaced".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // The replacement is there to work.
    pool.for_each(0..200).map_err(say)?;
    Ok(())
}

fn sized(builder: gristmill::MillBuilder) -> gristmill::MillBuilder {
    builder.region_size(1 << 20).arena_size(64 << 10).max_processes(2)
}

fn use_mill(mill: Mill) -> Said {
    let jobs = mill.joinable_queue::<u64>(8).map_err(say)?;
    let back = mill.queue::<u64>(8).map_err(say)?;
    let sum = Mutex::new(&mill, 0u64).map_err(say)?;
    let met = Barrier::new(&mill, 2).map_err(say)?;
    let count = Counter::new(&mill, 0).map_err(say)?;
    mill.spawn_daemons(1, relay, (&jobs, &back, &sum, &met, &count)).map_err(say)?;
    met.wait().map_err(say)?;
    for n in 0..20 {
        jobs.put(n).map_err(say)?;
    }
    jobs.join().map_err(say)?;
    assert_eq!(back.drain().map_err(say)?, Vec::from_iter(0..20));
    assert_eq!(count.get(), 20);
    assert_eq!(*sum.lock().map_err(say)?, 190);
    Ok(())
}

/// What a process of ours may have made under a name.
fn names(process: u32) -> [PathBuf; 2] {
    let name = format!("gristmill-exhaustion-{process}");
    [std::env::temp_dir().join(&name), Path::new("/dev/shm").join(&name)]
}

fn path() -> PathBuf {
    let [file, _] = names(std::process::id());
    file
}

fn file() -> Said {
    let mill = Mill::builder().file(path());
    let mill = sized(mill).build().map_err(say)?;
    let done = use_mill(mill);
    // With a Mill that was built it stays, by promise.
    fs::remove_file(path()).unwrap();
    done
}

fn named() -> Said {
    use_mill(sized(Mill::builder()).name(&format!("gristmill-exhaustion-{}", std::process::id())).build().map_err(say)?)
}

fn arrays() -> Said {
    let pool = builder(1).build_for_slices().map_err(say)?;
    let from = SharedVec::from_fn(3000, |n| n as u64).map_err(say)?;
    let mut to = SharedVec::<u64>::zeroed(3000).map_err(say)?;
    pool.map_slice(double, &from, &mut to).map_err(say)?;
    assert!(to.iter().enumerate().all(|(n, &twice)| twice == 2 * n as u64));
    Ok(())
}

fn scenario(name: &str) -> Said {
    match name {
        "pool" => use_pool(builder(1).pin_workers(&[])),
        "recovery" => recovery(2, StartMethod::Spawn),
        "forked recovery" => recovery(2, StartMethod::Fork),
        "alone" => recovery(1, StartMethod::Spawn),
        "forked alone" => recovery(1, StartMethod::Fork),
        "file" => file(),
        "named" => named(),
        "arrays" => arrays(),
        "fork" => use_pool(builder(1).start_method(StartMethod::Fork)),
        other => panic!("no such scenario: {other}"),
    }
}

/// In a process of its own.
pub fn role(name: &str) {
    let counted = Counted::begin();
    let before = Held::now();
    let left = || before.difference(PATIENCE).map_or_else(String::new, |what| format!("left behind: {what}"));
    counted.go();
    let told = scenario(name);
    counted.end(&told.err().unwrap_or_default());
    let mut problem = left();
    if problem.is_empty() {
        problem = use_pool(builder(2)).err().map(|e| format!("the next pool: {e}")).unwrap_or_else(left);
    }
    counted.left(&problem);
    std::process::exit(0);
}

/// All faults of a scenario, from how often each calls what.
fn faults(name: &str, counts: &refuse::Counts) -> Vec<Fault> {
    let all = std::env::var("GRISTMILL_EXHAUSTION").is_ok_and(|v| v == "all");
    // What is tried again for as long as it is interrupted would be for ever. Without any memory for itself a program in Rust aborts, whatever it
    // is doing.
    let lasts = |call: &str, error: i32| {
        ![libc::EINTR, libc::EBUSY].contains(&error) && !["SYS_futex", "SYS_read", "SYS_mmap"].contains(&call)
    };
    let alone = name.ends_with("alone");
    let mut faults = vec![];
    for (&(who, call), &count) in counts {
        // The first workers start in each scenario alike; here the replacement is of interest.
        let once = !(alone || name == "recovery" && matches!(who, Who::Child(0 | 1)));
        // A single worker that cannot be replaced shows the end; two would go on with one.
        // What wants memory each time that it waits is to get along without at any length.
        let lasting = (all || call == "SYS_ppoll") && !name.ends_with("recovery") && matches!(who, Who::Thread(_));
        for (nth, &error) in (1..=count).flat_map(|nth| refuse::errors(call).iter().map(move |error| (nth, error))) {
            let fault = Fault { who, call, nth, error, lasting: false };
            faults.extend(once.then_some(fault));
            faults.extend((lasting && lasts(call, error)).then_some(Fault { lasting: true, ..fault }));
        }
    }
    faults
}

/// What is wrong with a run, if anything; its error, if it has one.
fn judge(fault: &Fault, run: &Run) -> Result<Option<String>, String> {
    let wrong = |what: String| Err(format!("{fault}: {what}\n{}", run.said));
    match run.exit {
        None => return wrong("it hangs".into()),
        Some(Exit::Code(0)) => {}
        Some(exit) => return wrong(format!("it ended with {exit}")),
    }
    let (Some(told), Some(left)) = (&run.told, &run.left) else { return wrong("it says nothing".into()) };
    if !left.is_empty() {
        return wrong(format!("{left} (after: {told:?})"));
    }
    // Except in the standard library before a worker's `main`: then another is started.
    if run.said.lines().any(|line| line.contains("panicked at") && !line.contains("/std/src/sys/pal/unix/stack_overflow.rs")) {
        return wrong("it panics".into());
    }
    if told.is_empty() {
        return Ok(None);
    }
    // The standard library and libc say EAGAIN when there is no memory for a thread.
    let system = [fault.error, libc::EAGAIN].map(|e| std::io::Error::from_raw_os_error(e).to_string());
    let plain = told.lines().count() == 1;
    // That there is no such thing in this kernel is not for want of something.
    let advice = told.contains("; ") || fault.error == libc::EINVAL;
    let full = fault.error == libc::ENOSPC && told.contains("free some space");
    // The loader has its own words.
    let not_loaded = fault.lasting && told.contains("cannot load a program or its libraries; see standard error");
    let clear = full || not_loaded || system.iter().any(|text| told.contains(text)) && advice;
    if !plain || !clear {
        return wrong(format!("the error does not tell what failed and what to do: {told}"));
    }
    Ok(Some(told.clone()))
}

fn each(name: &'static str) {
    let plain = match refuse::run("exhaustion", name, None) {
        Ok(run) => run,
        Err(why) => {
            return crate::skip::skipped(format!("no filter of system calls here: {why}"));
        }
    };
    let told = (plain.told.as_deref(), plain.left.as_deref());
    assert_eq!((plain.exit, told), (Some(Exit::Code(0)), (Some(""), Some(""))), "without a fault: {}", plain.said);
    let faults = faults(name, &plain.counts);
    assert!(plain.counts.len() > 30, "the calls are seen: {:?}", plain.counts);
    let (next, missed, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let (errors, wrong) = (Guarded::new(BTreeMap::<String, usize>::new()), Guarded::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Relaxed)) {
                    let run = refuse::run("exhaustion", name, Some(fault)).expect("it went once");
                    let judged = judge(fault, &run);
                    // Of one that hung or died.
                    names(run.process).iter().for_each(|path| drop(fs::remove_file(path)));
                    match judged {
                        Err(why) => wrong.lock().unwrap().push(why),
                        Ok(_) if !run.reached => drop(missed.fetch_add(1, Relaxed)),
                        Ok(None) => drop(done.fetch_add(1, Relaxed)),
                        Ok(Some(error)) => *errors.lock().unwrap().entry(error).or_default() += 1,
                    }
                }
            });
        }
    });
    let (errors, wrong) = (errors.into_inner().unwrap(), wrong.into_inner().unwrap());
    for (error, times) in &errors {
        println!("{times:5} x {error}");
    }
    let (cases, failed, done, missed) = (faults.len(), errors.values().sum::<usize>(), done.into_inner(), missed.into_inner());
    println!(
        "{name}: {cases} cases: {done} did without, {failed} said why they failed, {missed} did not make the call, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|w| format!("  {w}")).collect::<Vec<_>>().join("\n"));
}
