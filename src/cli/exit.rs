//! Every exit code of the command, decided here and nowhere else.

use std::process::ExitCode;

/// How the command ended. The number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All jobs gave a value.
    Success = 0,
    /// Some jobs failed, or an input file could not be read; all other jobs gave a value. Of a comparison: something became slower; of a check of
    /// experiments: a shape was not as expected.
    JobsFailed = 1,
    /// The command line was wrong, or names runs that cannot be compared; nothing ran.
    Usage = 2,
    /// The workers could not start or go on; or a check of experiments has found what cannot be.
    Engine = 3,
    /// The output could not be written.
    Output = 4,
    /// Ctrl-C (SIGINT).
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// The part of `--help` that names the codes.
pub const HELP: &str = "\
Exit codes:
  0    all well; also when the reader of the output closed it early
  1    some jobs failed or a file could not be read; the rest is done;
       bench compare: gristmill became slower; lab check: a shape was not as expected
  2    the command line is wrong, or bench compare or lab merge cannot use a file; nothing was run
  3    the workers could not start or could not go on; lab check: what must be so on each
       machine was not
  4    the output could not be written (a full disk)
  130  stopped by Ctrl-C (SIGINT)
  143  stopped by SIGTERM";

/// What decides the exit code of a run that reached its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// The number of the signal that asked the run to stop, if one did.
    pub signal: Option<i32>,
    /// A job failed, or a file could not be read.
    pub failures: bool,
}

impl Exit {
    /// The code of a run that reached its end: a signal outranks failed jobs.
    pub fn of(ending: Ending) -> Exit {
        match ending {
            Ending { signal: Some(signal_hook::consts::SIGTERM), .. } => Exit::Terminated,
            Ending { signal: Some(_), .. } => Exit::Interrupted,
            Ending { failures: true, .. } => Exit::JobsFailed,
            Ending { failures: false, .. } => Exit::Success,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_exit_code() {
        use Exit::*;
        for exit in [Success, JobsFailed, Usage, Engine, Output, Interrupted, Terminated] {
            let code = format!("\n  {:<3}  ", exit as u8);
            assert!(HELP.contains(&code), "the help does not name exit code {}", exit as u8);
        }
    }

    #[test]
    fn a_signal_outranks_failed_jobs() {
        let of = |signal, failures| Exit::of(Ending { signal, failures });
        assert_eq!(of(None, false), Exit::Success);
        assert_eq!(of(None, true), Exit::JobsFailed);
        assert_eq!(of(Some(signal_hook::consts::SIGINT), true), Exit::Interrupted);
        assert_eq!(of(Some(signal_hook::consts::SIGTERM), true), Exit::Terminated);
    }
}
