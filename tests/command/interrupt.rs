//! Ctrl-C and SIGTERM: once drains and reports, twice stops at once. The death of the command itself leaves nothing behind.

use super::deaths::{Endless, gone};
use super::run::{Run, assert_same, factor, gristmill, lines, serving, signal, start};
use std::fs;
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

const FIRST: u64 = 1_000_000;

/// A run over numbers that count up for ever, in a process group of its own, as a shell starts it.
fn endless_count(args: &[&str]) -> (Run, JoinHandle<()>) {
    let mut command = gristmill(&[&["run", "factor", "-j", "2"], args].concat());
    command.stdin(Stdio::piped()).process_group(0);
    let mut run = start(command, None);
    let mut stdin = BufWriter::new(run.stdin());
    let feeder = std::thread::spawn(move || {
        let end = (FIRST..).find_map(|n| writeln!(stdin, "{n}").err()).unwrap();
        assert_eq!(end.kind(), ErrorKind::BrokenPipe);
    });
    (run, feeder)
}

/// What has been read is done and written, in order, without a gap; it says that there was more.
fn one_signal_drains(number: i32, to_group: bool, code: i32) {
    let (run, feeder) = endless_count(&["--retries", "1000"]);
    run.wait_for("worker", |run| (serving(run.pid()).len() == 2).then_some(()));
    std::thread::sleep(Duration::from_millis(150));
    let pid = run.pid() as i32;
    assert!(signal(if to_group { -pid } else { pid }, number));
    let ended = run.end();
    feeder.join().unwrap();
    assert_eq!(ended.code, code, "{}", ended.err);
    let summary = ended.only_line();
    assert!(summary.ends_with("; stopped before the end of the input"), "{summary}");
    assert_eq!(summary.contains("died"), number == libc::SIGTERM && to_group, "{summary}");
    let jobs = summary.strip_prefix("gristmill: ").unwrap().split(' ').next().unwrap().replace(',', "");
    let jobs: u64 = jobs.parse().unwrap();
    assert!(jobs > 0);
    assert_same(&ended.out, &factor(&lines(FIRST..FIRST + jobs)));
}

/// The terminal sends Ctrl-C to the whole group: the workers must not die of it.
#[test]
fn ctrl_c_once_drains_and_reports_and_ends_with_code_130() {
    one_signal_drains(libc::SIGINT, true, 130);
}

#[test]
fn sigterm_once_drains_and_reports_and_ends_with_code_143() {
    one_signal_drains(libc::SIGTERM, false, 143);
}

/// The workers die of it, as nobody has told them otherwise, and are replaced: what has been read is done all the same.
#[test]
fn sigterm_to_the_whole_group_drains_too() {
    one_signal_drains(libc::SIGTERM, true, 143);
}

/// `timeout` and some shells signal a command and then its group: the command hears the signal twice, almost at once.
#[test]
fn a_signal_and_its_echo_are_one_ctrl_c() {
    let mut two = 0;
    for _ in 0..12 {
        let (run, feeder) = endless_count(&[]);
        run.wait_for("worker", |run| (serving(run.pid()).len() == 2).then_some(()));
        let pid = run.pid() as i32;
        assert!(signal(pid, libc::SIGINT));
        // So that the first one is not merely pending when the second comes.
        std::thread::sleep(Duration::from_millis(2));
        signal(-pid, libc::SIGINT);
        let ended = run.end();
        feeder.join().unwrap();
        assert_eq!(ended.code, 130);
        if ended.err.is_empty() {
            two += 1;
        } else {
            assert!(ended.only_line().ends_with("; stopped before the end of the input"), "{}", ended.err);
        }
    }
    // On a busy machine some of them come so much later that they count.
    assert!(two <= 6, "{two} of 12 echoes stopped the run at once");
}

/// Once: the job under way is waited for, however long it takes. Twice: nothing is, and the workers are gone with the command.
#[test]
fn ctrl_c_twice_stops_at_once_whatever_is_under_way() {
    let endless = Endless::new("twice");
    let mut command = gristmill(&["run", "sha256", "-j", "2"]);
    command.stdin(Stdio::piped()).process_group(0);
    let mut run = start(command, None);
    let mut stdin = run.stdin();
    writeln!(stdin, "{}\n{}", endless.other(), endless.path()).unwrap();
    let worker = run.wait_for("worker at the job", |run| endless.worker(run));
    assert!(signal(-(run.pid() as i32), libc::SIGINT));
    std::thread::sleep(Duration::from_millis(400));
    assert!(run.is_alive(), "the first Ctrl-C did not wait for the job");
    assert!(signal(-(run.pid() as i32), libc::SIGINT));
    let ended = run.end();
    assert_eq!((ended.code, ended.err.as_str()), (130, ""));
    gone(&[worker]);
    drop(stdin);
}

#[test]
fn after_ctrl_c_the_job_under_way_is_finished_and_printed() {
    let endless = Endless::new("finish");
    let mut command = gristmill(&["run", "sha256", "-j", "2"]);
    command.stdin(Stdio::piped()).process_group(0);
    let mut run = start(command, None);
    let mut stdin = run.stdin();
    writeln!(stdin, "{}\n{}", endless.path(), endless.other()).unwrap();
    run.wait_for("worker at the job", |run| endless.worker(run));
    assert!(signal(-(run.pid() as i32), libc::SIGINT));
    std::thread::sleep(Duration::from_millis(200));
    // This is still input, and comes too late.
    writeln!(stdin, "{}", endless.other()).unwrap();
    let path = endless.path();
    (&endless.pipe).write_all(b"abc").unwrap();
    drop(endless.pipe);
    let ended = run.end();
    drop(stdin);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(ended.out().starts_with(&format!("{abc}  {path}\n")), "{}", ended.out());
    assert_eq!((ended.out().lines().count(), ended.code), (2, 130));
    assert!(ended.only_line().starts_with("gristmill: 2 jobs in "), "{}", ended.err);
}

/// The command is killed outright in the middle of its work. The kernel ends the workers with it; the region has no name that
/// could be left in /dev/shm or anywhere else.
#[test]
fn a_killed_command_leaves_no_worker_and_no_memory() {
    let (run, feeder) = endless_count(&[]);
    let workers = run.wait_for("workers", |run| Some(serving(run.pid())).filter(|pids| pids.len() == 2));
    let maps = fs::read_to_string(format!("/proc/{}/maps", run.pid())).unwrap();
    assert!(maps.contains("/memfd:gristmill (deleted)"), "the region is not where this test looks");
    assert!(!maps.contains("/dev/shm/"), "{maps}");
    std::thread::sleep(Duration::from_millis(50));
    assert!(signal(run.pid() as i32, libc::SIGKILL));
    let ended = run.end();
    feeder.join().unwrap();
    assert_eq!((ended.code, ended.err.as_str()), (128 + libc::SIGKILL, ""));
    gone(&workers);
}
