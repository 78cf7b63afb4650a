//! `gristmill lab`.

use super::exit::Exit;
use super::text::{plain, say, shown};
use gristmill::bench::typed::Stop;
use gristmill::lab::command;
use gristmill::lab::ending::Ending;
use gristmill::lab::options::Options;

/// Runs experiments.
pub fn lab(options: &Options) -> Exit {
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => {
            say(&format!("cannot listen for signals: {why}"));
            return Exit::Engine;
        }
    };
    let told = |why: &str, exit| {
        say(&plain(&shown(why.as_bytes())));
        exit
    };
    match command::lab(options, &|| stop.signal().is_some()) {
        Ok(()) => Exit::Success,
        Err(ending) => match ending {
            Ending::Unexpected => Exit::JobsFailed,
            Ending::Interrupted if stop.signal() == Some(signal_hook::consts::SIGTERM) => Exit::Terminated,
            Ending::Interrupted => Exit::Interrupted,
            Ending::Usage(why) => told(&why, Exit::Usage),
            Ending::Output(why) => told(&why, Exit::Output),
            Ending::Engine(why) => told(&why, Exit::Engine),
        },
    }
}
