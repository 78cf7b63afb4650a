//! What the fuzzers in `fuzz/` have found worth keeping, run through the same functions, so that every build does.
#![allow(missing_docs)] // A test has no reader but this file's.

#[path = "../common/mod.rs"]
mod common;
#[path = "../attach/left.rs"]
mod left;
mod targets;
#[path = "../attach/uses.rs"]
mod uses;

use std::fs;
use std::path::Path;

/// Runs all inputs of one target; one that hangs ends the test.
fn replay(name: &str, target: fn(&[u8])) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} inputs in {}", paths.len(), place.display());
    let (report, reports) = std::sync::mpsc::channel();
    let runner = std::thread::spawn(move || {
        for path in paths {
            report.send(path.clone()).unwrap();
            target(&fs::read(path).unwrap());
        }
    });
    let mut last = None;
    loop {
        match reports.recv_timeout(std::time::Duration::from_secs(60)) {
            Ok(path) => last = Some(path),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            // The thread cannot be ended, and would be waited for.
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("hangs with {last:?}");
                std::process::exit(101);
            }
        }
    }
    runner.join().unwrap_or_else(|_| panic!("with {last:?}"));
}

#[test]
fn hostile_bytes_that_fuzzing_kept_neither_crash_nor_hang_who_attaches() {
    replay("attach", targets::attach::run);
}

#[test]
fn forged_outcomes_that_fuzzing_kept_are_taken_or_refused() {
    replay("outcomes", targets::outcomes::run);
}

#[test]
fn sequences_of_operations_that_fuzzing_kept_lose_no_job() {
    replay("operations", targets::operations::run);
}
