//! The pool with types: jobs of one function.

use super::builder::{PoolBuilder, Reading, fallible, plain};
use super::completions::Completions;
use super::engine::{Engine, Refused, Route};
use super::error::{JobError, SubmitError};
use super::handle::{Decode, JobHandle, Numbers};
use super::map::{Map, Stream};
use super::stats::PoolStats;
use super::task::{FoldShape, JobFunction};
use crate::process::{Error, IntoTask, Mill, Result, name_of, place_of};
use crate::queue::codec::{Codec, Postcard};
use serde::{Serialize, de::DeserializeOwned};
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

/// Worker processes that run jobs: after Python's `concurrent.futures.ProcessPoolExecutor`.
///
/// A job is a value of type `A`; the function that the pool was built with makes a value of type `R` of it, in a worker process. Each job that was
/// taken has exactly one outcome: that value, or a [`JobError`]. A worker that dies costs the job that it was running and nothing else.
///
/// A clone is the same pool. When the last one is dropped, the workers are ended; jobs that have no outcome then end as
/// [`PoolEnded`](JobError::PoolEnded). To wait for them, call [`shutdown`](Self::shutdown) first.
pub struct ProcessPool<A, R, E = Infallible> {
    pub(super) owner: Arc<Owner>,
    pub(super) route: Route,
    pub(super) decode: Decode<R, E>,
    numbers: Numbers<R>,
    types: PhantomData<fn(A)>,
}

/// What ends with the last handle of a pool.
pub(crate) struct Owner {
    pub(super) engine: Arc<Engine>,
    pub(super) workers: usize,
    /// The name of the type that the initializer makes.
    pub(super) state: Option<&'static str>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.engine.close();
    }
}

impl ProcessPool<(), ()> {
    /// Sizes and rules to choose from.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }
}

impl ProcessPool<Infallible, ()> {
    /// One to which no jobs can be submitted: there is no value of their type.
    pub(super) fn without_task(owner: Arc<Owner>) -> Self {
        let (decode, numbers) = plain();
        ProcessPool { owner, route: Route { task: u16::MAX, fold: None }, decode, numbers, types: PhantomData }
    }
}

impl<A, R, E> Clone for ProcessPool<A, R, E> {
    fn clone(&self) -> Self {
        let (decode, numbers) = (self.decode, self.numbers);
        ProcessPool { owner: self.owner.clone(), route: self.route, decode, numbers, types: PhantomData }
    }
}

impl<A, R, E> std::fmt::Debug for ProcessPool<A, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.owner.engine.lock();
        write!(f, "ProcessPool({} workers, {} jobs unfinished)", self.owner.workers, state.unfinished)
    }
}

impl<A, R, E> ProcessPool<A, R, E> {
    pub(super) fn over<Shape, F: JobFunction<Shape>>(owner: Arc<Owner>, (decode, numbers): Reading<R, E>) -> Result<Self> {
        let task = place_of(name_of::<F>())?;
        if let Some(needs) = F::state()
            && owner.state != Some(needs)
        {
            return Err(Error::WorkerState { task: name_of::<F>(), needs, made: owner.state });
        }
        Ok(ProcessPool { owner, route: Route { task, fold: None }, decode, numbers, types: PhantomData })
    }

    /// The same workers for jobs of another function.
    ///
    /// # Errors
    /// If it is not registered, or needs a state that the pool's initializer does not make.
    pub fn task<Shape, F: JobFunction<Shape>>(&self, _function: F) -> Result<ProcessPool<F::Arg, F::Out>> {
        ProcessPool::over::<Shape, F>(self.owner.clone(), plain())
    }

    /// The same workers for jobs of another function, which returns a `Result`.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    pub fn fallible_task<Shape, F, R2, E2>(&self, _function: F) -> Result<ProcessPool<F::Arg, R2, E2>>
    where
        F: JobFunction<Shape, Out = std::result::Result<R2, E2>>,
        Postcard: Codec<std::result::Result<R2, E2>>,
    {
        ProcessPool::over::<Shape, F>(self.owner.clone(), fallible())
    }

