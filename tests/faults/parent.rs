//! The parent is killed at a random moment, while it builds a pool, works, or ends it: nothing of it stays but what it gave a name.
//!
//! Each parent is this binary in a role: its workers are spawned or forked, its region has no name, or one, or is in a file. This process is made
//! the one to which orphans fall, so it sees every process that a dead parent leaves, even one that was being started. What each parent has at a
//! moment it notes in a word that both see; so a name or a file that is left is one that had to be, and one that is not was not to be.
//! `GRISTMILL_PARENT_KILLS=10000` takes about eight minutes.

use crate::held::{Held, Watchdog};
use crate::killer::Times;
use crate::oracle::Oracle;
use crate::{common, loads};
use gristmill::sys::mapping::Mapping;
use gristmill::sys::{clock, spawn};
use gristmill::{Mill, MillBuilder, StartMethod, WaitPolicy};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::os::fd::{AsFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// The word's descriptor in a parent: a number that nothing else gets.
const WORD: RawFd = 500;

/// What a parent has that outlives it: nothing, a name, a file, or one of them perhaps, since it is being made or removed.
const NOTHING: u32 = 0;
const NAME: u32 = 1;
const FILE: u32 = 2;
const PERHAPS: u32 = 3;

fn word(mapping: &Mapping) -> &AtomicU32 {
    // SAFETY: the mapping is page-aligned, all zero at first, and changed through this word only; it lives as long as the reference.
    unsafe { &*mapping.base().cast() }
}

/// Where a region of this name is, and where the file.
fn places(name: &str) -> [PathBuf; 2] {
    [Path::new("/dev/shm").join(name), std::env::temp_dir().join(name)]
}

/// In the role of a parent: works until it is killed; one life in a few is short, so that ends are met as well.
pub fn role(arg: &str) {
    let (seed, name) = arg.split_once(' ').expect("a seed, then a name");
    let mut random = StdRng::seed_from_u64(seed.parse().unwrap());
    let mapping = Mapping::from_fd(spawn::inherited(WORD).unwrap()).unwrap();
    let word = word(&mapping);
    let [_, file] = places(name);
    let mut oracle = Oracle::new(1 << 16);
    loop {
        let policy = [WaitPolicy::Adaptive, WaitPolicy::Block, WaitPolicy::Spin][random.random_range(0..3)];
        let start = [StartMethod::Spawn, StartMethod::Fork][random.random_range(0..2)];
        let mill = Mill::builder().wait_policy(policy).start_method(start);
        let (has, mill) = match random.random_range(0..4) {
            0 => (NAME, mill.name(name)),
            1 => (FILE, mill.file(&file)),
            _ => (NOTHING, mill),
        };
        let between = if has == NOTHING { NOTHING } else { PERHAPS };
        word.store(between, SeqCst);
        let mut load = match has {
            NOTHING => loads::choose(random.random_range(0..4), 3, policy, start),
            _ => loads::queues(mill, 3, random.random()),
        };
        word.store(has, SeqCst);
        for _ in 0..random.random_range(0..30) {
            load.round(&mut oracle, &mut random).clean();
        }
        word.store(between, SeqCst);
        drop(load);
        if has == FILE {
            fs::remove_file(&file).expect("the file stays");
        }
        word.store(NOTHING, SeqCst);
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

/// What a killed parent has left is what it had, and nobody takes it for theirs; removed as the documentation says, its place is free. Tells what was
/// left.
fn left_as_documented(name: &str, had: u32) -> [bool; 2] {
    let places = places(name);
    let left = [places[0].exists(), places[1].exists()];
    let right: &[[bool; 2]] = match had {
        NOTHING => &[[false, false]],
        NAME => &[[true, false]],
        FILE => &[[false, true]],
        _ => &[[false, false], [true, false], [false, true]],
    };
    assert!(right.contains(&left), "a parent that had {had} leaves name and file: {left:?}");
    let small = Mill::builder().region_size(1 << 20).arena_size(64 << 10);
    let anew: [MillBuilder; 2] = [small.clone().name(name), small.file(&places[1])];
    for (n, (place, builder)) in places.iter().zip(anew).enumerate().filter(|(n, _)| left[*n]) {
        let why = builder.clone().build().map(drop).expect_err("it is another's").to_string();
        let told = why.contains("remove it if its owner has died") && why.contains(&*place.to_string_lossy());
        assert!(told && why.lines().count() == 1, "{why}");
        fs::remove_file(place).unwrap();
        drop(builder.build().unwrap());
        if n == 0 {
            assert!(!place.exists(), "a name goes with its Mill");
        } else {
            fs::remove_file(place).expect("a file stays");
        }
    }
    left
}

fn a_parent_killed_at_any_moment_leaves_nothing_but_its_name() {
    let total = crate::amount("GRISTMILL_PARENT_KILLS", 100);
    let seed = crate::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let before = Held::now();
    let dog = Watchdog::new(Duration::from_secs(30), "parents");
    let (mut times, mut late, mut orphans, mut said) = (Times::default(), 0, 0, clock::now());
    let (mut names, mut files) = (0, 0);
    let mapping = Mapping::anonymous(4096).unwrap();
    let word = word(&mapping);
    adopt(true);
    for n in 0..total {
        let name = format!("gristmill-parent-{}-{n}", std::process::id());
        word.store(NOTHING, SeqCst);
        let arg = format!("{} {name}", random.random::<u64>());
        let parent = common::start_role(None, "parent", &arg, &[(mapping.fd().as_fd(), WORD)]);
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
        let [name_left, file_left] = left_as_documented(&name, word.load(SeqCst));
        names += u64::from(name_left);
        files += u64::from(file_left);
        dog.feed(format!("parent {n}, seed {seed}"));
        if clock::now() - said > 5_000_000_000 {
            said = clock::now();
            eprintln!("parent: {n} of {total} parents killed");
        }
    }
    adopt(false);
    drop((dog, mapping));
    before.compare();
    println!(
        "parent: {total} parents killed, {orphans} while workers lived; until the last process had gone {times}; \
         {late} after more than 1 s; {names} left their name and {files} their file, seed {seed}"
    );
    assert!(total < 50 || orphans > total / 10, "too few had workers when they were killed");
    assert!(total < 50 || names > 0 && files > 0, "none had a name or a file when it was killed");
}

pub const TESTS: crate::Tests =
    &[("a_parent_killed_at_any_moment_leaves_nothing_but_its_name", a_parent_killed_at_any_moment_leaves_nothing_but_its_name)];
