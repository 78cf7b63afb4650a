//! One cheap function over many numbers.

use super::Figure;
use crate::Result;
use crate::contenders::crossbeam::Crossbeam;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::contenders::pipe::Pipe;
use crate::contenders::python::{Means, Python};
use crate::contenders::rayon::Rayon;
use crate::options::Options;
use crate::race::{Lane, race};
use crate::report::{Goal, Report};

pub const FIGURE: Figure =
    Figure { name: "map", says: "one function over 10 million numbers of 8 bytes (slow ones: fewer), 2 workers", run };

const WORKERS: usize = 2;

fn run(options: &Options, report: &mut Report) -> Result<()> {
    let all = options.jobs(10_000_000);
    let lanes = vec![
        Lane::new("gristmill `map`", all, || Gristmill::start(WORKERS, Calls::Map)),
        Lane::new("pipe", options.jobs(500_000), || Pipe::start(WORKERS)),
        Lane::new("crossbeam-channel", all, || Crossbeam::start(WORKERS)),
        Lane::new("rayon", all, || Rayon::start(WORKERS)),
        Lane::optional("`Pool.map(chunksize=1000)`", options.jobs(2_000_000), || Python::start(Means::PoolMap, WORKERS)),
        Lane::optional("`Pool.imap_unordered(chunksize=1000)`", options.jobs(2_000_000), || {
            Python::start(Means::ImapUnordered, WORKERS)
        }),
    ];
    let goals =
        [Goal { rival: "pipe", times: 100.0, says: "100 ×" }, Goal { rival: "crossbeam-channel", times: 10.0, says: "10 ×" }];
    report.race(&race(options, lanes), &goals);
    Ok(())
}
