//! Who is told how far a run is.

use super::laboratory::{Snapshot, Watcher};
use super::record::Record;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, Instant};

/// What a run tells whoever has started it, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// How much is done, from 0 to 1.
    Progress(f64),
    /// What workers do.
    Lanes(Snapshot),
    /// The end.
    Found(Box<Record>),
}

/// Least time between two looks at lanes that are told.
const BETWEEN: Duration = Duration::from_millis(100);

/// Shows how far a run is: a bar in a terminal, or a line for each event.
pub struct Watch<'a> {
    /// How much is done.
    pub bar: ProgressBar,
    events: bool,
    watches: bool,
    interrupted: &'a dyn Fn() -> bool,
    /// Nobody hears the events any more.
    alone: Cell<bool>,
    /// When the lanes were told last.
    looked: Cell<Option<Instant>>,
}

impl<'a> Watch<'a> {
    /// `events`: a line for each; `watches`: with what workers do.
    pub fn new(events: bool, watches: bool, interrupted: &'a dyn Fn() -> bool) -> Watch<'a> {
        let style =
            ProgressStyle::with_template("{bar:30} {percent}% {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = if events { ProgressBar::hidden() } else { ProgressBar::new(1000).with_style(style) };
        Watch { bar, events, watches, interrupted, alone: Cell::new(false), looked: Cell::new(None) }
    }

    /// A line, if events are asked for.
    pub fn tell(&self, event: &Event) {
        if self.events
            && let Ok(line) = serde_json::to_string(event)
            && writeln!(std::io::stdout(), "{line}").is_err()
        {
            self.alone.set(true);
        }
    }

    /// Whether the one who started it wants it to stop.
    pub fn told_to_stop(&self) -> bool {
        (self.interrupted)()
    }
}

impl Watcher for Watch<'_> {
    fn watches(&self) -> bool {
        self.watches
    }

    fn lanes(&self, snapshot: &Snapshot) {
        // Short measurements follow each other faster than anybody can see.
        if self.looked.get().is_some_and(|at| at.elapsed() < BETWEEN) {
            return;
        }
        self.looked.set(Some(Instant::now()));
        self.tell(&Event::Lanes(snapshot.clone()));
    }

    fn progress(&self, done: f64) {
        self.bar.set_position((done * 1000.0) as u64);
        self.tell(&Event::Progress(done));
    }

    fn interrupted(&self) -> bool {
        self.alone.get() || self.told_to_stop()
    }
}
