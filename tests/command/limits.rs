//! Too little of what the system gives: memory, descriptors, processes. One line says so, nothing hangs and nothing is left.

use super::run::{Ended, Folder, gristmill, run, run_with};
use super::skip::skipped;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The command under a resource limit, in a user of its own if it is asked for.
fn limited(mut command: Command, resource: libc::__rlimit_resource_t, limit: u64, user: Option<u32>) -> Command {
    let set = move || {
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        // SAFETY: the limit is valid to read.
        if unsafe { libc::setrlimit(resource, &limit) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the call touches no memory.
        if user.is_some_and(|user| unsafe { libc::setuid(user) } != 0) {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated or locked.
    unsafe { command.pre_exec(set) };
    command
}

const NUMBERS: &str = "6 7\n8";
const FACTORS: &str = "6: 2 3\n7: 7\n8: 2 2 2\n";

/// All is done, or nothing and one line says why. Returns whether all is done.
fn all_or_nothing(ended: &Ended, what: &str) -> bool {
    if ended.code == 0 {
        assert_eq!(ended.out(), FACTORS, "{what}");
        return true;
    }
    let line = ended.only_line();
    assert_eq!((ended.code, ended.out()), (3, ""), "{what}: {line}");
    assert!(line.starts_with("gristmill: cannot start"), "{what}: {line}");
    assert!(!line.contains("os error"), "{what}: {line}");
    false
}

/// From where the program itself can be loaded, in small steps, to where all goes well.
#[test]
fn too_little_address_space_is_one_line_and_code_3() {
    let under = |command, kib: u64| limited(command, libc::RLIMIT_AS, kib << 10, None);
    let mut kib = 2048;
    while run(under(gristmill(&["--version"]), kib)).code != 0 {
        kib += 1024;
    }
    // The program has come to its main function here, with little to spare.
    kib += 512;
    let (mut well, mut refused) = (0, 0);
    while well < 8 {
        let ended = run_with(under(gristmill(&["run", "factor", "-j", "2"]), kib), NUMBERS);
        if all_or_nothing(&ended, &format!("{kib} KiB")) {
            well += 1;
        } else {
            assert_eq!(well, 0, "{kib} KiB are less than what was enough: {}", ended.err);
            refused += 1;
            assert!(ended.err.contains("(ulimit -v)"), "{}", ended.err);
        }
        kib += 256;
        assert!(kib < 1 << 20, "a GiB is not enough");
    }
    assert!(refused > 8, "the limit was never too low");
}

/// The workers' region is what a limit forbids: nobody is started.
#[test]
fn a_region_that_memory_does_not_allow_is_refused_with_advice() {
    let under =
        |mib: u64| run_with(limited(gristmill(&["run", "factor", "-j", "2"]), libc::RLIMIT_AS, mib << 20, None), NUMBERS);
    // Enough for the program, which is not always as large, and for what it does first.
    let ended = (16..64)
        .map(under)
        .find(|ended| ended.err.contains("cannot start the workers"))
        .expect("a limit that forbids the region alone");
    let line = ended.only_line();
    assert!(line.starts_with("gristmill: cannot start the workers: they need "), "{line}");
    assert!(line.contains(" of shared memory, ") && line.ends_with(": raise it"), "{line}");
    assert_eq!((ended.code, ended.out()), (3, ""));
}

/// Few descriptors are enough for few workers; too few are told as such.
#[test]
fn too_few_descriptors_are_one_line_and_code_3() {
    let under = |command, limit| limited(command, libc::RLIMIT_NOFILE, limit, None);
    let mut well = vec![];
    for limit in 3..32 {
        let ended = run_with(under(gristmill(&["run", "factor", "-j", "2"]), limit), NUMBERS);
        if ended.code == 127 || ended.code == 134 {
            // The program loader had none, or Rust's runtime: this is not ours yet.
            assert!(limit < 4, "{limit} descriptors: {}", ended.err);
            continue;
        }
        // A reader that is the last to come says it as it says of any file that it cannot open.
        if ended.err.contains("cannot read stdin") {
            assert_eq!(ended.code, 1);
        } else if all_or_nothing(&ended, &format!("{limit} descriptors")) {
            well.push(limit);
        }
        if ended.code != 0 {
            assert!(ended.err.contains("Too many open files"), "{limit} descriptors: {}", ended.err);
        }
    }
    assert!(well.first().is_some_and(|&first| first > 6 && first <= 24), "enough were {well:?}");
    assert!(well.windows(2).all(|pair| pair[1] == pair[0] + 1) && well.last() == Some(&31), "enough were {well:?}");
    let ended = run_with(under(gristmill(&["run", "factor", "-j", "100"]), 64), NUMBERS);
    assert!(ended.only_line().contains("raise the limit on open files (ulimit -n)"), "{}", ended.err);
    assert_eq!((ended.code, ended.out()), (3, ""));
}

/// Whether this is root, who can become another user.
fn root() -> bool {
    // SAFETY: the call has no arguments and can't fail.
    unsafe { libc::geteuid() == 0 }
}

/// The command in a place where any user can execute it.
fn program_for_all(folder: &Folder) -> PathBuf {
    let program = folder.0.join("gristmill");
    // Not copied by this process: a child that another test starts meanwhile would inherit the file, open for writing, and nobody
    // could execute it.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_gristmill")).arg(&program).status().unwrap().success());
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
    program
}

/// The command as a user who has few processes; `None` if this one cannot become another.
fn as_user_with(user: u32, folder: &Folder, limit: u64, arguments: &[&str]) -> Option<Ended> {
    if !root() {
        skipped("only root can become a user with few processes");
        return None;
    }
    let mut command = Command::new(program_for_all(folder));
    command.args(arguments).current_dir("/");
    Some(run(limited(command, libc::RLIMIT_NPROC, limit, Some(user))))
}

#[test]
fn a_benchmark_with_more_workers_than_processes_is_refused_before_anything_is_done() {
    let folder = Folder::new("bench-processes");
    let file = folder.0.join("a.json");
    let arguments = ["bench", "--only", "pipe-atomic", "--workers", "30", "--json", file.to_str().unwrap()];
    let Some(ended) = as_user_with(1_234_568, &folder, 20, &arguments) else { return };
    let says = "gristmill: a figure of 64 B, 1x30, room for 1024: it needs 32 processes or threads, and this user may have 19 more \
                (RLIMIT_NPROC: raise it with ulimit -u)";
    assert_eq!((ended.only_line(), ended.code, ended.out()), (says, 2, ""));
    assert!(!file.exists());
}

#[test]
fn shapes_of_a_full_benchmark_that_have_too_many_processes_are_skipped_with_the_reason() {
    let folder = Folder::new("bench-shapes");
    let arguments = ["bench", "--full", "--only", "pipe-atomic", "--payload", "64", "--rounds", "1"];
    let Some(ended) = as_user_with(1_234_569, &folder, 9, &arguments) else { return };
    assert_eq!(ended.code, 0, "{}", ended.err);
    for (shape, needs) in [("4x4", 9), ("1x8", 10), ("8x1", 10)] {
        let says = format!(
            "  pipe-atomic (64 B, {shape}, room for 1024): it needs {needs} processes or threads, and this user may have 8 more"
        );
        assert!(ended.out().contains(&says), "{}", ended.out());
    }
    assert!(ended.out().contains("64 B, 2x2, room for 1024"), "{}", ended.out());
}

/// A user who may not have another process or thread. The limit does not bind root, who can become such a user.
#[test]
fn too_few_processes_are_one_line_and_code_3() {
    let root = root();
    let folder = Folder::new("processes");
    let program = program_for_all(&folder);
    // A number that nobody is likely to have, so that these are all its processes.
    let user = root.then_some(1_234_567);
    let (mut well, mut refused) = (0, 0);
    for limit in if root { 1..=12 } else { 1..=1 } {
        let mut command = Command::new(&program);
        command.args(["run", "factor", "-j", "2"]).env("RUST_BACKTRACE", "0").current_dir("/");
        let ended = run_with(limited(command, libc::RLIMIT_NPROC, limit, user), NUMBERS);
        if all_or_nothing(&ended, &format!("{limit} processes")) {
            well += 1;
        } else {
            assert!(ended.err.contains("Resource temporarily unavailable"), "{}", ended.err);
            refused += 1;
        }
    }
    assert!(refused > 0, "the limit was never too low");
    assert!(!root || (well > 0 && refused >= 4), "{well} went well, {refused} did not");
}
