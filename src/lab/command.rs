//! What `gristmill lab` does.

use super::experiment::Experiment;
use super::experiments;
use super::findings::Verdict;
use super::knobs::Knobs;
use super::merge;
use super::options::{Check, Merge, Options, Report, Run, Task, Worksheet};
use super::page::report;
use super::record::{Record, record};
use super::serve::serve;
use super::terminal;
use super::watch::{Event, Watch};
use super::worksheet;
use crate::bench::contender::Result;
use crate::bench::output::Output;
use crate::sys::{limits, spawn};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// How it ended.
pub enum Ending {
    /// As it should.
    Done,
    /// A shape was not the expected one.
    Unexpected,
    /// It was interrupted.
    Interrupted,
    /// The command line asks for what there is not.
    Usage(String),
    /// A file cannot be written.
    Output(String),
    /// An experiment could not go on.
    Engine(String),
}

/// Does what the options ask for. `interrupted` says whether to stop. This process must have one thread.
pub fn lab(options: &Options, interrupted: &dyn Fn() -> bool) -> Ending {
    match &options.task {
        Task::List => {
            print(&terminal::list(experiments::all(), width()));
            Ending::Done
        }
        Task::Run(run) => run_one(run, interrupted),
        Task::Check(check) => check_all(check, interrupted),
        Task::Serve => serve(interrupted),
        Task::Report(report) => report_all(report, interrupted),
        Task::Worksheet(sheet) => worksheet(sheet, interrupted),
        Task::Merge(files) => merge_all(files),
    }
}

/// A reader that closes the output early has what it wants.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn width() -> usize {
    crate::sys::terminal::columns(std::io::stdout().as_fd()).map_or(120, |columns| usize::from(columns).clamp(40, 160))
}

fn run_one(run: &Run, interrupted: &dyn Fn() -> bool) -> Ending {
    // If the page's server is killed, nobody would end this process.
    if run.events
        && let Err(why) = spawn::die_with_parent(std::os::unix::process::parent_id())
    {
        return Ending::Engine(format!("cannot be bound to the lab: {why}"));
    }
    let asked = experiments::named(&run.experiment)
        .and_then(|experiment| Ok((experiment, Knobs::read(experiment.knobs(), &run.knobs)?)));
    let (experiment, knobs) = match asked {
        Ok(asked) => asked,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    let outputs = match Output::open_all(&[run.json.as_deref(), run.csv.as_deref()]) {
        Ok(outputs) => outputs,
        Err(why) => return Ending::Output(why.to_string()),
    };
    let seed = run.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let watch = Watch::new(run.events, run.watch, interrupted);
    let (about, question) = (experiment.about(), experiment.question());
    if !run.events {
        print(&terminal::before(about, &question, width()));
    }
    let record = record(experiment, &knobs, run.seconds, seed, &watch);
    watch.bar.finish_and_clear();
    let record = match record {
        Ok(record) => record,
        Err(why) => {
            outputs.into_iter().flatten().for_each(Output::give_up);
            return if interrupted() { Ending::Interrupted } else { Ending::Engine(format!("{}: {why}", run.experiment)) };
        }
    };
    if run.events {
        watch.tell(&Event::Found(Box::new(record.clone())));
    } else {
        print(&terminal::report(about, &question, experiment.steps(), &record.findings, &record.noise, width()));
        let knobs: String = record.knobs.iter().map(|knob| format!(" {knob}")).collect();
        print(&format!("Again: gristmill lab run {}{knobs} --seconds {} --seed {seed}\n", record.experiment, run.seconds));
    }
    let mut outputs = outputs.into_iter();
    let mut write =
        |with: &dyn Fn(&mut dyn Write) -> Result<()>| outputs.next().flatten().map_or(Ok(()), |output| output.write(with));
    let written = write(&|to| record.json(to)).and_then(|()| write(&|to| record.csv(to)));
    match written {
        Ok(()) => Ending::Done,
        Err(why) => Ending::Output(why.to_string()),
    }
}

/// Those of these names; all, if none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static dyn Experiment>> {
    match names {
        [] => Ok(experiments::all().to_vec()),
        names => names.iter().map(|name| experiments::named(name)).collect(),
    }
}

