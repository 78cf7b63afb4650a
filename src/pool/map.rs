//! One task over many arguments: lazily, in chunks, with bounded memory.

use super::engine::{Engine, Refused, Route};
use super::error::JobError;
use super::handle::{Decode, Numbers};
use super::record::Outcome;
use super::wait::Watch;
use crate::queue::codec::{Codec, Postcard, is_number, with_number};
use crate::ring::frame::{self, Kind, Record};
use crate::sys::clock::Deadline;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A chunk holds about so much work if the size is left to the map: what it takes to hand one over is less than a hundredth of it.
const CHUNK_NANOS: u64 = 100_000;

/// So many chunks are under way for each worker.
const AHEAD: usize = 8;

/// A chunk of numbers has at most so many: enough to make what a chunk costs disappear, and few enough for a core's own cache.
const MOST_NUMBERS: usize = 8192;

/// Where the arguments of a chunk stand in the input, and where its outcomes come from.
struct Chunk {
    /// Number of its first argument.
    first: u64,
    items: u32,
    /// The record; `None`: it was refused, and this is its outcome.
    job: Result<u32, Lacking>,
    /// Its token with the watch.
    token: usize,
}

/// Arguments on their way and outcomes on their way back.
pub(super) struct Stream<I> {
    pub engine: Arc<Engine>,
    pub route: Route,
    pub input: I,
    pub workers: usize,
    /// Arguments to a chunk, if the caller has said so.
    pub chunk: Option<usize>,
    /// Arguments under way at most, if the caller has said so.
    pub buffer: Option<usize>,
    pub ordered: bool,
    /// Whether a chunk's arguments are parts of one job with one outcome.
    pub folded: bool,
    /// Bytes of a result if it is a number; else 0.
    width: usize,
    size: usize,
    measured: bool,
    chunks: VecDeque<Chunk>,
    watch: Arc<Watch>,
    tokens: usize,
    under_way: usize,
    next: u64,
    exhausted: bool,
    bytes: Vec<u8>,
    carried: Option<Vec<u8>>,
    /// What stands in `bytes` and found no room before the deadline: how many arguments, and the room that they need.
    unsent: Option<(u32, u32)>,
}

/// The error of a job that has no record of its own, from the job's number.
type Lacking = Box<dyn Fn(u64) -> JobError<Infallible> + Send>;

/// The outcomes of one chunk.
pub(super) struct Got {
    pub first: u64,
    pub items: u32,
    pub bytes: Arc<Vec<u8>>,
    pub at: usize,
    pub taken: u32,
    /// What became of the arguments for which there is no record.
    pub lacking: Lacking,
}

impl Got {
    /// The next outcome, if it is a value. What is not is left for [`Got::next_error`].
    #[inline]
    fn next_value<R, E>(&mut self, decode: Decode<R, E>) -> Option<R> {
        if self.taken == self.items {
            return None;
        }
        let (bytes, next) = match frame::short(&self.bytes, self.at) {
            Some(bytes) => (bytes, self.at + 1 + bytes.len()),
            None => match frame::read(&self.bytes, self.at)? {
                (Record::Here(Kind::Value, bytes), next) => (bytes, next),
                _ => return None,
            },
        };
        let value = (decode.value)(bytes)?;
        (self.at, self.taken) = (next, self.taken + 1);
        Some(value)
    }

    /// If values stand side by side next: appends them, the last one first. Whether they do.
    #[inline]
    fn next_values<R>(&mut self, numbers: Numbers<R>, values: &mut Vec<R>) -> bool {
        let Some((Record::Array(width, bytes), next)) = frame::read(&self.bytes, self.at) else { return false };
        if width != numbers.width {
            return false;
        }
        (numbers.append)(bytes, values);
        (self.at, self.taken) = (next, self.taken + (bytes.len() / width) as u32);
        true
    }

