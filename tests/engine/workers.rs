//! Functions that the workers of several files run, and what the tests do with their results.

use gristmill::{Daemons, JoinableQueue, Queue, Task, tasks};
use std::collections::BTreeMap;

pub fn tasks() -> Vec<Task> {
    tasks![square, echo, echo_jobs, swallow]
}

/// Squares numbers.
pub fn square(jobs: &JoinableQueue<u64>, results: &Queue<(u64, u64)>) {
    while let Ok(job) = jobs.get() {
        if results.put((*job, job.wrapping_mul(*job))).is_err() {
            return;
        }
        job.task_done();
    }
}

/// Gives bytes back, from queue to queue.
pub fn echo(items: &Queue<Vec<u8>>, back: &Queue<Vec<u8>>) {
    while let Ok(item) = items.get() {
        if back.put(item).is_err() {
            return;
        }
    }
}

/// Gives bytes back as results of jobs.
pub fn echo_jobs(jobs: &JoinableQueue<Vec<u8>>, back: &Queue<Vec<u8>>) {
    while let Ok(job) = jobs.get() {
        if back.put(job.clone()).is_err() {
            return;
        }
        job.task_done();
    }
}

/// Does jobs without any result.
pub fn swallow(jobs: &JoinableQueue<u64>) {
    while let Ok(job) = jobs.get() {
        job.task_done();
    }
}

/// A worker of the group that is alive, as soon as there is one.
pub fn one_of(daemons: &Daemons) -> u32 {
    loop {
        if let Some(&pid) = daemons.pids().first() {
            return pid;
        }
        std::thread::yield_now();
    }
}

/// How often each job number occurs.
pub fn tally(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    let mut tally = BTreeMap::new();
    for n in numbers {
        *tally.entry(n).or_insert(0) += 1;
    }
    tally
}

/// Each of `0..jobs` has exactly one result, those that `may_repeat` at least one, and nothing else has any.
pub fn check_results(numbers: impl IntoIterator<Item = u64>, jobs: u64, may_repeat: impl Fn(u64) -> bool) {
    let tally = tally(numbers);
    let missing: Vec<_> = (0..jobs).filter(|n| !tally.contains_key(n)).collect();
    assert!(missing.is_empty(), "{} jobs have no result: {:?}", missing.len(), &missing[..missing.len().min(20)]);
    assert!(tally.keys().all(|&n| n < jobs), "results of jobs that nobody put");
    let twice: Vec<_> = tally.iter().filter(|&(&n, &count)| count > 1 && !may_repeat(n)).collect();
    assert!(twice.is_empty(), "results too many, though no worker died with the job: {:?}", &twice[..twice.len().min(20)]);
}
