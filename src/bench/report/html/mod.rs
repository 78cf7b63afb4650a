//! One page that opens from disk: no network, no script. Charts are SVG in the page's own colours, for light and dark.

mod bars;
#[cfg(test)]
mod browser_tests;
mod charts;
mod lines;
mod page;
#[cfg(test)]
mod page_tests;
pub(crate) mod scale;
pub(crate) mod svg;
mod tables;
pub(crate) mod text;

use crate::bench::contender::Result;
use crate::bench::results::Results;
use std::io::Write;

/// The page.
///
/// # Errors
/// If it cannot be drawn or written.
pub fn write(results: &Results, to: &mut dyn Write) -> Result<()> {
    Ok(to.write_all(page::page(results)?.as_bytes())?)
}
