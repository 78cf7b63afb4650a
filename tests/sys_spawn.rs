//! Starting programs, what they inherit, and how their end is seen.

mod common;
#[path = "common/skip.rs"]
mod skip;

use common::{Scratch, end, start_role};
use gristmill::sys::clock::Deadline;
use gristmill::sys::pidfd::{Exit, Pidfd};
use gristmill::sys::poll::{EventFd, poll};
use gristmill::sys::spawn::{Child, SpawnError, die_with_parent, ignore_interrupt, spawn};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::path::Path;
use std::time::Duration;

/// Not a test by itself: what the tests below run in processes of their own.
#[test]
fn role() {
    let Some((role, arg)) = common::role() else { return };
    let parent = std::os::unix::process::parent_id();
    let code = match role.as_str() {
        "exit" => arg.parse().unwrap(),
        "parent" => {
            let child = start_role(None, "orphan", &arg, &[]);
            child.pidfd.wait_until(None).unwrap();
            0
        }
        "orphan" => {
            die_with_parent(parent).unwrap();
            fs::write(format!("{arg}.new"), std::process::id().to_string()).unwrap();
            fs::rename(format!("{arg}.new"), &arg).unwrap();
            loop {
                std::thread::park();
            }
        }
        "stepchild" => {
            die_with_parent(parent + 1).unwrap();
            0
        }
        "interrupted" => {
            // SAFETY: sending a signal to oneself touches no memory.
            let interrupt = || unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
            if arg == "early" {
                interrupt();
            }
            ignore_interrupt().unwrap();
            interrupt();
            7
        }
        "careless" => {
            // SAFETY: to ignore a signal needs no handler.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let e = spawn(Some(Path::new("/bin/true")), &[], &[], &[]).unwrap_err();
            assert!(matches!(e, SpawnError::ChildrenAreReaped { .. }) && e.to_string().contains("/bin/true"), "{e}");
            5
        }
        "no descriptors" => {
            // Every number below this one is in use from now on.
            let highest = File::open("/dev/null").unwrap();
            let limit = highest.as_raw_fd() as u64 + 1;
            let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
            // SAFETY: the limit is valid to read.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
            while let Ok(f) = File::open("/dev/null") {
                std::mem::forget(f);
            }
            let e = spawn(Some(Path::new("/bin/sleep")), &["1000".into()], &[], &[]).unwrap_err();
            assert!(e.to_string().contains("/bin/sleep"), "{e}");
            assert!(matches!(e, SpawnError::Descriptor { .. }), "{e:?}");
            // SAFETY: no status is asked for.
            let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
            assert_eq!(left, -1, "a child that nobody watches was left");
            6
        }
        "few descriptors" => {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            // SAFETY: the limit is valid to read.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
            let (a, b) = (file_at(20, "a"), file_at(20, "b"));
            let (na, nb) = (a.as_raw_fd(), b.as_raw_fd());
            assert_eq!(output(&format!("cd /proc/self/fd; cat {nb} {na}"), &[(a.as_fd(), nb), (b.as_fd(), na)]), "ab");
            // A number that the limit forbids: what would have to make way for it has no place to go.
            let e = spawn(Some(Path::new("/bin/true")), &[], &[], &[(a.as_fd(), nb), (b.as_fd(), 400)]).unwrap_err();
            assert!(e.to_string().contains("Too many open files") && e.to_string().contains("ulimit -n"), "{e}");
            10
        }
        "stdin" => {
            // SAFETY: both are open, and nothing here reads standard input.
            unsafe { libc::dup2(file_at(70, "ours").as_raw_fd(), 0) };
            assert_eq!(
                output("readlink /proc/self/fd/0; cat /proc/self/fd/5", &[(std::io::stdin().as_fd(), 5)]),
                "/dev/null\nours"
            );
            8
        }
        "removed" => {
            fs::remove_file(arg).unwrap();
            match end(&start_role(None, "exit", "9", &[])) {
                Exit::Code(code) => code,
                exit => panic!("{exit}"),
            }
        }
        _ => unreachable!("{role}"),
    };
    std::process::exit(code);
}

