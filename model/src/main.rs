//! Runs each case and compares its verdict with the one expected; exits 1 if any differs.
//!
//! Arguments: `large` adds what takes long; `walk` walks at random instead, `seconds=10` a case, from `seed=1`; any other is the name of a case
//! that is to be run, however large, or how the names of such begin.

mod arena;
mod bundle;
mod case;
mod collect;
mod end;
mod event;
mod explore;
mod held;
mod hold;
mod job;
mod leader;
mod lock;
mod queue;
mod relief;
mod seen;
mod walk;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use case::{Case, Size};

struct Args {
    large: bool,
    /// The seed and how long, if they are walks.
    walk: Option<(u64, Duration)>,
    names: Vec<String>,
}

impl Args {
    fn parse() -> Self {
        let (mut seed, mut time, mut walk) = (new_seed(), Duration::from_secs(10), false);
        let mut args = Args { large: false, walk: None, names: vec![] };
        for arg in std::env::args().skip(1) {
            match arg.split_once('=') {
                Some(("seed", n)) => seed = n.parse().expect("seed=NUMBER"),
                Some(("seconds", n)) => time = Duration::from_secs(n.parse().expect("seconds=NUMBER")),
                _ if arg == "large" => args.large = true,
                _ if arg == "walk" => walk = true,
                _ => args.names.push(arg),
            }
        }
        args.walk = walk.then_some((seed, time));
        args
    }

    fn wants(&self, case: &Case) -> bool {
        if self.names.contains(&case.name) {
            return true;
        }
        let of_size = match case.size {
            Size::Small => self.walk.is_none(),
            Size::Large => self.large && self.walk.is_none(),
            Size::Walk => self.walk.is_some(),
        };
        // Whoever names cases may also walk in what can be explored.
        let walks = self.walk.is_some() && !self.names.is_empty();
        (of_size || walks) && (self.names.is_empty() || self.names.iter().any(|n| case.name.starts_with(n.as_str())))
    }
}

fn new_seed() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(1, |t| t.as_nanos() as u64)
}

/// Whether it came out as expected.
fn run(case: &Case, args: &Args) -> bool {
    let begun = Instant::now();
    let report = args.walk.map_or_else(|| (case.run)(), |(seed, time)| (case.walk)(seed, time));
    let seconds = begun.elapsed().as_secs_f64();
    let right = match (report.broken, case.expected) {
        (Some(found), Some(expected)) => found.starts_with(expected),
        (found, expected) => found == expected,
    };
    let verdict = report.broken.map_or("holds".into(), |why| format!("caught: {why}"));
    let mut text = format!("| {} | {} | {seconds:.1} | {verdict} |", case.name, report.states);
    if !right {
        text += " UNEXPECTED";
        report.trace.iter().for_each(|line| text += &format!("\n    {line}"));
    }
    println!("{text}");
    right
}

fn main() {
    let args = Args::parse();
    if let Some((seed, time)) = args.walk {
        println!("seed={seed} seconds={}", time.as_secs());
    }
    let all = [
        lock::cases(),
        event::cases(),
        job::cases(),
        queue::cases(),
        bundle::cases(),
        arena::cases(),
        end::cases(),
        hold::cases(),
        leader::cases(),
        collect::cases(),
        held::cases(),
        relief::cases(),
    ];
    let wanted: Vec<Case> = all.into_iter().flatten().filter(|c| args.wants(c)).collect();
    let (next, wrong) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while let Some(case) = wanted.get(next.fetch_add(1, Relaxed)) {
            if !run(case, &args) {
                wrong.store(true, Relaxed);
            }
        }
    };
    // Two at a time: what memory they may take is reckoned for that.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(2));
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    std::process::exit(wrong.into_inner().into());
}
