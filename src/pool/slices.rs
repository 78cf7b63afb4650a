//! Ranges of shared vectors as a pool's jobs: cut to chunks, handed out, waited for.
//!
//! The chunks get smaller towards the end, so that all workers end together (guided self-scheduling), and none is so short that handing it over
//! would count. For that it must be known what an item takes: the workers measure it, and the pool remembers it for each function.

use super::engine::Route;
use super::error::JobError;
use super::map::Stream;
use super::pool::{Owner, ProcessPool};
use super::slice_task::{ChunkShape, ChunkWithShape, RangeJob, SliceShape};
use crate::process::{Error, IntoTask, lock, name_of, place_of};
use crate::queue::codec::{Codec, Postcard};
use crate::ring::frame::{self, Kind, Record};
use crate::ring::shared_vec::{Place, SharedVec};
use bytemuck::{AnyBitPattern, NoUninit};
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

/// A chunk is at least so much work, if there is: handing one over takes about a fiftieth of it.
const LEAST_NANOS: u64 = 20_000;

/// Chunks under way for each worker.
const AHEAD: usize = 3;

/// Why not all items were done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SliceError {
    /// The function is not registered.
    #[error(transparent)]
    Function(#[from] Error),
    /// The pool is hardened.
    #[error(
        "workers of a hardened pool cannot open this program's shared vectors: send the items through map, or build the pool without hardened()"
    )]
    Hardened,
    /// Chunks of no item were asked for.
    #[error("a chunk has at least 1 item: give chunks_of a larger number")]
    EmptyChunks,
    /// `map_slice` of vectors that differ.
    #[error("{inputs} inputs cannot become {outputs} outputs: make both vectors of one length")]
    Lengths {
        /// Items to be read.
        inputs: usize,
        /// Items to be written.
        outputs: usize,
    },
    /// A chunk failed: the first one of which that was seen. Chunks that were not begun by then are not run; those that were are done or have
    /// failed too.
    #[error("items {range:?}: {error}")]
    Chunk {
        /// Its items. They may be as before, as they should be, or anything between.
        range: Range<usize>,
        /// What happened. Its `job` is the chunk's place in the order of chunks, from 0.
        error: JobError,
    },
}

/// Cuts a length to chunks.
struct Cut {
    /// What has not been cut yet.
    left: Range<u64>,
    total: u64,
    workers: u64,
    /// Items to a chunk, if the caller has said so.
    fixed: Option<u64>,
    /// Items that a cache line has room for in whole, so that two workers do not write to the same one.
    line: u64,
    /// Picoseconds that an item takes; 0 if that is not known.
    pace: Rc<Cell<u64>>,
}

impl Cut {
    fn size(&self) -> u64 {
        let left = self.left.end - self.left.start;
        let size = match (self.fixed, self.pace.get()) {
            (Some(size), _) => return size.min(left),
            // To learn it.
            (None, 0) => self.total / (64 * self.workers),
            (None, pace) => {
                let least = (LEAST_NANOS * 1000 / pace).max(self.total / (128 * self.workers));
                let size = (left / (4 * self.workers)).max(least);
                // A rest that is hardly worth a chunk goes with the last one.
                if left < size + least / 2 { left } else { size }
            }
        };
        size.max(1).next_multiple_of(self.line).min(left)
    }
}

/// The jobs of one call, drawn as workers have room for them.
struct Jobs {
    cut: Cut,
    output: Place,
    input: Option<Place>,
    /// Where each chunk starts.
    starts: Rc<Starts>,
}

/// Where each chunk starts, when they differ in size.
#[derive(Default)]
struct Starts(std::cell::RefCell<Vec<u64>>);

impl Iterator for Jobs {
    type Item = RangeJob;

