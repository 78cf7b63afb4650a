//! `gristmill bench`.

use super::exit::Exit;
use super::text::say;
use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::Options;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Measures and reports.
pub fn bench(options: &Options) -> Exit {
    // No thread that listens: a turn's process is forked from this one.
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(why) = signal_hook::flag::register_usize(number, signal.clone(), number as usize) {
            say(&format!("cannot listen for signals: {why}"));
            return Exit::Engine;
        }
    }
    let command = std::env::args().map(quoted).collect::<Vec<_>>().join(" ");
    match command::bench(options, contenders::all(), &command, &|| signal.load(Relaxed) != 0) {
        Ending::Done => Exit::Success,
        Ending::Interrupted if signal.load(Relaxed) == signal_hook::consts::SIGTERM as usize => Exit::Terminated,
        Ending::Interrupted => Exit::Interrupted,
        Ending::Usage(why) => told(&why, Exit::Usage),
        Ending::Output(why) => told(&why, Exit::Output),
        Ending::Engine(why) => told(&why, Exit::Engine),
    }
}

fn told(why: &str, exit: Exit) -> Exit {
    say(why);
    exit
}

/// An argument as a shell takes it; the program by its name alone.
fn quoted(argument: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,/".contains(c);
    match argument.rsplit('/').next() {
        Some("gristmill") => "gristmill".into(),
        _ if argument.chars().all(plain) => argument,
        _ => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}
