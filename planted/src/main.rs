//! Plants one bug after the other in the engine and demands that the tests which are named in `cases` fail, each of them; and that the same tests
//! pass without a bug. A bug that a test survives is a failure of this program.
//!
//! `cargo run --release -p gristmill-planted`, or with names of bugs behind `--`: these alone.

mod cases;
#[path = "../../src/sys/planted.rs"]
#[allow(dead_code, reason = "the list is what is wanted here")]
mod planted;
mod programs;

use cases::{Test, caught_by};
use planted::Bug;
use programs::{Ended, Programs};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A test hangs if it takes this long, and ten times as long as without a bug.
const BOUND: Duration = Duration::from_secs(25);

/// So long a test may take without a bug.
const PATIENCE: Duration = Duration::from_secs(300);

/// So many are tried at a time: those that hang keep nobody from working.
const AT_ONCE: usize = 4;

/// Runs the tests without a bug; how long each took.
fn without(programs: &Programs, bugs: &[(&str, Bug)]) -> Result<BTreeMap<Test, Duration>, String> {
    let mut took = BTreeMap::new();
    for &test in bugs.iter().flat_map(|&(_, bug)| caught_by(bug)) {
        if took.contains_key(&test) {
            continue;
        }
        match programs.run(test, None, PATIENCE)? {
            (Ended::Passed, time) => took.insert(test, time),
            (Ended::Failed(why), _) => return Err(format!("{} {} fails without a bug: {why}", test.0, test.1)),
            (Ended::Hung(why), _) => return Err(format!("{} {} hangs without a bug: {why}", test.0, test.1)),
        };
    }
    Ok(took)
}

/// Runs a test with a bug: a row of the table, and whether it was caught.
fn with(programs: &Programs, name: &str, test: Test, without: Duration) -> Result<(String, bool), String> {
    let (ended, took) = programs.run(test, Some(name), BOUND.max(10 * without))?;
    let (how, caught) = match ended {
        Ended::Passed => ("NOT CAUGHT".into(), false),
        Ended::Failed(why) => (why, true),
        Ended::Hung(why) if why.is_empty() => ("hangs".into(), true),
        Ended::Hung(why) => (why, true),
    };
    let how = how.replace('|', "/");
    Ok((format!("| {name} | `{} {}` | {how} | {:.1} |", test.0, test.1, took.as_secs_f64()), caught))
}

fn run() -> Result<bool, String> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !Bug::ALL.iter().any(|(known, _)| known == name)) {
        return Err(format!(
            "{unknown}: no such bug; there are {:?}",
            Bug::ALL.iter().map(|(name, _)| name).collect::<Vec<_>>()
        ));
    }
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let bugs: Vec<(&str, Bug)> = Bug::ALL.iter().copied().filter(|&(name, _)| chosen(name)).collect();
    let programs = Programs::build()?;
    let begin = Instant::now();
    let took = without(&programs, &bugs)?;
    println!("{} tests pass without a bug, {:.0} s", took.len(), begin.elapsed().as_secs_f64());
    let cases: Vec<(&str, Test)> =
        bugs.iter().flat_map(|&(name, bug)| caught_by(bug).iter().map(move |&test| (name, test))).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, &(name, test))) =
                    Some(next.fetch_add(1, Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
                {
                    let row = with(&programs, name, test, took[&test]);
                    rows.lock().unwrap_or_else(|e| e.into_inner()).insert(number, row);
                }
            });
        }
    });
    let mut survived = 0;
    println!("| bug | test | how it is caught | seconds |\n|---|---|---|---|");
    for row in rows.into_inner().unwrap_or_else(|e| e.into_inner()).into_values() {
        let (row, caught) = row?;
        println!("{row}");
        survived += usize::from(!caught);
    }
    let caught = cases.len() - survived;
    println!("{} bugs in {} cases, {caught} caught, {:.0} s", bugs.len(), cases.len(), begin.elapsed().as_secs_f64());
    Ok(survived == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
