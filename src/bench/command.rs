//! What the command does: chooses, runs, reports.

use super::contender::{Contender, Result};
use super::options::{self, Options};
use super::plan::Plan;
use super::report::{json, terminal};
use super::results::Results;
use super::session::{self, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};

/// How a run ended.
pub enum Ending {
    /// All was measured and written.
    Done,
    /// Some of it, until it was interrupted; that much was reported.
    Interrupted,
    /// The command line asks for what there is not.
    Usage(String),
    /// A file cannot be written.
    Output(String),
    /// The run could not go on.
    Engine(String),
}

/// Files that can be written, opened before the run: not an hour later it shall be found out that one cannot.
struct Output {
    path: PathBuf,
    file: File,
    /// Whether it was not there before.
    made: bool,
}

impl Output {
    fn open(path: &Path) -> Result<Output> {
        let told = |e: std::io::Error| format!("{}: cannot be written: {}", path.display(), crate::bench::command::reason(&e));
        let made = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(told)?;
        Ok(Output { path: path.to_owned(), file, made })
    }

    fn write(mut self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", self.path.display());
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|e| told(&e))?;
        let mut to = BufWriter::new(&self.file);
        write(&mut to).map_err(|e| told(&e))?;
        to.flush().map_err(|e| told(&e))?;
        Ok(())
    }

    /// Leaves nothing behind that was not there.
    fn give_up(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What the system says, without the number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn at(&self, done: usize, of: usize, next: &str) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
        self.0.set_message(next.to_owned());
    }
}

/// Measures what the options ask for, of these contenders, and reports it. `command` is what was typed. `interrupted` says whether to stop.
///
/// This process must have one thread.
pub fn bench(options: &Options, all: Vec<Box<dyn Contender>>, command: &str, interrupted: &dyn Fn() -> bool) -> Ending {
    let contenders = match options::chosen(all, &options.only) {
        Ok(contenders) => contenders,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    let mut outputs = vec![];
    for path in [&options.json].into_iter().flatten() {
        match Output::open(path) {
            Ok(output) => outputs.push(output),
            Err(why) => {
                outputs.into_iter().for_each(Output::give_up);
                return Ending::Output(why.to_string());
            }
        }
    }
    let seed = options.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let command = if options.seed.is_some() { command.to_owned() } else { format!("{command} --seed {seed}") };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = Bar(ProgressBar::new(1).with_style(style));
    let results = session::run(&contenders, &Plan::of(options), seed, command, interrupted, &bar);
    bar.0.finish_and_clear();
    let results = match results {
        Ok(results) => results,
        Err(why) => {
            outputs.into_iter().for_each(Output::give_up);
            return Ending::Engine(why.to_string());
        }
    };
    match write(&results, outputs, options) {
        Err(why) => Ending::Output(why.to_string()),
        Ok(()) if results.partial => Ending::Interrupted,
        Ok(()) => Ending::Done,
    }
}

fn write(results: &Results, outputs: Vec<Output>, options: &Options) -> Result<()> {
    // A reader that closes the output early has what it wants; the files are written all the same.
    let color = std::io::stdout().is_terminal();
    let _ = std::io::stdout().write_all(terminal::report(results, color).as_bytes());
    for output in outputs {
        if Some(&output.path) == options.json.as_ref() {
            output.write(|to| json::write(results, to))?;
        }
    }
    Ok(())
}
