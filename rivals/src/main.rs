//! gristmill's pool beside its rivals: all figures in one run, as Markdown tables on standard output.
//!
//! `cargo run --release -p gristmill-rivals -- --help`

mod affinity;
mod busy;
mod contenders;
mod figures;
mod machine;
mod options;
#[path = "../../benches/pipe/mod.rs"]
#[allow(dead_code, reason = "the crate's own benchmark uses more of it")]
mod pipe;
mod race;
mod report;
mod statistics;
mod watchdog;

use clap::Parser;
use options::Options;
use report::Report;
use std::process::ExitCode;

/// Whatever goes wrong ends up as a line for a person.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // Each of these returns at once if this process is not its worker.
    gristmill::init(gristmill::tasks![
        contenders::square,
        busy::busy,
        figures::slices::few_in_place,
        figures::slices::many_in_place,
        figures::slices::few_from_to,
        figures::slices::many_from_to,
    ]);
    if pipe::is_worker() {
        pipe::worker_main();
    }
    contenders::ipc_channel::worker();
    contenders::iceoryx::worker();
    procspawn::init();

    let options = Options::parse();
    contenders::iceoryx::sweep();
    watchdog::start();
    let mut report = Report::new(options.contender.is_none());
    report.environment(&machine::environment());
    for figure in &figures::ALL {
        if !options.wants(figure.name) {
            continue;
        }
        eprintln!("{}:", figure.name);
        report.title(figure);
        if let Err(why) = (figure.run)(&options, &mut report) {
            report.failed(figure.name, why.as_ref());
        }
    }
    report.goals();
    report.environment(&format!("load after: {}", machine::load()));
    contenders::iceoryx::sweep();
    if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
