//! Ends a run that hangs, and its processes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// No pass takes as long as this on any machine that is fit for measuring.
const LIMIT: Duration = Duration::from_secs(300);

static STARTED: OnceLock<Instant> = OnceLock::new();
/// When something last moved, in milliseconds after the start.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// Starts the watch.
pub fn start() {
    let started = *STARTED.get_or_init(Instant::now);
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let idle = started.elapsed().saturating_sub(Duration::from_millis(MOVED.load(Relaxed)));
            if idle > LIMIT {
                eprintln!("gristmill-rivals: nothing has moved for {} s: given up", LIMIT.as_secs());
                gristmill_rivals::sweep();
                // All workers end with this process.
                std::process::exit(3);
            }
        }
    });
}

/// Says that the run goes on.
pub fn moved() {
    if let Some(started) = STARTED.get() {
        MOVED.store(started.elapsed().as_millis() as u64, Relaxed);
    }
}

/// Makes this process end with its parent, also when the parent is killed. To be called first thing in a worker that would not notice.
pub fn end_with(parent: u32) {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let told = set_parent_process_death_signal(Some(Signal::KILL));
    let orphan = getppid().is_none_or(|now| now.as_raw_nonzero().get() as u32 != parent);
    if told.is_err() || orphan {
        std::process::exit(1);
    }
}