    /// The error of the next job; `None` after the last one.
    #[cold]
    fn next_error<R, E>(&mut self, decode: Decode<R, E>) -> Option<JobError<E>> {
        if self.taken == self.items {
            return None;
        }
        let job = self.first + u64::from(self.taken);
        self.taken += 1;
        Some(match frame::read(&self.bytes, self.at) {
            Some((Record::Here(kind, bytes), next)) => {
                self.at = next;
                match kind {
                    Kind::Value => (decode.error)(job, bytes),
                    kind => JobError::from_record(job, kind, bytes),
                }
            }
            _ => (self.lacking)(job).of_type(),
        })
    }
}

impl<I> Stream<I> {
    pub fn new(engine: Arc<Engine>, route: Route, input: I, workers: usize, width: usize) -> Self {
        Stream {
            engine,
            route,
            input,
            workers,
            chunk: None,
            buffer: None,
            ordered: true,
            folded: false,
            width,
            size: 1,
            measured: false,
            chunks: VecDeque::new(),
            watch: Arc::default(),
            tokens: 0,
            under_way: 0,
            next: 0,
            exhausted: false,
            bytes: vec![],
            carried: None,
            unsent: None,
        }
    }

    /// Arguments to a chunk at most.
    fn most<A: 'static>(&self) -> usize {
        if is_number::<A>() && !self.folded {
            self.most_in_slot::<A>().max(self.most_in_block::<A>()).max(1)
        } else {
            self.most_items()
        }
    }

    fn most_items(&self) -> usize {
        if self.folded { usize::MAX } else { self.engine.channel.most_items() as usize }
    }

    /// Numbers whose array a slot holds, and their results.
    fn most_in_slot<A>(&self) -> usize {
        self.most_items().min(self.engine.channel.inline_jobs().saturating_sub(frame::ARRAY_HEAD) / size_of::<A>())
    }

    /// Numbers in a block of their own with room for their results; as many as leave a place for two such chunks a worker.
    fn most_in_block<A>(&self) -> usize {
        if self.width == 0 { 0 } else { (self.most_in_arena::<A>() / (2 * self.workers)).min(MOST_NUMBERS) }
    }

    /// Numbers with their results that are under way at most: half of the arena is left to others.
    fn most_in_arena<A>(&self) -> usize {
        self.engine.channel.payload_limit() / (2 * (size_of::<A>() + self.bytes_of_result()))
    }

    /// A value's bytes with its part of heads; at least what a reference takes.
    fn bytes_of_result(&self) -> usize {
        (self.width + 2).max(frame::REFERENCE_BYTES)
    }

    /// Submits chunks until enough are under way or the input is at its end.
    fn fill<A: 'static>(&mut self, deadline: Option<Deadline>)
    where
        I: Iterator<Item = A>,
        Postcard: Codec<A>,
    {
        let most = self.most::<A>();
        let in_slots = if is_number::<A>() { self.most_in_slot::<A>() } else { most };
        if let Some((items, room)) = self.unsent.take()
            && !self.submit(items, room, deadline)
        {
            return;
        }
        while !self.exhausted || self.carried.is_some() {
            let mut size = self.chunk.unwrap_or(self.size).clamp(1, most);
            if let (None, (low, Some(high))) = (self.chunk, self.input.size_hint())
                && low == high
            {
                // The last ones are to end together.
                size = size.min(high / (2 * self.workers) + 1);
            }
            let allowed = match self.buffer {
                Some(items) => items.max(1),
                // Little until something is known of the jobs.
                None if !self.measured && self.chunk.is_none() => 4 * self.workers,
                None if size > in_slots => self.most_in_arena::<A>().min(AHEAD * self.workers * size),
                None => (AHEAD * self.workers).saturating_mul(size),
            };
            size = size.min(allowed);
            if self.chunk.is_none() {
                // A small buffer is shared out, so that no worker sits idle.
                size = size.min((allowed / (2 * self.workers)).max(1));
            }
            if self.under_way + size > allowed.max(size) && !self.chunks.is_empty() {
                return;
            }
            // What is drawn has to be put: without a free slot nothing is drawn.
            if !self.engine.slot_until(deadline) || !self.put(size, deadline) {
                return;
            }
        }
    }

    /// Submits a chunk of up to `size` arguments; `false`: the pool takes no more, or not before the deadline.
    fn put<A: 'static>(&mut self, size: usize, deadline: Option<Deadline>) -> bool
    where
        I: Iterator<Item = A>,
        Postcard: Codec<A>,
    {
        if is_number::<A>() && !self.folded {
            return self.put_array(size, deadline);
        }
        let room = self.engine.channel.inline_jobs().saturating_sub(if self.folded { 5 } else { 0 });
        self.bytes.clear();
        let mut items = 0u32;
        if let Some(carried) = self.carried.take() {
            frame::push(&mut self.bytes, Kind::Value, &carried);
            items = 1;
        }
        let mut refused: Option<Lacking> = None;
        while (items as usize) < size {
            let Some(argument) = self.input.next() else {
                self.exhausted = true;
                break;
            };
            let before = self.bytes.len();
            let bytes = &mut self.bytes;
            match frame::push_with(bytes, |to| Postcard::append(&argument, to)) {
                Ok(()) => {}
                Err(why) => {
                    refused = Some(Box::new(move |job| JobError::Argument { job, why: why.clone() }));
                    break;
                }
            }
            if items > 0 && self.bytes.len() > room {
                let Some((Record::Here(_, last), _)) = frame::read(&self.bytes, before) else { unreachable!("just pushed") };
                self.carried = Some(last.to_vec());
                self.bytes.truncate(before);
                break;
            }
            items += 1;
        }
        if items > 0 && !self.submit(items, 0, deadline) {
            return false;
        }
        if let Some(why) = refused {
            self.note(1, Err(why));
        }
        true
    }

    /// The same for numbers, which stand side by side.
    fn put_array<A: 'static>(&mut self, size: usize, deadline: Option<Deadline>) -> bool
    where
        I: Iterator<Item = A>,
    {
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.reserve(frame::ARRAY_HEAD + size * size_of::<A>());
        bytes.extend_from_slice(&[0; frame::ARRAY_HEAD]);
        self.input.by_ref().take(size).for_each(|number| {
            with_number(&number, |number| bytes.extend_from_slice(number));
        });
        let items = (bytes.len() - frame::ARRAY_HEAD) / size_of::<A>();
        self.exhausted = items < size;
        if items == 0 {
            return true;
        }
        // Both are at most `MOST_NUMBERS`, or what a slot holds.
        bytes[..frame::ARRAY_HEAD].copy_from_slice(&frame::array(size_of::<A>() as u8, items as u16));
        let room = if items > self.most_in_slot::<A>() { items * self.bytes_of_result() } else { 0 };
        self.submit(items as u32, room as u32, deadline)
    }

    /// `room`: bytes for the outcomes, if they need more than a slot has.
    fn submit(&mut self, items: u32, room: u32, deadline: Option<Deadline>) -> bool {
        let submitted = if self.folded {
            let mut one = Vec::with_capacity(self.bytes.len() + 5);
            frame::push(&mut one, Kind::Value, &self.bytes);
            self.engine.submit_chunk(self.route, &one, 1, 0, deadline)
        } else {
            self.engine.submit_chunk(self.route, &self.bytes, items, room, deadline)
        };
        match submitted {
            Ok(job) => {
                let mut state = self.engine.lock();
                let record = &mut state.records[job];
                if !self.ordered {
                    if record.outcome.is_some() {
                        self.watch.push(self.tokens);
                    } else {
                        record.waiting.get_or_insert_default().watches.push((self.watch.clone(), self.tokens));
                    }
                }
                drop(state);
                self.note(items, Ok(job));
                true
            }
            Err(Refused::TooLarge { size, limit }) => {
                let why = move |job| JobError::ArgumentTooLarge { job, size: size as u64, limit: limit as u64 };
                self.note(items, Err(Box::new(why)));
                true
            }
            Err(Refused::Full) => {
                self.unsent = Some((items, room));
                false
            }
            Err(Refused::Closed) => self.refuse(items, crate::ring::Stop::Shutdown),
            Err(Refused::Ended(why)) => self.refuse(items, why),
        }
    }

    fn refuse(&mut self, items: u32, why: crate::ring::Stop) -> bool {
        let last = self.engine.shared.last_end();
        self.note(items, Err(Box::new(move |job| JobError::PoolEnded { job, why, last: last.clone() })));
        self.exhausted = true;
        self.carried = None;
        false
    }

    fn note(&mut self, items: u32, job: Result<u32, Lacking>) {
        if job.is_err() && !self.ordered {
            self.watch.push(self.tokens);
        }
        self.chunks.push_back(Chunk { first: self.next, items, job, token: self.tokens });
        self.tokens += 1;
        self.next += u64::from(items);
        self.under_way += items as usize;
    }

    /// Whether every argument has been drawn and every outcome taken.
    fn is_over(&self) -> bool {
        self.exhausted && self.carried.is_none() && self.unsent.is_none() && self.chunks.is_empty()
    }

    /// The outcomes of the next chunk; `None` at the end, or at the deadline.
    pub fn next_chunk<A: 'static>(&mut self, deadline: Option<Deadline>) -> Option<Got>
    where
        I: Iterator<Item = A>,
        Postcard: Codec<A>,
    {
        self.fill(deadline);
        let at = if self.ordered || self.chunks.is_empty() { 0 } else { self.first_done(deadline)? };
        let outcome = match self.chunks.get(at)?.job {
            Err(_) => None,
            Ok(job) => {
                let state = self.engine.lock();
                let (state, outcome) = self.engine.wait_until(state, deadline, |state| state.records[job].outcome.clone());
                self.engine.release(state);
                Some(outcome?)
            }
        };
        let Chunk { first, items, job, .. } = self.chunks.remove(at)?;
        self.under_way -= items as usize;
        if let Ok(job) = job {
            self.engine.forget(job);
        }
        let items_of_one = if self.folded { 1 } else { items };
        let got = |bytes, lacking| Got { first, items: items_of_one, bytes, at: 0, taken: 0, lacking };
        Some(match (outcome, job) {
            (Some(Outcome::Chunk(bytes, nanos)), _) => {
                self.learn(items, nanos);
                // What has no record was cut off before it was begun.
                got(bytes, Box::new(|job| JobError::Cancelled { job }))
            }
            (Some(other), _) => {
                let last = self.engine.shared.last_end();
                got(Arc::default(), Box::new(move |job| JobError::of(job, &other, || last.clone())))
            }
            (None, Err(why)) => got(Arc::default(), why),
            (None, Ok(_)) => unreachable!("a chunk that was put has an outcome"),
        })
    }

    /// Cancels what has not been begun and waits for the rest: no worker runs a job of this stream afterwards.
    pub fn settle(&mut self) {
        let jobs: Vec<u32> = std::mem::take(&mut self.chunks).into_iter().filter_map(|chunk| chunk.job.ok()).collect();
        let mut state = self.engine.lock();
        for &job in &jobs {
            self.engine.cancel_in(&mut state, job, false);
        }
        for &job in &jobs {
            state = self.engine.wait_until(state, None, |state| state.records[job].outcome.as_ref().map(|_| ())).0;
        }
        let ended = state.has_ended();
        self.engine.release(state);
        jobs.into_iter().for_each(|job| self.engine.forget(job));
        if ended {
            // The jobs were given their outcomes while workers lived.
            self.engine.wait_for_burial();
        }
    }

    /// The place of a chunk that is done.
    fn first_done(&mut self, deadline: Option<Deadline>) -> Option<usize> {
        let token = super::wait::next(&self.engine, &self.watch, deadline)?;
        self.chunks.iter().position(|chunk| chunk.token == token)
    }

    /// Adapts the size of chunks to what a job takes.
    fn learn(&mut self, items: u32, nanos: u64) {
        let average = u64::from(self.engine.channel.desc().job_nanos.load(Relaxed));
        let each = if nanos > 0 { nanos / u64::from(items.max(1)) } else { average };
        if each == 0 && nanos == 0 {
            return;
        }
        self.measured = true;
        let wanted = (CHUNK_NANOS / each.max(1)).max(1) as usize;
        self.size = wanted.min(self.size * 8).min(1 << 14);
    }
}

