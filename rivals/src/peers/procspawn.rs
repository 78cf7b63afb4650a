//! procspawn's pool of processes: a function and its arguments go to a worker, its result comes back.

use gristmill::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use gristmill::bench::control::Control;
use gristmill::bench::payload::{self, Checker};
use gristmill::bench::work::{Work, nanos_a_step};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::ops::Range;
use std::sync::OnceLock;

/// Calls under way together: each takes two channels, that is four descriptors, of which a process has 1024 by default.
const WINDOW: usize = 100;

/// The contender.
pub struct Procspawn;

impl Contender for Procspawn {
    fn info(&self) -> Info {
        Info::new("procspawn", "procspawn's pool of processes", Family::Peer, Waits::Block).batching()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        (shape.pattern != Pattern::Calls).then(|| "it has jobs worked on, and is no queue".into())
    }

    /// Its workers end when this process does, and with it its ends of their channels.
    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let pool = procspawn::Pool::builder(shape.consumers).disable_stdin().disable_stdout().build()?;
        let mut pool = Calls { pool, shape: *shape };
        // They are started by threads of the pool: answered calls show that some are there, and of the others it tells nothing.
        pool.call(0..(shape.consumers * shape.batch) as u64)?;
        Ok(Opened::Pool(Box::new(pool)))
    }
}

/// What goes to a worker: payloads side by side.
#[derive(Serialize, Deserialize)]
struct Call {
    payloads: ByteBuf,
    size: usize,
    work: u64,
    /// Nanoseconds of a step of work.
    step: f64,
}

/// The sum of the results; `None` if a payload is not as it was made.
fn work_on(call: Call) -> Option<u64> {
    // A worker is one turn's, in which size and work do not change.
    static KNOWN: OnceLock<(Checker, Work)> = OnceLock::new();
    let (checker, work) = KNOWN.get_or_init(|| (Checker::new(call.size, 1), Work::at(call.step, call.work)));
    call.payloads.chunks(call.size).try_fold(0u64, |sum, one| {
        let seen = checker.check(one)?;
        work.run(seen.number);
        Some(sum.wrapping_add(payload::mix(seen.number)))
    })
}

struct Calls {
    pool: procspawn::Pool,
    shape: Shape,
}

impl Calls {
    /// Calls that are under way together, at most.
    fn window(&self) -> usize {
        WINDOW.min(self.shape.capacity / self.shape.batch).max(1)
    }
}

impl Pool for Calls {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        let Shape { payload: size, batch, work, .. } = self.shape;
        let step = nanos_a_step();
        let mut blank = vec![0; size * batch];
        blank.chunks_exact_mut(size).for_each(|one| payload::prepare(one, 0));
        let spawn = |first: u64| {
            let count = batch.min((numbers.end - first) as usize);
            let mut payloads = blank[..count * size].to_vec();
            for (one, number) in payloads.chunks_exact_mut(size).zip(first..) {
                payload::stamp(one, number, 0);
            }
            self.pool.spawn(Call { payloads: ByteBuf::from(payloads), size, work, step }, work_on)
        };
        let firsts: Vec<u64> = numbers.clone().step_by(batch).collect();
        let mut sum = 0u64;
        for window in firsts.chunks(self.window()) {
            let handles: Vec<_> = window.iter().map(|&first| spawn(first)).collect();
            for handle in handles {
                sum = sum.wrapping_add(handle.join()?.ok_or("a payload was not as it was made")?);
            }
        }
        Ok(sum)
    }

    fn room(&self) -> Option<usize> {
        Some(self.window() * self.shape.batch)
    }

    fn pids(&self) -> Vec<u32> {
        // Each is a child of the pool's thread that looks after it.
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let children = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
        children.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
    }
}