    /// Ends the taking of jobs, for all handles of the pool. With `cancel_pending`, jobs that no worker has begun are cancelled. With `wait`,
    /// returns when every job has an outcome and the workers have ended; else at once, and the workers end with the last handle of the
    /// pool.
    pub fn shutdown(&self, wait: bool, cancel_pending: bool) {
        let engine = &self.owner.engine;
        let mut state = engine.lock();
        state.closed = true;
        if cancel_pending {
            let waiting: Vec<u32> = state.records.unfinished().collect();
            for job in waiting {
                engine.cancel_in(&mut state, job, false);
            }
        }
        if wait {
            state = engine.wait_until(state, None, |state| (state.unfinished == 0).then_some(())).0;
        }
        engine.release(state);
        if wait {
            engine.close();
        }
    }

    /// Sends SIGTERM to the workers and ends the pool: jobs without outcome end as [`PoolEnded`](JobError::PoolEnded).
    pub fn terminate_workers(&self) {
        self.owner.engine.signal(libc::SIGTERM);
        self.owner.engine.close();
    }

    /// Kills the workers (SIGKILL) and ends the pool: jobs without outcome end as [`PoolEnded`](JobError::PoolEnded).
    pub fn kill_workers(&self) {
        self.owner.engine.signal(libc::SIGKILL);
        self.owner.engine.close();
    }

    /// The workers that are alive now.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.owner.engine.with_own(|own| own.daemons.pids()).unwrap_or_default()
    }

    /// Whether jobs can be run.
    ///
    /// # Errors
    /// Why not: the pool was shut down, no worker can live, or its region was overwritten.
    pub fn check(&self) -> Result<()> {
        let engine = &self.owner.engine;
        let why = if engine.lock().closed { Err(crate::ring::Stop::Shutdown) } else { engine.channel.check() };
        why.map_err(|why| Error::Stopped { why, last: engine.shared.last_end() })
    }

    /// How many workers there are to be.
    pub fn workers(&self) -> usize {
        self.owner.workers
    }

    /// Jobs that have no outcome yet. Collects outcomes that have arrived, and does not wait.
    pub fn unfinished(&self) -> usize {
        self.owner.engine.settle();
        self.owner.engine.lock().unfinished
    }

    /// Calls `with` with the pool's [`Mill`], to make queues and [`sync`](crate::sync) objects that its jobs share: pass them in arguments, or to the
    /// initializer. About 256 KiB of the region are left for them.
    ///
    /// # Errors
    /// If the pool has been shut down.
    pub fn with_mill<T>(&self, with: impl FnOnce(&Mill) -> T) -> Result<T> {
        let mill = self.owner.engine.with_own(|own| own.mill.clone());
        let ended = Error::Stopped { why: crate::ring::Stop::Shutdown, last: None };
        mill.map(|mill| with(&mill)).ok_or(ended)
    }

    /// Jobs with keys, and their results as they come.
    pub fn completions<K>(&self) -> Completions<K, A, R, E> {
        Completions::new(self.clone())
    }

    /// What has happened so far.
    pub fn stats(&self) -> PoolStats {
        PoolStats::of(&self.owner)
    }
}

