//! The parent is killed at a random moment, while it builds a pool, works, or ends it: nothing of it stays.
//!
//! Each parent is this binary in a role. This process is made the one to which orphans fall, so it sees every process that a
//! dead parent leaves, even one that was being started. `GRISTMILL_PARENT_KILLS=10000` takes about eight minutes.

use crate::held::{Held, Watchdog};
use crate::killer::Times;
use crate::oracle::Oracle;
use crate::{common, loads};
use gristmill::WaitPolicy;
use gristmill::sys::clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// In the role of a parent: works until it is killed; one life in a few is short, so that ends are met as well.
pub fn role(arg: &str) {
    let seed: u64 = arg.parse().unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let mut oracle = Oracle::new(1 << 16);
    loop {
        let policy = [WaitPolicy::Adaptive, WaitPolicy::Block, WaitPolicy::Spin][random.random_range(0..3)];
        let mut load = loads::choose(random.random_range(0..4), 3, policy);
        for _ in 0..random.random_range(0..30) {
            load.round(&mut oracle, &mut random).clean();
        }
    }
}

/// Whether orphans fall to this process.
fn adopt(yes: bool) {
    // SAFETY: the call touches no memory.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(yes)) }, 0);
}

/// Waits for those orphans that have ended; tells whether any lives.
fn any_orphan(before: &Held) -> bool {
    let mut any = false;
    for pid in Held::now().children_beyond(before) {
        // SAFETY: no status is asked for; it is a child of this process that nobody else waits for.
        any |= unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0;
    }
    any
}

fn a_parent_killed_at_any_moment_leaves_nothing() {
    let total = crate::amount("GRISTMILL_PARENT_KILLS", 100);
    let seed = crate::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let before = Held::now();
    let dog = Watchdog::new(Duration::from_secs(30), "parents");
    let (mut times, mut late, mut orphans, mut said) = (Times::default(), 0, 0, clock::now());
    adopt(true);
    for n in 0..total {
        let parent = common::start_role(None, "parent", &random.random::<u64>().to_string(), &[]);
        // A third while it starts.
        let most = if n % 3 == 0 { 12_000 } else { 120_000 };
        std::thread::sleep(Duration::from_micros(random.random_range(0..most)));
        parent.pidfd.kill(libc::SIGKILL).unwrap();
        let killed = clock::now();
        let exit = common::end(&parent);
        assert!(
            matches!(exit, gristmill::Exit::Signal { signal: libc::SIGKILL, .. }),
            "parent {n} ended by itself: {exit}, seed {seed}"
        );
        orphans += u64::from(any_orphan(&before));
        // The watchdog ends what never goes.
        while any_orphan(&before) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = clock::now() - killed;
        times.add(took);
        late += u64::from(took > 1_000_000_000);
        dog.feed(format!("parent {n}, seed {seed}"));
        if clock::now() - said > 5_000_000_000 {
            said = clock::now();
            eprintln!("parent: {n} of {total} parents killed");
        }
    }
    adopt(false);
    drop(dog);
    before.compare();
    println!(
        "parent: {total} parents killed, {orphans} while workers lived; until the last process had gone {times}; \
         {late} after more than 1 s, seed {seed}"
    );
    assert!(total < 50 || orphans > total / 10, "too few had workers when they were killed");
}

pub const TESTS: crate::Tests =
    &[("a_parent_killed_at_any_moment_leaves_nothing", a_parent_killed_at_any_moment_leaves_nothing)];
