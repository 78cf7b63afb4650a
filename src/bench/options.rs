//! The options of `gristmill bench`.

use super::contender::{Contender, Result};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The options of a run.
#[derive(Clone, Debug, Default, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to do instead of measuring.
    #[command(subcommand)]
    pub task: Option<Task>,

    /// Under a minute: the base figure, batches and calls, few rounds, one kill each; to look, not to quote (the default)
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,

    /// All axes and more rounds: about 40 minutes on two cores
    #[arg(long)]
    pub full: bool,

    /// Only contenders whose name is this, or starts with it and `-`; may be given several times, or with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Bytes of a payload, a multiple of 8; not varied then [default: 64]
    #[arg(long, value_name = "BYTES", value_parser = payload)]
    pub payload: Option<usize>,

    /// Consumers; not varied then [default: 2]
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: Option<usize>,

    /// Draws the order of turns and the moments of kills [default: by chance, and shown]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// How often each figure is measured [default: 3, with --full 7]
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub rounds: Option<usize>,

    /// Writes everything that was measured
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Writes a line for each round of each figure
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Writes a page that opens without a network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What can be done with runs that were kept.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Tells what became slower or faster from one run to another, with the bounds of each ratio
    #[command(after_help = COMPARE)]
    Compare(Compare),
}

/// Two runs.
#[derive(Clone, Debug, Args)]
pub struct Compare {
    /// What `gristmill bench --json` wrote before
    pub old: PathBuf,

    /// What it wrote afterwards
    pub new: PathBuf,
}

const COMPARE: &str = "\
Only figures that both runs have are compared: rate, CPU for each payload, and how late payloads are (p50, p99).
A difference counts if the bootstrap interval of the ratio (95 %) does not cover 1; each run needs 6 rounds for that.
Differences of the machines are told of.

Exit codes:
  0    nothing of gristmill became slower, or there are too few rounds to judge, which is said
  1    the rate, the CPU or the p50 of one of gristmill's contenders became worse, by more than the interval, 5 %, and what
       the contender that is measured twice shows of chance
  2    a file cannot be read, or is no result of gristmill bench; nothing was compared";

/// Seats of a turn, but for a producer and one who collects.
const MOST_WORKERS: usize = super::control::SEATS - 2;

fn payload(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if (8..=16 << 20).contains(&n) && n % 8 == 0 => Ok(n),
        _ => Err("a payload has 8 bytes to 16 MiB (16777216), a multiple of 8".into()),
    }
}

fn workers(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=MOST_WORKERS).contains(&n) => Ok(n),
        _ => Err(format!("a figure has 1 to {MOST_WORKERS} consumers")),
    }
}

fn rounds(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1000).contains(&n) => Ok(n),
        _ => Err("a figure is measured 1 to 1000 times".into()),
    }
}

/// The contenders that are asked for.
///
/// # Errors
/// If there is none of a name: with the names that are near, and all of them.
pub fn chosen(all: Vec<Box<dyn Contender>>, only: &[String]) -> Result<Vec<Box<dyn Contender>>> {
    let names: Vec<String> = all.iter().map(|contender| contender.info().name).collect();
    let is = |name: &str, asked: &str| name == asked || name.strip_prefix(asked).is_some_and(|rest| rest.starts_with('-'));
    for asked in only {
        if !names.iter().any(|name| is(name, asked)) {
            let mut near: Vec<(f64, &str)> = names
                .iter()
                .map(|name| (strsim::jaro_winkler(name, asked), name.as_str()))
                .filter(|(like, _)| *like > 0.75)
                .collect();
            near.sort_by(|a, b| b.0.total_cmp(&a.0));
            let near: Vec<&str> = near.iter().take(3).map(|(_, name)| *name).collect();
            let near = if near.is_empty() { String::new() } else { format!("near are {}; ", near.join(", ")) };
            return Err(format!("there is no contender '{asked}': {near}there are {}", names.join(", ")).into());
        }
    }
    Ok(all.into_iter().filter(|c| only.is_empty() || only.iter().any(|asked| is(&c.info().name, asked))).collect())
}
