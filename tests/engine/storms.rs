//! Hundreds of kills at any moment on one Mill: idle workers, busy ones, stopped ones. At the end every count is exact.

use crate::harness::{list, wait_for};
use crate::system::{kill, stop};
use crate::workers::{check_results, echo, square, tally};
use gristmill::{Daemons, JoinableQueue, Mill, Queue, Task, WaitPolicy, tasks};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::Duration;

list! {
    hundreds_of_kills_of_busy_workers
    so_with_spinning
    so_with_sleeping_at_once
    hundreds_of_kills_of_idle_workers
    kills_of_stopped_workers
    kills_while_bundles_run
    kills_lose_at_most_the_item_in_hand_of_a_plain_queue
    all_workers_killed_at_once_again_and_again
}

pub fn tasks() -> Vec<Task> {
    tasks![square_many]
}

/// Kills processes of a group, each only once, and counts.
struct Killer<'a, R> {
    daemons: &'a Daemons,
    random: R,
    killed: BTreeSet<u32>,
}

fn killer(daemons: &Daemons) -> Killer<'_, impl Rng + use<>> {
    Killer { daemons, random: rand::rngs::StdRng::seed_from_u64(crate::numbers::seed()), killed: BTreeSet::new() }
}

impl<R: Rng> Killer<'_, R> {
    /// Kills one that was not killed yet, if there is one, stopped first if so wanted.
    fn one(&mut self, stopped: bool) {
        let pids: Vec<u32> = self.daemons.pids().into_iter().filter(|p| !self.killed.contains(p)).collect();
        if let Some(&pid) = pids.choose(&mut self.random) {
            if stopped {
                stop(pid);
                self.pause(300);
            }
            self.killed.insert(pid);
            kill(pid, libc::SIGKILL);
        }
    }

    fn pause(&mut self, most_micros: u64) {
        std::thread::sleep(Duration::from_micros(self.random.random_range(0..most_micros)));
    }
}

const CAPACITY: u64 = 256;

fn busy(policy: WaitPolicy, kills: usize, stopped: bool) {
    let mill = Mill::builder().wait_policy(policy).retries(1000).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(CAPACITY as usize).unwrap();
    let results = mill.queue::<(u64, u64)>(CAPACITY as usize).unwrap();
    let daemons = mill.spawn_daemons(4, square, (&jobs, &results)).unwrap();
    let mut killer = killer(&daemons);
    let (end, put) = (AtomicBool::new(false), AtomicU64::new(0));
    let (count, got) = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let (mut n, mut got) = (0, vec![]);
            while !end.load(SeqCst) {
                jobs.put(n).unwrap();
                n += 1;
                put.store(n, Relaxed);
                if n % 512 == 0 {
                    got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
                }
            }
            jobs.join().unwrap();
            got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
            (n, got)
        });
        while killer.killed.len() < kills && !feeder.is_finished() {
            killer.one(stopped);
            killer.pause(4000);
            // Workers that die again and again before they have done anything are given up: on a busy machine they may not come to it.
            let (before, killed) = (put.load(Relaxed), killer.killed.len());
            while killed.is_multiple_of(20) && put.load(Relaxed) < before + 2 * CAPACITY && !feeder.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        end.store(true, SeqCst);
        feeder.join().unwrap()
    });
    wait_for(|| mill.stats().deaths == killer.killed.len() as u64);
    assert_eq!(daemons.deaths(), killer.killed.len() as u64);
    let stats = mill.stats();
    assert_eq!(stats.given_up, 0);
    // A result too many comes only from a job that was run again.
    let repeated = tally(got.iter().copied()).values().filter(|&&n| n > 1).count() as u64;
    assert!(repeated <= stats.run_again, "{repeated} repeated, {stats:?}");
    check_results(got, count, |_| true);
    still_works(&jobs, &results);
}

/// With all slots and all workers, and exactly.
fn still_works(jobs: &JoinableQueue<u64>, results: &Queue<(u64, u64)>) {
    assert_eq!((jobs.pending(), jobs.qsize(), results.qsize()), (0, 0, 0));
    let many = 4 * jobs.capacity() as u64;
    (0..many).for_each(|n| jobs.put(n).unwrap());
    jobs.join().unwrap();
    check_results(results.drain().unwrap().into_iter().map(|r| r.0), many, |_| false);
}

fn hundreds_of_kills_of_busy_workers() {
    busy(WaitPolicy::Adaptive, 400, false);
}

fn so_with_spinning() {
    busy(WaitPolicy::Spin, 60, false);
}

fn so_with_sleeping_at_once() {
    busy(WaitPolicy::Block, 150, false);
}

fn kills_of_stopped_workers() {
    busy(WaitPolicy::Adaptive, 100, true);
}

