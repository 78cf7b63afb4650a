//! The page: what it is told of experiments, its charts, the scores of predictions; and the same pieces as a report that nobody has to serve.

mod bars;
pub mod changes;
pub mod chart;
pub mod disturbance;
pub mod files;
mod lines;
pub mod prediction;
pub mod report;
pub mod told;