fn shell(script: &str, inherit: &[(BorrowedFd, RawFd)]) -> Child {
    spawn(Some(Path::new("/bin/sh")), &["-c".into(), script.into()], &[("MORE".into(), "yes".into())], inherit).unwrap()
}

/// What the script writes to /proc/self/fd/$OUT.
fn output(script: &str, inherit: &[(BorrowedFd, RawFd)]) -> String {
    let mut out = file_at(60, "");
    let number = out.as_raw_fd();
    let mut all = inherit.to_vec();
    all.push((out.as_fd(), number));
    let script = format!("exec >/proc/self/fd/{number}; {script}");
    assert_eq!(end(&shell(&script, &all)), Exit::Code(0));
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    text
}

/// What a child started with `env` reads from a file of /proc/self; not through a shell, which may change what is there.
fn copied(file: &str, env: &[(OsString, OsString)]) -> String {
    let mut out = file_at(60, "");
    let to = format!("of=/proc/self/fd/{}", out.as_raw_fd());
    let args = [format!("if={file}").into(), to.into(), "status=none".into()];
    let inherit = [(out.as_fd(), out.as_raw_fd())];
    assert_eq!(end(&spawn(Some(Path::new("/bin/dd")), &args, env, &inherit).unwrap()), Exit::Code(0));
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    text
}

/// A file without a name, under a descriptor of at least `least`, close-on-exec.
fn file_at(least: RawFd, content: &str) -> File {
    // SAFETY: the name ends with NUL.
    let fd = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: the descriptor is new and belongs to nobody else.
    let low = unsafe { File::from_raw_fd(fd) };
    // SAFETY: the descriptor is open.
    let fd = unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    assert!(fd >= least);
    // SAFETY: the descriptor is new and belongs to nobody else.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn descriptors_arrive_under_their_numbers_even_if_they_change_places() {
    let (a, b, c, hidden) = (file_at(70, "a"), file_at(70, "b"), file_at(70, "c"), file_at(70, "hidden"));
    let (na, nb, nc, nh) = (a.as_raw_fd(), b.as_raw_fd(), c.as_raw_fd(), hidden.as_raw_fd());
    let inherit = [(a.as_fd(), nb), (b.as_fd(), na), (c.as_fd(), nc), (a.as_fd(), 3)];
    let script = format!("cd /proc/self/fd; cat {na} {nb} {nc} 3; test -e {nh} && echo leak; true");
    assert_eq!(output(&script, &inherit), "baca");
    // A chain: each takes the number of the next, and the last one a free number, far above.
    let free = 400;
    assert_eq!(
        output(&format!("cd /proc/self/fd; cat {nb} {nc} {free}"), &[(a.as_fd(), nb), (b.as_fd(), nc), (c.as_fd(), free)]),
        "abc"
    );
    // What makes way for another is not put where a third one goes.
    let mut many = vec![(a.as_fd(), nb)];
    many.extend((3..60).map(|n| (c.as_fd(), n)));
    many.push((b.as_fd(), free));
    assert_eq!(output(&format!("cd /proc/self/fd; cat {nb} {free}"), &many), "ab");
    // The parent's own numbers are as before.
    let mut text = String::new();
    (&a).rewind().unwrap();
    (&a).read_to_string(&mut text).unwrap();
    assert_eq!(text, "a");
}

#[test]
fn descriptors_can_change_places_under_a_low_limit() {
    assert_eq!(end(&start_role(None, "few descriptors", "", &[])), Exit::Code(10));
}

#[test]
fn stdin_is_empty_whatever_ours_is_and_can_be_inherited_itself() {
    assert_eq!(end(&start_role(None, "stdin", "", &[])), Exit::Code(8));
}

