//! What `gristmill lab` does.

use super::ending::Ending;
use super::experiment::Experiment;
use super::experiments;
use super::findings::{Check as Part, Verdict};
use super::knobs::Knobs;
use super::merge;
use super::options::{Check, Merge, Options, Report, Run, Task, Worksheet};
use super::page::report;
use super::record::{Record, record};
use super::serve::serve;
use super::terminal;
use super::watch::{Event, Watch};
use super::worksheet;
use crate::bench::output::{Output, print};
use crate::sys::{limits, spawn};
use std::fs::File;
use std::os::fd::AsFd;

/// As it should, or how else.
type Ended<T = ()> = Result<T, Ending>;

/// Does what the options ask for. `interrupted` says whether to stop. This process must have one thread.
///
/// # Errors
/// How it ended, if not as it should.
pub fn lab(options: &Options, interrupted: &dyn Fn() -> bool) -> Ended {
    match &options.task {
        Task::List => say(&terminal::list(experiments::all(), width())),
        Task::Run(run) => run_one(run, interrupted),
        Task::Check(check) => check_all(check, interrupted),
        Task::Serve => serve(interrupted),
        Task::Report(report) => report_all(report, interrupted),
        Task::Worksheet(sheet) => worksheet(sheet, interrupted),
        Task::Merge(files) => merge_all(files),
    }
}

fn say(text: &str) -> Ended {
    print(text).map_err(|why| Ending::Output(why.to_string()))
}

fn width() -> usize {
    crate::sys::terminal::columns(std::io::stdout().as_fd()).map_or(120, |columns| usize::from(columns).clamp(40, 160))
}

/// Those of these names; all, if none is named.
fn chosen(names: &[String]) -> Ended<Vec<&'static dyn Experiment>> {
    match names {
        [] => Ok(experiments::all().to_vec()),
        names => {
            names.iter().map(|name| experiments::named(name)).collect::<crate::bench::contender::Result<_>>().map_err(usage)
        }
    }
}

fn usage(why: Box<dyn std::error::Error + Send + Sync>) -> Ending {
    Ending::Usage(why.to_string())
}

fn unwritable(why: Box<dyn std::error::Error + Send + Sync>) -> Ending {
    Ending::Output(why.to_string())
}

/// Runs an experiment with these knobs.
fn measured(experiment: &dyn Experiment, knobs: &Knobs, seconds: u64, seed: u64, watch: &Watch<'_>) -> Ended<Record> {
    let record = record(experiment, knobs, seconds, seed, watch);
    watch.bar.finish_and_clear();
    record.map_err(|why| match watch.told_to_stop() {
        true => Ending::Interrupted,
        false => Ending::Engine(format!("{}: {why}", experiment.about().name)),
    })
}

/// Runs an experiment as it usually is.
fn usual(experiment: &dyn Experiment, seconds: u64, seed: u64, interrupted: &dyn Fn() -> bool) -> Ended<Record> {
    measured(experiment, &Knobs::usual(experiment.knobs()), seconds, seed, &Watch::new(false, false, interrupted))
}

fn seed() -> u64 {
    rand::random::<u32>().into()
}

fn run_one(run: &Run, interrupted: &dyn Fn() -> bool) -> Ended {
    // If the page's server is killed, nobody would end this process.
    if run.events {
        spawn::die_with_parent(std::os::unix::process::parent_id())
            .map_err(|why| Ending::Engine(format!("cannot be bound to the lab: {why}")))?;
    }
    let experiment = experiments::named(&run.experiment).map_err(usage)?;
    let knobs = Knobs::read(experiment.knobs(), &run.knobs).map_err(usage)?;
    let outputs = Output::open_all(&[run.json.as_deref(), run.csv.as_deref()]).map_err(unwritable)?;
    let seed = run.seed.unwrap_or_else(seed);
    let watch = Watch::new(run.events, run.watch, interrupted);
    let (about, question) = (experiment.about(), experiment.question());
    let asked = if run.events { Ok(()) } else { say(&terminal::before(about, &question, experiment.read_first(), width())) };
    let record = match asked.and_then(|()| measured(experiment, &knobs, run.seconds, seed, &watch)) {
        Ok(record) => record,
        Err(ending) => {
            outputs.into_iter().flatten().for_each(Output::give_up);
            return Err(ending);
        }
    };
    // The files are written also if the terminal's report cannot be.
    let said = if run.events {
        watch.tell(&Event::Found(Box::new(record.clone())));
        Ok(())
    } else {
        let report = terminal::report(about, &question, experiment.steps(), &record.findings, &record.noise, width());
        say(&format!("{report}Again: {}\n", record.command()))
    };
    for (output, form) in outputs.into_iter().zip([Record::json, Record::csv]) {
        output.map_or(Ok(()), |output| output.write(|to| form(&record, to))).map_err(unwritable)?;
    }
    said
}

