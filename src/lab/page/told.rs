//! What the page is told of the experiments, and of what a run has found. It writes all of it as text, and draws the charts that are made here.

use super::changes::{Line, Mark, changes};
use super::chart::{Canvas, canvas, chart};
use super::prediction::{Prediction, Score};
use crate::bench::contender::Result;
use crate::lab::experiment::{About, Experiment, Question};
use crate::lab::knobs::Knob;
use crate::lab::record::Record;
use serde::Serialize;

/// All experiments, and the machine.
#[derive(Serialize)]
pub struct Lab {
    version: &'static str,
    cores: usize,
    experiments: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    about: &'static About,
    knobs: &'static [Knob],
    question: Asked,
    steps: Vec<Step>,
}

/// The question as the page needs it.
#[derive(Serialize)]
struct Asked {
    says: &'static str,
    /// None of a curve.
    of: &'static [&'static str],
    /// None of a choice.
    at: &'static [f64],
    between: Option<(f64, f64)>,
    canvas: Option<Canvas>,
}

/// A state of the code, and what changed from the one before; of the first one all lines are as they are.
#[derive(Serialize)]
pub struct Step {
    /// What is new in it.
    pub says: &'static str,
    /// Its lines, and those that have gone.
    pub lines: Vec<Line<'static>>,
    /// It is to be read before the question; where there are such, all others come after the run.
    pub first: bool,
}

impl Lab {
    /// Of these experiments.
    ///
    /// # Errors
    /// If a chart cannot be drawn.
    pub fn new(experiments: &[&dyn Experiment]) -> Result<Lab> {
        let experiments: Result<Vec<Told>> = experiments.iter().map(|one| told(*one)).collect();
        Ok(Lab { version: env!("CARGO_PKG_VERSION"), cores: crate::sys::limits::cpus(), experiments: experiments? })
    }
}

fn told(experiment: &dyn Experiment) -> Result<Told> {
    let (about, question) = (experiment.about(), experiment.question());
    let canvas = canvas(&question, &format!("predict-{}", about.name))?;
    let asked = match question {
        Question::Draw { says, at, between, .. } => Asked { says, of: &[], at, between: Some(between), canvas },
        Question::Choose { says, of } => Asked { says, of, at: &[], between: None, canvas },
    };
    Ok(Told { about, knobs: experiment.knobs(), question: asked, steps: steps(experiment) })
}

/// The code, step by step. What is to be read first are programs of their own.
pub fn steps(experiment: &dyn Experiment) -> Vec<Step> {
    let mut before = None;
    let one = |step: &crate::lab::experiment::Step| {
        let before = before.replace(step.code);
        let first = experiment.read_first().iter().any(|other| other.says == step.says);
        let lines = match before.filter(|_| !first) {
            Some(before) => changes(before, step.code),
            None => step.code.lines().map(|text| Line { mark: Mark::Same, text }).collect(),
        };
        Step { says: step.says, lines, first }
    };
    experiment.steps().iter().map(one).collect()
}

/// What a run has found, drawn.
#[derive(Serialize)]
pub struct Found<'a> {
    record: &'a Record,
    /// One for each of the findings' charts.
    pub charts: Vec<String>,
    /// Of the prediction.
    score: Option<Score>,
    /// Which of the choices was right, in words.
    pub answer: Option<&'static str>,
    /// What is to be read before the explanation.
    doubt: Option<String>,
}

/// Of one record.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn found<'a>(question: &Question, record: &'a Record, prediction: Option<&Prediction>) -> Result<Found<'a>> {
    let findings = &record.findings;
    let points = prediction.map_or(vec![], |prediction| prediction.points(question));
    let charts = findings.charts.iter().enumerate().map(|(n, one)| {
        // The first one is what was to be predicted.
        chart(one, &format!("{}-{n}", record.experiment), if n == 0 { &points } else { &[] })
    });
    let answer = match *question {
        Question::Choose { of, .. } => findings.answer.and_then(|answer| of.get(answer).copied()),
        Question::Draw { .. } => None,
    };
    let score = prediction.and_then(|prediction| prediction.score(question, findings));
    Ok(Found { record, charts: charts.collect::<Result<_>>()?, score, answer, doubt: findings.doubt() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::experiments;

    #[test]
    fn every_experiment_can_be_told_and_has_code_that_changes() {
        let lab = serde_json::to_value(Lab::new(experiments::all()).unwrap()).unwrap();
        let told = lab["experiments"].as_array().unwrap();
        assert_eq!(told.len(), experiments::all().len());
        for one in told {
            let question = &one["question"];
            assert_ne!(question["canvas"].is_null(), question["of"].as_array().unwrap().is_empty(), "{question}");
            let steps = one["steps"].as_array().unwrap();
            assert!(steps.len() >= 2, "{}", one["about"]);
            let first = experiments::named(one["about"]["name"].as_str().unwrap()).unwrap().read_first();
            assert_eq!(steps.iter().filter(|step| step["first"] == true).count(), first.len(), "{}", one["about"]);
            for step in &steps[1..] {
                let new = step["lines"].as_array().unwrap().iter().any(|line| line["mark"] == "new");
                assert_ne!(new, step["first"].as_bool().unwrap(), "{step}");
            }
        }
    }
}
