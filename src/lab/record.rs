//! A run of an experiment, with all that is needed to read it.

use super::experiment::Experiment;
use super::findings::Findings;
use super::knobs::Knobs;
use super::laboratory::{Lab, Watcher};
use crate::bench::contender::Result;
use crate::bench::noise::{self, Moment};
use crate::bench::work;
use crate::sys::limits;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::Write;
use std::time::Duration;

/// A run with all that is needed to read it: what `--json` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub schema: u32,
    /// The experiment.
    pub experiment: String,
    /// How the knobs stood, as NAME=VALUE.
    pub knobs: Vec<String>,
    /// About how long it was to take.
    pub seconds: u64,
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

/// The columns of a run's CSV.
pub const COLUMNS: [&str; 11] =
    ["experiment", "knobs", "cores", "chart", "series", "origin", "x", "name", "median", "low", "high"];

impl Record {
    /// What is typed to run it again.
    pub fn command(&self) -> String {
        let knobs: String = self.knobs.iter().map(|knob| format!(" {knob}")).collect();
        format!("gristmill lab run {}{knobs} --seconds {} --seed {}", self.experiment, self.seconds, self.seed)
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn json(&self, to: &mut dyn Write) -> Result<()> {
        Ok(serde_json::to_writer_pretty(to, self)?)
    }

    /// A line for each point of each chart.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn csv(&self, to: &mut dyn Write) -> Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(COLUMNS)?;
        let (knobs, cores) = (self.knobs.join(" "), self.cores.to_string());
        for chart in &self.findings.charts {
            for series in &chart.series {
                for point in &series.points {
                    let name = if chart.names.is_empty() { None } else { chart.names.get(point.x as usize) };
                    let [x, median, low, high] =
                        [point.x, point.y.median, point.y.low, point.y.high].map(|value| value.to_string());
                    let name = name.map_or("", String::as_str);
                    let origin = series.origin.name();
                    let run = [&self.experiment, &knobs, &cores, &chart.title, &series.name].map(String::as_str);
                    csv.write_record(run.into_iter().chain([origin, &x, name, &median, &low, &high]))?;
                }
            }
        }
        Ok(csv.flush()?)
    }
}

/// Runs an experiment.
///
/// # Errors
/// As [`Experiment::measure`].
pub fn record(experiment: &dyn Experiment, knobs: &Knobs, seconds: u64, seed: u64, watcher: &dyn Watcher) -> Result<Record> {
    // While nothing else runs.
    work::nanos_a_step();
    let lab = Lab {
        budget: Duration::from_secs(seconds),
        cores: limits::cpus(),
        cpus: limits::cpu_numbers(),
        watcher,
        random: RefCell::new(SmallRng::seed_from_u64(seed)),
    };
    let before = Moment::now();
    let mut findings = experiment.measure(knobs, &lab)?;
    findings.keep_finite();
    // What was measured last ended early.
    if watcher.interrupted() {
        return Err("it was interrupted".into());
    }
    let noise = noise::meanwhile(&before, &Moment::now());
    let (experiment, knobs, cores) = (experiment.about().name.to_owned(), knobs.written(), lab.cores);
    Ok(Record { schema: SCHEMA, experiment, knobs, seconds, seed, cores, noise, findings })
}