    fn next(&mut self) -> Option<RangeJob> {
        if self.cut.left.is_empty() {
            return None;
        }
        let (start, len) = (self.cut.left.start, self.cut.size());
        self.cut.left.start += len;
        if self.cut.fixed.is_none() {
            self.starts.0.borrow_mut().push(start);
        }
        Some(RangeJob { start, len, output: self.output, input: self.input })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.cut.fixed {
            None => (0, None),
            Some(size) => {
                let left = (self.cut.left.end - self.cut.left.start).div_ceil(size) as usize;
                (left, Some(left))
            }
        }
    }
}

/// One call. However it ends, no worker has a view of the vectors afterwards.
struct Call {
    stream: Stream<Jobs>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.stream.settle();
    }
}

/// A pool's [`for_each_chunk`](ProcessPool::for_each_chunk) and its relatives with chunks of a size: see
/// [`chunks_of`](ProcessPool::chunks_of).
#[derive(Clone, Copy)]
pub struct ChunksOf<'p> {
    owner: &'p Owner,
    size: Option<usize>,
}

impl std::fmt::Debug for ChunksOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunksOf({:?})", self.size)
    }
}

impl ChunksOf<'_> {
    /// As [`ProcessPool::for_each_chunk`].
    ///
    /// # Errors
    /// As there; and if chunks are to have 0 items.
    pub fn for_each_chunk<T, F>(&self, _function: F, items: &mut SharedVec<T>) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        F: Fn(usize, &mut [T]) + IntoTask<ChunkShape<T>>,
    {
        self.run(name_of::<F>(), items, None)
    }

    /// As [`ProcessPool::for_each_chunk_with`].
    ///
    /// # Errors
    /// As there; and if chunks are to have 0 items.
    pub fn for_each_chunk_with<T, U, F>(
        &self,
        _function: F,
        inputs: &SharedVec<T>,
        items: &mut SharedVec<U>,
    ) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        U: NoUninit + AnyBitPattern,
        F: Fn(usize, &[T], &mut [U]) + IntoTask<ChunkWithShape<T, U>>,
    {
        self.run(name_of::<F>(), items, Some(inputs.place()))
    }

    /// As [`ProcessPool::map_slice`].
    ///
    /// # Errors
    /// As there; and if chunks are to have 0 items.
    pub fn map_slice<T, U, F>(&self, _function: F, inputs: &SharedVec<T>, outputs: &mut SharedVec<U>) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        U: NoUninit + AnyBitPattern,
        F: Fn(&[T], &mut [U]) + IntoTask<SliceShape<T, U>>,
    {
        if inputs.len() != outputs.len() {
            return Err(SliceError::Lengths { inputs: inputs.len(), outputs: outputs.len() });
        }
        self.run(name_of::<F>(), outputs, Some(inputs.place()))
    }

    fn run<T>(&self, function: &'static str, output: &mut SharedVec<T>, input: Option<Place>) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
    {
        let task = place_of(function)?;
        if self.size == Some(0) {
            return Err(SliceError::EmptyChunks);
        }
        let engine = &self.owner.engine;
        if engine.shared.hardened {
            return Err(SliceError::Hardened);
        }
        let total = output.len() as u64;
        let pace = Rc::new(Cell::new(lock(&engine.paces).get(&task).copied().unwrap_or(0)));
        let cut = Cut {
            left: 0..total,
            total,
            workers: self.owner.workers as u64,
            fixed: self.size.map(|n| n as u64),
            line: if 64 % size_of::<T>() == 0 { (64 / size_of::<T>()) as u64 } else { 1 },
            pace: pace.clone(),
        };
        let starts = Rc::new(Starts::default());
        let jobs = Jobs { cut, output: output.place(), input, starts: starts.clone() };
        let range = |chunk: u64| match self.size {
            Some(size) => {
                let start = chunk as usize * size;
                start..(start + size).min(total as usize)
            }
            None => {
                let starts = starts.0.borrow();
                let at = |n: u64| starts.get(n as usize).copied();
                at(chunk).unwrap_or(0) as usize..at(chunk + 1).unwrap_or(total) as usize
            }
        };
        let mut stream = Stream::new(engine.clone(), Route { task, fold: None }, jobs, self.owner.workers, 0);
        stream.ordered = false;
        let mut call = Call { stream };
        let (mut nanos, mut done) = (0u64, 0u64);
        loop {
            if self.size.is_none() {
                // One chunk a job. Few while it is not known how large the others are to be.
                call.stream.chunk = Some(1);
                call.stream.buffer = Some(self.owner.workers * if pace.get() == 0 { 2 } else { AHEAD });
            }
            let Some(got) = call.stream.next_chunk(None) else { break };
            let failed = |error: JobError| SliceError::Chunk { range: range(error.job()), error };
            let mut at = 0;
            for chunk in got.first..got.first + u64::from(got.items) {
                let Some((Record::Here(kind, bytes), next)) = frame::read(&got.bytes, at) else {
                    return Err(failed((got.lacking)(chunk)));
                };
                at = next;
                if kind != Kind::Value {
                    return Err(failed(JobError::from_record(chunk, kind, bytes)));
                }
                let took: u64 = Postcard::read(bytes).map_err(|why| failed(JobError::Result { job: chunk, why }))?;
                nanos = nanos.saturating_add(took);
                done += range(chunk).len() as u64;
            }
            pace.set((nanos.saturating_mul(1000) / done.max(1)).max(1));
        }
        if done > 0 {
            lock(&engine.paces).insert(task, pace.get());
        }
        Ok(())
    }
}

