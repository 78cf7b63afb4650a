//! The figures, one file for each.

mod counts;
mod half;
mod map;
mod ready;
mod roundtrip;
pub mod slices;
mod submit;
mod workers;

use crate::Result;
use crate::options::Options;
use crate::report::Report;

/// One figure.
pub struct Figure {
    /// For `--only`.
    pub name: &'static str,
    pub says: &'static str,
    pub run: fn(&Options, &mut Report) -> Result<()>,
}

pub const ALL: [Figure; 10] = [
    submit::FIGURE,
    map::FIGURE,
    slices::FIGURE,
    half::FIGURE,
    roundtrip::SPIN,
    roundtrip::ADAPTIVE,
    roundtrip::BLOCK,
    counts::FIGURE,
    workers::FIGURE,
    ready::FIGURE,
];
