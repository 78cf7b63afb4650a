//! A hardened mill is closed to other processes of the same user; one that is not is open, which shows that the attempts are real ones.
//!
//! Root may do everything, so a test that runs as root becomes another user first: victim and intruder are processes of that one user.
#![allow(missing_docs)] // A test has no reader but this file's.

#[path = "common/mod.rs"]
mod common;
#[path = "common/reach.rs"]
mod reach;
#[path = "common/skip.rs"]
mod skip;

use gristmill::sys::pidfd::Exit;
use gristmill::{Error, Mill, ProcessPool, SharedVec, SliceError, StartMethod, tasks};
use libtest_mimic::{Arguments, Trial};
use skip::skipped;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// An ordinary user, for tests that run as root.
const NOBODY: u32 = 65_534;

/// The worker of a victim, too, is closed by nothing else than what is tested.
fn double(n: u64) -> u64 {
    reach::open_to_tracers();
    2 * n
}

fn add_one(_: usize, items: &mut [u64]) {
    items.iter_mut().for_each(|n| *n += 1);
}

fn main() {
    gristmill::init(tasks![double, add_one]);
    match common::role() {
        Some((role, how)) if role == "victim" => return victim(&how),
        Some((role, _)) if role == "vectors" => return vectors(),
        Some((role, pids)) if role == "intruder" => return intrude(&pids),
        _ => {}
    }
    let tests: [(&str, fn()); 7] = [
        ("whoever_is_not_hardened_is_open_to_its_user", is_open),
        ("a_hardened_pool_is_closed_to_its_user", || assert_eq!(attempts("spawn"), closed())),
        ("so_is_one_whose_workers_are_forked", || assert_eq!(attempts("fork"), closed())),
        ("its_workers_gain_no_rights_by_executing_programs", gains_no_rights),
        ("its_region_is_in_no_core_dump", || {
            assert!(!dumped_regions("spawn").contains(&true));
            assert!(dumped_regions("open").contains(&true));
        }),
        ("it_has_no_region_that_others_could_open_and_says_so", refuses_places),
        ("it_has_no_shared_vectors_and_says_so", refuses_vectors),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// A process with a pool of one worker that has run a job; `worker` is that one.
struct Victim {
    process: Child,
    worker: u32,
}

impl Victim {
    fn start(how: &str) -> Victim {
        let mut process = as_ordinary_user("victim", how).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let worker = line.trim().parse().unwrap_or_else(|_| panic!("the victim says {line:?}"));
        Victim { process, worker }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// This program in a role; a new program, so that what it may do is as the system has it by default.
fn as_ordinary_user(role: &str, arg: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(common::role_args(role, arg)).env("RUST_BACKTRACE", "0");
    // SAFETY: the call touches no memory.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn victim(how: &str) {
    reach::open_to_tracers();
    let builder = ProcessPool::builder().workers(1);
    let builder = if how == "open" { builder } else { builder.hardened() };
    let builder = if how == "fork" { builder.start_method(StartMethod::Fork) } else { builder };
    let pool = builder.build(double).unwrap();
    assert_eq!(pool.submit(4).unwrap().result(), Ok(8));
    println!("{}", pool.worker_pids()[0]);
    let _ = std::io::stdin().read_line(&mut String::new());
    // What is closed to others works inside.
    assert_eq!(pool.map(0..1000).unwrap().map(|n| n.unwrap()).sum::<u64>(), 999_000);
}

/// What goes of all attempts, at the parent and at its worker.
type Reached = [BTreeSet<String>; 2];

fn closed() -> Reached {
    [BTreeSet::new(), BTreeSet::new()]
}

/// What an intruder of the same user reaches of the parent and of the worker.
fn attempts(how: &str) -> Reached {
    let victim = Victim::start(how);
    let arg = format!("{},{}", victim.process.id(), victim.worker);
    let output = as_ordinary_user("intruder", &arg).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let [parent, worker] = text.lines().collect::<Vec<_>>().try_into().expect("a line for each");
    [parent, worker].map(|went| went.split(", ").filter(|what| !what.is_empty()).map(String::from).collect())
}

fn intrude(pids: &str) {
    for pid in pids.split(',') {
        println!("{}", Vec::from_iter(reach::into(pid.parse().unwrap())).join(", "));
    }
}

fn is_open() {
    if reach::nobody_may_trace() {
        return skipped("Yama lets nobody trace here, so nothing is open");
    }
    let all = BTreeSet::from(reach::ALL.map(String::from));
    let [parent, mut worker] = attempts("open");
    assert_eq!(parent, all);
    // A worker has closed the region's descriptor; what it has left can be copied, but need not be what can be opened.
    worker.insert("a descriptor".into());
    assert_eq!(worker, all);
}

/// Whether a process has given up for good to gain rights by executing programs.
fn has_given_up_rights(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).expect("the kernel tells");
    value.trim() == "1"
}

fn gains_no_rights() {
    for how in ["spawn", "fork"] {
        let victim = Victim::start(how);
        assert!(has_given_up_rights(victim.worker), "{how}");
    }
    if has_given_up_rights(std::process::id()) {
        return skipped("this process has no rights to gain by executing programs, so no other process has");
    }
    assert!(!has_given_up_rights(Victim::start("open").worker));
    // The program itself may still do what it could.
    assert!(!has_given_up_rights(Victim::start("spawn").process.id()));
}

/// For each mapping of a region in parent and worker, whether a core dump would have it: read by root, or not at all.
fn dumped_regions(how: &str) -> Vec<bool> {
    let victim = Victim::start(how);
    let mut found = vec![];
    for pid in [victim.process.id(), victim.worker] {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps")) else {
            skipped("only root can look into a hardened process");
            return vec![how == "open"];
        };
        let mut inside = false;
        for line in text.lines() {
            if line.split_once(' ').is_some_and(|(range, _)| range.contains('-')) {
                inside = line.contains("memfd:gristmill");
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                found.push(!flags.split_whitespace().any(|flag| flag == "dd"));
            }
        }
    }
    assert_eq!(found.len(), 2);
    found
}

/// Before anything is made or this process is closed.
fn refuses_places() {
    let path = common::Scratch::new("hardened");
    let mut builders = vec![Mill::builder().file(&path.0).hardened(), Mill::builder().hardened().file(&path.0)];
    #[cfg(feature = "named")]
    builders.push(Mill::builder().name("gristmill-test-hardened").hardened());
    for builder in builders {
        let why = builder.build().map(drop).expect_err("others could open it");
        assert!(matches!(why, Error::HardenedPlace), "{why}");
        let why = why.to_string();
        assert!(why.contains("without name() and file()") && !why.contains('\n'), "{why}");
    }
    assert!(!path.0.exists());
    // SAFETY: the call touches no memory.
    assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 1, "it was closed for nothing");
}

fn refuses_vectors() {
    let child = common::start_role(None, "vectors", "", &[]);
    assert_eq!(common::end(&child), Exit::Code(0));
}

/// In a process of its own, since it stays hardened.
fn vectors() {
    let pool = ProcessPool::builder().workers(1).hardened().build(double).unwrap();
    let mut vec = SharedVec::<u64>::zeroed(100).unwrap();
    match pool.for_each_chunk(add_one, &mut vec) {
        Err(why @ SliceError::Hardened) => assert!(why.to_string().contains("map")),
        other => panic!("{other:?}"),
    }
    assert!(Mill::builder().hardened().build().is_ok());
}
