//! Reports of a run, one file for each form.

pub(crate) mod columns;
pub mod compare;
pub mod csv;
pub mod figures;
pub mod html;
pub mod json;
pub mod losses;
pub mod numbers;
#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod schema_tests;
pub mod terminal;
pub mod words;
