//! Workers that cannot start, or die at once every time.

use super::deaths::gone;
use super::run::{Folder, assert_same, factor, gristmill, lines, run_with, serving, signal, start};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A library that is loaded into the command and its workers before anything else of theirs runs.
fn library(folder: &Folder, name: &str, source: &str) -> PathBuf {
    let source = folder.file(format!("{name}.c"), source);
    let library = folder.0.join(format!("{name}.so"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    assert!(cc.status().unwrap().success());
    library
}

/// Workers do `end`, if the file named by END_IF is there; without that variable always.
fn ending(folder: &Folder, name: &str, end: &str) -> PathBuf {
    let source = format!(
        "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void at_start(void) {{\n\
         const char *file = getenv(\"END_IF\");\n\
         if (getenv(\"GRISTMILL_WORKER\") && (!file || access(file, F_OK) == 0)) {end};\n}}\n"
    );
    library(folder, name, &source)
}

/// Each worker is killed as it starts. The replacements come ever more slowly, and after a dozen the run gives up.
#[test]
fn workers_that_die_at_once_every_time_end_the_run_with_code_3() {
    let folder = Folder::new("at-once");
    for (name, end, how) in [("kill", "raise(SIGKILL)", "signal 9 (SIGKILL)"), ("exit", "_exit(42)", "exit code 42")] {
        let mut command = gristmill(&["run", "factor", "-j", "4"]);
        command.env("LD_PRELOAD", ending(&folder, name, end));
        let ended = run_with(command, "1 2 3");
        let expected =
            "gristmill: the run cannot go on: no worker can live: they die as soon as they start; the last one ended with ";
        assert_eq!((ended.only_line(), ended.code), (&*format!("{expected}{how}"), 3));
        assert_eq!(ended.out(), "");
    }
}

/// The same while nothing has been typed yet: nobody is left to wait for input in vain.
#[test]
fn workers_that_die_at_once_end_a_run_whose_input_is_silent() {
    let folder = Folder::new("silent");
    let mut command = gristmill(&["run", "factor", "-j", "4"]);
    command.env("LD_PRELOAD", ending(&folder, "kill", "raise(SIGKILL)")).stdin(Stdio::piped());
    let mut run = start(command, None);
    let stdin = run.stdin();
    let ended = run.end();
    drop(stdin);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.only_line().contains("no worker can live"), "{}", ended.err);
}

/// All goes well, until the workers die and no other can start: as if the program's libraries had been removed. What was done
/// is written.
#[test]
fn workers_that_cannot_be_replaced_end_the_run_and_what_was_done_is_written() {
    let folder = Folder::new("later");
    let file = folder.0.join("now");
    let mut command = gristmill(&["run", "factor", "-j", "4"]);
    command.env("LD_PRELOAD", ending(&folder, "kill", "_exit(7)")).env("END_IF", &file).stdin(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    let mut run = start(command, Some(writer.into()));
    let mut stdin = run.stdin();
    stdin.write_all(&lines(0..1000)).unwrap();
    let mut results = std::io::BufRead::lines(std::io::BufReader::new(reader));
    let mut out: Vec<String> = results.by_ref().take(1000).map(Result::unwrap).collect();
    // Fewer than the four may have done it all: one that is still starting now would end there, and the others live on.
    let workers = run.wait_for("workers", |run| Some(serving(run.pid())).filter(|pids| pids.len() == 4));
    fs::write(&file, "").unwrap();
    workers.iter().for_each(|&pid| assert!(signal(pid as i32, libc::SIGKILL)));
    gone(&workers);
    let ended = run.end();
    out.extend(results.map(Result::unwrap));
    drop(stdin);
    assert_same((out.join("\n") + "\n").as_bytes(), &factor(&lines(0..1000)));
    assert!(ended.only_line().ends_with("the last one ended with exit code 7"), "{}", ended.err);
    assert_eq!(ended.code, 3);
}

/// The system refuses to execute the program again.
#[test]
fn a_worker_program_that_cannot_be_executed_is_one_line_and_code_3() {
    let folder = Folder::new("refused");
    let source = "#include <errno.h>\nint posix_spawn(void) { return EACCES; }\n";
    let mut command = gristmill(&["run", "factor"]);
    command.env("LD_PRELOAD", library(&folder, "refused", source));
    let ended = run_with(command, "1 2 3");
    let program = env!("CARGO_BIN_EXE_gristmill");
    let expected = format!("gristmill: cannot start the workers: cannot start {program}: Permission denied");
    assert_eq!((ended.only_line(), ended.code, ended.out()), (&*expected, 3, ""));
}

/// Somebody's environment has the variable that makes a program a worker.
#[test]
fn a_stray_variable_for_workers_is_told_with_advice() {
    let mut command = gristmill(&["run", "factor"]);
    command.env("GRISTMILL_WORKER", "1");
    let ended = run_with(command, "1 2 3");
    assert!(ended.only_line().ends_with("unset GRISTMILL_WORKER"), "{}", ended.err);
    assert_eq!(ended.out(), "");
}

#[test]
fn a_parent_that_ignores_its_childrens_ends_is_told_with_advice() {
    use std::os::unix::process::CommandExt;
    let mut command = gristmill(&["run", "factor"]);
    // SAFETY: to ignore a signal needs no handler, and nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            Ok(())
        })
    };
    let ended = run_with(command, "1 2 3");
    assert!(ended.only_line().contains("SIGCHLD"), "{}", ended.err);
    assert_eq!((ended.code, ended.out()), (3, ""));
}
