//! rayon: jobs that threads steal from one another; nothing is sent at all.

use crate::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::payload::{self, Checker};
use crate::bench::work::Work;
use rayon::prelude::*;
use std::ops::Range;

/// The contender.
pub struct Rayon;

impl Contender for Rayon {
    fn info(&self) -> Info {
        let says = "rayon's parallel iterator over payloads that are made where they are worked on";
        Info::new("threads-rayon", says, Family::Threads, Waits::Adaptive).batching()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        (shape.pattern != Pattern::Calls).then(|| "it has jobs worked on, and is no queue".into())
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(shape.consumers).build()?;
        Ok(Opened::Pool(Box::new(Jobs { threads, shape: *shape })))
    }
}

struct Jobs {
    threads: rayon::ThreadPool,
    shape: Shape,
}

impl Pool for Jobs {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        let size = self.shape.payload;
        let (checker, work) = (Checker::new(size, 1), Work::of(self.shape.work));
        let blank = || {
            let mut bytes = vec![0; size];
            payload::prepare(&mut bytes, 0);
            bytes
        };
        let one = |bytes: &mut Vec<u8>, number: usize| {
            payload::stamp(bytes, number as u64, 0);
            let seen = checker.check(bytes)?;
            work.run(seen.number);
            Some(payload::mix(seen.number))
        };
        // Ranges of usize know their length, and can be cut into parts of a least one.
        let numbers = numbers.start as usize..numbers.end as usize;
        let jobs = || numbers.into_par_iter().with_min_len(self.shape.batch).map_init(blank, one);
        let sum = self.threads.install(|| jobs().try_reduce(|| 0, |a, b| Some(a.wrapping_add(b))));
        Ok(sum.ok_or("a payload was not as it was made")?)
    }

    fn pids(&self) -> Vec<u32> {
        vec![]
    }

    fn generations(&self) -> usize {
        0
    }
}
