//! What a call says of chunks that fail, and what it leaves of the items.

use crate::coverage::{add_index, halve};
use crate::{build, pool};
use gristmill::{Error, Exit, JobError, ProcessPool, SharedVec, SharedVecError, SliceError};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

/// The item at which a function fails.
const MARK: u64 = u64::MAX;

fn marked(len: usize, mark: usize) -> SharedVec<u64> {
    SharedVec::from_fn(len, |n| if n == mark { MARK } else { 0 }).unwrap()
}

fn chunk_error(result: Result<(), SliceError>) -> (Range<usize>, JobError) {
    match result {
        Err(SliceError::Chunk { range, error }) => (range, error),
        other => panic!("no chunk failed: {other:?}"),
    }
}

pub fn die_at_mark(_: usize, chunk: &mut [u64]) {
    for item in chunk {
        if *item == MARK {
            std::process::abort();
        }
        *item = 1;
    }
}

/// Leaves a trace of its first run, and nothing else.
pub fn die_once(first: usize, chunk: &mut [u64]) {
    let died = chunk.contains(&(MARK - 1));
    for (n, item) in (first as u64..).zip(chunk) {
        let fatal = *item == MARK && !died;
        *item = if fatal { MARK - 1 } else { n };
        if fatal {
            std::process::abort();
        }
    }
}

pub fn die_once_mapped(inputs: &[u64], outputs: &mut [u64]) {
    for (input, output) in inputs.iter().zip(outputs) {
        let fatal = *input == MARK && *output == 0;
        *output = input.wrapping_mul(3);
        if fatal {
            std::process::abort();
        }
    }
}

pub fn copy_slowly(inputs: &[u64], outputs: &mut [u64]) {
    thread::sleep(Duration::from_millis(2));
    outputs.copy_from_slice(inputs);
}

pub fn panic_at_mark(_: usize, chunk: &mut [u64]) {
    for item in chunk {
        assert!(*item != MARK, "the mark is here");
        *item += 1;
    }
}

pub fn write_for_ever(_: usize, chunk: &mut [u64]) {
    loop {
        for item in &mut *chunk {
            *item = item.wrapping_add(1);
        }
        // The next round is not to be merged with this one.
        std::hint::black_box(&mut *chunk);
    }
}

pub fn slow_or_panic(_: usize, chunk: &mut [u64]) {
    assert!(!chunk.contains(&MARK), "the mark is here");
    thread::sleep(Duration::from_millis(200));
    chunk.fill(1);
}

fn not_registered(_: usize, _: &mut [u64]) {}

pub fn what_cannot_be_right_is_refused_before_anything_runs() {
    let pool = pool(1);
    let mut vec = SharedVec::<u64>::zeroed(100).unwrap();
    let error = pool.chunks_of(0).for_each_chunk(add_index, &mut vec).unwrap_err();
    assert!(matches!(error, SliceError::EmptyChunks), "{error}");
    let error = pool.for_each_chunk(not_registered, &mut vec).unwrap_err();
    assert!(matches!(error, SliceError::Function(Error::NotRegistered { .. })), "{error}");
    let inputs = SharedVec::zeroed(100).unwrap();
    let mut outputs = SharedVec::zeroed(99).unwrap();
    let error = pool.map_slice(halve, &inputs, &mut outputs).unwrap_err();
    assert_eq!(error.to_string(), "100 inputs cannot become 99 outputs: make both vectors of one length");
    assert!(vec.iter().all(|item| *item == 0));
    assert!(outputs.iter().all(|item| *item == 0.0));
}

