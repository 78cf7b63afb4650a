//! `gristmill bench`.

use super::exit::Exit;
use super::text::say;
use gristmill::bench::command::{self, Ending};
use gristmill::bench::contenders;
use gristmill::bench::options::Options;
use gristmill::bench::typed::{self, Stop};

/// Measures and reports.
pub fn bench(options: &Options) -> Exit {
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => {
            say(&format!("cannot listen for signals: {why}"));
            return Exit::Engine;
        }
    };
    match command::bench(options, contenders::all(), &typed::command("gristmill"), &|| stop.signal().is_some()) {
        Ending::Done => Exit::Success,
        Ending::Interrupted if stop.signal() == Some(signal_hook::consts::SIGTERM) => Exit::Terminated,
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
