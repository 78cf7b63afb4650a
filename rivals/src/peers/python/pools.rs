//! Python's pools of processes, driven over a pipe: a range of numbers goes in, the sum of the results comes out.

use super::{CALIBRATES, Script};
use gristmill::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use gristmill::bench::control::Control;
use std::io::Write;
use std::ops::Range;

const SCRIPT: &str = include_str!("pools.py");

/// The contenders.
pub fn all() -> impl Iterator<Item = Box<dyn Contender>> {
    let all = [
        ("python-pool", "pool", "multiprocessing.Pool.imap_unordered, a chunk for each batch"),
        ("python-executor", "executor", "ProcessPoolExecutor: submit for single jobs, map with a chunk for each batch"),
    ];
    all.into_iter().map(|(name, means, says)| Box::new(Python { name, means, says }) as Box<dyn Contender>)
}

struct Python {
    name: &'static str,
    means: &'static str,
    says: &'static str,
}

impl Contender for Python {
    fn info(&self) -> Info {
        Info::new(self.name, &format!("{}; {CALIBRATES}", self.says), Family::Peer, Waits::Block).batching()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        if shape.pattern != Pattern::Calls {
            return Some("it has jobs worked on, and is no queue".into());
        }
        (shape.producers > 1).then(|| "one process calls it".into())
    }

    fn open(&self, shape: &Shape, control: &Control) -> Result<Opened> {
        let mut script = Script::start(SCRIPT, self.means, shape, control.address())?;
        let pids = script.said()?;
        Ok(Opened::Pool(Box::new(Driven { script, pids })))
    }
}

struct Driven {
    script: Script,
    pids: Vec<u32>,
}

impl Pool for Driven {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        writeln!(self.script.input, "{} {}", numbers.start, numbers.end)?;
        self.script.said()
    }

    /// With Python's own process, which calls.
    fn pids(&self) -> Vec<u32> {
        self.pids.clone()
    }

    fn generations(&self) -> usize {
        2
    }
}
