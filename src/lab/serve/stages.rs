//! What is asked for, and the processes that it takes.
//!
//! To watch is one: its lanes are shown as they come. To measure is two: one that nobody watches, whose figures count, and a short one of the same
//! with its lanes kept, which are drawn afterwards. What the second has measured is compared with the first: that is what watching costs.

use crate::bench::contender::Result;
use crate::lab::experiment::Experiment;
use crate::lab::experiments;
use crate::lab::findings::Findings;
use crate::lab::knobs::Knobs;
use crate::lab::options::Run as Line;
use crate::lab::page::disturbance::disturbance;
use crate::lab::page::prediction::Prediction;
use crate::lab::record::Record;
use clap::Parser;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The figures count.
    Measure,
    /// The lanes count.
    Watch,
}

/// As the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    experiment: String,
    knobs: Vec<String>,
    seconds: u64,
    mode: Mode,
    prediction: Option<Prediction>,
}

/// What is to be run: all of it is known to be possible.
pub struct Order {
    /// The experiment.
    pub experiment: &'static dyn Experiment,
    /// How the knobs stand.
    pub knobs: Vec<String>,
    /// For how long.
    pub seconds: u64,
    /// How it is done.
    pub mode: Mode,
    /// What was predicted.
    pub prediction: Option<Prediction>,
}

/// The arguments of a run, read as at the command line.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Command {
    #[command(flatten)]
    run: Line,
}

/// Shortest and longest time for lanes that are drawn afterwards.
const SHORT: (u64, u64) = (2, 6);

impl Order {
    /// From what the page has sent.
    ///
    /// # Errors
    /// In one line, if it is no order, or asks for what there is not.
    pub fn read(body: &[u8]) -> Result<Order> {
        let sent: Sent = serde_json::from_slice(body)?;
        let experiment = experiments::named(&sent.experiment)?;
        let knobs = Knobs::read(experiment.knobs(), &sent.knobs)?.written();
        if let Some(prediction) = &sent.prediction {
            prediction.fits(&experiment.question())?;
        }
        let order = Order { experiment, knobs, seconds: sent.seconds, mode: sent.mode, prediction: sent.prediction };
        let words =
            |why: clap::Error| why.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        // So that what is too much at the command line is too much here.
        Command::try_parse_from(order.arguments(0)).map(|command| command.run.seconds).map_err(words)?;
        Ok(order)
    }

    /// How many processes it takes.
    pub fn stages(&self) -> usize {
        match self.mode {
            Mode::Measure => 2,
            Mode::Watch => 1,
        }
    }

    /// Whether the lanes are kept in that one.
    pub fn watches(&self, stage: usize) -> bool {
        self.mode == Mode::Watch || stage == 1
    }

    /// What `gristmill lab run` is called with.
    pub fn arguments(&self, stage: usize) -> Vec<String> {
        let seconds = if stage == 0 { self.seconds } else { (self.seconds / 4).clamp(SHORT.0, SHORT.1) };
        let options =
            [Some(format!("--seconds={seconds}")), Some("--events".into()), self.watches(stage).then(|| "--watch".into())];
        // Nothing after that is an option, whatever it looks like.
        let rest = ["--".to_owned(), self.experiment.about().name.to_owned()];
        options.into_iter().flatten().chain(rest).chain(self.knobs.iter().cloned()).collect()
    }
}

/// What was found without watching, by experiment and knobs.
#[derive(Default)]
pub struct Alone(BTreeMap<(String, Vec<String>), Findings>);

impl Alone {
    /// Keeps it.
    pub fn keep(&mut self, record: &Record) {
        self.0.insert(key(record), record.findings.clone());
    }

    /// What watching has cost, if the same was measured without.
    pub fn disturbance(&self, watched: &Record) -> Option<String> {
        disturbance(self.0.get(&key(watched))?, &watched.findings)
    }
}

fn key(record: &Record) -> (String, Vec<String>) {
    (record.experiment.clone(), record.knobs.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Order, String> {
        Order::read(text.as_bytes()).map_err(|why| why.to_string())
    }

    #[test]
    fn an_order_becomes_the_arguments_of_runs() {
        let curve = "[0,0,0,0,0,4]";
        let text = |mode: &str| {
            format!(
                "{{\"experiment\":\"hold\",\"knobs\":[\"workers=3\"],\"seconds\":20,\"mode\":\"{mode}\",\"prediction\":{{\"curve\":{curve}}}}}"
            )
        };
        let measure = read(&text("measure")).unwrap();
        assert_eq!(measure.stages(), 2);
        assert_eq!(measure.arguments(0), ["--seconds=20", "--events", "--", "hold", "workers=3", "job=200", "lock=spin"]);
        assert_eq!(
            measure.arguments(1),
            ["--seconds=5", "--events", "--watch", "--", "hold", "workers=3", "job=200", "lock=spin"]
        );
        let watch = read(&text("watch")).unwrap();
        assert_eq!((watch.stages(), watch.arguments(0)[2].as_str()), (1, "--watch"));
    }

    #[test]
    fn what_is_absurd_is_refused_in_one_line() {
        let order = |experiment: &str, knobs: &str, seconds: &str, rest: &str| {
            format!("{{\"experiment\":\"{experiment}\",\"knobs\":[{knobs}],\"seconds\":{seconds},\"mode\":\"watch\"{rest}}}")
        };
        for (text, says) in [
            ("".to_owned(), "EOF"),
            (order("holt", "", "9", ""), "did you mean 'hold'"),
            (order("--json=/x", "", "9", ""), "there is no experiment"),
            (order("hold", "\"workers=65\"", "9", ""), "from 2 to 64"),
            (order("hold", "\"workers=99999999999999999999\"", "9", ""), "from 2 to 64"),
            (order("hold", "\"--json=/x\"", "9", ""), "there is no knob"),
            (order("hold", "", "0", ""), "0 is not in 1..=600"),
            (order("hold", "", "601", ""), "601 is not in 1..=600"),
            (order("hold", "", "-1", ""), "invalid value"),
            (order("hold", "", "9", ",\"prediction\":{\"choice\":0}"), "by a curve"),
            (order("hold", "", "9", ",\"seed\":1"), "unknown field"),
        ] {
            let why = read(&text).err().unwrap();
            assert!(why.contains(says) && !why.contains('\n'), "{text}: {why}");
        }
    }
}