pub fn more_memory_than_there_is_is_an_error() {
    for len in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8, 1 << 60, 1 << 50, 1 << 44] {
        let error = SharedVec::<u64>::zeroed(len).unwrap_err();
        let wanted = match error {
            SharedVecError::TooLarge { wanted, .. } => wanted,
            _ => panic!("{error}"),
        };
        assert!(wanted as usize / 8 >= len.min(usize::MAX / 8), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    assert!(SharedVec::<u8>::from_fn(1 << 50, |_| unreachable!()).is_err());
}

/// A worker dies in the middle of a chunk. Nothing is allowed to be run twice.
pub fn a_dead_worker_costs_the_chunk_that_it_had() {
    let pool = pool(2);
    let mut vec = marked(100_000, 77_777);
    let (range, error) = chunk_error(pool.chunks_of(1000).for_each_chunk(die_at_mark, &mut vec));
    assert_eq!(range, 77_000..78_000);
    assert!(matches!(error, JobError::WorkerDied { job: 77, exit: Exit::Signal { signal: 6, .. }, attempts: 1 }), "{error:?}");
    let shown = SliceError::Chunk { range, error }.to_string();
    assert_eq!(shown, "items 77000..78000: job 77: its worker died by signal 6 (SIGABRT)");
    // Half-written: what was before the mark is done, what is behind it is not. Any other chunk is whole.
    assert!(vec[77_000..77_777].iter().all(|item| *item == 1) && vec[77_777] == MARK);
    assert!(vec[77_778..78_000].iter().all(|item| *item == 0));
    for (n, chunk) in vec.chunks(1000).enumerate().filter(|(n, _)| *n != 77) {
        assert!(chunk.iter().all(|item| *item == chunk[0]), "chunk {n}");
    }
    let mut other = SharedVec::zeroed(100_000).unwrap();
    pool.for_each_chunk(add_index, &mut other).unwrap();
    assert_eq!(other[99_999], 100_000);
}

pub fn half_a_chunk_is_run_again_with_retries() {
    let pool = build(ProcessPool::builder().workers(2).retries(3));
    for len in [1, 1000, 200_000] {
        let mut vec = marked(len, len / 3 * 2);
        pool.for_each_chunk(die_once, &mut vec).unwrap();
        assert!(vec.iter().zip(0..).all(|(item, n)| *item == n), "{len} items");

        let inputs = SharedVec::from_fn(len, |n| if n % 50_000 == 0 { MARK } else { n as u64 }).unwrap();
        let mut outputs = SharedVec::zeroed(len).unwrap();
        pool.chunks_of(1000).map_slice(die_once_mapped, &inputs, &mut outputs).unwrap();
        assert!(inputs.iter().zip(outputs.iter()).all(|(i, o)| i.wrapping_mul(3) == *o), "{len} items mapped");
    }
    assert!(pool.stats().worker_deaths >= 6);
}

pub fn a_chunk_that_kills_all_its_workers_is_given_up() {
    let pool = build(ProcessPool::builder().workers(2).retries(3));
    let mut vec = marked(5000, 4321);
    let (range, error) = chunk_error(pool.for_each_chunk(die_at_mark, &mut vec));
    assert!(range.contains(&4321), "{range:?}");
    assert!(matches!(error, JobError::WorkerDied { attempts: 4, .. }), "{error:?}");
}

/// Workers are killed from outside, at any moment, again and again: while they open a vector, run a chunk or deliver one.
pub fn outputs_are_right_however_often_workers_are_killed() {
    let pool = build(ProcessPool::builder().workers(2).retries(1_000_000));
    let inputs = SharedVec::from_fn(300_000, |n| n as u64).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                thread::sleep(Duration::from_millis(15));
                for pid in pool.worker_pids() {
                    // SAFETY: no memory is touched; a child's number stays its own until the pool has reaped it.
                    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
                }
            }
        });
        for _ in 0..3 {
            let mut outputs = SharedVec::zeroed(300_000).unwrap();
            let result = pool.chunks_of(1000).map_slice(copy_slowly, &inputs, &mut outputs);
            if result.is_err() || *outputs != *inputs {
                over.store(true, Relaxed);
                panic!("{result:?}, {} items differ", outputs.iter().zip(inputs.iter()).filter(|(a, b)| a != b).count());
            }
        }
        over.store(true, Relaxed);
    });
    assert!(pool.stats().worker_deaths > 10, "{}", pool.stats().worker_deaths);
}

