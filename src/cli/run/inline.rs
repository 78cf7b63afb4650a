//! Runs the jobs in this process, one after the other. It stands where the engine goes until worker processes are there.

use std::time::Duration;

use super::engine::{Engine, EngineStats, Failure, Outcome};
use crate::cli::args::RunOptions;

type TaskFunction = fn(&[u8], &mut Vec<u8>) -> Result<(), String>;

pub struct Inline {
    task: TaskFunction,
    room: usize,
    jobs: Vec<(u64, usize)>,
    bytes: Vec<u8>,
    out: Vec<u8>,
}

pub fn start(options: &RunOptions) -> Result<Inline, Failure> {
    let room = 1024 * options.workers();
    Ok(Inline { task: options.task.function(), room, jobs: Vec::new(), bytes: Vec::new(), out: Vec::new() })
}

impl Engine for Inline {
    fn submit(&mut self, id: u64, task_input: &[u8]) -> Result<bool, Failure> {
        if self.jobs.len() == self.room {
            return Ok(false);
        }
        self.jobs.push((id, task_input.len()));
        self.bytes.extend_from_slice(task_input);
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn collect(&mut self, _: Duration, each: &mut dyn FnMut(u64, Outcome<'_>)) -> Result<usize, Failure> {
        let mut rest = &self.bytes[..];
        for &(id, length) in &self.jobs {
            let (job, after) = rest.split_at(length);
            rest = after;
            self.out.clear();
            match (self.task)(job, &mut self.out) {
                Ok(()) => each(id, Outcome::Value(&self.out)),
                Err(message) => each(id, Outcome::Failed(message)),
            }
        }
        let done = self.jobs.len();
        self.jobs.clear();
        self.bytes.clear();
        Ok(done)
    }

    fn pending(&self) -> usize {
        self.jobs.len()
    }

    fn finish(self) -> Result<EngineStats, Failure> {
        Ok(EngineStats { workers: 1, ..EngineStats::default() })
    }
}
