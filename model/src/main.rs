//! Runs each case and compares its verdict with the one expected; exits 1 if any differs.
//!
//! Arguments: `large` adds what takes long; any other is the beginning of the names of cases that are to be run.

mod arena;
mod bundle;
mod case;
mod end;
mod event;
mod explore;
mod held;
mod hold;
mod job;
mod leader;
mod lock;
mod queue;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let large = args.iter().any(|a| a == "large");
    let names: Vec<&String> = args.iter().filter(|a| *a != "large").collect();
    let all = [
        lock::cases(),
        event::cases(),
        job::cases(),
        queue::cases(),
        bundle::cases(),
        arena::cases(),
        end::cases(),
        hold::cases(),
        leader::cases(),
        held::cases(),
    ]
    .into_iter()
    .flatten();
    let wanted = all.filter(|c| (large || !c.large) && (names.is_empty() || names.iter().any(|n| c.name.starts_with(*n))));
    let mut wrong = false;
    for case in wanted {
        let begun = std::time::Instant::now();
        let report = (case.run)();
        let seconds = begun.elapsed().as_secs_f64();
        let right = match (report.broken, case.expected) {
            (Some(found), Some(expected)) => found.starts_with(expected),
            (found, expected) => found == expected,
        };
        let verdict = report.broken.map_or("holds".into(), |why| format!("caught: {why}"));
        println!("| {} | {} | {seconds:.1} | {verdict} |{}", case.name, report.states, if right { "" } else { " UNEXPECTED" });
        if !right {
            wrong = true;
            report.trace.iter().for_each(|line| println!("    {line}"));
        }
    }
    std::process::exit(wrong.into());
}
