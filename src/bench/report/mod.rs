//! Reports of a run, one file for each form.

pub mod json;
pub mod numbers;
pub mod terminal;