#[test]
fn the_environment_is_ours_with_additions() {
    assert_eq!(output("echo $MORE; test -n \"$PATH\" && echo path", &[]), "yes\npath\n");
    let env: [(OsString, OsString); 1] = [("PATH".into(), "/elsewhere".into())];
    let text = copied("/proc/self/environ", &env);
    let paths: Vec<_> = text.split('\0').filter(|v| v.starts_with("PATH=")).collect();
    assert_eq!(paths, ["PATH=/elsewhere"]);
    let child =
        spawn(Some(Path::new("/bin/sh")), &["-c".into(), "test \"$0\" = zero".into(), "zero".into()], &[], &[]).unwrap();
    assert_eq!(end(&child), Exit::Code(0));
}

#[test]
fn only_the_interrupt_is_blocked_and_none_that_should_end_it_is_ignored() {
    let text = copied("/proc/self/status", &[]);
    let set = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(set("SigBlk:"), 1 << (libc::SIGINT - 1));
    assert_eq!(set("SigIgn:") & (1 << (libc::SIGINT - 1) | 1 << (libc::SIGTERM - 1)), 0);
}

#[test]
fn exit_codes_and_signals_are_told_once() {
    let child = shell("exit 3", &[]);
    assert_eq!(end(&child), Exit::Code(3));
    assert_eq!(child.pidfd.wait().unwrap(), Some(Exit::Unknown));
    child.pidfd.kill(libc::SIGTERM).unwrap();
    let exit = end(&shell("kill -s USR1 $$", &[]));
    assert_eq!(exit, Exit::Signal { signal: libc::SIGUSR1, core_dumped: false });
}

#[test]
fn a_child_that_lives_is_not_reported_until_it_is_killed() {
    let child = spawn(Some(Path::new("/bin/sleep")), &["1000".into()], &[], &[]).unwrap();
    assert_eq!(child.pidfd.wait().unwrap(), None);
    let soon = Deadline::after(Duration::from_millis(20));
    assert_eq!(child.pidfd.wait_until(Some(soon)).unwrap(), None);
    assert!(soon.passed());
    child.pidfd.kill(libc::SIGKILL).unwrap();
    assert_eq!(end(&child).to_string(), "signal 9 (SIGKILL)");
}

/// The story: a debugger and a supervisor in one process. What stops for the one must not end for the other, nor be lost to the first.
#[test]
fn a_stop_of_a_traced_child_is_neither_its_end_nor_taken_from_its_tracer() {
    let child = spawn(Some(Path::new("/bin/sleep")), &["1000".into()], &[], &[]).unwrap();
    let pid = child.pid as libc::pid_t;
    let traced = |request, data: usize| {
        // SAFETY: the calls that are made here touch no memory of this process.
        unsafe { libc::ptrace(request, pid, std::ptr::null_mut::<libc::c_void>(), data) }
    };
    if traced(libc::PTRACE_SEIZE, 0) != 0 {
        skip::skipped(format_args!("no process can be traced here: {}", std::io::Error::last_os_error()));
        child.pidfd.kill(libc::SIGKILL).unwrap();
        end(&child);
        return;
    }
    assert_eq!(traced(libc::PTRACE_INTERRUPT, 0), 0);
    // It may take a moment to stop, and shows that without being asked by whom it belongs to.
    while !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") t ") {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(child.pidfd.wait().unwrap(), None);
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::WNOHANG) }, pid, "the stop is still to be seen");
    assert!(libc::WIFSTOPPED(status));
    child.pidfd.kill(libc::SIGKILL).unwrap();
    assert_eq!(end(&child), Exit::Signal { signal: libc::SIGKILL, core_dumped: false });
}