impl<A, R, E> ProcessPool<A, R, E> {
    /// Calls `function` on chunks of `items`, in place, each item in one chunk: with the index of the chunk's first item, and the chunk. It may be
    /// any registered `fn(usize, &mut [T])`; the pool's own function does not matter.
    ///
    /// Chunks go to workers as they have time, and how many items a chunk has is chosen so that all end together. So `function` must not
    /// depend on where chunks begin; for chunks of a size, rows for example, see [`chunks_of`](Self::chunks_of).
    ///
    /// When it returns, no worker has access to the items any more. What a worker that dies had in hand is in any state: with
    /// [`retries`](crate::PoolBuilder::retries) the chunk is run again *on what is there then*, so allow them only if `function` may be applied to items
    /// that it has been applied to (or read from inputs, as in [`map_slice`](Self::map_slice)).
    ///
    /// ```no_run
    /// use gristmill::{ProcessPool, SharedVec, tasks};
    ///
    /// fn square(first: usize, chunk: &mut [u64]) {
    ///     for (n, item) in (first as u64..).zip(chunk) {
    ///         *item = n * n;
    ///     }
    /// }
    ///
    /// gristmill::init(tasks![square]);
    /// let pool = ProcessPool::builder().build_for_slices()?;
    /// let mut squares = SharedVec::<u64>::zeroed(1_000_000)?;
    /// pool.for_each_chunk(square, &mut squares)?;
    /// assert_eq!(squares[1000], 1_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The types must agree:
    ///
    /// ```compile_fail,E0631
    /// # use gristmill::{ProcessPool, SharedVec};
    /// fn square(first: usize, chunk: &mut [u64]) {}
    /// fn wrong(pool: &ProcessPool<(), ()>, items: &mut SharedVec<f64>) {
    ///     pool.for_each_chunk(square, items).unwrap();
    /// }
    /// ```
    ///
    /// # Errors
    /// The first chunk that failed; what was not begun by then is not run.
    pub fn for_each_chunk<T, F>(&self, function: F, items: &mut SharedVec<T>) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        F: Fn(usize, &mut [T]) + IntoTask<ChunkShape<T>>,
    {
        self.chunks().for_each_chunk(function, items)
    }

