//! A queue whose items are pending until their taker says that they are done.

use super::codec::{Codec, Pod, Postcard, type_hash};
use super::core::{Core, Part, Patience};
use super::error::{GetError, Holding, JoinError, PutError, PutManyError, Unfinished};
use crate::layout::State;
use crate::ring::channel::MAX_BATCH;
use crate::ring::event;
use crate::sys::clock::Deadline;
use crate::sys::futex::Wait;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// A bounded queue of jobs: first in, first out, each to one worker, and counted until it is done.
///
/// A job is done when its [`Job`] says so. A job whose worker dies is given to another one, until it has cost as many workers as the
/// `Mill` allows; a job that was waiting costs nothing. `join` returns when no job is left. A slot stays taken until the
/// job is done, so the capacity counts jobs that run as well. A clone is the same queue.
pub struct JoinableQueue<T, C = Postcard> {
    core: Arc<Core>,
    types: PhantomData<fn(T) -> (T, C)>,
}

/// A [`JoinableQueue`] of plain data, copied without encoding.
pub type PodJoinableQueue<T> = JoinableQueue<T, Pod>;

impl<T, C> Clone for JoinableQueue<T, C> {
    fn clone(&self) -> Self {
        JoinableQueue { core: self.core.clone(), types: PhantomData }
    }
}

/// A job that was taken. Reads like the value itself. Call [`task_done`](Job::task_done) when it is done; dropped without that,
/// it goes back to the queue.
///
/// Dropped by a panic, it goes back with one attempt counted, so that a job whose code panics every time is given up in the end.
#[must_use = "a job that is dropped without task_done goes back to the queue"]
pub struct Job<'q, T> {
    core: &'q Core,
    part: Part,
    done: bool,
    item: T,
}

impl<T> std::ops::Deref for Job<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Job<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({:?})", self.item)
    }
}

impl<T> Job<'_, T> {
    /// How many workers this job has cost before.
    pub fn attempt(&self) -> u16 {
        self.part.word.attempt()
    }

    /// Says that the job is done: it is no longer pending, and its slot is free.
    ///
    /// The outcome is safe at once (one store), and is counted with others when the batch ends or somebody waits for it.
    #[inline]
    pub fn task_done(mut self) {
        self.done = true;
        self.core.complete(&mut self.core.local(), &self.part);
    }
}

impl<T> Drop for Job<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.core.give_back(&self.part, std::thread::panicking());
        }
    }
}

/// Jobs that were taken together by [`JoinableQueue::get_many`]. Reads like a slice of the values. They are done together; dropped without
/// [`task_done`](Jobs::task_done), all go back to the queue.
#[must_use = "jobs that are dropped without task_done go back to the queue"]
pub struct Jobs<'q, T> {
    core: &'q Core,
    parts: Vec<Part>,
    items: Vec<T>,
}

impl<T> std::ops::Deref for Jobs<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Jobs<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jobs({:?})", self.items)
    }
}

impl<T> Jobs<'_, T> {
    /// Says that all of them are done, in one section.
    pub fn task_done(mut self) {
        let mut local = self.core.local();
        for part in self.parts.drain(..) {
            self.core.complete(&mut local, &part);
        }
    }
}

impl<T> Drop for Jobs<'_, T> {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            for part in self.parts.drain(..) {
                self.core.give_back(&part, std::thread::panicking());
            }
        }
    }
}

