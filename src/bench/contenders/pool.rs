//! This crate's pool: jobs are called, as with the pools of others. It waits as those do, so that like is compared with like.

use crate::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::payload::{self, Checker};
use crate::bench::work::{Work, nanos_a_step};
use crate::sys::clock::Deadline;
use crate::{ProcessPool, Task, WaitPolicy, tasks};
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// Workers that are not there by then do not start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The contender.
pub struct EnginePool;

/// What processes must know that are this program, executed again.
pub fn registry() -> Vec<Task> {
    tasks![work_on; initializers: load]
}

impl Contender for EnginePool {
    fn info(&self) -> Info {
        let says = "gristmill's ProcessPool: submit for single jobs, map_unordered with a chunk for each batch; retries(1)";
        Info::new("gristmill-pool", says, Family::Engine, Waits::Block).batching()
    }

    fn is_about(&self, pattern: Pattern) -> bool {
        pattern == Pattern::Calls
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        if shape.pattern != Pattern::Calls {
            return Some("it has jobs worked on, and is no queue".into());
        }
        (shape.producers > 1).then(|| "one process calls it".into())
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        // In the arenas lie bundles that no slot has room for: all that can be under way, with what encoding adds.
        let bytes = (shape.capacity * (shape.payload + 64)).max(2 << 20);
        let pool = ProcessPool::builder()
            .workers(shape.consumers)
            .wait_policy(WaitPolicy::Block)
            .capacity(shape.capacity)
            // They have no effects but their results.
            .retries(1)
            .arena_size(bytes)
            .region_size((12 << 20) + 3 * bytes)
            .initializer(load, (shape.payload, shape.work, nanos_a_step()))
            .build(work_on)?;
        let mut jobs = Jobs { pool, shape: *shape };
        // Answered calls show that workers can start, but one that is early may have answered them all.
        jobs.call(0..(shape.consumers * shape.batch) as u64)?;
        jobs.wait_for_workers()?;
        Ok(Opened::Pool(Box::new(jobs)))
    }
}

/// What a worker has for all of its jobs.
struct Worker {
    checker: Checker,
    work: Work,
}

fn load((size, work, step): (usize, u64, f64)) -> std::result::Result<Worker, Infallible> {
    Ok(Worker { checker: Checker::new(size, 1), work: Work::at(step, work) })
}

/// The result; `None` if the payload is not as it was made.
fn work_on(worker: &mut Worker, payload: Vec<u8>) -> Option<u64> {
    let seen = worker.checker.check(&payload)?;
    worker.work.run(seen.number);
    Some(payload::mix(seen.number))
}

struct Jobs {
    pool: ProcessPool<Vec<u8>, Option<u64>>,
    shape: Shape,
}

impl Jobs {
    /// Waits until all workers are there, as other contenders' participants are.
    fn wait_for_workers(&self) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        while self.pool.stats().workers.len() < self.shape.consumers {
            if deadline.passed() {
                return Err(format!("not ready after {} s", PATIENCE.as_secs()).into());
            }
            // Each look takes the pool's lock, and the CPUs are the workers'.
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    fn payloads(&self, numbers: Range<u64>) -> impl Iterator<Item = Vec<u8>> {
        let mut blank = vec![0; self.shape.payload];
        payload::prepare(&mut blank, 0);
        numbers.map(move |number| {
            payload::stamp(&mut blank, number, 0);
            blank.clone()
        })
    }
}

impl Pool for Jobs {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        let wrong = "a payload was not as it was made";
        let mut sum = 0u64;
        if self.shape.batch > 1 {
            let map = self.pool.map_unordered(self.payloads(numbers))?;
            for result in map.chunk_size(self.shape.batch).buffer_size(self.shape.capacity) {
                sum = sum.wrapping_add(result?.ok_or(wrong)?);
            }
            return Ok(sum);
        }
        let mut payloads = self.payloads(numbers);
        let mut handles = Vec::with_capacity(self.shape.capacity);
        loop {
            for payload in payloads.by_ref().take(self.shape.capacity) {
                handles.push(self.pool.submit(payload).map_err(|e| e.to_string())?);
            }
            if handles.is_empty() {
                return Ok(sum);
            }
            for handle in handles.drain(..) {
                sum = sum.wrapping_add(handle.result()?.ok_or(wrong)?);
            }
        }
    }

    fn room(&self) -> Option<usize> {
        Some(self.shape.capacity)
    }

    fn pids(&self) -> Vec<u32> {
        self.pool.worker_pids()
    }
}
