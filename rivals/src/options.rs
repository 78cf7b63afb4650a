//! The command line.

use crate::figures;
use clap::{Args, Parser};

/// Measures gristmill beside its rivals.
#[derive(Parser)]
#[command(name = "gristmill-rivals", arg_required_else_help = true)]
pub enum Command {
    /// The pool's figures: tables in Markdown on standard output
    Figures(Options),
    /// `gristmill bench`, with other libraries and Python's queues and pools as contenders too
    Bench(gristmill::bench::options::Options),
}

/// Measures gristmill's pool beside its rivals and prints tables in Markdown.
#[derive(Args)]
pub struct Options {
    /// Only this figure; may be given several times. See rivals/README.md for their names.
    #[arg(long, value_name = "NAME", value_parser = figures::ALL.map(|figure| figure.name))]
    only: Vec<String>,
    /// Only contenders whose name contains this, in figures that are races: to profile one. Goals are not judged then.
    #[arg(long, value_name = "TEXT")]
    pub contender: Option<String>,
    /// A tenth of the jobs and 3 rounds: to see that all works, not to quote.
    #[arg(long)]
    pub quick: bool,
    /// How often each contender runs. Default: 5; with --quick, 3.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

impl Options {
    /// Whether a figure is asked for.
    pub fn wants(&self, figure: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == figure)
    }

    /// Whether a contender is to run.
    pub fn takes_part(&self, contender: &str) -> bool {
        self.contender.as_ref().is_none_or(|text| contender.contains(text))
    }

    /// How often each contender runs.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    /// How many jobs a pass has that is to have `jobs`.
    pub fn jobs(&self, jobs: u64) -> u64 {
        if self.quick { (jobs / 10).max(1) } else { jobs }
    }
}
