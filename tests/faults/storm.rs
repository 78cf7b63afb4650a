//! SIGKILL at random under load, hundreds of times on each region, so that what one death leaves behind adds up.
//!
//! `GRISTMILL_KILLS=1000000 GRISTMILL_SEED=1 cargo test --release --test faults storm::` takes about three quarters of an hour on two processors;
//! it says every few seconds how far it is, and at the end what was lost and how long deaths were felt. Each life is a region
//! with its workers and a kind of load, drawn from the seed.

use crate::held::{Held, Watchdog, resident};
use crate::killer::{Killer, Shots, WAYS};
use crate::loads::{self, Load};
use crate::oracle::{Oracle, Verdict};
use crate::view::View;
use gristmill::{StartMethod, WaitPolicy};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

/// Kills on one region.
const A_LIFE: std::ops::Range<u64> = 300..1200;
const WORKERS: usize = 4;

/// What came of a life.
struct Life {
    verdict: Verdict,
    shots: Shots,
    kills: u64,
    /// Sleepers counted too many at its end.
    sleepers: u64,
}

/// Ends the fire even if the work panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Works on a load while its workers are killed `quota` times, and looks at what is left in the region.
fn live(
    load: &mut dyn Load,
    oracle: &mut Oracle,
    quota: u64,
    random: &mut StdRng,
    tick: &mut dyn FnMut(u64, &Verdict),
) -> Life {
    let view = View::new();
    let (kills, over, done) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let pids = load.pids();
    let seed = random.random();
    let mut verdict = Verdict::default();
    let shots = std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let shots = Killer::new(&*pids, &view, seed, &kills).run(quota, &over);
            done.store(true, Relaxed);
            shots
        });
        let _over = Over(&over);
        while !done.load(Relaxed) {
            let before = load.deaths();
            let round = load.round(oracle, random);
            // Of a death only the job in hand is run again. A death is counted before anybody can see what it has cost.
            let deaths = load.deaths() - before;
            assert!(round.again <= deaths, "{} jobs were run again after {deaths} deaths", round.again);
            verdict += round;
            tick(kills.load(Relaxed), &verdict);
        }
        killer.join().unwrap()
    });
    // One without kills, and the workers come to rest.
    verdict += load.round(oracle, random);
    let kills = kills.into_inner();
    // Waits until the last of these deaths has been dealt with.
    assert_eq!(load.deaths(), kills, "each kill hit a worker that lived, and nobody else died");
    let sleepers = load.at_rest(&view);
    // A dead sleeper is taken back but for a few nanoseconds of its sleep; the parent sleeps nowhere now.
    assert!(sleepers <= 2 + kills / 10_000, "{sleepers} sleepers are counted too many after {kills} kills");
    Life { verdict, shots, kills, sleepers }
}

fn random_kills_lose_nothing() {
    let total = crate::amount("GRISTMILL_KILLS", 5_000);
    let seed = crate::seed();
    let before = Held::now();
    let mut oracle = Oracle::new(1 << 16);
    let dog = Watchdog::new(Duration::from_secs(crate::amount("GRISTMILL_PATIENCE", 120)), format!("the start, seed {seed}"));
    let (start, mut said) = (Instant::now(), Instant::now());
    let (mut kills, mut sleepers, mut verdict, mut shots) = (0, 0, Verdict::default(), Shots::default());
    let mut memory = None;
    for life in 0.. {
        if kills >= total {
            break;
        }
        // What a life draws depends on how long it takes. The next one does not depend on that.
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(life as u64));
        let policy = [WaitPolicy::Adaptive, WaitPolicy::Block, WaitPolicy::Adaptive, WaitPolicy::Spin][life / 4 % 4];
        let mut load = loads::choose(life, WORKERS, policy, StartMethod::Spawn);
        let quota = random.random_range(A_LIFE).min(total - kills);
        let mut tick = |now: u64, here: &Verdict| {
            dog.feed(format!("life {life}, {}, {policy:?}, after {} kills, seed {seed}", loads::name(life), kills + now));
            if said.elapsed() > Duration::from_secs(5) {
                said = Instant::now();
                let (n, seconds) = (kills + now, start.elapsed().as_secs());
                eprintln!("storm: {n} of {total} kills, {} jobs, {seconds} s", verdict.jobs + here.jobs);
            }
        };
        let ended = live(&mut *load, &mut oracle, quota, &mut random, &mut tick);
        drop(load);
        assert!(ended.verdict.is_clean(), "life {life}, {}: {:?}, seed {seed}", loads::name(life), ended.verdict);
        assert!(ended.verdict.failed <= ended.kills, "more jobs failed than workers were killed: {:?}", ended.verdict);
        kills += ended.kills;
        sleepers += ended.sleepers;
        verdict += ended.verdict;
        shots += &ended.shots;
        if life == 7 {
            memory = Some(resident());
        }
    }
    let grown = memory.map_or(0, |memory| resident().saturating_sub(memory));
    assert!(grown < 32 << 20, "this process has grown by {grown} bytes");
    drop((oracle, dog));
    before.compare();
    let ways: Vec<_> = WAYS.iter().zip(shots.ways).map(|(way, kills)| format!("{way:?} {kills}")).collect();
    println!("storm: ways: {}", ways.join(", "));
    assert!(
        kills < 5_000 || shots.ways.iter().all(|&kills| kills > 0),
        "nobody was killed in one of the ways: {}",
        ways.join(", ")
    );
    println!("storm: sleepers counted too many, over all regions: {sleepers}");
    assert!(sleepers <= 2 + kills / 10_000, "{sleepers} sleepers are counted too many after {kills} kills");
    println!("storm: from kill to repair: {}", shots.repaired);
    println!("storm: from kill to another in its place: {}", shots.replaced);
    println!(
        "storm: {kills} kills, {} jobs, {} failed with their worker, {} lost, {} doubled, 0 hung, \
         recovery {}, {:.0} s, seed {seed}",
        verdict.jobs,
        verdict.failed,
        verdict.lost + verdict.wrong,
        verdict.doubled,
        shots.repaired,
        start.elapsed().as_secs_f64(),
    );
    assert_eq!(shots.repaired.count(), kills, "each kill was measured");
}

pub const TESTS: crate::Tests = &[("random_kills_lose_nothing", random_kills_lose_nothing)];
