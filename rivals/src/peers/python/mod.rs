//! Python's queues and pools, each driven by a script that is given what it needs to know of the page and of payloads.

mod pools;
mod queues;

use crate::python::interpreter;
use gristmill::bench::contender::{Contender, Result, Shape};
use gristmill::bench::control::{Address, Layout};
use gristmill::bench::payload;
use serde::Serialize;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What all say of their work.
const CALIBRATES: &str = "work is steps in Python, which it calibrates itself";

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    queues::all().chain(pools::all()).collect()
}

/// What the script is told, on one line; then come the payloads' bytes that do not change, for each producer.
#[derive(Serialize)]
struct Told<'a> {
    means: &'a str,
    shape: Shape,
    /// The page, and where in it is what.
    page: String,
    layout: Layout,
    producer_shift: u32,
    /// The first shift, the factor, and the last shift.
    mix: (u32, u64, u32),
    /// The number of the system call.
    futex: i64,
}

/// A script that runs.
struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Script {
    /// Starts one with what all scripts share before it.
    fn start(script: &str, means: &str, shape: &Shape, page: Address) -> Result<Script> {
        let interpreter = interpreter().ok_or("python3 is not installed")?;
        let both = [include_str!("common.py"), script].concat();
        let mut command = Command::new(interpreter);
        command.args(["-c", &both, &std::process::id().to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("python3 has no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("python3 has no output")?);
        let (producer_shift, first, factor, last) = payload::FORM;
        let (page, layout, mix) = (page.path(), page.layout(), (first, factor, last));
        let told = Told { means, shape: *shape, page, layout, producer_shift, mix, futex: libc::SYS_futex };
        writeln!(input, "{}", serde_json::to_string(&told)?)?;
        let mut blank = vec![0; shape.payload];
        for producer in 0..shape.producers {
            payload::prepare(&mut blank, producer);
            input.write_all(&blank)?;
        }
        input.flush()?;
        Ok(Script { child, input, output })
    }

    /// The next line, which is JSON.
    fn said<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(format!("python3 ended: {}", self.child.wait()?).into());
        }
        match serde_json::from_str(&line)? {
            Said::Is(value) => Ok(value),
            Said::Why(why) => Err(why.into()),
        }
    }
}

/// What a script says: a value, or why there is none.
#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said<T> {
    Is(T),
    Why(String),
}
