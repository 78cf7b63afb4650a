//! What a run shows of itself, on standard error: a live progress bar, messages, and at the end a summary or the statistics.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::engine::EngineStats;

/// The progress bar, or nothing when nobody would see it.
#[derive(Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Shows a bar if standard error is a terminal and standard output, whose lines would break it, is none. `total` is the
    /// length of the input in bytes, if it is known.
    pub fn new(total: Option<u64>) -> Progress {
        let seen = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        let bar = seen.then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = match total {
                Some(_) => "{spinner} [{bar:30}] {percent:>3}%  {msg}  {eta} left",
                None => "{spinner} {msg}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("=> "));
            bar
        });
        Progress { bar, start: Instant::now() }
    }

    /// Shows how far the run is. `consumed` are bytes of the input.
    pub fn show(&self, consumed: u64, done: u64, failed: u64) {
        let Some(bar) = &self.bar else { return };
        let rate = per_second(done, self.start.elapsed()) as u64;
        let failed = if failed == 0 { String::new() } else { format!(", {} failed", HumanCount(failed)) };
        bar.set_message(format!("{} jobs{failed}, {}/s", HumanCount(done), HumanCount(rate)));
        bar.set_position(consumed);
        bar.tick();
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
        json!({
            "jobs": self.jobs,
            "failed": self.failed,
            "retried": self.engine.retried,
            "seconds": self.elapsed.as_secs_f64(),
            "jobs_per_second": self.jobs_per_second(),
            "workers": self.engine.workers,
            "worker_deaths": self.engine.worker_deaths,
            "lock_wait_seconds": self.engine.lock_wait_seconds,
            "user_seconds": self.engine.user_seconds,
        })
        .to_string()
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
        let expected = json!({
            "jobs": 10_000, "failed": 0, "retried": 0, "seconds": 4.0, "jobs_per_second": 2500.0, "workers": 2,
            "worker_deaths": 0, "lock_wait_seconds": 0.25, "user_seconds": 7.5,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
        assert!(!text.contains('\n'));
    }
}
