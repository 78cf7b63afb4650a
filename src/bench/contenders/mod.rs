//! The contenders, one file for each.

pub mod commands;
pub mod engine;
mod kernel;
mod memory;
mod threads;

use super::contender::Contender;

/// All of this crate. Those of other libraries and programs are in a workspace member of their own.
pub fn all() -> Vec<Box<dyn Contender>> {
    let mut all: Vec<Box<dyn Contender>> = vec![];
    all.extend(engine::all());
    all.extend(kernel::all());
    all.extend(memory::all());
    all.extend(threads::all());
    all.extend(commands::all());
    all
}