/// Runs an experiment as it usually is.
///
/// # Errors
/// How the command ends, if it was interrupted or the experiment could not go on.
fn usual(
    experiment: &dyn Experiment,
    seconds: u64,
    seed: u64,
    interrupted: &dyn Fn() -> bool,
) -> std::result::Result<Record, Ending> {
    let watch = Watch::new(false, false, interrupted);
    let record = record(experiment, &Knobs::usual(experiment.knobs()), seconds, seed, &watch);
    watch.bar.finish_and_clear();
    record.map_err(|why| match interrupted() {
        true => Ending::Interrupted,
        false => Ending::Engine(format!("{}: {why}", experiment.about().name)),
    })
}

fn check_all(check: &Check, interrupted: &dyn Fn() -> bool) -> Ending {
    let chosen = match chosen(&check.experiments) {
        Ok(chosen) => chosen,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    let mut unexpected = 0;
    for experiment in chosen {
        let (name, seed) = (experiment.about().name, rand::random::<u32>().into());
        let record = match usual(experiment, check.seconds, seed, interrupted) {
            Ok(record) => record,
            Err(ending) => return ending,
        };
        let noise = terminal::disturbed(&record.noise, width());
        print(&format!("{name} (seed {seed})\n{noise}{}", terminal::checks(&record.findings, width())));
        unexpected += record.findings.checks.iter().filter(|check| check.verdict == Verdict::Fails).count();
    }
    if unexpected == 0 { Ending::Done } else { Ending::Unexpected }
}

fn report_all(report: &Report, interrupted: &dyn Fn() -> bool) -> Ending {
    let chosen = match chosen(&report.experiments) {
        Ok(chosen) => chosen,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    let output = match Output::open_all(&[Some(report.file.as_path())]) {
        Ok(outputs) => outputs.into_iter().flatten().next(),
        Err(why) => return Ending::Output(why.to_string()),
    };
    let Some(output) = output else { return Ending::Done };
    let mut runs = vec![];
    for experiment in chosen {
        match usual(experiment, report.seconds, rand::random::<u32>().into(), interrupted) {
            Ok(record) => runs.push((experiment, record)),
            Err(ending) => {
                output.give_up();
                return ending;
            }
        }
    }
    let written = report::page(&runs).and_then(|page| output.write(|to| Ok(to.write_all(page.as_bytes())?)));
    match written {
        Ok(()) => Ending::Done,
        Err(why) => Ending::Output(why.to_string()),
    }
}

fn worksheet(sheet: &Worksheet, interrupted: &dyn Fn() -> bool) -> Ending {
    let chosen = match chosen(&sheet.experiments) {
        Ok(chosen) => chosen,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    if !sheet.answers {
        print(&worksheet::sheet(&chosen));
        return Ending::Done;
    }
    print(&worksheet::answers(limits::cpus()));
    for (n, experiment) in chosen.into_iter().enumerate() {
        match usual(experiment, sheet.seconds, rand::random::<u32>().into(), interrupted) {
            Ok(record) => print(&worksheet::answer(n + 1, experiment, &record)),
            Err(ending) => return ending,
        }
    }
    Ending::Done
}

fn merge_all(merge: &Merge) -> Ending {
    let open = |path: &PathBuf| -> Result<(String, File)> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|why| format!("{name}: {why}"))?;
        Ok((name, file))
    };
    let mut merged = vec![];
    let files: Result<Vec<(String, File)>> = merge.files.iter().map(open).collect();
    match files.and_then(|files| merge::merge(files, &mut merged)) {
        Ok(()) => {
            let _ = std::io::stdout().write_all(&merged);
            Ending::Done
        }
        Err(why) => Ending::Usage(why.to_string()),
    }
}
