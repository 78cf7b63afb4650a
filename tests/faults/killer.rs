//! Kills workers at random, in every way that a storm has, and measures how long each death was felt.

use crate::view::View;
use gristmill::layout::presence;
use gristmill::sys::clock;
use gristmill::sys::pidfd::Pidfd;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::Duration;

/// Times, in buckets of a sixteenth of an octave: as many as one likes in the same memory, known to 5 %.
#[derive(Clone)]
pub struct Times {
    buckets: Vec<u64>,
    longest: u64,
}

impl Default for Times {
    fn default() -> Self {
        Times { buckets: vec![0; 64 * 16], longest: 0 }
    }
}

impl Times {
    pub fn add(&mut self, nanos: u64) {
        self.buckets[((nanos.max(1) as f64).log2() * 16.0) as usize] += 1;
        self.longest = self.longest.max(nanos);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Milliseconds below which this share of the times lies.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut below = 0;
        let bucket = self.buckets.iter().position(|n| {
            below += n;
            below >= wanted
        });
        (2f64.powf((bucket.unwrap_or(0) + 1) as f64 / 16.0) / 1e6).min(self.longest as f64 / 1e6)
    }
}

impl std::ops::AddAssign<&Times> for Times {
    fn add_assign(&mut self, other: &Times) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, n)| *sum += n);
        self.longest = self.longest.max(other.longest);
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let longest = self.longest as f64 / 1e6;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {longest:.2} ms", self.quantile(0.5), self.quantile(0.99))
    }
}

/// What a killer has done.
#[derive(Clone, Default)]
pub struct Shots {
    /// From each kill until the region was repaired and the dead one's jobs were with others.
    pub repaired: Times,
    /// From each kill of a worker that served until another serves in its place.
    pub replaced: Times,
    /// How often each way of killing was chosen.
    pub ways: [u64; WAYS.len()],
}

impl std::ops::AddAssign<&Shots> for Shots {
    fn add_assign(&mut self, other: &Shots) {
        self.repaired += &other.repaired;
        self.replaced += &other.replaced;
        self.ways.iter_mut().zip(other.ways).for_each(|(sum, n)| *sum += n);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// One that serves.
    One,
    /// One, whether it serves yet or not.
    Starting,
    /// All of them.
    All,
    /// One, and another one while that death is being dealt with.
    Second,
    /// One that was stopped before.
    Stopped,
    /// One that slept and has just been woken.
    Woken,
    /// One that is awake when the last job is done.
    Last,
}

/// In proportion to how often they are chosen.
pub const WAYS: [Way; 7] = [Way::One, Way::Starting, Way::All, Way::Second, Way::Stopped, Way::Woken, Way::Last];
const SHARES: [u32; 7] = [6, 1, 4, 4, 2, 3, 3];

/// Workers to be killed.
pub struct Killer<'a> {
    pids: &'a (dyn Fn() -> Vec<u32> + Sync),
    view: &'a View,
    random: StdRng,
    /// Kills of workers that lived, so far; read by others.
    kills: &'a AtomicU64,
    shots: Shots,
    /// Killed and not yet buried, and when.
    dying: Vec<(u32, u64)>,
    /// When those were killed in whose place nobody serves yet.
    vacant: Vec<u64>,
    serving: BTreeSet<u32>,
}

