//! `gristmill bench` with the peers.

use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::{Options, Task};
use gristmill::bench::typed::{self, Stop};
use gristmill_rivals::peers;
use std::process::ExitCode;

/// How this program is called, for whoever repeats a run.
const TYPED: &str = "cargo run --release -p gristmill-rivals --";

/// Measures and reports, or compares; the exit codes are those of `gristmill`.
pub fn bench(options: &Options) -> ExitCode {
    if let Some(Task::Compare(files)) = &options.task {
        return code(command::compare(files), None);
    }
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => return told(&format!("cannot listen for signals: {why}"), 3),
    };
    let all = contenders::all().into_iter().chain(peers::all()).collect();
    let ending = command::bench(options, all, &typed::command(TYPED), &|| stop.signal().is_some());
    code(ending, stop.signal())
}

fn code(ending: Ending, signal: Option<i32>) -> ExitCode {
    match ending {
        Ending::Done => ExitCode::SUCCESS,
        Ending::Slower => ExitCode::from(1),
        Ending::Interrupted => ExitCode::from(128 + signal.unwrap_or_default() as u8),
        Ending::Usage(why) => told(&why, 2),
        Ending::Engine(why) => told(&why, 3),
        Ending::Output(why) => told(&why, 4),
    }
}

fn told(why: &str, code: u8) -> ExitCode {
    eprintln!("gristmill-rivals: {why}");
    ExitCode::from(code)
}
