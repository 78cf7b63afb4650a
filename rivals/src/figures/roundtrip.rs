//! One job at a time: how long its caller waits.

use super::Figure;
use crate::contenders::gristmill::{Calls, Gristmill};
use crate::contenders::iceoryx::{Iceoryx, Pattern};
use crate::contenders::pipe::Pipe;
use crate::options::Options;
use crate::race::{Lane, race};
use crate::report::{Goal, Report, time};
use crate::{Result, affinity};
use gristmill::WaitPolicy;

pub const SPIN: Figure =
    Figure { name: "roundtrip-spin", says: "one job out and back, 1 worker; both sides look without a pause", run: spin };

pub const ADAPTIVE: Figure = Figure {
    name: "roundtrip-adaptive",
    says: "one job out and back, 1 worker; gristmill waits as it does by default",
    run: adaptive,
};

pub const BLOCK: Figure = Figure {
    name: "roundtrip-block",
    says: "one job out and back, 1 worker; both sides sleep at once, gristmill's after a microsecond. Pinned: the parent on one \
           CPU, the worker on another",
    run: block,
};

/// The time under which a round trip is to stay.
const SPIN_GOAL: f64 = 500.0;

fn spin(options: &Options, report: &mut Report) -> Result<()> {
    let jobs = options.jobs(1_000_000);
    let [request, publish] = ["iceoryx2 request-response", "iceoryx2 publish-subscribe"];
    let lanes = vec![
        Lane::new("gristmill, spin", jobs, || Gristmill::with_policy(1, Calls::RoundTrip, WaitPolicy::Spin)),
        Lane::new(request, jobs, || Iceoryx::start(Pattern::RequestResponse)),
        Lane::new(publish, jobs, || Iceoryx::start(Pattern::PublishSubscribe)),
    ];
    let outcomes = race(options, lanes);
    report.race(&outcomes, &[request, publish].map(|rival| Goal { rival, times: 1.0, says: "gristmill takes less" }));
    if let Some(ours) = outcomes[0].spread() {
        let reached = report.goal("one job out and back, spin", "under 500 ns", &time(ours.median), ours.median < SPIN_GOAL);
        println!("Goal: under {}; reached: {reached}.\n", time(SPIN_GOAL));
    }
    Ok(())
}

fn adaptive(options: &Options, report: &mut Report) -> Result<()> {
    let lanes = vec![
        Lane::new("gristmill, adaptive", options.jobs(200_000), || Gristmill::start(1, Calls::RoundTrip)),
        Lane::new("pipe", options.jobs(50_000), Pipe::roundtrip),
    ];
    report.race(&race(options, lanes), &[Goal { rival: "pipe", times: 2.0, says: "gristmill takes at most half" }]);
    Ok(())
}

fn no_slower(rival: &str) -> Goal<'_> {
    Goal { rival, times: 1.0 / 1.15, says: "gristmill takes at most 1.15 ×" }
}

fn block(options: &Options, report: &mut Report) -> Result<()> {
    let jobs = options.jobs(50_000);
    let free = vec![
        Lane::new("gristmill, block", jobs, || Gristmill::with_policy(1, Calls::RoundTrip, WaitPolicy::Block)),
        Lane::new("pipe", jobs, Pipe::roundtrip),
    ];
    report.race(&race(options, free), &[no_slower("pipe")]);
    let cpus = affinity::first_two()?;
    let pinned = vec![
        Lane::new("gristmill, block, pinned", jobs, move || Gristmill::blocking_pinned(cpus)),
        Lane::new("pipe, pinned", jobs, move || Pipe::roundtrip_pinned(cpus)),
    ];
    report.race(&race(options, pinned), &[no_slower("pipe, pinned")]);
    Ok(())
}
