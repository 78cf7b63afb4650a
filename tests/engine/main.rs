//! The engine through its public interface: Mill, queues, processes; with workers that are killed at every point that matters.
//!
//! Workers are this program, executed again, so `init` comes first. One file is one idea; each lists its tests and the functions that its
//! workers run.

mod bundles;
mod closing;
mod deaths;
mod harness;
mod joins;
mod leaks;
mod locks;
mod many;
#[path = "../common/numbers.rs"]
mod numbers;
mod payloads;
mod processes;
mod queues;
#[path = "../common/skip.rs"]
mod skip;
mod starts;
mod stepped;
mod storms;
mod system;
mod view;
mod workers;
mod wrap;

use libtest_mimic::{Arguments, run};

fn main() {
    let functions = [
        workers::tasks(),
        bundles::tasks(),
        closing::tasks(),
        deaths::tasks(),
        leaks::tasks(),
        many::tasks(),
        processes::tasks(),
        starts::tasks(),
        stepped::tasks(),
        storms::tasks(),
    ];
    gristmill::init(functions.into_iter().flatten().collect());
    let tests = [
        queues::tests(),
        closing::tests(),
        payloads::tests(),
        joins::tests(),
        deaths::tests(),
        bundles::tests(),
        locks::tests(),
        stepped::tests(),
        storms::tests(),
        starts::tests(),
        processes::tests(),
        leaks::tests(),
        many::tests(),
        wrap::tests(),
    ]
    .concat();
    leaks::run_as_parent();
    harness::run_the_one(&tests);
    run(&Arguments::from_args(), tests.into_iter().map(harness::trial).collect()).exit();
}
