//! The lab: experiments that show on one's own machine what locks on shared data cost.
//!
//! Each part uses only those below it: the faces (terminal, page, report), the experiments, and what these stand on: the crew of workers, the gate
//! that they go through, what they find, what can be set.

pub mod command;
mod crew;
pub mod ending;
mod experiment;
mod experiments;
mod findings;
mod gate;
mod host;
mod jobs;
mod knobs;
mod laboratory;
mod merge;
mod models;
pub mod options;
mod page;
mod passing;
mod plot;
mod record;
mod seat;
mod serve;
mod tally;
mod terminal;
mod watch;
mod worksheet;

pub use experiments::registry;
