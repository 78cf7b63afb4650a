//! What the command does: chooses, runs, reports.

use super::allowed::Allowed;
use super::contender::{Contender, Result};
use super::options::{self, Compare, Options};
use super::output::{Output, print};
use super::plan::Plan;
use super::report::terminal::Look;
use super::report::{compare, csv, html, json, terminal};
use super::results::Results;
use super::session::{self, Progress};
use super::work;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// How a run ended.
pub enum Ending {
    /// All was measured and written.
    Done,
    /// Some of it, until it was interrupted; that much was reported.
    Interrupted,
    /// Two runs were compared, and something of this crate became slower.
    Slower,
    /// The command line asks for what there is not, or names a file that cannot be used.
    Usage(String),
    /// A file cannot be written.
    Output(String),
    /// The run could not go on.
    Engine(String),
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
    let plan = Plan::of(options);
    let allowed = Allowed::now();
    if let Some(why) = allowed.as_ref().and_then(|allowed| allowed.refuses(&plan.base())) {
        return Ending::Usage(format!("a figure of {}: {why}", plan.base()));
    }
    let paths = [&options.json, &options.csv, &options.html].map(Option::as_deref);
    let outputs = match Output::open_all(&paths) {
        Ok(outputs) => outputs,
        Err(why) => return Ending::Output(why.to_string()),
    };
    // While nothing else runs, and before any turn.
    work::nanos_a_step();
    let seed = options.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let command = if options.seed.is_some() { command.to_owned() } else { format!("{command} --seed {seed}") };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = Bar(ProgressBar::new(1).with_style(style));
    let results = session::run(&contenders, &plan, allowed, seed, command, interrupted, &bar);
    bar.0.finish_and_clear();
    let results = match results {
        Ok(results) => results,
        Err(why) => {
            outputs.into_iter().flatten().for_each(Output::give_up);
            return Ending::Engine(why.to_string());
        }
    };
    match write(&results, outputs, options) {
        Err(why) => Ending::Output(why.to_string()),
        Ok(()) if results.partial => Ending::Interrupted,
        Ok(()) => Ending::Done,
    }
}

fn write(results: &Results, outputs: Vec<Option<Output>>, options: &Options) -> Result<()> {
    let page = options.html.as_ref().map(|path| path.display().to_string());
    // The files are written also if the terminal's report cannot be.
    let printed = print(&terminal::report(results, look(), page.as_deref()));
    let forms = [json::write, csv::write, html::write];
    for (output, form) in outputs.into_iter().zip(forms) {
        output.map_or(Ok(()), |output| output.write(|to| form(results, to)))?;
    }
    printed
}

/// Compares two runs that were kept as JSON.
pub fn compare(files: &Compare) -> Ending {
    let (old, new) = match (json::read(&files.old), json::read(&files.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(why), _) | (_, Err(why)) => return Ending::Usage(why.to_string()),
    };
    if let Err(why) = print(&compare::report(&old, &new, look())) {
        return Ending::Output(why.to_string());
    }
    let slower = compare::changes(&old, &new).iter().any(compare::Change::regression);
    if slower { Ending::Slower } else { Ending::Done }
}

/// What standard output can show. Where nobody says how wide it is, nothing is left out.
fn look() -> Look {
    let stdout = std::io::stdout();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = crate::sys::terminal::columns(stdout.as_fd()).map_or(200, |columns| usize::from(columns).clamp(40, 400));
    Look { color: stdout.is_terminal() && !no_color, width }
}
