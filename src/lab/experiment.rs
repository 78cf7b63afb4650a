//! What an experiment is.

use super::findings::Findings;
use super::knobs::{Knob, Knobs};
use super::laboratory::Lab;
use crate::bench::contender::Result;
use serde::Serialize;

/// What is said of an experiment before it is run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct About {
    /// Its name at the command line.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What is believed, and is about to be tried.
    pub hypothesis: &'static str,
    /// What is measured, with its unit.
    pub metric: &'static str,
    /// The shape that is expected, in words.
    pub shape: &'static str,
    /// Where that is known from.
    pub source: &'static str,
    /// With fewer CPUs than so many it does not convince.
    pub cores: usize,
}

/// What is asked before the run.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// To draw a series of the first chart over its axis, at these places.
    Draw {
        /// What to draw.
        says: &'static str,
        /// The series' name in the first chart of the findings.
        series: &'static str,
        /// What goes along, and what up, with units.
        axes: [&'static str; 2],
        /// Places on the axis.
        at: &'static [f64],
        /// The least and the greatest value that can be drawn.
        between: (f64, f64),
    },
    /// To choose; [`Findings::answer`] tells which one was right.
    Choose {
        /// What to choose.
        says: &'static str,
        /// Among what.
        of: &'static [&'static str],
    },
}

/// A state of the code. Two that follow each other differ by one idea, and those lines are shown.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    /// What is new in it.
    pub says: &'static str,
    /// The lines that matter, as they stand in a program.
    pub code: &'static str,
}

/// An experiment. A file each.
pub trait Experiment: Sync {
    /// What it is.
    fn about(&self) -> &'static About;

    /// What can be set.
    fn knobs(&self) -> &'static [Knob];

    /// What to predict.
    fn question(&self) -> Question;

    /// The code that is compared.
    fn steps(&self) -> &'static [Step];

    /// What is to be read before the question can be answered.
    fn read_first(&self) -> &'static [Step] {
        &[]
    }

    /// Runs it, within [`Lab::budget`]. This process is the run's own, and has one thread.
    ///
    /// # Errors
    /// If the system refuses, or it was interrupted. A shape that is not as expected is no error but a check that does not hold.
    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings>;
}
