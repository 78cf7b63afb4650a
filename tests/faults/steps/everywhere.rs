//! Deaths at every instruction of a cycle, or at each that somebody else could notice.

use super::drive::{Died, Scene, cycle, kill_asleep, walk};
use super::traced::STEPPED;
use super::way::{Point, Way};
use crate::numbers::Numbers;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::Instant;

/// A run of all these tests takes about a minute without optimization; with it, nothing is left out.
const MOST: usize = if cfg!(debug_assertions) { 10 } else { usize::MAX };

/// A group whose workers die too often in a row without having done anything is given up. One that dies asleep is not to blame, and the count
/// starts anew.
const IN_A_ROW: u64 = 50;

/// So often a worker is sent to an instruction that it does not come to. The last time it is stepped all the way, as it was when the way was walked:
/// then it is as slow. A worker measures how long its jobs take, and where they take longer than 0.2 ms (`BATCH_NANOS`) the compiler has spared it a
/// division: one instruction to which only a stepped worker comes, for one that runs up to a landmark is quick.
const TRIES: u32 = 4;

/// So often the way is walked at most. On a busy machine all takes longer, and some of it goes another way: what was not met is no longer on it.
const WALKS: usize = 3;

/// With `GRISTMILL_STEPS=all`, at most one instruction of so many may not be met.
const UNMET: usize = 200;

/// Kills the worker at each point, and counts.
struct Deaths<'a, S, M> {
    name: &'a str,
    make: &'a M,
    /// Whether each death is in a new region.
    each: bool,
    /// For the watchdog: deaths that are over.
    beats: &'a AtomicU64,
    scene: Option<S>,
    count: u64,
    failures: u32,
}

impl<S: Scene, M: Fn() -> S> Deaths<'_, S, M> {
    /// Where the next death is.
    fn scene(&mut self) -> &mut S {
        if self.each {
            // There is one region at a time.
            drop(self.scene.take());
        }
        self.scene.get_or_insert_with(self.make)
    }

    /// The way as it is now.
    fn walk(&mut self) -> Option<Way> {
        self.count += 1;
        walk(self.scene())
    }

    /// A death there; tells whether the worker has come there.
    fn at(&mut self, point: Point, way: &Way) -> bool {
        for tries in 1..=TRIES {
            let point = match point {
                Point::Before(to) if tries == TRIES => Point::Stepping(to),
                other => other,
            };
            let asleep = self.count.is_multiple_of(IN_A_ROW);
            let scene = self.scene();
            let died = catch_unwind(AssertUnwindSafe(|| {
                if asleep {
                    kill_asleep(scene);
                }
                cycle(scene, point, way)
            }));
            self.count += 1;
            self.beats.store(self.count, Relaxed);
            match died {
                Ok(Died::There) => return true,
                Ok(Died::Elsewhere) => {}
                Err(_) => {
                    println!("steps::{}: the panic above followed a death at {point:?} of {}", self.name, way.places.len() - 1);
                    self.failures += 1;
                    assert!(self.failures < 5, "{} failures after {} deaths", self.failures, self.count);
                    self.scene = None;
                    return true;
                }
            }
        }
        false
    }

    /// A death at each of these instructions of the way; those that were not met.
    fn at_each(&mut self, instructions: impl IntoIterator<Item = usize>, way: &Way) -> Vec<usize> {
        instructions.into_iter().filter(|&n| !self.at(Point::Before(n), way)).collect()
    }
}

/// Kills the worker of a scene at every point of its cycle. `each`: in a new region each time.
pub fn kill_everywhere<S: Scene>(name: &str, make: &impl Fn() -> S, each: bool, beats: &AtomicU64) {
    let (begin, stepped) = (Instant::now(), STEPPED.load(Relaxed));
    let mut deaths = Deaths { name, make, each, beats, scene: None, count: 0, failures: 0 };
    let Some(mut way) = deaths.walk() else { return };
    if !each && !cfg!(debug_assertions) {
        // The first cycle of a region is not quite like the others.
        way = deaths.walk().expect("it was allowed before");
    }
    let all = std::env::var("GRISTMILL_STEPS").is_ok_and(|value| value == "all");
    let end = way.places.len();
    let wanted: Vec<usize> = match all {
        true => (0..end).collect(),
        false => [0].into_iter().chain(way.noticed.iter().copied()).filter(|&n| n < end).collect(),
    };
    let stride = if all { 1 } else { wanted.len().div_ceil(MOST) };
    let first = Numbers::new().below(stride as u64) as usize;
    let mut unmet = deaths.at_each(wanted.into_iter().skip(first).step_by(stride), &way);
    let mut met = HashSet::new();
    for _ in 1..WALKS {
        if !all || unmet.is_empty() {
            break;
        }
        let left: HashSet<usize> = unmet.into_iter().collect();
        met.extend(way.instructions().into_iter().enumerate().filter(|(n, _)| !left.contains(n)).map(|(_, i)| i));
        way = deaths.walk().expect("it was allowed before");
        let new = way.instructions().into_iter().enumerate().filter(|(_, i)| !met.contains(i)).map(|(n, _)| n);
        unmet = deaths.at_each(new, &way);
    }
    assert!(deaths.at(Point::End, &way), "it comes to no end");
    let Deaths { count, failures, .. } = deaths;
    let (last, unmet_count) = (way.places.len() - 1, unmet.len());
    println!(
        "steps::{name}: {last} instructions, {} noticed from outside{}; {count} deaths, {failures} failures, not met {unmet:?}, {} stepped, {:.1} s",
        way.noticed.len(),
        if stride > 1 { format!(", a death at one of {stride}") } else { String::new() },
        STEPPED.load(Relaxed) - stepped,
        begin.elapsed().as_secs_f64()
    );
    assert_eq!(failures, 0);
    assert!(!all || unmet_count <= end / UNMET, "{unmet_count} of {last} instructions were not met");
}
