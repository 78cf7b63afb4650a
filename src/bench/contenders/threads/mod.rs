//! Threads of one process: what is possible without processes, for reference.

mod channels;
mod crossbeam;
mod deque;
mod item;
mod mpsc;
mod rayon;

use crate::bench::contender::Contender;

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    vec![Box::new(crossbeam::Crossbeam), Box::new(deque::Deque), Box::new(mpsc::Mpsc), Box::new(rayon::Rayon)]
}
