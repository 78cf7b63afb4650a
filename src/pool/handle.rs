//! The handle of one job: its result when there is one, and a future.

use super::engine::{Engine, State};
use super::error::JobError;
use super::record::{Outcome, Place, Waiting};
use crate::ring::event;
use crate::ring::frame::Kind;
use crate::sys::clock::Deadline;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a job's caller gets of its value's bytes. In two parts: a value that is small comes back in registers, while a `Result` with room for
/// every error would have to be copied, which costs more than to read a number.
pub(super) struct Decode<R, E> {
    /// The value, if the bytes are one.
    pub value: fn(&[u8]) -> Option<R>,
    /// Why not, if not.
    pub error: fn(u64, &[u8]) -> JobError<E>,
}

impl<R, E> Clone for Decode<R, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R, E> Copy for Decode<R, E> {}

impl<R, E> Decode<R, E> {
    #[inline]
    pub fn read(&self, job: u64, bytes: &[u8]) -> Result<R, JobError<E>> {
        match (self.value)(bytes) {
            Some(value) => Ok(value),
            None => Err((self.error)(job, bytes)),
        }
    }
}

/// How values are read that stand side by side, if they are numbers.
pub(super) struct Numbers<R> {
    /// Bytes of each; 0 if they are no numbers.
    pub width: usize,
    /// Appends them, the last one first.
    pub append: fn(&[u8], &mut Vec<R>),
}

impl<R> Clone for Numbers<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Numbers<R> {}

/// A job of a [`ProcessPool`](crate::ProcessPool): after Python's `concurrent.futures.Future`, and a [`std::future::Future`] for any runtime.
///
/// A clone is the same job. Dropped, the job still runs. The outcome can be asked for as often as one likes; it is decoded each time.
pub struct JobHandle<R, E = Infallible> {
    pub(super) engine: Arc<Engine>,
    pub(super) job: u32,
    pub(super) index: u64,
    pub(super) decode: Decode<R, E>,
}

impl<R, E> std::fmt::Debug for JobHandle<R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.done() { "done" } else { "not done" };
        write!(f, "JobHandle(job {}, {state})", self.index)
    }
}

impl<R, E> Clone for JobHandle<R, E> {
    fn clone(&self) -> Self {
        self.engine.share(self.job);
        JobHandle { engine: self.engine.clone(), job: self.job, index: self.index, decode: self.decode }
    }
}

impl<R, E> Drop for JobHandle<R, E> {
    fn drop(&mut self) {
        self.engine.forget(self.job);
    }
}

impl<R, E> JobHandle<R, E> {
    /// The job's place in the order of submissions to its pool, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Waits for the job's value.
    ///
    /// # Errors
    /// [`JobError`], if it gave none.
    #[inline]
    pub fn result(&self) -> Result<R, JobError<E>> {
        match self.outcome(None) {
            Some(outcome) => self.read(&outcome),
            None => unreachable!("without a deadline the wait ends with an outcome"),
        }
    }

    /// Waits for the job's value until the timeout; `None` if there is no outcome by then. A job that ends at the same moment is
    /// seen once: by this call, or by the next.
    pub fn result_timeout(&self, timeout: Duration) -> Option<Result<R, JobError<E>>> {
        self.outcome(Some(Deadline::after(timeout))).map(|outcome| self.read(&outcome))
    }

    /// Waits for the job's end; why it gave no value, if so.
    pub fn exception(&self) -> Option<JobError<E>> {
        self.result().err()
    }

    #[inline]
    fn outcome(&self, deadline: Option<Deadline>) -> Option<Outcome> {
        let state = self.engine.lock();
        if let Some(outcome) = &state.records[self.job].outcome {
            return Some(outcome.clone());
        }
        let (state, got) = self.engine.wait_until(state, deadline, |state| state.records[self.job].outcome.clone());
        self.engine.release(state);
        got
    }

