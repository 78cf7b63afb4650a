//! Runs each case and compares its verdict with the one expected; exits 1 if any differs.

mod event;
mod explore;
mod lock;

use event::Event;
use explore::{Model, explore};
use lock::{Bug, Lock};

fn main() {
    let large = std::env::args().any(|a| a == "large");
    let mut cases = vec![
        ("lock-2-crashes", Lock { takers: 3, rounds: 2, crashes: 2, bug: Bug::None }, None),
        ("lock-drop-bit", Lock { takers: 3, rounds: 1, crashes: 0, bug: Bug::DropBit }, Some("stuck")),
        ("lock-skip-wake-all", Lock { takers: 3, rounds: 1, crashes: 1, bug: Bug::SkipWakeAll }, Some("stuck")),
    ];
    if large {
        cases.push(("lock-4-takers", Lock { takers: 4, rounds: 2, crashes: 3, bug: Bug::None }, None));
    }
    let mut wrong = false;
    for (name, case, expected) in cases {
        wrong |= !comes_out(name, &case, expected);
    }
    let uncounted = Some("a sleeper is not counted");
    for (name, workers, jobs, crashes, bug, expected) in [
        ("event-2-crashes", 3, 3, 2, event::Bug::None, None),
        ("event-no-move", 2, 1, 0, event::Bug::NoMove, Some("stuck")),
        ("event-skip-wake-all", 2, 1, 1, event::Bug::SkipWakeAll, Some("stuck")),
        ("event-reset-sleepers", 2, 1, 1, event::Bug::ResetSleepers, uncounted),
    ] {
        wrong |= !comes_out(name, &Event { workers, jobs, crashes, bug }, expected);
    }
    std::process::exit(wrong as i32);
}

fn comes_out<M: Model>(name: &str, case: &M, expected: Option<&str>) -> bool {
    let report = explore(case);
    let right = report.broken == expected;
    println!(
        "{name}: {} states, {}{}",
        report.states,
        report.broken.unwrap_or("holds"),
        if right { "" } else { " UNEXPECTED" }
    );
    if !right {
        report.trace.iter().for_each(|line| println!("    {line}"));
    }
    right
}
