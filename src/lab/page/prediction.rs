//! What was predicted, and how near that was.

use crate::bench::contender::Result;
use crate::lab::experiment::Question;
use crate::lab::findings::Findings;
use serde::{Deserialize, Serialize};

/// An answer to the question of an experiment, given before it was run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// Which of the choices.
    Choice(usize),
    /// A value for each of the places.
    Curve(Vec<f64>),
}

/// How near it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// From 0 to 100.
    pub points: u32,
    /// In words.
    pub says: String,
}

impl Prediction {
    /// That it is an answer to this question at all.
    ///
    /// # Errors
    /// In one line, if it is not.
    pub fn fits(&self, question: &Question) -> Result<()> {
        match (self, *question) {
            (Prediction::Choice(n), Question::Choose { of, .. }) if *n < of.len() => Ok(()),
            (Prediction::Choice(_), Question::Choose { of, .. }) => {
                Err(format!("a choice is a number below {}", of.len()).into())
            }
            (Prediction::Curve(values), Question::Draw { at, between: (least, most), .. }) => {
                let within = |value: &f64| (least..=most).contains(value);
                let fits = values.len() == at.len() && values.iter().all(within);
                if fits { Ok(()) } else { Err(format!("a curve has {} values from {least} to {most}", at.len()).into()) }
            }
            (Prediction::Choice(_), Question::Draw { .. }) => Err("this question is answered by a curve".into()),
            (Prediction::Curve(_), Question::Choose { .. }) => Err("this question is answered by a choice".into()),
        }
    }

    /// The curve's points; none of a choice.
    pub fn points(&self, question: &Question) -> Vec<(f64, f64)> {
        match (self, *question) {
            (Prediction::Curve(values), Question::Draw { at, .. }) => at.iter().copied().zip(values.iter().copied()).collect(),
            _ => vec![],
        }
    }

    /// Against what was found; `None` if that does not say.
    pub fn score(&self, question: &Question, findings: &Findings) -> Option<Score> {
        let mut score = self.against(question, findings)?;
        if findings.doubt().is_some() {
            score.says += " But this run has not shown all that is expected: the score says little.";
        }
        Some(score)
    }

    fn against(&self, question: &Question, findings: &Findings) -> Option<Score> {
        match (self, *question) {
            (Prediction::Choice(chosen), Question::Choose { of, .. }) => {
                let right = findings.answer?;
                let is = of.get(right)?;
                let says = if *chosen == right {
                    format!("You were right: {is}.")
                } else {
                    format!("You said: {}. Measured here: {is}.", of.get(*chosen)?)
                };
                Some(Score { points: if *chosen == right { 100 } else { 0 }, says })
            }
            (Prediction::Curve(_), Question::Draw { series, .. }) => {
                let measured = findings.charts.first()?.series.iter().find(|one| one.name == series)?;
                let off: Vec<(f64, f64)> =
                    self.points(question).iter().filter_map(|&(x, said)| Some((x, (said - measured.at(x)?).abs()))).collect();
                let mean = off.iter().map(|one| one.1).sum::<f64>() / off.len() as f64;
                let (place, worst) = off.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
                let most = measured.points.iter().map(|point| point.y.median).fold(f64::MIN_POSITIVE, f64::max);
                // Off by half of the greatest value, everywhere, is as good as no idea.
                let points = 100.0 * (1.0 - 2.0 * mean / most).max(0.0);
                let says = format!("You were off by {mean:.2} on average, and most at {place}, by {worst:.2}.");
                Some(Score { points: points.round() as u32, says })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::{Axis, Chart, Check, Series};

    const DRAW: Question =
        Question::Draw { says: "Draw", series: "measured", axes: ["x", "y"], at: &[0.0, 50.0, 100.0], between: (0.0, 4.0) };
    const CHOOSE: Question = Question::Choose { says: "Choose", of: &["this", "that"] };

    fn found() -> Findings {
        let series = Series::measured("measured", [(0.0, vec![2.0]), (50.0, vec![1.5])]);
        let (x, y) = (Axis::linear("x"), Axis::linear("y"));
        let chart = Chart { title: String::new(), x, y, series: vec![series], names: vec![] };
        Findings { charts: vec![chart], answer: Some(1), ..Findings::default() }
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_refused() {
        let curve = |values: &[f64]| Prediction::Curve(values.to_vec());
        assert!(curve(&[0.0, 4.0, 2.0]).fits(&DRAW).is_ok() && Prediction::Choice(1).fits(&CHOOSE).is_ok());
        for (bad, question) in [
            (curve(&[0.0, 4.0]), DRAW),
            (curve(&[0.0, 4.1, 0.0]), DRAW),
            (curve(&[0.0, f64::NAN, 0.0]), DRAW),
            (curve(&[0.0, f64::INFINITY, 0.0]), DRAW),
            (curve(&[0.0; 3]), CHOOSE),
            (Prediction::Choice(2), CHOOSE),
            (Prediction::Choice(0), DRAW),
        ] {
            assert!(bad.fits(&question).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_nearer_the_more_points_and_places_that_were_not_measured_do_not_count() {
        let score = |values: &[f64]| Prediction::Curve(values.to_vec()).score(&DRAW, &found()).unwrap();
        assert_eq!(score(&[2.0, 1.5, 4.0]).points, 100);
        assert_eq!(score(&[3.0, 1.5, 4.0]).points, 50);
        assert!(score(&[3.0, 1.5, 4.0]).says.contains("0.50 on average, and most at 0, by 1.00"));
        assert_eq!(score(&[4.0, 4.0, 0.0]).points, 0);
    }

    #[test]
    fn a_choice_is_right_or_wrong_and_both_are_said_in_words() {
        let score = |n| Prediction::Choice(n).score(&CHOOSE, &found()).unwrap();
        assert_eq!((score(1).points, score(1).says.as_str()), (100, "You were right: that."));
        assert_eq!((score(0).points, score(0).says.as_str()), (0, "You said: this. Measured here: that."));
        assert_eq!(Prediction::Choice(0).score(&CHOOSE, &Findings::default()), None);
        let checks = vec![Check::new("x", false, String::new(), "y")];
        let doubtful = Prediction::Choice(0).score(&CHOOSE, &Findings { checks, ..found() }).unwrap();
        assert!(doubtful.says.ends_with("the score says little."), "{}", doubtful.says);
    }
}
