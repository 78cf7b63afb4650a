//! `gristmill bench` with the peers.

use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::Options;
use gristmill::bench::typed::{self, Stop};
use gristmill_rivals::peers;
use std::process::ExitCode;

/// How this program is called, for whoever repeats a run.
const TYPED: &str = "cargo run --release -p gristmill-rivals --";

/// Measures and reports; the exit codes are those of `gristmill`.
pub fn bench(options: &Options) -> ExitCode {
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => return told(&format!("cannot listen for signals: {why}"), 3),
    };
    let all = contenders::all().into_iter().chain(peers::all()).collect();
    match command::bench(options, all, &typed::command(TYPED), &|| stop.signal().is_some()) {
        Ending::Done => ExitCode::SUCCESS,
        Ending::Interrupted => ExitCode::from(128 + stop.signal().unwrap_or_default() as u8),
        Ending::Usage(why) => told(&why, 2),
        Ending::Engine(why) => told(&why, 3),
        Ending::Output(why) => told(&why, 4),
    }
}

fn told(why: &str, code: u8) -> ExitCode {
    eprintln!("gristmill-rivals: {why}");
    ExitCode::from(code)
}
