//! A hardened mill is closed to other processes of the same user; one that is not is open, which shows that the attempts are real ones.
//!
//! Root may do everything, so a test that runs as root becomes another user first: victim and intruder are processes of that one user.
#![allow(missing_docs)] // A test has no reader but this file's.

#[path = "common/mod.rs"]
mod common;

use gristmill::sys::pidfd::Exit;
use gristmill::{Mill, ProcessPool, SharedVec, SliceError, StartMethod, tasks};
use libtest_mimic::{Arguments, Trial};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// An ordinary user, for tests that run as root.
const NOBODY: u32 = 65_534;

fn double(n: u64) -> u64 {
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
    let tests: [(&str, fn()); 5] = [
        ("whoever_is_not_hardened_is_open_to_its_user", || assert_eq!(attempts("open"), [true; 6])),
        ("a_hardened_pool_is_closed_to_its_user", || assert_eq!(attempts("spawn"), [false; 6])),
        ("so_is_one_whose_workers_are_forked", || assert_eq!(attempts("fork"), [false; 6])),
        ("its_region_is_in_no_core_dump", || {
            assert!(!dumped_regions("spawn").contains(&true));
            assert!(dumped_regions("open").contains(&true));
        }),
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
    region: i32,
}

impl Victim {
    fn start(how: &str) -> Victim {
        let mut process = as_ordinary_user("victim", how).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let numbers: Vec<u32> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let &[worker, region] = &numbers[..] else { panic!("the victim says {line:?}") };
        Victim { process, worker, region: region as i32 }
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
    let builder = ProcessPool::builder().workers(1);
    let builder = if how == "open" { builder } else { builder.hardened() };
    let builder = if how == "fork" { builder.start_method(StartMethod::Fork) } else { builder };
    let pool = builder.build(double).unwrap();
    assert_eq!(pool.submit(4).unwrap().result(), Ok(8));
    let is_region = |fd: &i32| {
        fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|to| to.to_string_lossy().contains("memfd:gristmill"))
    };
    let region = (3..100).find(is_region).expect("the region's descriptor");
    println!("{} {region}", pool.worker_pids()[0]);
    let _ = std::io::stdin().read_line(&mut String::new());
    // What is closed to others works inside.
    assert_eq!(pool.map(0..1000).unwrap().map(|n| n.unwrap()).sum::<u64>(), 999_000);
}

/// What an intruder of the same user reaches: of the parent the region's descriptor, the memory, control as a tracer; of the worker where its
/// mappings are, the memory, control.
fn attempts(how: &str) -> [bool; 6] {
    let victim = Victim::start(how);
    let arg = format!("{},{},{}", victim.process.id(), victim.region, victim.worker);
    let output = as_ordinary_user("intruder", &arg).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let reached: Vec<bool> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    reached.try_into().unwrap()
}

fn intrude(arg: &str) {
    let [parent, region, worker] = arg.split(',').collect::<Vec<_>>().try_into().unwrap();
    let opened = |path: String| File::options().read(true).write(true).open(path);
    let descriptor = opened(format!("/proc/{parent}/fd/{region}")).is_ok_and(|file| file.write_at(b"x", 0).is_ok());
    let memory = |pid: &str| opened(format!("/proc/{pid}/mem")).is_ok();
    let mappings = fs::read_to_string(format!("/proc/{worker}/maps")).is_ok_and(|maps| maps.contains("memfd:gristmill"));
    let traced = |pid: &str| {
        // SAFETY: the call touches no memory of ours; the tracee goes on when this process ends.
        unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid.parse::<i32>().unwrap(), 0, 0) == 0 }
    };
    let reached = [descriptor, memory(parent), traced(parent), mappings, memory(worker), traced(worker)];
    println!("{}", reached.map(|r| r.to_string()).join(" "));
}

/// For each mapping of a region in parent and worker, whether a core dump would have it: read by root, or not at all.
fn dumped_regions(how: &str) -> Vec<bool> {
    let victim = Victim::start(how);
    let mut found = vec![];
    for pid in [victim.process.id(), victim.worker] {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps")) else {
            eprintln!("only root can look into a hardened process: not checked");
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