impl<I> Drop for Stream<I> {
    fn drop(&mut self) {
        let chunks = std::mem::take(&mut self.chunks);
        let mut state = self.engine.lock();
        for chunk in &chunks {
            if let Ok(job) = chunk.job {
                self.engine.cancel_in(&mut state, job, false);
            }
        }
        self.engine.release(state);
        for chunk in &chunks {
            if let Ok(job) = chunk.job {
                self.engine.forget(job);
            }
        }
    }
}

/// Results of [`ProcessPool::map`](crate::ProcessPool::map) and `map_unordered`: an iterator.
///
/// Lazy: arguments are drawn from the input as results are taken, so the input may be endless. Dropped early, it cancels what has not been
/// begun.
pub struct Map<I, A, R, E = Infallible> {
    pub(super) stream: Stream<I>,
    pub(super) decode: Decode<R, E>,
    pub(super) numbers: Numbers<R>,
    pub(super) deadline: Option<Deadline>,
    pub(super) got: Option<Got>,
    /// Results that stood side by side, the last one first.
    pub(super) values: Vec<R>,
    pub(super) types: PhantomData<fn(A)>,
}

impl<I, A, R, E> std::fmt::Debug for Map<I, A, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Map({} arguments under way)", self.stream.under_way)
    }
}