impl<T, C: Codec<T>> JoinableQueue<T, C> {
    /// Puts a job, waiting for a slot as long as it takes.
    ///
    /// A process that holds unfinished jobs of this very queue does not wait for ever: if all slots stay taken for 200 ms without any
    /// progress, they may all be taken by jobs that wait like this one, and the put fails with [`PutError::Full`].
    ///
    /// # Errors
    /// [`PutError`], with the job.
    #[inline]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::FOREVER)
    }

    /// Puts a job, waiting for a slot until the timeout.
    ///
    /// # Errors
    /// [`PutError`], with the job.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::for_(timeout))
    }

    /// Puts a job if there is a free slot.
    ///
    /// # Errors
    /// [`PutError`], with the job.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::Now)
    }

    /// Puts all jobs, up to 64 in one section; returns how many. Waits for slots as [`put`](Self::put) does.
    ///
    /// Jobs that have been shorter than 10 µs share a slot, and one worker does all of a slot, in order: jobs that wait for one another must be put
    /// one by one.
    ///
    /// # Errors
    /// [`PutManyError`], with the job at which it stopped; pass the iterator by reference to keep those after it.
    pub fn put_many(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutManyError<T>> {
        self.core.put_many::<T, C>(items)
    }

    fn get_within(&self, patience: Patience) -> Result<Job<'_, T>, GetError> {
        let (item, part) = self.core.get::<T, C>(patience)?;
        Ok(Job { core: &self.core, part, done: false, item })
    }

    /// Takes a job, waiting as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    pub fn get(&self) -> Result<Job<'_, T>, GetError> {
        self.get_within(Patience::FOREVER)
    }

    /// Takes a job, waiting until the timeout.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<Job<'_, T>, GetError> {
        self.get_within(Patience::for_(timeout))
    }

    /// Takes a job if there is one.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn try_get(&self) -> Result<Job<'_, T>, GetError> {
        self.get_within(Patience::Now)
    }

    /// Takes up to `most` jobs, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError`]. A job that cannot be decoded ends there; the others of the same call go back to the queue.
    pub fn get_many(&self, most: usize) -> Result<Jobs<'_, T>, GetError> {
        let mut jobs = Jobs { core: &self.core, parts: vec![], items: Vec::with_capacity(most.min(MAX_BATCH as usize)) };
        let Jobs { parts, items, .. } = &mut jobs;
        let got = self.core.get_many::<T, C>(most, Patience::FOREVER, items, |part| {
            if part.mask != 0 {
                parts.push(part);
            }
        });
        got.map(|()| jobs)
    }

    /// Waits until no job is pending.
    ///
    /// In the parent, it moves results out of Queues that run full meanwhile.
    ///
    /// # Errors
    /// [`JoinError`], but not [`JoinError::TimedOut`].
    pub fn join(&self) -> Result<(), JoinError> {
        self.join_until(None)
    }

    /// Waits until no job is pending, or until the timeout.
    ///
    /// # Errors
    /// [`JoinError`]; [`JoinError::TimedOut`] says what is unfinished, and which process has it.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.join_until(Some(Deadline::after(timeout)))
    }

    fn join_until(&self, deadline: Option<Deadline>) -> Result<(), JoinError> {
        self.core.attached.at_work();
        let d = self.core.channel.desc();
        loop {
            let seen = event::look(&d.done);
            self.core.deliver_finished()?;
            if self.core.channel.pending() == 0 {
                return match d.lost.swap(0, Relaxed) {
                    0 => Ok(()),
                    jobs => Err(JoinError::Lost { jobs }),
                };
            }
            self.core.channel.check()?;
            if self.core.attached.relieve(None)? {
                continue;
            }
            let mut full = None;
            let waited = event::wait(self.core.attached.region(), &d.done, seen, deadline, || {
                self.core.channel.help()
                    || self.core.attached.relieve(None).unwrap_or_else(|e| {
                        full = Some(e);
                        true
                    })
            });
            if let Some(e) = full {
                return Err(e);
            }
            if waited == Wait::TimedOut && deadline.is_some_and(Deadline::passed) {
                return match self.unfinished() {
                    Unfinished { waiting: 0, running } if running.is_empty() && self.core.channel.pending() == 0 => Ok(()),
                    unfinished => Err(JoinError::TimedOut(unfinished)),
                };
            }
        }
    }

    /// What is not done now, and who has it. Looks at every slot.
    pub fn unfinished(&self) -> Unfinished {
        let channel = &self.core.channel;
        let mut unfinished = Unfinished { waiting: 0, running: vec![] };
        for slot in 0..channel.capacity() {
            let word = channel.word(slot);
            match word.state() {
                Some(State::Ready) => unfinished.waiting += u64::from(channel.left(slot).count_ones()),
                Some(State::Running) => {
                    let pid = channel.region().participant(word.owner()).map_or(0, |p| p.pid.load(Relaxed));
                    let in_hand = if channel.items(slot) == 1 { 1 } else { channel.in_hand(slot) };
                    unfinished.waiting += u64::from((channel.left(slot) & !in_hand).count_ones());
                    for bit in (0..64).filter(|bit| in_hand >> bit & 1 == 1) {
                        unfinished.running.push(Holding { job: channel.ticket(slot) + bit, pid, attempt: word.attempt() });
                    }
                }
                _ => {}
            }
        }
        unfinished
    }

    /// Jobs that are not done.
    pub fn pending(&self) -> u64 {
        self.core.channel.pending()
    }

    /// Ends puts: they fail from now on, and so do gets when nothing is left. Workers that loop on `get` come to their end.
    pub fn close(&self) {
        self.core.close();
    }

    /// How many jobs nobody has started. Looks at every slot; true for a moment only.
    pub fn qsize(&self) -> usize {
        self.core.len()
    }

    /// Whether no job waits now.
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether a put would wait now.
    pub fn full(&self) -> bool {
        self.core.full()
    }

    /// How many jobs there is room for, those that run included.
    pub fn capacity(&self) -> usize {
        self.core.channel.capacity() as usize
    }
}

impl<T, C: Codec<T>> super::attached::Handle for JoinableQueue<T, C> {
    const KIND: crate::ring::Kind = crate::ring::Kind::Joinable;
    const INLINE: usize = C::INLINE;

    fn hash() -> u64 {
        type_hash::<T, C>()
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn over(core: Arc<Core>) -> Self {
        JoinableQueue { core, types: PhantomData }
    }
}

impl<T, C: Codec<T>> serde::Serialize for JoinableQueue<T, C> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        super::attached::serialize(self, to)
    }
}

impl<'de, T, C: Codec<T>> serde::Deserialize<'de> for JoinableQueue<T, C> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        super::attached::deserialize(from)
    }
}
