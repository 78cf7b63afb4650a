//! A worker is killed while it owns each lock of the region.
//!
//! By chance, not by a hook: workers are busy with everything that takes locks; one whom a lock word names is stopped, the words are looked at
//! again while it cannot move, and it is killed if one still names it. What it had in hand at that moment is known exactly, so what may be done twice is known too.

use crate::harness::{list, wait_for};
use crate::system::{go_on, kill, stopped};
use crate::view::View;
use crate::workers::{check_results, echo_jobs};
use gristmill::layout::State;
use gristmill::sys::limits;
use gristmill::sys::pidfd::Pidfd;
use gristmill::{JoinableQueue, Mill, Queue, WaitPolicy};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

list! {
    killed_while_it_owns_each_lock
    so_with_spinning
    so_with_sleeping_at_once
    a_lock_that_names_nobody_ends_the_region_with_an_error
    a_lock_that_names_the_parent_for_ever_ends_the_region_with_an_error
}

/// Jobs and results that need the arena, so that all locks are busy.
struct Busy {
    mill: Mill,
    jobs: JoinableQueue<Vec<u8>>,
    results: Queue<Vec<u8>>,
    daemons: gristmill::Daemons,
    view: View,
}

/// Puts and takes until `stop`, then tells how many jobs there were; results are their first eight bytes.
fn feed(busy: &Busy, stop: &AtomicBool, numbers: &AtomicU64) -> Vec<u64> {
    let mut got = vec![];
    let mut n = 0u64;
    let number = |item: Vec<u8>| {
        let (number, rest) = item.split_first_chunk().unwrap();
        let number = u64::from_le_bytes(*number);
        assert!(
            rest.iter().all(|&b| b == number as u8) && rest.len() == 600 + number as usize % 2000,
            "job {number} came back changed"
        );
        number
    };
    while !stop.load(SeqCst) {
        let mut payload = n.to_le_bytes().to_vec();
        payload.resize(8 + 600 + n as usize % 2000, n as u8);
        busy.jobs.put(payload).unwrap();
        n += 1;
        numbers.store(n, SeqCst);
        if n.is_multiple_of(64) {
            got.extend(busy.results.drain().unwrap().into_iter().map(number));
        }
    }
    busy.jobs.join().unwrap();
    got.extend(busy.results.drain().unwrap().into_iter().map(number));
    got
}

fn busy(policy: WaitPolicy) -> Busy {
    let mill = Mill::builder().wait_policy(policy).retries(1000).arena_size(256 * 1024).build().unwrap();
    let jobs = mill.joinable_queue(128).unwrap();
    let results = mill.queue(128).unwrap();
    let daemons = mill.spawn_daemons(3, echo_jobs, (&jobs, &results)).unwrap();
    Busy { view: View::new(), mill, jobs, results, daemons }
}

/// What is looked for, and how often it was met.
fn aims(view: &View) -> Vec<(&'static str, u32)> {
    let locks = view.locks().into_iter().map(|l| (l.0, 0));
    let states = ["a job RUNNING", "a job FINISHED and not delivered", "a slot OWNED", "nothing"];
    locks.chain(states.map(|s| (s, 0))).collect()
}

/// What the participant, which cannot move, has in hand: indices of aims.
fn in_hand(view: &View, id: u16) -> Vec<usize> {
    let locks = view.locks();
    let mut met: Vec<usize> = (0..locks.len()).filter(|&k| locks[k].1.owner() == Some(id)).collect();
    let states = [
        !view.owned(0, id, State::Running).is_empty(),
        !view.owned(0, id, State::Finished).is_empty(),
        !view.owned(1, id, State::Owned).is_empty(),
    ];
    met.extend((0..states.len()).filter(|&k| states[k]).map(|k| locks.len() + k));
    if met.is_empty() {
        met.push(locks.len() + states.len());
    }
    met
}