/// How often an experiment is tried before a shape that it does not show is called missing: other programs may have had the CPUs.
const TRIES: usize = 3;

/// So many tries more in all: on a machine that shows nothing they would take three times as long.
const MORE: usize = 8;

fn check_all(check: &Check, interrupted: &dyn Fn() -> bool) -> Ended {
    let (mut parts, mut more): (Vec<Part>, usize) = (vec![], MORE);
    for experiment in chosen(&check.experiments)? {
        for again in 0..TRIES {
            let (name, seed) = (experiment.about().name, seed());
            let tried = if again > 0 { ", again" } else { "" };
            let last = again + 1 == TRIES || more == 0;
            let Record { noise, findings, .. } = match usual(experiment, check.seconds, seed, interrupted) {
                Ok(record) => record,
                // On a busy machine a worker may not come to its end in time.
                Err(Ending::Engine(why)) if !last => {
                    say(&format!("{name}{tried} (seed {seed})\n  it could not go on: {why}\n"))?;
                    more -= 1;
                    continue;
                }
                Err(ending) => return Err(ending),
            };
            let noise = terminal::disturbed(&noise, width());
            say(&format!("{name}{tried} (seed {seed})\n{noise}{}", terminal::checks(&findings, width())))?;
            let fails = findings.checks.iter().any(|part| part.verdict == Verdict::Fails);
            let wrong = findings.checks.iter().any(|part| part.verdict == Verdict::Wrong);
            if wrong || !fails || last {
                parts.extend(findings.checks);
                break;
            }
            more -= 1;
        }
    }
    let count = |verdict| parts.iter().filter(|part| part.verdict == verdict).count();
    let [holds, not_here, fails, wrong] = [Verdict::Holds, Verdict::NotHere, Verdict::Fails, Verdict::Wrong].map(count);
    say(&format!("{holds} as expected, {not_here} not to be seen here, {fails} not as expected, {wrong} wrong\n"))?;
    match (wrong, fails) {
        (0, 0) => Ok(()),
        (0, _) => Err(Ending::Unexpected),
        (wrong, _) => Err(Ending::Engine(format!("what must be so on each machine was not ({wrong} times): please report it"))),
    }
}

fn report_all(report: &Report, interrupted: &dyn Fn() -> bool) -> Ended {
    let chosen = chosen(&report.experiments)?;
    let outputs = Output::open_all(&[Some(report.file.as_path())]).map_err(unwritable)?;
    let mut runs = vec![];
    for experiment in chosen {
        match usual(experiment, report.seconds, seed(), interrupted) {
            Ok(record) => runs.push((experiment, record)),
            Err(ending) => {
                outputs.into_iter().flatten().for_each(Output::give_up);
                return Err(ending);
            }
        }
    }
    let page = report::page(&runs).map_err(|why| Ending::Engine(why.to_string()))?;
    outputs
        .into_iter()
        .flatten()
        .try_for_each(|output| output.write(|to| Ok(to.write_all(page.as_bytes())?)))
        .map_err(unwritable)?;
    say(&format!("{}: written; it opens in any browser\n", report.file.display()))
}

fn worksheet(sheet: &Worksheet, interrupted: &dyn Fn() -> bool) -> Ended {
    let chosen = chosen(&sheet.experiments)?;
    if !sheet.answers {
        return say(&worksheet::sheet(&chosen));
    }
    say(&worksheet::answers(limits::cpus()))?;
    for (n, experiment) in chosen.into_iter().enumerate() {
        let record = usual(experiment, sheet.seconds, seed(), interrupted)?;
        say(&worksheet::answer(n + 1, experiment, &record))?;
    }
    Ok(())
}

fn merge_all(merge: &Merge) -> Ended {
    let mut files = vec![];
    for path in &merge.files {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|why| Ending::Usage(format!("{name}: {why}")))?;
        files.push((name, file));
    }
    say(&merge::merge(files).map_err(usage)?)
}
