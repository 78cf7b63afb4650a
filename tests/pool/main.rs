//! What a pool promises, as a user of Python's `concurrent.futures` and `multiprocessing.Pool` knows it, and what it promises beyond.
//!
//! Workers are this binary, executed again: `init` stands first in `main`, so the harness is `libtest-mimic` and not the built-in one.
//! Each file is one idea and ends with the list of its tests. Each test runs under a watchdog.

mod await_jobs;
mod bounds;
mod budget;
mod bundles;
mod callbacks;
mod cancel;
mod completions;
mod deaths;
mod errors;
mod history;
mod initializer;
mod kills;
mod leaks;
mod map;
mod payloads;
mod policies;
mod reduce;
mod shutdown;
mod stats;
mod submit;
mod support;
mod tasks;
mod threads;
mod wait;

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/numbers.rs"]
mod numbers;

use libtest_mimic::{Arguments, Trial};
use tasks::*;

fn main() {
    support::no_core_dumps();
    gristmill::init(gristmill::tasks![
        run, square, even, echo, fill, parse, picky, lost, stubborn, count, add_to, label, add, concat, worse, quarrel, affinity, make_a_pool,
        tally,
        nap;
        initializers: start_at, refuse, burst, refuse_later, tally_in
    ]);
    if let Some((role, _)) = common::role() {
        return leaks::role(&role);
    }
    let files = [
        ("await_jobs", await_jobs::TESTS),
        ("bounds", bounds::TESTS),
        ("budget", budget::TESTS),
        ("bundles", bundles::TESTS),
        ("callbacks", callbacks::TESTS),
        ("cancel", cancel::TESTS),
        ("completions", completions::TESTS),
        ("deaths", deaths::TESTS),
        ("errors", errors::TESTS),
        ("history", history::TESTS),
        ("initializer", initializer::TESTS),
        ("kills", kills::TESTS),
        ("leaks", leaks::TESTS),
        ("map", map::TESTS),
        ("payloads", payloads::TESTS),
        ("policies", policies::TESTS),
        ("reduce", reduce::TESTS),
        ("shutdown", shutdown::TESTS),
        ("stats", stats::TESTS),
        ("submit", submit::TESTS),
        ("threads", threads::TESTS),
        ("wait", wait::TESTS),
    ];
    let trials = files.iter().flat_map(|(file, tests)| {
        tests.iter().map(move |&(name, test)| {
            Trial::test(format!("{file}::{name}"), move || support::watched(name, test).map_err(Into::into))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
