//! The command line: its syntax, its help and what it resolves to.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::{self, Exit};
use super::run::tasks::Task;
use super::text::{say, shown};
use gristmill::bench::options::Options as BenchOptions;
use gristmill::lab::options::Options as LabOptions;

const EXAMPLES: &str = "\
Examples:
  seq 1000000 | gristmill run factor > factors.txt
  gristmill run factor -j 4 numbers.txt more.txt
  find . -type f | gristmill run sha256 --unordered > sums.txt";

#[derive(Debug, Parser)]
#[command(name = "gristmill", version, about = "Runs jobs on worker processes over shared memory")]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP), arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a task for each job of the input and prints the results
    #[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
    Run(RunOptions),
    /// Measures ways to hand payloads from process to process, all by one method
    #[command(after_help = exit::HELP)]
    Bench(BenchOptions),
    /// Experiments that show what locks on shared data cost
    #[command(after_help = exit::HELP)]
    Lab(LabOptions),
}

/// The options of `gristmill run`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// What to do with each job
    pub task: Task,

    /// Files to read jobs from, in turn; `-`, or none, is standard input
    pub files: Vec<PathBuf>,

    /// Worker processes [default: the CPUs that this process may use]
    #[arg(short, long, value_name = "N", value_parser = number_of_workers)]
    pub jobs: Option<usize>,

    /// How often a job whose worker died is run again
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=MOST_RETRIES))]
    pub retries: u32,

    /// Prints each result as soon as it is there, not in the order of the input
    #[arg(long)]
    pub unordered: bool,

    /// Prints the summary on standard error in this format
    #[arg(long, value_name = "FORMAT")]
    pub stats: Option<StatsFormat>,
}

/// The formats of `--stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// One object on one line
    Json,
}

impl RunOptions {
    /// The number of workers: as asked, or one for each CPU that this process may use (cgroup quota and affinity count).
    pub fn workers(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS))
    }
}

/// As many workers as a region can tell apart, besides the parent.
const MOST_WORKERS: usize = gristmill::layout::MAX_PARTICIPANTS as usize - 1;

/// A slot counts so many runs of a job, the first included.
const MOST_RETRIES: i64 = u16::MAX as i64 - 1;

fn number_of_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=MOST_WORKERS).contains(&n) => Ok(n),
        _ => Err(format!("a run has 1 to {MOST_WORKERS} workers")),
    }
}

/// Reads the command line. What clap finds wrong is said in one line on standard error; help goes to standard output.
///
/// # Errors
///
/// The exit code, when there is nothing to run.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Exit> {
    let args: Vec<OsString> = args.into_iter().collect();
    let help = match args.get(1).and_then(|first| first.to_str()) {
        Some("run") => "gristmill run --help",
        Some("bench") => "gristmill bench --help",
        Some("lab") => "gristmill lab --help",
        _ => "gristmill --help",
    };
    let error = match CommandLine::try_parse_from(args) {
        Ok(line) => return Ok(line.command),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that closes the help early (`| head`) has what it wants.
            let _ = error.print();
            Err(Exit::Success)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(Exit::Usage)
        }
        _ => {
            say(&format!("{} (see {help})", one_line(&error.to_string())));
            Err(Exit::Usage)
        }
    }
}

/// What clap has to say, on one line, without the tips and the usage that come after it. What it quotes may have empty lines of
/// its own.
fn one_line(message: &str) -> String {
    const AFTER: [&str; 3] = ["\n\n  tip:", "\n\nUsage:", "\n\nFor more information"];
    let end = AFTER.iter().filter_map(|after| message.find(after)).min().unwrap_or(message.len());
    let words: Vec<&str> = message[..end].split_whitespace().collect();
    shown(words.join(" ").trim_start_matches("error: ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<RunOptions, String> {
        match CommandLine::try_parse_from(line.split(' ')) {
            Ok(CommandLine { command: Command::Run(options) }) => Ok(options),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(one_line(&error.to_string())),
        }
    }

    #[test]
    fn the_syntax_is_sound() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn defaults_are_standard_input_three_retries_and_order() {
        let got = options("gristmill run factor").unwrap();
        assert_eq!((got.task, got.retries, got.unordered, got.stats), (Task::Factor, 3, false, None));
        assert!(got.files.is_empty() && got.jobs.is_none() && got.workers() >= 1);
    }

    #[test]
    fn options_and_files_may_be_mixed() {
        let got = options("gristmill run sha256 -j 7 a - --retries 0 --unordered b --stats json").unwrap();
        assert_eq!((got.task, got.workers(), got.retries, got.unordered), (Task::Sha256, 7, 0, true));
        assert_eq!(got.stats, Some(StatsFormat::Json));
        assert_eq!(got.files, ["a", "-", "b"].map(PathBuf::from));
    }

    #[test]
    fn wrong_command_lines_are_told_in_one_line() {
        let says = |line: &str, word: &str| {
            let message = options(line).unwrap_err();
            assert!(message.contains(word) && !message.contains('\n'), "{message:?}");
        };
        for jobs in ["0", "4095", "100000", "99999999999999999999", "x", "1.5"] {
            let why = format!("'{jobs}' for '--jobs <N>': a run has 1 to 4094 workers");
            says(&format!("gristmill run factor -j {jobs}"), &why);
        }
        says("gristmill run factor -j -1", "-1");
        says("gristmill run factor --retries 65535", "65535 is not in 0..=65534");
        says("gristmill run cube", "'cube' for '<TASK>' [possible values: factor, sha256]");
        says("gristmill run", "<TASK>");
        says("gristmill run factor --stats xml", "possible values: json");
    }
}
