//! The contenders, one file for each.

pub mod commands;
mod engine;
mod kernel;
mod memory;
mod pool;
mod threads;

use super::contender::Contender;
use crate::Task;

/// What processes must know that are this program, executed again.
pub fn registry() -> Vec<Task> {
    [engine::registry(), pool::registry()].into_iter().flatten().collect()
}

/// All of this crate. Those of other libraries and programs are in a workspace member of their own.
pub fn all() -> Vec<Box<dyn Contender>> {
    let mut all: Vec<Box<dyn Contender>> = vec![];
    all.extend(engine::all());
    all.push(Box::new(pool::EnginePool));
    all.extend(kernel::all());
    all.extend(memory::all());
    all.extend(threads::all());
    all.extend(commands::all());
    all
}
