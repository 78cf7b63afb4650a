//! `gristmill bench`.

use super::exit::Exit;
use super::text::{plain, say, shown};
use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::{Options, Task};
use gristmill::bench::typed::{self, Stop};

/// Measures and reports, or compares.
pub fn bench(options: &Options) -> Exit {
    if let Some(Task::Compare(files)) = &options.task {
        return exit(command::compare(files), None);
    }
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => {
            say(&format!("cannot listen for signals: {why}"));
            return Exit::Engine;
        }
    };
    let ending = command::bench(options, contenders::all(), &typed::command("gristmill"), &|| stop.signal().is_some());
    exit(ending, stop.signal())
}

fn exit(ending: Ending, signal: Option<i32>) -> Exit {
    match ending {
        Ending::Done => Exit::Success,
        Ending::Slower => Exit::JobsFailed,
        Ending::Interrupted if signal == Some(signal_hook::consts::SIGTERM) => Exit::Terminated,
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