impl<A, R, E> ProcessPool<A, R, E>
where
    A: Serialize + DeserializeOwned + 'static,
{
    #[inline]
    pub(super) fn submit_record(&self, argument: A, wait: bool) -> std::result::Result<(u32, u64), SubmitError<A>> {
        let engine = &self.owner.engine;
        match Postcard::encode(&argument, |bytes| engine.submit(self.route, bytes, 1, wait)) {
            Ok(Ok(job)) => Ok(job),
            refused => Err(self.refused(argument, refused.map(Result::err))),
        }
    }

    #[cold]
    fn refused(&self, argument: A, why: std::result::Result<Option<Refused>, String>) -> SubmitError<A> {
        match why {
            Ok(Some(Refused::Full)) => SubmitError::Full(argument),
            Ok(Some(Refused::TooLarge { size, limit })) => SubmitError::TooLarge { argument, size, limit },
            Ok(Some(Refused::Ended(why))) => {
                let last = self.owner.engine.shared.last_end();
                SubmitError::Ended { argument, why, last }
            }
            Ok(Some(Refused::Closed) | None) => SubmitError::Shutdown(argument),
            Err(why) => SubmitError::Encode { argument, why },
        }
    }

    #[inline]
    fn submit_with(&self, argument: A, wait: bool) -> std::result::Result<JobHandle<R, E>, SubmitError<A>> {
        let (job, index) = self.submit_record(argument, wait)?;
        Ok(JobHandle { engine: self.owner.engine.clone(), job, index, decode: self.decode })
    }

    /// Gives a job to the workers. Waits while the pool is full (see [`PoolBuilder::capacity`]).
    ///
    /// Short jobs that come in a row are put together, but never kept from a worker that has nothing to do.
    ///
    /// # Errors
    /// [`SubmitError`], with the argument.
    #[inline]
    pub fn submit(&self, argument: A) -> std::result::Result<JobHandle<R, E>, SubmitError<A>> {
        self.submit_with(argument, true)
    }

    /// The same, without waiting.
    ///
    /// # Errors
    /// [`SubmitError`], with the argument.
    pub fn try_submit(&self, argument: A) -> std::result::Result<JobHandle<R, E>, SubmitError<A>> {
        self.submit_with(argument, false)
    }

    /// Gives jobs to the workers, in order. Waits while the pool is full.
    ///
    /// # Errors
    /// The first [`SubmitError`], with its argument; the jobs before it run, and their handles are dropped. Pass the iterator by reference to
    /// keep those after it.
    pub fn submit_many(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> std::result::Result<Vec<JobHandle<R, E>>, SubmitError<A>> {
        arguments.into_iter().map(|argument| self.submit(argument)).collect()
    }

    fn stream<I: IntoIterator<Item = A>>(&self, input: I) -> Map<I::IntoIter, A, R, E> {
        let workers = self.owner.workers;
        let stream = Stream::new(self.owner.engine.clone(), self.route, input.into_iter(), workers, self.numbers.width);
        Map {
            stream,
            decode: self.decode,
            numbers: self.numbers,
            deadline: None,
            got: None,
            values: vec![],
            types: PhantomData,
        }
    }

    /// The results for all arguments, in order: see [`Map`].
    ///
    /// # Errors
    /// If the pool has been shut down.
    pub fn map<I: IntoIterator<Item = A>>(&self, arguments: I) -> Result<Map<I::IntoIter, A, R, E>> {
        let state = self.owner.engine.lock();
        if state.closed {
            return Err(Error::Stopped { why: crate::ring::Stop::Shutdown, last: None });
        }
        drop(state);
        Ok(self.stream(arguments))
    }

    /// The results for all arguments, those that are done first.
    ///
    /// # Errors
    /// If the pool has been shut down.
    pub fn map_unordered<I: IntoIterator<Item = A>>(&self, arguments: I) -> Result<Map<I::IntoIter, A, R, E>> {
        let mut map = self.map(arguments)?;
        map.stream.ordered = false;
        Ok(map)
    }

    /// Runs all arguments and counts them; the results are dropped.
    ///
    /// # Errors
    /// The first job that gave no value; what has not been begun by then is not run. `job` is the argument's place in the input.
    pub fn for_each(&self, arguments: impl IntoIterator<Item = A>) -> std::result::Result<u64, JobError<E>> {
        let mut map = self.stream(arguments);
        map.stream.ordered = false;
        map.try_fold(0, |count, result| result.map(|_| count + 1))
    }

    /// Folds the results for all arguments into one: workers fold what they have run, this process the rest. `fold` is a registered `fn(R, R) -> R`
    /// and must be associative; the order of arguments is kept. `None` without arguments.
    ///
    /// # Panics
    /// If `fold` panics in this process. In a worker that is a [`JobError::Panicked`].
    ///
    /// # Errors
    /// The first chunk of arguments of which a job gave no value; `job` is the place of the chunk's first argument in the input.
    pub fn map_reduce<F>(&self, arguments: impl IntoIterator<Item = A>, fold: F) -> std::result::Result<Option<R>, JobError<E>>
    where
        F: Fn(R, R) -> R + IntoTask<FoldShape<R>>,
    {
        let mut map = self.stream(arguments);
        let place = place_of(name_of::<F>()).map_err(|e| JobError::Argument { job: 0, why: e.to_string() })?;
        map.stream.route.fold = Some(place);
        map.stream.folded = true;
        let mut folded: Option<R> = None;
        for value in map {
            let value = value?;
            folded = Some(match folded.take() {
                None => value,
                Some(before) => fold(before, value),
            });
        }
        Ok(folded)
    }
}
