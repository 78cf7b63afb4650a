//! The command layer: arguments, terminals and files. It stands on top of the library and has no `unsafe`.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod exit;
mod lab;
mod run;
mod text;

use std::process::ExitCode;

/// Does what the command line asks for and gives the exit code.
pub fn main() -> ExitCode {
    // In a worker this serves jobs and never returns.
    let tasks = [run::processes::registry(), gristmill::bench::contenders::registry(), gristmill::lab::registry()];
    gristmill::init(tasks.into_iter().flatten().collect());
    let exit = match args::parse(std::env::args_os()) {
        Ok(args::Command::Run(options)) => run::run(&options, run::processes::start),
        Ok(args::Command::Bench(options)) => bench::bench(&options),
        Ok(args::Command::Lab(options)) => lab::lab(&options),
        Err(exit) => exit,
    };
    exit.into()
}
