//! A worker is stopped by SIGSTOP inside a lock of a pool that the parent and the other worker need. It goes on, or is killed, while somebody waits
//! for the lock, or is left as it is: then the supervisor ends it after seconds. Each job has its outcome in any case.
//!
//! Stopped at random moments they are in hangs.rs; inside the locks of queues, in tests/engine/stepped.rs.

use crate::held::{Held, Watchdog};
use crate::oracle::{self, Oracle, Outcome};
use crate::steps::drive::until;
use crate::steps::look::{Lock, Look};
use crate::steps::second::Second;
use crate::steps::traced::{Step, Traced, sleeps};
use gristmill::ProcessPool;
use gristmill::lock::WAITERS;
use gristmill::ring::slots::RESULTS;
use std::time::Duration;

/// How a stop in a lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    GoesOn,
    Killed,
    Left,
}

/// Too long for a slot, so that the result needs a block of the arena.
const LONG: usize = 20_000;
const MORE: u64 = 20;

pub fn echo((id, text): (u64, String)) -> String {
    let _run = oracle::run(id);
    text
}

fn text(id: u64) -> String {
    char::from(b'a' + (id % 26) as u8).to_string().repeat(LONG)
}

/// `None` if the system does not let us.
fn stopped_in(lock: Lock, end: End, oracle: &mut Oracle) -> Option<()> {
    let pool = ProcessPool::builder().workers(2).retries(1).build(echo).unwrap();
    let look = Look::new();
    let second = Second::new(|| pool.worker_pids());
    let pid = pool.worker_pids()[0];
    let asleep = |pid| look.id_of(pid).is_some_and(|id| look.sleeps_on(id).is_some()) && sleeps(pid as i32);
    until(|| asleep(pid) && asleep(second.pid()));
    let id = look.id_of(pid).expect("it sleeps");
    second.stop();
    let refused = |e: &std::io::Error| crate::skip::skipped(format!("the system does not allow ptrace: {e}"));
    let mut traced = Traced::seize(pid).inspect_err(refused).ok()?;
    let submit = |oracle: &mut Oracle| {
        let id = oracle.accept();
        (id, pool.submit((id, text(id))).unwrap())
    };
    let first = submit(oracle);
    while look.lock(lock).owner() != Some(id) {
        let step = traced.step(traced.at(), || look.sleeps_on(id).is_some());
        assert!(step == Step::Done, "it never owned the lock");
    }
    traced.leave_stopped();
    second.go_on();
    let jobs: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| end == End::Left || look.lock(lock).observe().0 & WAITERS != 0);
            match end {
                End::GoesOn => assert!(crate::system::signal(pid, libc::SIGCONT)),
                End::Killed => assert!(crate::system::signal(pid, libc::SIGKILL)),
                End::Left => {}
            }
        });
        let more: Vec<_> = (0..MORE).map(|_| submit(oracle)).collect();
        [first].into_iter().chain(more).map(|(id, job)| (id, job.result())).collect()
    });
    for (id, result) in jobs {
        let right = result.expect("a job without a value") == text(id);
        oracle.outcome(id, if right { Outcome::Value } else { Outcome::Wrong });
    }
    oracle.verdict(2).clean();
    assert_eq!(pool.stats().worker_deaths, u64::from(end != End::GoesOn));
    until(|| pool.worker_pids().into_iter().filter(|&pid| asleep(pid)).count() == 2);
    until(|| {
        // The parent takes a slot whose outcomes it has had before when it looks for others.
        drop(pool.stats());
        look.left().is_none()
    });
    Some(())
}

fn every_end_of_a_stop_in(lock: Lock) {
    let (before, dog) = (Held::now(), Watchdog::new(Duration::from_secs(60), format!("{lock:?}")));
    let mut oracle = Oracle::new(1 + MORE as usize);
    for end in [End::GoesOn, End::Killed, End::Left] {
        dog.feed(format!("stopped in {lock:?}, {end:?}"));
        if stopped_in(lock, end, &mut oracle).is_none() {
            break;
        }
    }
    drop((oracle, dog));
    before.compare();
}

fn in_the_lock_of_the_jobs() {
    every_end_of_a_stop_in(Lock::Jobs(0));
}

fn in_the_lock_of_the_results() {
    every_end_of_a_stop_in(Lock::Results(0));
}

fn in_the_lock_of_the_arena() {
    every_end_of_a_stop_in(Lock::Arena(RESULTS));
}

pub const TESTS: crate::Tests = &[
    ("in_the_lock_of_the_jobs", in_the_lock_of_the_jobs),
    ("in_the_lock_of_the_results", in_the_lock_of_the_results),
    ("in_the_lock_of_the_arena", in_the_lock_of_the_arena),
];
