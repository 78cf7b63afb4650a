//! Workers that are killed: the output is as if nothing had happened, and the report says what did.

use super::numbers::Numbers;
use super::run::{Folder, LIMIT, Run, assert_same, factor, feed, gristmill, serving, signal, start, status, workers};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// 200,000 numbers as people write them: of all sizes, the least and the greatest, primes and products of two, with plus signs
/// and zeros before them, several on a line, with blanks and empty lines between.
fn numbers(random: &mut Numbers) -> Vec<u8> {
    let special =
        [0, 1, 2, 3, 4, 4_294_967_291, 4_294_967_297, 18_446_744_030_759_878_681, u64::MAX - 58, u64::MAX - 1, u64::MAX];
    let mut text = Vec::new();
    for k in 0..200_000 {
        // Most are small: great ones take a debug build too long.
        let bits = if k % 16 == 0 { 64 } else { 1 + random.below(40) };
        let n = if k % 5000 < special.len() { special[k % 5000] } else { random.next() >> (64 - bits) };
        let sign = if random.below(10) == 0 { "+" } else { "" };
        let zeros = if random.below(10) == 0 { "0".repeat(random.below(60) as usize) } else { String::new() };
        let gap = ["\n", "\n", "\n", "\n", " ", "\t", "  \n", "\n\n", "\n \t"][random.below(9) as usize];
        write!(text, "{sign}{zeros}{n}{gap}").unwrap();
    }
    text
}

/// The workers that have been at a job: they have touched more of the region than its first pages.
fn at_work(run: &Run) -> Vec<u32> {
    serving(run.pid()).into_iter().filter(|&pid| status(pid, "RssShmem") > 12).collect()
}

/// Kills workers at random moments until `enough` have been killed, and returns how many. Mostly it is one that has been at a job,
/// and sometimes any, also one that has just been started; but not a dozen of those in a row, as who kills every worker before
/// it has done anything is taken at his word: no worker can live.
fn kill_some(run: &mut Run, random: &mut Numbers, enough: usize, so_far: &AtomicUsize) -> usize {
    let mut killed = HashSet::new();
    while killed.len() < enough {
        so_far.store(killed.len(), Relaxed);
        let any = random.below(6) == 0;
        let pid = run.wait_for("worker to kill", |run| {
            let mut all = if any { run.workers() } else { at_work(run) };
            all.retain(|pid| !killed.contains(pid));
            (!all.is_empty()).then(|| all[random.below(all.len() as u64) as usize])
        });
        std::thread::sleep(Duration::from_micros(random.below(12_000)));
        // The number cannot mean another process yet: it is ours to kill only as long as the command has not waited for it.
        if workers(run.pid()).contains(&pid) && signal(pid as i32, libc::SIGKILL) {
            killed.insert(pid);
        }
    }
    so_far.store(enough, Relaxed);
    // All of them have been replaced, so all have been noticed.
    run.wait_for("replacement", |run| {
        let now = serving(run.pid());
        (now.len() == 2 && now.iter().all(|pid| !killed.contains(pid))).then_some(())
    });
    killed.len()
}

/// A run of 200,000 numbers on two workers. While it reads, workers are killed by SIGKILL at any moment: idle, in a job, as they
/// take one or deliver it, as they start. Each job that was hit runs again. Nothing is missing, nothing is twice, the order
/// stays, and the statistics count the dead.
fn factors_while_workers_are_killed(unordered: bool) {
    let mut random = Numbers::new();
    let input = numbers(&mut random);
    let expected = factor(&input);
    let mut args = vec!["run", "factor", "-j", "2", "--retries", "1000", "--stats", "json"];
    args.extend(unordered.then_some("--unordered"));
    let mut command = gristmill(&args);
    command.stdin(Stdio::piped());
    let mut run = start(command, None);
    let mut stdin = run.stdin();
    // A part of the input for each death, so that there always is work to be hit at, and the last part when the killing is over.
    const DEATHS: usize = 40;
    let so_far = Arc::new(AtomicUsize::new(0));
    let (most, last) = input.split_at(input.len() / 10 * 9);
    let feeder = {
        let (most, so_far) = (most.to_vec(), so_far.clone());
        std::thread::spawn(move || {
            for (k, part) in most.chunks(most.len().div_ceil(DEATHS)).enumerate() {
                while so_far.load(Relaxed) < k {
                    std::thread::sleep(Duration::from_millis(1));
                }
                stdin.write_all(part).unwrap();
            }
            stdin
        })
    };
    let deaths = kill_some(&mut run, &mut random, DEATHS, &so_far);
    let stdin = feeder.join().unwrap();
    let feeder = feed(stdin, last.to_vec());
    let ended = run.end();
    feeder.join().unwrap();
    assert_eq!(ended.code, 0, "{}", ended.err);
    if unordered {
        let sorted = |bytes: &[u8]| {
            let mut lines: Vec<&[u8]> = bytes.split(|&c| c == b'\n').collect();
            lines.sort_unstable();
            lines.join(&b'\n')
        };
        assert_same(&sorted(&ended.out), &sorted(&expected));
    } else {
        assert_same(&ended.out, &expected);
    }
    assert_eq!((ended.stat("jobs"), ended.stat("failed")), (200_000.0, 0.0));
    assert_eq!((ended.stat("worker_deaths"), ended.stat("workers")), (deaths as f64, 2.0));
    assert!(ended.stat("retried") > 0.0, "no kill has hit a job: {}", ended.err);
    assert_eq!(ended.only_line(), ended.err.trim_end(), "something besides the statistics was said");
}

