//! Single jobs, many under way.

use super::Figure;
use crate::Result;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::contenders::ipc_channel::IpcChannel;
use crate::contenders::pipe::Pipe;
use crate::contenders::procspawn::Procspawn;
use crate::contenders::python::{Means, Python};
use crate::options::Options;
use crate::race::{Lane, race};
use crate::report::{Goal, Report};

pub const FIGURE: Figure = Figure {
    name: "submit",
    says: "single jobs of 8 bytes, 2 workers; 10,000 are submitted (procspawn: 100), then their results taken, again and again",
    run,
};

const WORKERS: usize = 2;

fn run(options: &Options, report: &mut Report) -> Result<()> {
    let lanes = vec![
        Lane::new("gristmill `submit`", options.jobs(10_000_000), || Gristmill::start(WORKERS, Calls::Submit)),
        Lane::new("pipe", options.jobs(500_000), || Pipe::start(WORKERS)),
        Lane::new("procspawn", options.jobs(10_000), || Procspawn::start(WORKERS)),
        Lane::optional("`ProcessPoolExecutor.submit`", options.jobs(20_000), || Python::start(Means::Executor, WORKERS)),
        Lane::new("ipc-channel", options.jobs(200_000), || IpcChannel::start(WORKERS)),
        Lane::optional("`multiprocessing.Queue`", options.jobs(50_000), || Python::start(Means::Queue, WORKERS)),
    ];
    let goals = [
        Goal { rival: "pipe", times: 20.0, says: "20 ×" },
        Goal { rival: "procspawn", times: 500.0, says: "500 ×" },
        Goal { rival: "`ProcessPoolExecutor.submit`", times: 1000.0, says: "1000 ×" },
    ];
    report.race(&race(options, lanes), &goals);
    Ok(())
}