impl<I, A, R, E> Map<I, A, R, E> {
    /// At most so many arguments to a chunk: the unit that goes to a worker. Default: by the time that jobs take, about 100 µs of work. A chunk is
    /// also bounded by what carries it: 8192 arguments if they and the results are numbers, else a slot, about 200 small arguments.
    ///
    /// # Panics
    /// If it is 0.
    pub fn chunk_size(mut self, arguments: usize) -> Self {
        assert!(arguments > 0, "a chunk has at least 1 argument");
        self.stream.chunk = Some(arguments);
        self
    }

    /// At most so many arguments are drawn whose results have not been taken. Default: eight chunks for each worker.
    ///
    /// # Panics
    /// If it is 0.
    pub fn buffer_size(mut self, arguments: usize) -> Self {
        assert!(arguments > 0, "a buffer holds at least 1 argument");
        self.stream.buffer = Some(arguments);
        self
    }

    /// The iteration ends at that time from now, as if the input had ended: [`timed_out`](Self::timed_out) tells.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(Deadline::after(timeout));
        self
    }

    /// Whether results are missing because the timeout has passed.
    pub fn timed_out(&self) -> bool {
        !self.stream.is_over() && self.deadline.is_some_and(Deadline::passed)
    }
}

impl<I, A, R, E> Iterator for Map<I, A, R, E>
where
    I: Iterator<Item = A>,
    A: Serialize + DeserializeOwned + 'static,
{
    type Item = Result<R, JobError<E>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.values.pop() {
            return Some(Ok(value));
        }
        loop {
            if let Some(got) = &mut self.got {
                if got.next_values(self.numbers, &mut self.values) {
                    return self.values.pop().map(Ok);
                }
                if let Some(value) = got.next_value(self.decode) {
                    return Some(Ok(value));
                }
                if let Some(error) = got.next_error(self.decode) {
                    return Some(Err(error));
                }
            }
            self.got = Some(self.stream.next_chunk(self.deadline)?);
        }
    }
}
