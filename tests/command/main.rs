//! The command, from outside: its output against coreutils', its exit codes and messages, and what it does when things go wrong.

mod bad_input;
mod bench;
mod bench_commands;
mod coreutils;
mod deaths;
mod flow;
mod interrupt;
mod lab;
mod lab_serve;
mod limits;
#[path = "../common/numbers.rs"]
mod numbers;
mod resources;
mod run;
#[path = "../common/skip.rs"]
mod skip;
mod startup;
mod terminal;
