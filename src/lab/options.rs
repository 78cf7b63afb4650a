//! The options of `gristmill lab`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `gristmill lab`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Lists the experiments, with what each is about
    List,
    /// Runs an experiment and shows what it has found
    Run(Run),
    /// Runs experiments in their quick form and says whether each shows the shape that is expected
    Check(Check),
    /// Serves a page with all experiments, for a browser on this machine
    Serve,
    /// Runs experiments and writes one page with all that was found
    Report(Report),
    /// Writes questions for a class, or the answers to them as they are on this machine, in Markdown
    Worksheet(Worksheet),
    /// Merges what the machines of a class have written with `run --csv`, into one CSV on standard output
    Merge(Merge),
}

/// A run of one experiment.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The experiment
    pub experiment: String,

    /// How the knobs stand: NAME=VALUE, several of them; `gristmill lab list` names them
    pub knobs: Vec<String>,

    /// About how long it takes in all, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,

    /// Draws the order of measurements [default: by chance, and shown]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Writes a line for each point of each chart
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Writes everything that was found
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// For the page: a line of JSON for whatever happens, on standard output
    #[arg(long, hide = true)]
    pub events: bool,

    /// For the page: keeps and tells what each worker is doing
    #[arg(long, hide = true)]
    pub watch: bool,
}

/// A check of several experiments.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Experiments; all if none is named
    pub experiments: Vec<String>,

    /// About how long each takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// A page of several experiments.
#[derive(Clone, Debug, Args)]
pub struct Report {
    /// Where the page is written
    pub file: PathBuf,

    /// Experiments; all if none is named
    pub experiments: Vec<String>,

    /// About how long each takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// Questions for a class.
#[derive(Clone, Debug, Args)]
pub struct Worksheet {
    /// Experiments; all if none is named
    pub experiments: Vec<String>,

    /// Runs the experiments and writes the answers
    #[arg(long)]
    pub answers: bool,

    /// About how long each takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "answers", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// The files of a class.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// CSVs that `gristmill lab run --csv` has written, of one machine each
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}
