//! `gristmill bench`.

use super::exit::Exit;
use super::text::{plain, say, shown};
use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::{Options, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Measures and reports, or compares.
pub fn bench(options: &Options) -> Exit {
    if let Some(Task::Compare(files)) = &options.task {
        return exit(command::compare(files), 0);
    }
    // No thread that listens: a turn's process is forked from this one.
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(why) = signal_hook::flag::register_usize(number, signal.clone(), number as usize) {
            say(&format!("cannot listen for signals: {why}"));
            return Exit::Engine;
        }
    }
    let command = std::env::args().map(quoted).collect::<Vec<_>>().join(" ");
    let ending = command::bench(options, contenders::all(), &command, &|| signal.load(Relaxed) != 0);
    exit(ending, signal.load(Relaxed))
}

fn exit(ending: Ending, signal: usize) -> Exit {
    match ending {
        Ending::Done => Exit::Success,
        Ending::Slower => Exit::JobsFailed,
        Ending::Interrupted if signal == signal_hook::consts::SIGTERM as usize => Exit::Terminated,
        Ending::Interrupted => Exit::Interrupted,
        Ending::Usage(why) => told(&why, Exit::Usage),
        Ending::Output(why) => told(&why, Exit::Output),
        Ending::Engine(why) => told(&why, Exit::Engine),
    }
}

fn told(why: &str, exit: Exit) -> Exit {
    // It may quote what the command line has, whatever that is.
    say(&plain(&shown(why.as_bytes())));
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