fn kill_owners(policy: WaitPolicy) {
    const EACH: u32 = 1;
    // On one processor nobody is seen inside a lock, but by rare chance: there stepped.rs alone meets these states.
    let (alone, cpus) = (limits::cpus() == 1, limits::cpu_numbers());
    let most = if alone { 1000 } else { 60_000 };
    let mut random = rand::rngs::StdRng::seed_from_u64(crate::numbers::seed());
    let busy = busy(policy);
    let (end, numbers) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut aims = aims(&busy.view);
    let (mut tries, mut kills, mut running) = (0, 0, 0);
    let mut may_repeat = BTreeSet::new();
    let mut seen = BTreeSet::new();
    // A lock is held for less than it takes to look a process up in /proc: who is to be stopped in it must be at hand.
    let mut handles = BTreeMap::new();
    let got = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&busy, &end, &numbers));
        while tries < most && aims.iter().any(|a| a.1 < EACH) && !feeder.is_finished() {
            let pids: Vec<u32> = busy.daemons.pids().into_iter().filter(|p| !seen.contains(p)).collect();
            // Who shares a CPU with all workers finds them where they gave it away, which is never inside a lock, and may stay there for ever.
            if tries % 64 == 0
                && let Some(&cpu) = cpus.choose(&mut random)
            {
                limits::pin(cpu).unwrap();
            }
            // One that has a lock that is still wanted, or had it a moment ago; else any.
            let wanted: Vec<_> =
                busy.view.locks().into_iter().zip(&aims).filter(|(_, a)| a.1 < EACH).map(|(l, _)| l.1).collect();
            let looks = random.random_range(0..3000);
            let owner = (0..looks).find_map(|_| wanted.iter().find_map(|l| l.owner().filter(|&id| id != 1)));
            let pid_of = |id| busy.view.region.participant(id).map(|p| p.pid.load(Relaxed));
            let pid = owner.and_then(pid_of).filter(|p| pids.contains(p)).or_else(|| pids.choose(&mut random).copied());
            let Some(pid) = pid else { continue };
            let Some(id) = busy.view.id_of(pid) else { continue };
            // The signal takes longer to arrive than a lock is held: sent at once it would always come just after.
            (0..random.random_range(0..200)).for_each(|_| std::hint::spin_loop());
            let Ok(handle) = handles.entry(pid).or_insert_with(|| Pidfd::open(pid)) else {
                panic!("worker {pid} died by itself")
            };
            assert!(handle.kill(libc::SIGSTOP).is_ok() && stopped(pid), "worker {pid} died by itself");
            tries += 1;
            let met = in_hand(&busy.view, id);
            // The number of what it runs; its slot cannot change while it is stopped.
            if met.iter().any(|&k| aims[k].1 < EACH) {
                for (slot, _) in busy.view.owned(0, id, State::Running) {
                    // The same one may be met again.
                    may_repeat.insert(busy.view.channel(0).ticket(slot));
                    running += 1;
                }
                met.iter().for_each(|&k| aims[k].1 += 1);
                kills += 1;
                seen.insert(pid);
                kill(pid, libc::SIGKILL);
            } else {
                go_on(pid);
            }
        }
        end.store(true, SeqCst);
        feeder.join().unwrap()
    });
    println!("{kills} kills in {tries} tries: {aims:?}");
    assert!(alone || aims.iter().all(|a| a.1 >= EACH), "not all were met");
    // Nothing waits for the death of one that had nothing in hand.
    wait_for(|| busy.daemons.deaths() >= kills);
    let stats = busy.mill.stats();
    assert_eq!((stats.deaths, busy.daemons.deaths()), (kills, kills));
    assert_eq!(stats.run_again, running, "only what was running is run again: {stats:?}");
    check_results(got, numbers.load(SeqCst), |n| may_repeat.contains(&n));
    all_is_free(&busy);
}

/// Every lock, slot and block is there again.
fn all_is_free(busy: &Busy) {
    let all = vec![7; 256 * 1024 - 3];
    for _ in 0..3 {
        busy.jobs.put(all.clone()).unwrap();
        assert!(busy.results.get().unwrap() == all, "one payload may have the whole arena");
        busy.jobs.join().unwrap();
    }
    for k in 0..2 {
        let channel = busy.view.channel(k);
        // What the parent has just taken ends with its next step.
        let free = channel.in_state(State::Free) + busy.view.owned(k, 1, State::Finished).len();
        assert_eq!(free, channel.capacity() as usize);
    }
    for (name, lock) in busy.view.locks() {
        assert_eq!(lock.owner(), None, "{name}");
    }
}

fn killed_while_it_owns_each_lock() {
    kill_owners(WaitPolicy::Adaptive);
}

fn so_with_spinning() {
    kill_owners(WaitPolicy::Spin);
}

fn so_with_sleeping_at_once() {
    kill_owners(WaitPolicy::Block);
}

/// Something has written over a lock. Who waits for it waits for somebody who is none: the supervisor, called, finds that out, and everybody gets an
/// error.
fn overwritten_with(owner: u16) {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(8).unwrap();
    let view = View::new();
    view.channel(0).desc().job_lock.word.store(owner.into(), SeqCst);
    let refused = jobs.put(1).unwrap_err().to_string();
    assert!(refused.contains("contradict each other"), "{refused}");
    // And to drop the Mill does not wait for that lock.
    drop(mill);
}

fn a_lock_that_names_nobody_ends_the_region_with_an_error() {
    overwritten_with(99);
}

fn a_lock_that_names_the_parent_for_ever_ends_the_region_with_an_error() {
    overwritten_with(1);
}
