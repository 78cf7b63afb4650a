//! Jobs with keys, and their results as they come: for programs that keep a bounded number of jobs under way.

use super::error::{JobError, SubmitError};
use super::handle::read_outcome;
use super::pool::ProcessPool;
use super::record::Outcome;
use crate::sys::clock::Deadline;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

/// Jobs of one pool that this program is waiting for, each with a key of its own: made by [`ProcessPool::completions`].
///
/// Python's `as_completed` takes all futures at once; this takes more while results come.
pub struct Completions<K, A, R, E = Infallible> {
    pool: ProcessPool<A, R, E>,
    under_way: VecDeque<Job<K>>,
    /// Done, and not taken.
    done: VecDeque<(Job<K>, Outcome)>,
}

struct Job<K> {
    key: K,
    record: u32,
    index: u64,
}

impl<K, A, R, E> std::fmt::Debug for Completions<K, A, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Completions({} jobs)", self.len())
    }
}

impl<K, A, R, E> Drop for Completions<K, A, R, E> {
    fn drop(&mut self) {
        for job in &self.under_way {
            self.pool.owner.engine.forget(job.record);
        }
    }
}

impl<K, A, R, E> Completions<K, A, R, E> {
    pub(super) fn new(pool: ProcessPool<A, R, E>) -> Self {
        Completions { pool, under_way: VecDeque::new(), done: VecDeque::new() }
    }

    /// Jobs whose results have not been taken.
    pub fn len(&self) -> usize {
        self.under_way.len() + self.done.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets workers see at once what has been kept back to be put together with jobs that follow.
    pub fn flush(&self) {
        let engine = &self.pool.owner.engine;
        let mut state = engine.lock();
        engine.flush(&mut state);
        engine.release(state);
    }

    /// The next result, whichever comes first; waits for it. `None` if no job is under way.
    pub fn next_result(&mut self) -> Option<(K, Result<R, JobError<E>>)> {
        self.next_until(None)
    }

    /// The same until a timeout: `None` also if there is no result by then.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<(K, Result<R, JobError<E>>)> {
        // Without a wait there is no clock to be read.
        self.next_until(Some(if timeout.is_zero() { Deadline(0) } else { Deadline::after(timeout) }))
    }

    fn next_until(&mut self, deadline: Option<Deadline>) -> Option<(K, Result<R, JobError<E>>)> {
        let engine = &self.pool.owner.engine;
        if self.done.is_empty() && !self.under_way.is_empty() {
            let (under_way, done) = (&mut self.under_way, &mut self.done);
            let mut seen = u64::MAX;
            let (state, _) = engine.wait_until(engine.lock(), deadline, |state| {
                // All are looked at only if something has changed.
                if std::mem::replace(&mut seen, state.counts.done) == state.counts.done {
                    return None;
                }
                for job in std::mem::take(under_way) {
                    match state.records[job.record].outcome.clone() {
                        Some(outcome) => {
                            engine.forget_in(state, job.record);
                            done.push_back((job, outcome));
                        }
                        None => under_way.push_back(job),
                    }
                }
                (!done.is_empty()).then_some(())
            });
            engine.release(state);
        }
        let (job, outcome) = self.done.pop_front()?;
        Some((job.key, read_outcome(engine, job.index, &outcome, self.pool.decode)))
    }
}

impl<K, A, R, E> Completions<K, A, R, E>
where
    A: Serialize + DeserializeOwned + 'static,
{
    /// Submits a job under a key. Waits while the pool is full.
    ///
    /// # Errors
    /// [`SubmitError`], with the argument.
    pub fn submit(&mut self, key: K, argument: A) -> Result<(), SubmitError<A>> {
        self.note(key, argument, true)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// [`SubmitError`], with the argument.
    pub fn try_submit(&mut self, key: K, argument: A) -> Result<(), SubmitError<A>> {
        self.note(key, argument, false)
    }

    fn note(&mut self, key: K, argument: A, wait: bool) -> Result<(), SubmitError<A>> {
        let (record, index) = self.pool.submit_record(argument, wait)?;
        self.under_way.push_back(Job { key, record, index });
        Ok(())
    }
}
