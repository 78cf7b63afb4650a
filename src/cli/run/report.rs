//! What a run shows of itself, on standard error: a live progress bar, messages, and at the end a summary or the statistics.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::bar_line::BarLine;
use super::engine::EngineStats;

/// The progress bar, or nothing when nobody would see it.
#[derive(Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Bytes of the input, if the bar knows them.
    total: Option<u64>,
    start: Instant,
    /// Somebody can be told how to stop at once, and has not been.
    advice: Cell<bool>,
}

/// Whether a bar has the terminal to itself: standard error is one, and neither results nor somebody who types break the bar's
/// line.
pub fn has_terminal(typed_input: bool) -> bool {
    std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() && !typed_input
}

impl Progress {
    /// `total` is the length of the input in bytes, if it is known.
    pub fn new(visible: bool, total: Option<u64>) -> Progress {
        let bar = visible.then(|| {
            let bar =
                ProgressBar::with_draw_target(total, ProgressDrawTarget::term_like_with_hz(Box::<BarLine>::default(), 20));
            // What does not fit a narrow terminal is cut off: a line that wraps could not be taken away again.
            let template = match total {
                Some(_) => "{spinner} [{bar:20}] {percent:>3}%  {wide_msg}",
                None => "{spinner} {wide_msg}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("=> "));
            bar.with_message("0 jobs, 0/s")
        });
        Progress { bar, total, start: Instant::now(), advice: Cell::new(std::io::stderr().is_terminal()) }
    }

    /// Nothing is shown but messages.
    #[cfg(test)]
    pub fn hidden() -> Progress {
        Progress::new(false, None)
    }

    /// Shows how far the run is. `consumed` are bytes of the input, cut into the jobs that are done and those that are pending.
    pub fn show(&self, consumed: u64, done: u64, pending: usize, failed: u64) {
        let Some(bar) = &self.bar else { return };
        let rate = HumanCount(per_second(done, self.start.elapsed()) as u64);
        let failed = if failed == 0 { String::new() } else { format!(", {} failed", HumanCount(failed)) };
        // A short list of long jobs is read long before it is done.
        let share = done as f64 / (done + pending as u64).max(1) as f64;
        let position = (consumed as f64 * share) as u64;
        let left = match self.total {
            Some(total) if position > 0 && position < total => {
                let left = self.start.elapsed().mul_f64((total - position) as f64 / position as f64);
                format!(", {:#} left", HumanDuration(left))
            }
            _ => String::new(),
        };
        bar.set_position(position);
        bar.set_message(format!("{}{failed}, {rate}/s{left}", count(done, "job")));
        bar.tick();
    }

    /// Shows that the run has been asked to stop and what it still waits for.
    pub fn finishing(&self, jobs: usize) {
        const ADVICE: &str = "Ctrl-C again stops at once";
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("finishing {}; {ADVICE}", count(jobs as u64, "job")));
                bar.tick();
            }
            None if self.advice.take() => self.tell(&format!("gristmill: finishing {}; {ADVICE}", count(jobs as u64, "job"))),
            None => {}
        }
    }

    /// Shows a message of one line above the bar.
    pub fn tell(&self, line: &str) {
        // Nothing can be done if nobody reads standard error.
        let print = || drop(writeln!(std::io::stderr(), "{line}"));
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Takes a bar's line away without a look at the bar, which another thread may be drawing.
pub fn wipe_line() {
    let _ = std::io::stderr().write_all(b"\r\x1b[K");
}

/// The figures of a run that reached its end.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Jobs that have an outcome.
    pub jobs: u64,
    /// Those whose outcome is no value.
    pub failed: u64,
    /// Files that could not be read.
    pub unread: u64,
    /// From the start of the workers to the last byte of output.
    pub elapsed: Duration,
    /// The run was asked to stop before the end of its input.
    pub cut_short: bool,
    /// The engine's own figures.
    pub engine: EngineStats,
}

/// The fields of `--stats json`, in the order in which they are promised.
#[derive(Serialize)]
struct Statistics {
    jobs: u64,
    failed: u64,
    retried: u64,
    seconds: f64,
    jobs_per_second: f64,
    workers: usize,
    worker_deaths: u64,
    lock_wait_seconds: f64,
    user_seconds: f64,
}

impl Report {
    /// The summary, one line.
    pub fn summary(&self) -> String {
        let EngineStats { workers, worker_deaths, retried, .. } = self.engine;
        let mut line = format!(
            "gristmill: {} in {:.2} s on {}, {} jobs/s",
            count(self.jobs, "job"),
            self.elapsed.as_secs_f64(),
            count(workers as u64, "worker"),
            HumanCount(self.jobs_per_second() as u64),
        );
        if self.failed > 0 {
            line += &format!("; {} failed", HumanCount(self.failed));
        }
        if self.unread > 0 {
            line += &format!("; {} not read", count(self.unread, "file"));
        }
        if worker_deaths > 0 {
            line += &format!("; {} died, {} run again", count(worker_deaths, "worker"), count(retried, "job"));
        }
        if self.cut_short {
            line += "; stopped before the end of the input";
        }
        line
    }

    /// The statistics, one JSON object on one line.
    pub fn json(&self) -> String {
        let statistics = Statistics {
            jobs: self.jobs,
            failed: self.failed,
            retried: self.engine.retried,
            seconds: self.elapsed.as_secs_f64(),
            jobs_per_second: self.jobs_per_second(),
            workers: self.engine.workers,
            worker_deaths: self.engine.worker_deaths,
            lock_wait_seconds: self.engine.lock_wait_seconds,
            user_seconds: self.engine.user_seconds,
        };
        serde_json::to_string(&statistics).expect("numbers always have a form")
    }

    fn jobs_per_second(&self) -> f64 {
        per_second(self.jobs, self.elapsed)
    }
}

fn per_second(jobs: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { jobs as f64 / elapsed.as_secs_f64() }
}

fn count(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let engine = EngineStats { workers: 2, lock_wait_seconds: 0.25, user_seconds: 7.5, ..EngineStats::default() };
        Report { jobs: 10_000, failed: 0, unread: 0, elapsed: Duration::from_secs(4), cut_short: false, engine }
    }

    #[test]
    fn the_summary_is_short_when_all_is_well() {
        assert_eq!(report().summary(), "gristmill: 10,000 jobs in 4.00 s on 2 workers, 2,500 jobs/s");
    }

    #[test]
    fn the_summary_names_whatever_went_wrong() {
        let mut report = Report { jobs: 1, failed: 1, unread: 1, cut_short: true, elapsed: Duration::ZERO, ..report() };
        (report.engine.worker_deaths, report.engine.retried) = (4, 3);
        let expected = "gristmill: 1 job in 0.00 s on 2 workers, 0 jobs/s; 1 failed; 1 file not read; \
                        4 workers died, 3 jobs run again; stopped before the end of the input";
        assert_eq!(report.summary(), expected);
    }

    #[test]
    fn the_statistics_are_one_object_with_every_promised_field() {
        let text = report().json();
        let expected = "{\"jobs\":10000,\"failed\":0,\"retried\":0,\"seconds\":4.0,\"jobs_per_second\":2500.0,\"workers\":2,\
                        \"worker_deaths\":0,\"lock_wait_seconds\":0.25,\"user_seconds\":7.5}";
        assert_eq!(text, expected);
    }
}