impl<'a> Killer<'a> {
    pub fn new(pids: &'a (dyn Fn() -> Vec<u32> + Sync), view: &'a View, seed: u64, kills: &'a AtomicU64) -> Killer<'a> {
        let random = StdRng::seed_from_u64(seed);
        Killer { pids, view, random, kills, shots: Shots::default(), dying: vec![], vacant: vec![], serving: BTreeSet::new() }
    }

    /// Kills until there were `quota`, or until told that it is over; then waits until all is repaired.
    pub fn run(mut self, quota: u64, over: &AtomicBool) -> Shots {
        while self.kills.load(Relaxed) < quota && !over.load(Relaxed) {
            let least = self.random.random_range(0..1000) == 0;
            let pause = self.random.random_range(0..if least { 20_000 } else { 2500 });
            self.rest(pause);
            self.shoot();
        }
        while !self.dying.is_empty() && !over.load(Relaxed) {
            self.rest(200);
        }
        self.shots
    }

    /// Sleeps so many microseconds, and looks what has happened meanwhile.
    fn rest(&mut self, micros: u64) {
        let end = clock::now() + 1000 * micros;
        loop {
            self.look();
            let left = end.saturating_sub(clock::now());
            if left == 0 {
                return;
            }
            std::thread::sleep(Duration::from_nanos(left.min(500_000)));
        }
    }

    /// The workers that live, and what has become of the others.
    fn look(&mut self) -> Vec<u32> {
        let pids = (self.pids)();
        let now = clock::now();
        let Killer { dying, shots, vacant, serving, .. } = self;
        dying.retain(|(pid, killed)| {
            let there = pids.contains(pid);
            if !there {
                shots.repaired.add(now - killed);
            }
            there
        });
        serving.retain(|pid| pids.contains(pid));
        for (_, entry) in self.view.region.participants() {
            let pid = entry.pid.load(Relaxed);
            if entry.state.load(Acquire) == presence::ATTACHED && pids.contains(&pid) && serving.insert(pid) {
                // In whose place it came is not known, but the first vacancy is filled now.
                if !vacant.is_empty() {
                    let killed = vacant.remove(0);
                    shots.replaced.add(entry.attached_at.load(Relaxed).saturating_sub(killed));
                }
            }
        }
        pids
    }

    /// Everything about a kill that can be done before its moment; `None` if there is no such worker, or it was killed already.
    fn aim(&self, pid: u32) -> Option<(u32, Pidfd)> {
        let fresh = self.dying.iter().all(|(dying, _)| *dying != pid);
        let pidfd = Pidfd::open(pid).ok().filter(|_| fresh)?;
        crate::system::is_child(pid).then_some((pid, pidfd))
    }

    fn fire(&mut self, (pid, pidfd): &(u32, Pidfd)) {
        let now = clock::now();
        if pidfd.kill(libc::SIGKILL).is_ok() {
            self.kills.fetch_add(1, Relaxed);
            self.dying.push((*pid, now));
            if self.serving.contains(pid) {
                self.vacant.push(now);
            }
        }
    }

    fn kill(&mut self, pid: u32) {
        if let Some(aimed) = self.aim(pid) {
            self.fire(&aimed);
        }
    }

    /// One of those that serve, if there is one.
    fn choose(&mut self) -> Option<u32> {
        self.look();
        let alive = self.serving.iter().copied().filter(|pid| self.dying.iter().all(|(dying, _)| dying != pid));
        alive.collect::<Vec<_>>().choose(&mut self.random).copied()
    }

    fn spin(&mut self, most_nanos: u64) {
        let end = clock::now() + self.random.random_range(0..most_nanos);
        while clock::now() < end {
            std::hint::spin_loop();
        }
    }

    fn asleep(&self, pid: u32) -> bool {
        self.view.id_of(pid).and_then(|id| self.view.region.participant(id)).is_some_and(|p| p.sleeps_on.load(Relaxed) != 0)
    }

    /// Looks until it is so, but not for longer than a while.
    fn until(&self, so: impl Fn() -> bool) -> bool {
        let end = clock::now() + 3_000_000;
        while clock::now() < end {
            if so() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    fn shoot(&mut self) {
        let mut at = self.random.random_range(0..SHARES.iter().sum());
        let way = SHARES.iter().position(|&share| {
            let here = at < share;
            at = at.saturating_sub(share);
            here
        });
        let way = way.expect("the shares add up");
        let Some(first) = self.choose() else { return };
        let before = self.kills.load(Relaxed);
        match WAYS[way] {
            Way::One => self.kill(first),
            Way::Starting => {
                let pids = self.look();
                if let Some(&pid) = pids.choose(&mut self.random) {
                    self.kill(pid);
                }
            }
            Way::All => self
                .look()
                .into_iter()
                .filter(|pid| self.serving.contains(pid))
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|pid| self.kill(pid)),
            Way::Second => {
                self.kill(first);
                self.spin(400_000);
                if let Some(second) = self.choose() {
                    self.kill(second);
                }
            }
            Way::Stopped => {
                crate::system::signal(first, libc::SIGSTOP);
                let pause = self.random.random_range(0..2000);
                self.rest(pause);
                self.kill(first);
            }
            Way::Woken => {
                let sleeper = self.serving.iter().copied().find(|&pid| self.asleep(pid));
                if let Some(aimed) = sleeper.and_then(|pid| self.aim(pid))
                    && self.until(|| !self.asleep(aimed.0))
                {
                    self.spin(3000);
                    self.fire(&aimed);
                }
            }
            Way::Last => {
                let aimed: Vec<_> = self.serving.iter().filter_map(|&pid| self.aim(pid)).collect();
                let channel = self.view.channel(0);
                if self.until(|| channel.pending() == 1) && self.until(|| channel.pending() == 0) {
                    self.spin(1000);
                    if let Some(awake) = aimed.iter().find(|(pid, _)| !self.asleep(*pid)).or(aimed.first()) {
                        self.fire(awake);
                    }
                }
            }
        }
        self.shots.ways[way] += self.kills.load(Relaxed) - before;
    }
}