pub fn a_panic_names_its_chunk_and_the_rest_is_left() {
    let pool = pool(2);
    for size in [None, Some(100)] {
        let mut vec = marked(10_000, 5000);
        let result = match size {
            None => pool.for_each_chunk(panic_at_mark, &mut vec),
            Some(size) => pool.chunks_of(size).for_each_chunk(panic_at_mark, &mut vec),
        };
        let (range, error) = chunk_error(result);
        assert!(range.contains(&5000) && range.len() < 10_000, "{range:?}");
        assert!(size.is_none_or(|_| range == (5000..5100)), "{range:?}");
        let JobError::Panicked { message, place, .. } = error else { panic!("{error:?}") };
        assert!(message == "the mark is here" && place.contains("failures.rs"), "{message} at {place}");
        assert!(vec.iter().enumerate().all(|(n, item)| *item <= 1 || n == 5000), "no item is visited twice");
    }
    assert_eq!(pool.stats().worker_deaths, 0);
}

/// Two workers have eight chunks before them; the first one fails at once, the others take long.
pub fn what_was_not_begun_is_not_run_after_a_failure() {
    let pool = pool(2);
    let mut vec = marked(1000, 0);
    let (range, _) = chunk_error(pool.chunks_of(10).for_each_chunk(slow_or_panic, &mut vec));
    assert_eq!(range, 0..10);
    let done = vec.chunks(10).filter(|chunk| chunk[9] == 1).count();
    assert!(done <= 4, "{done} of 99 chunks were run although the first one had failed");
}

fn alive(pid: u32) -> bool {
    // SAFETY: no memory is touched and no signal sent.
    unsafe { libc::kill(pid as i32, 0) == 0 }
}

/// Another thread kills the pool while workers write into the vector. The call may only return when none of them can write any more:
/// the caller has the items for himself again.
pub fn no_worker_writes_any_more_when_the_pool_was_killed() {
    for kill in [true, false] {
        let pool = pool(4);
        let pids = pool.worker_pids();
        let mut vec = SharedVec::<u64>::zeroed(1 << 20).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                if kill { pool.kill_workers() } else { pool.terminate_workers() }
            });
            let (_, error) = chunk_error(pool.for_each_chunk(write_for_ever, &mut vec));
            let left: Vec<_> = pids.iter().filter(|pid| alive(**pid)).collect();
            assert!(matches!(error, JobError::PoolEnded { .. } | JobError::WorkerDied { .. }), "{error:?}");
            // A worker that died by itself has a replacement, which must be gone too.
            assert!(left.is_empty(), "{left:?} live");
            let before = vec.to_vec();
            thread::sleep(Duration::from_millis(10));
            assert!(*vec == *before);
        });
    }
}

/// The chunk's worker goes on writing until it is killed, and that must be over when the error is there.
pub fn a_chunk_over_its_time_is_ended_before_the_call_returns() {
    let pool = build(ProcessPool::builder().workers(2).job_timeout(Duration::from_millis(50)));
    let mut vec = SharedVec::<u64>::zeroed(1 << 16).unwrap();
    for _ in 0..3 {
        let (_, error) = chunk_error(pool.for_each_chunk(write_for_ever, &mut vec));
        assert!(matches!(error, JobError::TimedOut { .. }), "{error:?}");
        let before = vec.to_vec();
        thread::sleep(Duration::from_millis(5));
        assert!(*vec == *before);
    }
}

pub fn a_pool_that_was_shut_down_says_so() {
    let pool = pool(1);
    let mut vec = SharedVec::<u64>::zeroed(10).unwrap();
    pool.shutdown(true, false);
    let start = Instant::now();
    let (_, error) = chunk_error(pool.for_each_chunk(add_index, &mut vec));
    assert!(matches!(error, JobError::PoolEnded { .. }), "{error:?} after {:?}", start.elapsed());
    assert!(vec.iter().all(|item| *item == 0));
}