#[test]
fn the_end_of_a_process_that_is_not_our_child_is_seen() {
    let me = Pidfd::open(std::os::unix::process::parent_id()).unwrap();
    assert_eq!(me.wait().unwrap(), None);
    assert_eq!(Pidfd::open(u32::MAX).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_program_that_is_missing_or_cannot_be_named_is_an_error_that_names_it() {
    let e = spawn(Some(Path::new("/nowhere/mill")), &[], &[], &[]).unwrap_err();
    assert_eq!(e.to_string(), "cannot start /nowhere/mill: No such file or directory (os error 2)");
    let e = spawn(Some(Path::new("/bin/true")), &["a\0b".into()], &[], &[]).unwrap_err();
    assert!(matches!(&e, SpawnError::Nul { text, .. } if text == "a\0b"), "{e}");
}

#[test]
fn a_program_removed_while_it_runs_can_start_itself_again() {
    let copy = Scratch::new("copy");
    fs::copy(std::env::current_exe().unwrap(), &copy.0).unwrap();
    // Another test's child may have the copy open for writing, from before it was closed here to its own exec.
    let child = loop {
        match spawn(Some(&copy.0), &common::role_args("removed", copy.0.to_str().unwrap()), &[], &[]) {
            Err(SpawnError::Start { source, .. }) if source.raw_os_error() == Some(libc::ETXTBSY) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            child => break child.unwrap(),
        }
    };
    assert_eq!(end(&child), Exit::Code(9));
}

#[test]
fn a_parent_that_ignores_its_children_is_told() {
    assert_eq!(end(&start_role(None, "careless", "", &[])), Exit::Code(5));
}

#[test]
fn without_descriptors_no_unwatched_child_stays() {
    assert_eq!(end(&start_role(None, "no descriptors", "", &[])), Exit::Code(6));
}

#[test]
fn an_interrupt_before_or_after_the_worker_ignores_it_does_nothing() {
    assert_eq!(end(&start_role(None, "interrupted", "late", &[])), Exit::Code(7));
    assert_eq!(end(&start_role(None, "interrupted", "early", &[])), Exit::Code(7));
}

// A parent starts a worker and is killed. The worker is nobody's child any more, and must be gone too.
#[test]
fn a_worker_dies_with_its_parent() {
    let place = Scratch::new("orphan");
    let parent = start_role(None, "parent", place.0.to_str().unwrap(), &[]);
    let limit = Deadline::after(Duration::from_secs(60));
    let pid = loop {
        if let Ok(text) = fs::read_to_string(&place.0) {
            break text.parse().unwrap();
        }
        assert!(!limit.passed(), "the worker did not start");
        std::thread::sleep(Duration::from_millis(5));
    };
    let worker = Pidfd::open(pid).unwrap();
    assert_eq!(worker.wait().unwrap(), None);
    parent.pidfd.kill(libc::SIGKILL).unwrap();
    end(&parent);
    let end = worker.wait_until(Some(Deadline::after(Duration::from_secs(20)))).unwrap();
    worker.kill(libc::SIGKILL).unwrap();
    assert_eq!(end, Some(Exit::Unknown));
}

#[test]
fn a_worker_whose_parent_went_before_it_asked_exits() {
    assert_eq!(end(&start_role(None, "stepchild", "", &[])), Exit::Code(1));
}

#[test]
fn poll_tells_which_are_readable_and_keeps_its_deadline() {
    let (a, b) = (EventFd::new().unwrap(), EventFd::new().unwrap());
    let soon = Deadline::after(Duration::from_millis(20));
    assert_eq!(poll(&[a.as_fd(), b.as_fd()], Some(soon)).unwrap(), [false, false]);
    assert!(soon.passed());
    std::thread::scope(|s| {
        s.spawn(|| b.signal());
        assert_eq!(poll(&[a.as_fd(), b.as_fd()], None).unwrap(), [false, true]);
    });
    b.signal();
    assert_eq!(b.drain(), 2);
    assert_eq!(b.drain(), 0);
    assert_eq!(poll(&[b.as_fd()], Some(Deadline(0))).unwrap(), [false]);
    // SAFETY: not an open descriptor, and that is what the test is about; nothing but poll sees it.
    let closed = unsafe { BorrowedFd::borrow_raw(1_000_000) };
    assert_eq!(poll(&[closed], None).unwrap_err().raw_os_error(), Some(libc::EBADF));
}
