//! What `gristmill lab` does.

use super::experiment::Experiment;
use super::experiments;
use super::findings::{Findings, Verdict};
use super::knobs::Knobs;
use super::laboratory::{Lab, Snapshot, Watcher};
use super::merge;
use super::options::{Check, Merge, Options, Run, Task, Worksheet};
use super::terminal;
use super::worksheet;
use crate::bench::contender::Result;
use crate::bench::noise::{self, Moment};
use crate::bench::output::Output;
use crate::bench::work;
use crate::sys::limits;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

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

/// A run with all that is needed to read it: what `--json` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub schema: u32,
    /// The experiment.
    pub experiment: String,
    /// How the knobs stood, as NAME=VALUE.
    pub knobs: Vec<String>,
    /// What the order of measurements was drawn from.
    pub seed: u64,
    /// CPUs that it could use.
    pub cores: usize,
    /// Why the machine was not to be trusted meanwhile, if so.
    pub noise: Vec<String>,
    /// What was found.
    pub findings: Findings,
}

/// The version of [`Record`].
pub const SCHEMA: u32 = 1;

/// What a run tells whoever has started it, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// How much is done, from 0 to 1.
    Progress(f64),
    /// What workers do.
    Lanes(Snapshot),
    /// The end.
    Found(Box<Record>),
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

/// Shows how far a run is: a bar in a terminal, or a line for each event.
struct Watch<'a> {
    bar: ProgressBar,
    events: bool,
    watches: bool,
    interrupted: &'a dyn Fn() -> bool,
}

impl<'a> Watch<'a> {
    fn new(events: bool, watches: bool, interrupted: &'a dyn Fn() -> bool) -> Watch<'a> {
        let style =
            ProgressStyle::with_template("{bar:30} {percent}% {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = if events { ProgressBar::hidden() } else { ProgressBar::new(1000).with_style(style) };
        Watch { bar, events, watches, interrupted }
    }

    fn tell(&self, event: &Event) {
        if self.events
            && let Ok(line) = serde_json::to_string(event)
        {
            // Whoever has gone does not read on: it also ends this process.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

impl Watcher for Watch<'_> {
    fn watches(&self) -> bool {
        self.watches
    }

    fn lanes(&self, snapshot: &Snapshot) {
        self.tell(&Event::Lanes(snapshot.clone()));
    }

    fn progress(&self, done: f64) {
        self.bar.set_position((done * 1000.0) as u64);
        self.tell(&Event::Progress(done));
    }

    fn interrupted(&self) -> bool {
        (self.interrupted)()
    }
}

/// Runs an experiment.
///
/// # Errors
/// As [`Experiment::measure`].
fn record(experiment: &dyn Experiment, knobs: &Knobs, seconds: u64, seed: u64, watcher: &dyn Watcher) -> Result<Record> {
    // While nothing else runs.
    work::nanos_a_step();
    let lab = Lab {
        budget: Duration::from_secs(seconds),
        cores: limits::cpus(),
        watcher,
        random: RefCell::new(SmallRng::seed_from_u64(seed)),
    };
    let before = Moment::now();
    let findings = experiment.measure(knobs, &lab)?;
    // What was measured last ended early.
    if watcher.interrupted() {
        return Err("it was interrupted".into());
    }
    let noise = noise::meanwhile(&before, &Moment::now());
    let (experiment, knobs, cores) = (experiment.about().name.to_owned(), knobs.written(), lab.cores);
    Ok(Record { schema: SCHEMA, experiment, knobs, seed, cores, noise, findings })
}

fn run_one(run: &Run, interrupted: &dyn Fn() -> bool) -> Ending {
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
    let written = write(&|to| Ok(serde_json::to_writer_pretty(to, &record)?)).and_then(|()| write(&|to| csv(&record, to)));
    match written {
        Ok(()) => Ending::Done,
        Err(why) => Ending::Output(why.to_string()),
    }
}

/// The columns of a run's CSV.
pub const COLUMNS: [&str; 11] =
    ["experiment", "knobs", "cores", "chart", "series", "origin", "x", "name", "median", "low", "high"];

/// A line for each point of each chart.
fn csv(record: &Record, to: &mut dyn Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(COLUMNS)?;
    let (knobs, cores) = (record.knobs.join(" "), record.cores.to_string());
    for chart in &record.findings.charts {
        for series in &chart.series {
            for point in &series.points {
                let name = if chart.names.is_empty() { None } else { chart.names.get(point.x as usize) };
                let [x, median, low, high] =
                    [point.x, point.y.median, point.y.low, point.y.high].map(|value| value.to_string());
                let name = name.map_or("", String::as_str);
                let origin = series.origin.name();
                let run = [&record.experiment, &knobs, &cores, &chart.title, &series.name].map(String::as_str);
                csv.write_record(run.into_iter().chain([origin, &x, name, &median, &low, &high]))?;
            }
        }
    }
    Ok(csv.flush()?)
}

/// All, if none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static dyn Experiment>> {
    match names {
        [] => Ok(experiments::all().to_vec()),
        names => names.iter().map(|name| experiments::named(name)).collect(),
    }
}

fn check_all(check: &Check, interrupted: &dyn Fn() -> bool) -> Ending {
    let chosen = match chosen(&check.experiments) {
        Ok(chosen) => chosen,
        Err(why) => return Ending::Usage(why.to_string()),
    };
    let mut unexpected = 0;
    for experiment in chosen {
        let name = experiment.about().name;
        let seed = rand::random::<u32>().into();
        let watch = Watch::new(false, false, interrupted);
        let record = record(experiment, &Knobs::usual(experiment.knobs()), check.seconds, seed, &watch);
        watch.bar.finish_and_clear();
        match record {
            Err(_) if interrupted() => return Ending::Interrupted,
            Err(why) => return Ending::Engine(format!("{name}: {why}")),
            Ok(record) => {
                let noise = terminal::disturbed(&record.noise, width());
                print(&format!("{name} (seed {seed})\n{noise}{}", terminal::checks(&record.findings, width())));
                unexpected += record.findings.checks.iter().filter(|check| check.verdict == Verdict::Fails).count();
            }
        }
    }
    if unexpected == 0 { Ending::Done } else { Ending::Unexpected }
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
        let watch = Watch::new(false, false, interrupted);
        let knobs = Knobs::usual(experiment.knobs());
        let record = record(experiment, &knobs, sheet.seconds, rand::random::<u32>().into(), &watch);
        watch.bar.finish_and_clear();
        match record {
            Err(_) if interrupted() => return Ending::Interrupted,
            Err(why) => return Ending::Engine(format!("{}: {why}", experiment.about().name)),
            Ok(record) => print(&worksheet::answer(n + 1, experiment, &record)),
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