/// Nothing that these workers do is at fault: they wait for jobs. So they are replaced, however many are killed.
fn hundreds_of_kills_of_idle_workers() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let view = crate::view::View::new();
    let mut killer = killer(&daemons);
    while killer.killed.len() < 200 {
        // Workers, not programs that are about to become some.
        wait_for(|| daemons.pids().iter().any(|&p| !killer.killed.contains(&p) && asleep(&view, p)));
        let pids = daemons.pids();
        let pid = pids.into_iter().find(|&p| !killer.killed.contains(&p) && asleep(&view, p));
        if let Some(pid) = pid {
            killer.killed.insert(pid);
            kill(pid, libc::SIGKILL);
        }
    }
    wait_for(|| daemons.deaths() == 200);
    assert_eq!((mill.stats().deaths, mill.stats().run_again), (200, 0));
    still_works(&jobs, &results);
}

fn asleep(view: &crate::view::View, pid: u32) -> bool {
    view.id_of(pid).is_some_and(|id| view.region.participant(id).is_some_and(|p| p.sleeps_on.load(SeqCst) != 0))
}

/// Takes and does many at a time.
fn square_many(jobs: &JoinableQueue<u64>, results: &Queue<(u64, u64)>) {
    while let Ok(taken) = jobs.get_many(64) {
        if results.put_many(taken.iter().map(|&n| (n, n.wrapping_mul(n)))).is_err() {
            return;
        }
        taken.task_done();
    }
}

/// Bundles in both directions. A worker that dies with a bundle costs what it had in hand, and everything counts item by item.
fn kills_while_bundles_run() {
    let mill = Mill::builder().retries(1000).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(1024).unwrap();
    let results = mill.queue::<(u64, u64)>(1024).unwrap();
    let daemons = mill.spawn_daemons(2, square_many, (&jobs, &results)).unwrap();
    mill.spawn_daemons(1, square, (&jobs, &results)).unwrap();
    let mut killer = killer(&daemons);
    let (mut put, mut got) = (0u64, vec![]);
    while killer.killed.len() < 100 {
        put += jobs.put_many(put..put + 2000).unwrap() as u64;
        got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
        killer.one(false);
    }
    jobs.join().unwrap();
    got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
    wait_for(|| mill.stats().deaths == 100);
    check_results(got, put, |_| true);
    still_works(&jobs, &results);
}

fn kills_lose_at_most_the_item_in_hand_of_a_plain_queue() {
    let mill = Mill::builder().build().unwrap();
    let items = mill.queue::<Vec<u8>>(128).unwrap();
    let back = mill.queue::<Vec<u8>>(128).unwrap();
    let daemons = mill.spawn_daemons(3, echo, (&items, &back)).unwrap();
    let mut killer = killer(&daemons);
    let (mut put, mut got) = (0u64, vec![]);
    let number = |item: Vec<u8>| u64::from_le_bytes(item[..8].try_into().unwrap());
    let item = |n: u64| [&n.to_le_bytes()[..], &vec![0; n as usize % 700]].concat();
    while killer.killed.len() < 100 {
        for _ in 0..50 {
            items.put(item(put)).unwrap();
            put += 1;
        }
        put += items.put_many((put..put + 50).map(item)).unwrap() as u64;
        got.extend(back.drain().unwrap().into_iter().map(number));
        killer.one(false);
    }
    wait_for(|| mill.stats().deaths == 100);
    items.close();
    // There may be more on the way than there is room for: who waits for room comes to no end if nobody takes anything.
    std::thread::scope(|scope| {
        let end = scope.spawn(|| daemons.join());
        while !end.is_finished() {
            got.extend(back.drain().unwrap().into_iter().map(number));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    got.extend(back.drain().unwrap().into_iter().map(number));
    let tally = tally(got);
    assert!(tally.values().all(|&n| n == 1), "an item came twice");
    let missing = (0..put).filter(|n| !tally.contains_key(n)).count();
    assert!(missing <= 100, "{missing} of {put} items are missing after 100 deaths");
    assert!(items.empty());
}

fn all_workers_killed_at_once_again_and_again() {
    let mill = Mill::builder().retries(1000).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    let daemons = mill.spawn_daemons(6, square, (&jobs, &results)).unwrap();
    let mut got = vec![];
    let mut killed = BTreeSet::new();
    for round in 0..20 {
        for n in 0..200 {
            jobs.put(round * 200 + n).unwrap();
            if n == 100 {
                let pids = daemons.pids();
                killed.extend(pids.iter().copied());
                pids.into_iter().for_each(|pid| kill(pid, libc::SIGKILL));
            }
        }
        jobs.join().unwrap();
        got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
    }
    check_results(got, 4000, |_| true);
    wait_for(|| mill.stats().deaths == killed.len() as u64);
    still_works(&jobs, &results);
}
