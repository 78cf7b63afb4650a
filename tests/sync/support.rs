//! What the tests of all kinds need.

use gristmill::process::{Arguments, Target};
use gristmill::{Exit, Mill, Process};
use libtest_mimic::Failed;
use std::sync::mpsc;
use std::time::Duration;

pub type Test = (&'static str, fn());

/// After so long a test counts as hung.
const LIMIT: Duration = Duration::from_secs(300);

/// Long enough for a thread that is about to wait to be asleep, in all but few runs. Nothing fails if it is not.
pub const SOON: Duration = Duration::from_millis(20);

pub const LONG: Duration = Duration::from_secs(3600);

/// A list of tests from the names of functions, each under its module's name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => { pub const TESTS: &[crate::support::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*]; };
}
pub(crate) use tests;

/// Runs a test in a thread; a panic or no end in time fails it.
pub fn watched(name: &'static str, test: fn()) -> Result<(), Failed> {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        test();
        let _ = done.send(());
    });
    match ended.recv_timeout(LIMIT) {
        Ok(()) => Ok(()),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panic = thread.expect("a thread").join().expect_err("the test has not come to its end");
            let message = panic.downcast_ref::<String>().cloned();
            Err(message.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default().into())
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("hangs: not ended after {LIMIT:?}").into()),
    }
}

pub fn mill() -> Mill {
    Mill::builder().region_size(2 << 20).arena_size(64 << 10).max_processes(24).build().unwrap()
}

/// A process that runs `target`.
pub fn start<F, R>(mill: &Mill, target: F, arguments: R) -> Process
where
    R: Arguments,
    F: Target<R::Owned>,
{
    let process = mill.process(target, arguments).unwrap();
    process.start().unwrap();
    process
}

/// Kills it, and returns when the death has been dealt with.
pub fn kill(process: &Process) {
    process.kill().unwrap();
    let exit = process.join().unwrap();
    assert!(matches!(exit, Exit::Signal { signal: libc::SIGKILL, .. }), "{exit}");
}

/// Waits for a process that has to end well.
pub fn ended_well(process: &Process) {
    assert_eq!(process.join().unwrap(), Exit::Code(0));
}

/// Looks until it is so; the watchdog ends what never comes.
pub fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Sleeps for ever, to be killed.
pub fn forever() -> ! {
    loop {
        std::thread::park();
    }
}
