//! gristmill beside its rivals: the pool's figures, as Markdown tables; and `gristmill bench` with other libraries and Python as contenders.
//!
//! `cargo run --release -p gristmill-rivals -- --help`

mod affinity;
mod bench;
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
use gristmill_rivals::{peers, sweep};
use options::{Command, Options};
use report::Report;
use std::process::ExitCode;

/// Whatever goes wrong ends up as a line for a person.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // Each of these returns at once if this process is not its worker.
    let tasks = gristmill::tasks![
        contenders::square,
        busy::busy,
        figures::slices::few_in_place,
        figures::slices::many_in_place,
        figures::slices::few_from_to,
        figures::slices::many_from_to,
    ];
    gristmill::init([tasks, gristmill::bench::contenders::registry()].into_iter().flatten().collect());
    if pipe::is_worker() {
        pipe::worker_main();
    }
    contenders::ipc_channel::worker();
    contenders::iceoryx::worker();
    peers::init();

    let command = Command::parse();
    sweep();
    let exit = match command {
        Command::Figures(options) => figures(&options),
        Command::Bench(options) => bench::bench(&options),
    };
    sweep();
    exit
}

fn figures(options: &Options) -> ExitCode {
    watchdog::start();
    let mut report = Report::new(options.contender.is_none());
    report.environment(&machine::environment());
    for figure in &figures::ALL {
        if !options.wants(figure.name) {
            continue;
        }
        eprintln!("{}:", figure.name);
        report.title(figure);
        if let Err(why) = (figure.run)(options, &mut report) {
            report.failed(figure.name, why.as_ref());
        }
    }
    report.goals();
    report.environment(&format!("load after: {}", machine::load()));
    if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