#[test]
fn factors_in_order_are_coreutils_own_while_workers_are_killed() {
    factors_while_workers_are_killed(false);
}

#[test]
fn factors_without_order_are_coreutils_own_while_workers_are_killed() {
    factors_while_workers_are_killed(true);
}

/// A job that a worker cannot end: the checksum of a pipe that nobody writes to. Dropping it removes the pipe.
pub struct Endless {
    folder: Folder,
    /// Open for writing, so that whoever opens it to read gets it and then waits.
    pub pipe: File,
}

impl Endless {
    pub fn new(name: &str) -> Endless {
        let folder = Folder::new(name);
        let path = std::ffi::CString::new(folder.0.join("pipe").to_str().unwrap()).unwrap();
        // SAFETY: the path ends with NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let pipe = OpenOptions::new().read(true).write(true).open(folder.0.join("pipe")).unwrap();
        folder.file("other", "other");
        Endless { folder, pipe }
    }

    pub fn path(&self) -> String {
        self.folder.0.join("pipe").to_str().unwrap().to_owned()
    }

    /// Another job, which ends.
    pub fn other(&self) -> String {
        self.folder.0.join("other").to_str().unwrap().to_owned()
    }

    /// The worker of the run that is at this job.
    pub fn worker(&self, run: &Run) -> Option<u32> {
        let pipe = self.folder.0.join("pipe");
        let open = |pid: u32| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            descriptors.filter_map(|d| fs::read_link(d.path()).ok()).any(|target| target == Path::new(&pipe))
        };
        run.workers().into_iter().find(|&pid| open(pid))
    }
}

/// Whoever takes this job is killed at it, again and again: on one worker and on several, with few retries and with more than the
/// engine has patience with workers that cannot start. The job is given up and reported with its place and the workers' end; all
/// others, before and after it, are done.
#[test]
fn a_job_that_kills_every_worker_it_meets_is_reported_and_the_rest_is_done() {
    let endless = Endless::new("killer");
    let mut lines: Vec<String> = (0..100).map(|_| endless.other()).collect();
    lines[6] = endless.path();
    for (jobs, retries) in [("1", 2), ("2", 0), ("2", 2), ("3", 20)] {
        let text = retries.to_string();
        let mut command = gristmill(&["run", "sha256", "-j", jobs, "--retries", &text, "--stats", "json"]);
        command.stdin(Stdio::piped());
        let mut run = start(command, None);
        let feeder = feed(run.stdin(), lines.join("\n").into_bytes());
        for _ in 0..=retries {
            let pid = run.wait_for("worker at the killing job", |run| endless.worker(run));
            assert!(signal(pid as i32, libc::SIGKILL));
            gone(&[pid]);
        }
        let ended = run.end();
        feeder.join().unwrap();
        let told = ended.err.lines().next().unwrap();
        let expected = match retries {
            0 => "gristmill: stdin:7: its worker died: signal 9 (SIGKILL)".to_owned(),
            n => {
                let deaths = n + 1;
                format!(
                    "gristmill: stdin:7: killed each of the {deaths} workers that tried it; the last died: signal 9 (SIGKILL)"
                )
            }
        };
        assert_eq!((told, ended.code), (&*expected, 1), "-j {jobs} --retries {retries}");
        assert_eq!(ended.out().lines().count(), 99);
        assert_eq!((ended.stat("jobs"), ended.stat("failed")), (100.0, 1.0));
        assert_eq!((ended.stat("worker_deaths"), ended.stat("retried")), (f64::from(retries + 1), f64::from(retries)));
    }
}

#[test]
fn the_summary_tells_of_dead_workers() {
    let endless = Endless::new("summary");
    let mut command = gristmill(&["run", "sha256", "-j", "1"]);
    command.stdin(Stdio::piped());
    let mut run = start(command, None);
    feed(run.stdin(), endless.path().into_bytes()).join().unwrap();
    let pid = run.wait_for("worker at the job", |run| endless.worker(run));
    assert!(signal(pid as i32, libc::SIGKILL));
    gone(&[pid]);
    // The second worker gets something to read.
    run.wait_for("replacement at the job", |run| endless.worker(run));
    (&endless.pipe).write_all(b"abc").unwrap();
    drop(endless.pipe);
    let ended = run.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out().starts_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  "), "{}", ended.out());
    assert!(ended.only_line().ends_with("; 1 worker died, 1 job run again"), "{}", ended.err);
}

/// Waits until the processes are no more.
pub fn gone(pids: &[u32]) {
    let start = Instant::now();
    let state = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    // What has ended, and has not been waited for, is gone too.
    let alive = |pid: &u32| state(pid).is_some_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'));
    while let Some(pid) = pids.iter().find(|pid| alive(pid)) {
        assert!(start.elapsed() < LIMIT, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(1));
    }
}