    pub(super) fn read(&self, outcome: &Outcome) -> Result<R, JobError<E>> {
        read_outcome(&self.engine, self.index, outcome, self.decode)
    }

    /// Whether there is an outcome. Collects those that have arrived, and does not wait.
    pub fn done(&self) -> bool {
        let state = self.engine.lock();
        if state.records[self.job].outcome.is_some() {
            return true;
        }
        let now = Some(Deadline(0));
        let (mut state, _) =
            self.engine.wait_until(state, now, |state| state.records[self.job].outcome.is_some().then_some(()));
        self.engine.fetch(&mut state, self.job);
        let done = state.records[self.job].outcome.is_some();
        self.engine.release(state);
        done
    }

    /// Whether a worker has begun it and there is no outcome yet.
    pub fn running(&self) -> bool {
        if self.done() {
            return false;
        }
        let state = self.engine.lock();
        match state.records[self.job].place {
            Place::Slot(slot, number) => self.engine.channel.progress(slot).begun() > number,
            _ => false,
        }
    }

    /// Whether it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.done() && matches!(self.engine.lock().records[self.job].outcome, Some(Outcome::Of(Kind::Cancelled, _)))
    }

    /// Cancels the job: one that waits is never run; one that runs is stopped by replacing its worker, which costs no other job.
    /// `false` if it is over already. After `true` the outcome is [`JobError::Cancelled`], unless the job ended at that very moment.
    pub fn cancel(&self) -> bool {
        self.engine.cancel(self.job)
    }

    /// Calls `callback` with this job when it is done: at once if it is, else in the thread that collects its outcome. Callbacks of a job run in
    /// the order in which they were added; one that panics is reported on standard error, and the others run.
    pub fn add_done_callback(&self, callback: impl FnOnce(&JobHandle<R, E>) + Send + 'static)
    where
        R: 'static,
        E: 'static,
    {
        let this = self.clone();
        let call = move || callback(&this);
        let mut state = self.engine.lock();
        if state.records[self.job].outcome.is_some() {
            drop(state);
            return run_callback(call);
        }
        self.watch(&mut state, |waiting| waiting.callbacks.push(Box::new(call)));
        self.engine.release(state);
        event::notify_all(&self.engine.channel.desc().assist);
    }

    /// Notes somebody who is to be told by the assistant if nobody else collects.
    fn watch(&self, state: &mut State, add: impl FnOnce(&mut Waiting)) {
        let waiting = state.records[self.job].waiting.get_or_insert_default();
        let first = waiting.wakers.is_empty() && waiting.callbacks.is_empty();
        add(waiting);
        state.watched += usize::from(first);
    }
}

/// What an outcome is for the one who submitted the job.
#[inline]
pub(super) fn read_outcome<R, E>(engine: &Engine, job: u64, outcome: &Outcome, decode: Decode<R, E>) -> Result<R, JobError<E>> {
    match outcome {
        Outcome::Of(Kind::Value, bytes) => decode.read(job, bytes),
        other => Err(JobError::of(job, other, || engine.shared.last_end())),
    }
}

/// A callback's panic is reported, and is nobody else's.
pub(super) fn run_callback(callback: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback)).is_err() {
        eprintln!("gristmill: a callback of a job panicked; the others go on");
    }
}

impl<R, E> Future for JobHandle<R, E> {
    type Output = Result<R, JobError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.engine.lock();
        if let Some(outcome) = state.records[self.job].outcome.clone() {
            drop(state);
            return Poll::Ready(self.read(&outcome));
        }
        let waker = context.waker();
        let known = state.records[self.job].waiting.as_ref().is_some_and(|w| w.wakers.iter().any(|w| w.will_wake(waker)));
        if !known {
            self.watch(&mut state, |waiting| waiting.wakers.push(waker.clone()));
        }
        // What is kept back may be this job.
        self.engine.flush(&mut state);
        self.engine.release(state);
        if !known {
            event::notify_all(&self.engine.channel.desc().assist);
        }
        Poll::Pending
    }
}
