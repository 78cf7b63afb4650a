//! Tests of `gristmill::sync` with real worker processes. The workers are this program, so `main` makes itself known to them before it runs the tests.
//!
//! Each test has a watchdog: a wait that never ends is what these tests are about, and it fails them.

mod barrier;
mod condvar;
mod counter;
mod end;
mod event;
mod kills;
mod mutex;
#[path = "../common/numbers.rs"]
mod numbers;
mod passing;
mod rwlock;
mod semaphore;
mod steps;
mod support;

use gristmill::Task;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let tasks: Vec<Task> = [
        barrier::tasks(),
        condvar::tasks(),
        counter::tasks(),
        event::tasks(),
        kills::tasks(),
        mutex::tasks(),
        passing::tasks(),
        rwlock::tasks(),
        semaphore::tasks(),
        steps::tasks(),
    ]
    .into_iter()
    .flatten()
    .collect();
    gristmill::init(tasks);
    let tests = [
        barrier::TESTS,
        condvar::TESTS,
        counter::TESTS,
        end::TESTS,
        event::TESTS,
        kills::TESTS,
        mutex::TESTS,
        passing::TESTS,
        rwlock::TESTS,
        semaphore::TESTS,
        steps::TESTS,
    ];
    let trial = |&(name, test): &support::Test| Trial::test(name, move || support::watched(name, test));
    libtest_mimic::run(&Arguments::from_args(), tests.concat().iter().map(trial).collect()).exit();
}
