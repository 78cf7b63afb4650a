//! Waiting for several jobs: `wait` and `as_completed`, after `concurrent.futures`.

use super::engine::Engine;
use super::handle::JobHandle;
use super::record::Outcome;
use crate::process::lock;
use crate::ring::frame::Kind;
use crate::sys::clock::Deadline;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where jobs that are done are noted for somebody who waits for several.
#[derive(Default)]
pub(super) struct Watch(Mutex<VecDeque<usize>>);

impl Watch {
    pub fn push(&self, token: usize) {
        lock(&self.0).push_back(token);
    }

    fn pop(&self) -> Option<usize> {
        lock(&self.0).pop_front()
    }
}

/// When [`wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnWhen {
    /// When a job is done.
    FirstCompleted,
    /// When a job has given no value, or all are done.
    FirstFailed,
    /// When all are done.
    AllCompleted,
}

/// What [`wait`] found: places in the slice of handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Jobs that are done, in the order in which that was seen.
    pub done: Vec<usize>,
    /// The others.
    pub not_done: Vec<usize>,
}

/// Registers each job with a watch; tokens of those that are done already are there at once.
fn watch_all<R, E>(jobs: &[JobHandle<R, E>]) -> Arc<Watch> {
    let watch = Arc::new(Watch::default());
    for (token, job) in jobs.iter().enumerate() {
        let mut state = job.engine.lock();
        let record = &mut state.records[job.job];
        if record.outcome.is_some() {
            watch.push(token);
        } else {
            record.waiting.get_or_insert_default().watches.push((watch.clone(), token));
        }
    }
    watch
}

/// Forgets a watch that nobody asks any more.
fn unwatch<R, E>(jobs: &[JobHandle<R, E>], watch: &Arc<Watch>) {
    for job in jobs {
        let mut state = job.engine.lock();
        if let Some(waiting) = &mut state.records[job.job].waiting {
            waiting.watches.retain(|(w, _)| !Arc::ptr_eq(w, watch));
        }
    }
}

/// The next job of a watch, collected by this thread if need be; all jobs are of one pool.
pub(super) fn next(engine: &Engine, watch: &Watch, deadline: Option<Deadline>) -> Option<usize> {
    if let Some(token) = watch.pop() {
        return Some(token);
    }
    let (state, token) = engine.wait_until(engine.lock(), deadline, |_| watch.pop());
    engine.release(state);
    token
}

/// Waits until jobs of one pool are done, as many as `when` says, or until the timeout.
///
/// # Panics
/// If the jobs are of different pools.
pub fn wait<R, E>(jobs: &[JobHandle<R, E>], when: ReturnWhen, timeout: Option<Duration>) -> Waited {
    let deadline = timeout.map(Deadline::after);
    let mut waited = Waited { done: vec![], not_done: (0..jobs.len()).collect() };
    let Some(engine) = one_pool(jobs) else { return waited };
    let watch = watch_all(jobs);
    while waited.done.len() < jobs.len() {
        let Some(token) = next(&engine, &watch, deadline) else { break };
        waited.done.push(token);
        let enough = match when {
            ReturnWhen::FirstCompleted => true,
            ReturnWhen::FirstFailed => failed(&jobs[token]),
            ReturnWhen::AllCompleted => false,
        };
        if enough {
            break;
        }
    }
    // What came at the same time is told too.
    while let Some(token) = watch.pop() {
        waited.done.push(token);
    }
    let mut is_done = vec![false; jobs.len()];
    waited.done.iter().for_each(|&n| is_done[n] = true);
    waited.not_done.retain(|&n| !is_done[n]);
    unwatch(jobs, &watch);
    waited
}

fn failed<R, E>(job: &JobHandle<R, E>) -> bool {
    let outcome = job.engine.lock().records[job.job].outcome.clone();
    match outcome {
        Some(Outcome::Of(Kind::Value, bytes)) => (job.decode.value)(&bytes).is_none(),
        _ => true,
    }
}

fn one_pool<R, E>(jobs: &[JobHandle<R, E>]) -> Option<Arc<Engine>> {
    let first = jobs.first()?;
    assert!(jobs.iter().all(|job| Arc::ptr_eq(&job.engine, &first.engine)), "the jobs are of different pools");
    Some(first.engine.clone())
}

/// Jobs of one pool, each as soon as it is done. A job that is there twice is given twice.
///
/// # Panics
/// If the jobs are of different pools.
pub fn as_completed<R, E>(jobs: impl IntoIterator<Item = JobHandle<R, E>>) -> AsCompleted<R, E> {
    let jobs: Vec<_> = jobs.into_iter().collect();
    let engine = one_pool(&jobs);
    let watch = watch_all(&jobs);
    AsCompleted { left: jobs.len(), jobs: jobs.into_iter().map(Some).collect(), engine, watch, deadline: None }
}

/// The iterator of [`as_completed`].
pub struct AsCompleted<R, E> {
    jobs: Vec<Option<JobHandle<R, E>>>,
    engine: Option<Arc<Engine>>,
    watch: Arc<Watch>,
    left: usize,
    deadline: Option<Deadline>,
}

impl<R, E> std::fmt::Debug for AsCompleted<R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AsCompleted({} jobs left)", self.left)
    }
}

impl<R, E> AsCompleted<R, E> {
    /// Ends the iteration at that time from now, with jobs left: [`left`](Self::left) says how many.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(Deadline::after(timeout));
        self
    }

    /// How many jobs have not been given.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl<R, E> Iterator for AsCompleted<R, E> {
    type Item = JobHandle<R, E>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let token = next(self.engine.as_ref()?, &self.watch, self.deadline)?;
        self.left -= 1;
        self.jobs[token].take()
    }
}

impl<R, E> Drop for AsCompleted<R, E> {
    fn drop(&mut self) {
        let jobs: Vec<_> = self.jobs.drain(..).flatten().collect();
        unwatch(&jobs, &self.watch);
    }
}