    /// The same with something to read: `function` is a registered `fn(usize, &[T], &mut [U])` and gets all of `inputs` with each chunk, of whatever
    /// length they are. So it can look at neighbours, at a matrix, or at parameters.
    ///
    /// # Errors
    /// As [`for_each_chunk`](Self::for_each_chunk).
    pub fn for_each_chunk_with<T, U, F>(
        &self,
        function: F,
        inputs: &SharedVec<T>,
        items: &mut SharedVec<U>,
    ) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        U: NoUninit + AnyBitPattern,
        F: Fn(usize, &[T], &mut [U]) + IntoTask<ChunkWithShape<T, U>>,
    {
        self.chunks().for_each_chunk_with(function, inputs, items)
    }

    /// Calls `function`, a registered `fn(&[T], &mut [U])`, on ranges of `inputs` and the same ranges of `outputs`, each item in one range. Otherwise
    /// like [`for_each_chunk`](Self::for_each_chunk). Workers have the inputs mapped for reading only, so a chunk can be run again whatever its worker
    /// did to the outputs before it died.
    ///
    /// # Errors
    /// If the two are not of one length; else as [`for_each_chunk`](Self::for_each_chunk).
    pub fn map_slice<T, U, F>(&self, function: F, inputs: &SharedVec<T>, outputs: &mut SharedVec<U>) -> Result<(), SliceError>
    where
        T: NoUninit + AnyBitPattern,
        U: NoUninit + AnyBitPattern,
        F: Fn(&[T], &mut [U]) + IntoTask<SliceShape<T, U>>,
    {
        self.chunks().map_slice(function, inputs, outputs)
    }

    /// The same three with chunks of `items` items, the last one perhaps of fewer: `pool.chunks_of(width).for_each_chunk(row, &mut picture)`.
    /// Chunks of short work go to a worker several at a time.
    pub fn chunks_of(&self, items: usize) -> ChunksOf<'_> {
        ChunksOf { owner: &self.owner, size: Some(items) }
    }

    fn chunks(&self) -> ChunksOf<'_> {
        ChunksOf { owner: &self.owner, size: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(total: u64, workers: u64, fixed: Option<u64>, pace: u64, line: u64) -> Vec<u64> {
        let mut cut = Cut { left: 0..total, total, workers, fixed, line, pace: Rc::new(Cell::new(pace)) };
        let mut sizes = vec![];
        while !cut.left.is_empty() {
            sizes.push(cut.size());
            cut.left.start += sizes[sizes.len() - 1];
        }
        sizes
    }

    #[test]
    fn chunks_make_up_the_whole() {
        for total in [1, 2, 3, 63, 64, 65, 1009, 1_000_003, 1 << 40] {
            for workers in [1, 2, 7, 1000] {
                for pace in [0, 1, 1000, 1_000_000, u64::MAX] {
                    for line in [1, 8, 64] {
                        let sizes = cut(total, workers, None, pace, line);
                        assert_eq!(sizes.iter().sum::<u64>(), total);
                        assert!(sizes.iter().all(|&n| n > 0));
                        assert!(sizes.len() as u64 <= 400 * workers, "{total} {workers} {pace}: {}", sizes.len());
                        let whole = &sizes[..sizes.len() - 1];
                        assert!(whole.iter().all(|n| n % line == 0));
                    }
                }
            }
        }
        assert_eq!(cut(10, 2, Some(4), 0, 64), [4, 4, 2]);
    }

    #[test]
    fn little_work_is_one_chunk_and_much_work_many() {
        assert_eq!(cut(1000, 4, None, 1000, 8), [1000], "a microsecond in all");
        assert_eq!(cut(10, 4, None, 1_000_000_000_000, 1), [1; 10], "a second each");
        let sizes = cut(100_000_000, 2, None, 1000, 8);
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        assert!(sizes[0] < 100_000_000 / 7 && sizes[sizes.len() - 1] < 100_000_000 / 100, "{sizes:?}");
    }
}
