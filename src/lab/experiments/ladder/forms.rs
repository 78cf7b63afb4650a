//! The six forms, and how a batch is timed.

use crate::bench::contender::Result;
use crate::{JoinableQueue, Mill, ProcessPool, Queue, SharedVec, Task, tasks};
use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub const FORMS: [&str; 6] = ["one process", "threads, one lock", "queue and workers", "futures", "chunks", "shared array"];
pub const ONE: usize = 0;
pub const LOCK: usize = 1;
pub const QUEUE: usize = 2;
pub const FUTURES: usize = 3;
pub const CHUNKS: usize = 4;
pub const ARRAY: usize = 5;

/// What workers must know that are this program, executed again.
pub fn registry() -> Vec<Task> {
    tasks![worker, job, chunk, part]
}

/// Each step needs the one before it. The compiler is told nothing of the number and the steps: it would find the sum of many jobs without doing them.
fn job(what: (u64, u32)) -> u64 {
    let (n, steps) = black_box(what);
    (0..steps).fold(n, |z, _| (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn worker(jobs: &JoinableQueue<(u64, u32)>, results: &Queue<u64>) {
    while let Ok(work) = jobs.get() {
        if results.put(job(*work)).is_err() {
            return;
        }
        work.task_done();
    }
}

fn chunk((first, end, steps): (u64, u64, u32)) -> Vec<u64> {
    (first..end).map(|n| job((n, steps))).collect()
}

fn part(first: usize, steps: &[u32], values: &mut [u64]) {
    for (n, value) in (first as u64..).zip(values) {
        *value = job((n, steps[0]));
    }
}

/// What is done in each form.
#[derive(Clone, Copy)]
pub struct Batch {
    pub workers: usize,
    pub jobs: u64,
    pub steps: u32,
    pub chunk: u64,
}

/// What threads share, behind their lock.
struct Shared {
    next: u64,
    sum: u64,
    over: bool,
}

fn add(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::wrapping_add)
}

impl Batch {
    /// Jobs a second in a form, and the sum of their values. Starts are not counted, be it of threads or of processes: a batch is done before the clock
    /// is looked at.
    pub fn run(self, form: usize, time: Duration) -> Result<(f64, u64)> {
        let Batch { workers, jobs, steps, chunk: size } = self;
        let all = || (0..jobs).map(|n| (n, steps));
        let builder = || ProcessPool::builder().workers(workers);
        match form {
            ONE => self.timed(time, || Ok(add(all().map(job)))),
            LOCK => self.with_threads(time),
            QUEUE => {
                let mill = Mill::builder().build()?;
                let (jobs, results) = (mill.joinable_queue(1024)?, mill.queue(1024)?);
                let daemons = mill.spawn_daemons(workers, worker, (&jobs, &results))?;
                let done = self.timed(time, || {
                    for work in all() {
                        jobs.put(work).map_err(|why| why.to_string())?;
                    }
                    jobs.join()?;
                    Ok(add(results.drain()?))
                });
                jobs.close();
                daemons.join();
                done
            }
            FUTURES => {
                let pool = builder().build(job)?;
                self.timed(time, || {
                    let futures = pool.submit_many(all()).map_err(|why| why.to_string())?;
                    futures.into_iter().try_fold(0u64, |sum, future| Ok(sum.wrapping_add(future.result()?)))
                })
            }
            CHUNKS => {
                let pool = builder().build(chunk)?;
                let chunks = || (0..jobs).step_by(size as usize).map(|first| (first, jobs.min(first + size), steps));
                self.timed(time, || {
                    let futures = pool.submit_many(chunks()).map_err(|why| why.to_string())?;
                    futures.into_iter().try_fold(0u64, |sum, future| Ok(sum.wrapping_add(add(future.result()?))))
                })
            }
            _ => {
                let pool = builder().build_for_slices()?;
                let (steps, mut values) = (SharedVec::from_slice(&[steps])?, SharedVec::<u64>::zeroed(jobs as usize)?);
                self.timed(time, || {
                    pool.chunks_of(size as usize).for_each_chunk_with(part, &steps, &mut values)?;
                    Ok(add(values.iter().copied()))
                })
            }
        }
    }

    /// The threads wait before each batch and after it.
    fn with_threads(self, time: Duration) -> Result<(f64, u64)> {
        let shared = Mutex::new(Shared { next: 0, sum: 0, over: false });
        let locked = || shared.lock().unwrap_or_else(PoisonError::into_inner);
        let take = || {
            let mut shared = locked();
            shared.next += 1;
            (shared.next <= self.jobs).then(|| shared.next - 1)
        };
        let together = Barrier::new(self.workers + 1);
        let work = || {
            while let Some(n) = take() {
                let value = job((n, self.steps));
                let mut shared = locked();
                shared.sum = shared.sum.wrapping_add(value);
            }
        };
        let live = || {
            loop {
                together.wait();
                if locked().over {
                    return;
                }
                work();
                together.wait();
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(live);
            }
            let done = self.timed(time, || {
                *locked() = Shared { next: 0, sum: 0, over: false };
                together.wait();
                together.wait();
                Ok(locked().sum)
            });
            locked().over = true;
            together.wait();
            done
        })
    }

    /// Whole batches until the time has passed.
    fn timed(self, time: Duration, mut batch: impl FnMut() -> Result<u64>) -> Result<(f64, u64)> {
        let sum = batch()?;
        let (start, mut done) = (Instant::now(), 0);
        while done == 0 || start.elapsed() < time {
            if batch()? != sum {
                return Err("the same batch gave two results".into());
            }
            done += self.jobs;
        }
        Ok((done as f64 / start.elapsed().as_secs_f64(), sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Batch = Batch { workers: 2, jobs: 100, steps: 10, chunk: 30 };

    #[test]
    fn threads_and_chunks_have_the_result_of_one_process() {
        let (_, sum) = BATCH.run(ONE, Duration::ZERO).unwrap();
        assert_eq!(BATCH.run(LOCK, Duration::ZERO).unwrap().1, sum);
        let chunks = (0..100).step_by(30).map(|first| chunk((first, 100.min(first + 30), 10)));
        assert_eq!(add(chunks.flatten()), sum);
        let mut values = [0; 100];
        values.chunks_mut(30).enumerate().for_each(|(n, values)| part(30 * n, &[10], values));
        assert_eq!(add(values), sum);
    }
}
