//! Python's own pools, driven by a small script: it reads ranges of jobs, a line each, and prints the sum of their squares.

use super::{Contender, WINDOW};
use crate::Result;
use gristmill_rivals::python::interpreter;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("python.py");

/// What moves the jobs.
#[derive(Clone, Copy)]
pub enum Means {
    /// `ProcessPoolExecutor.submit`, then `result`.
    Executor,
    /// `multiprocessing.Queue` for jobs, another for results.
    Queue,
    /// `multiprocessing.Pool.map` in chunks of 1000.
    PoolMap,
    /// `multiprocessing.Pool.imap_unordered` in chunks of 1000.
    ImapUnordered,
}

pub struct Python {
    child: Child,
    /// Closed to end the script.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// `None` if there is no `python3`.
    pub fn start(means: Means, workers: usize) -> Result<Option<Self>> {
        let means = match means {
            Means::Executor => "executor",
            Means::Queue => "queue",
            Means::PoolMap => "pool_map",
            Means::ImapUnordered => "imap_unordered",
        };
        let Some(interpreter) = interpreter() else { return Ok(None) };
        let mut command = Command::new(interpreter);
        command.args(["-c", SCRIPT, means, &workers.to_string(), &WINDOW.to_string(), &std::process::id().to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (commands, answers) = (child.stdin.take(), child.stdout.take().ok_or("python3 has no output")?);
        Ok(Some(Python { child, commands, answers: BufReader::new(answers) }))
    }
}

impl Contender for Python {
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        let commands = self.commands.as_mut().ok_or("python3 has ended")?;
        writeln!(commands, "{} {}", jobs.start, jobs.end)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(|_| format!("python3 answered {answer:?}").into())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.commands = None;
        if let Err(e) = self.child.wait() {
            eprintln!("gristmill-rivals: cannot wait for python3: {e}");
        }
    }
}
