//! Workers by fork. The program must have one thread when the pool is built, so this has no harness.

use gristmill::sys::fork::threads;
use gristmill::sys::thread::Thread;
use gristmill::{Error, Exit, JobError, ProcessPool, StartMethod, tasks};
use std::sync::OnceLock;

/// Only a copy of the parent's memory has it: nothing in a worker sets it.
static TABLE: OnceLock<Vec<u64>> = OnceLock::new();

fn look(n: usize) -> u64 {
    if n == 77 {
        std::process::abort();
    }
    TABLE.get().map_or(0, |table| table[n])
}

/// The first thread of a process stays in /proc until the others have ended; whoever has joined a thread finds it there for a moment, too.
fn a_thread_that_has_ended_is_not_counted() {
    // SAFETY: this process has one thread, so the child is whole.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let first = format!("/proc/self/task/{}/stat", std::process::id());
        let second = Thread::start(c"second", move || {
            while !std::fs::read_to_string(&first).unwrap().contains(") Z ") {
                std::thread::yield_now();
            }
            let right = matches!(threads(), Ok(1));
            // SAFETY: ends the process.
            unsafe { libc::_exit(if right { 42 } else { 1 }) };
        });
        assert!(second.is_ok() && threads().unwrap() == 2);
        // SAFETY: ends this thread, which owns nothing that the other one uses.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid to write to, and the child is nobody else's.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42, "one is counted that has ended: status {status:#x}");
}

fn main() {
    gristmill::init(tasks![look]);
    // A hang ends here, with a signal that is no success.
    // SAFETY: the call touches no memory.
    unsafe { libc::alarm(120) };
    a_thread_that_has_ended_is_not_counted();
    TABLE.set((0..1000).map(|n| 3 * n).collect()).unwrap();

    let builder = || ProcessPool::builder().workers(3).start_method(StartMethod::Fork);
    let pool = builder().build(look).unwrap();
    let before = pool.worker_pids();
    for (n, result) in pool.map(0..1000).unwrap().enumerate() {
        match (n, result) {
            (77, Err(JobError::WorkerDied { job: 77, exit: Exit::Signal { signal: libc::SIGABRT, .. }, attempts: 1 })) => {}
            (n, result) => assert_eq!(result, Ok(3 * n as u64), "workers, and the replacement, see the parent's memory"),
        }
    }
    while pool.worker_pids().len() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_ne!(pool.worker_pids(), before, "one was replaced");

    // The pool has threads, so this process has.
    let refused = builder().build(look).unwrap_err();
    assert!(matches!(refused, Error::ForkWithThreads { threads: 2.. }), "{refused}");

    drop(pool);
    let me = std::process::id().to_string();
    let parent_of = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(String::from))
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    let children: Vec<String> = all.filter(|pid| parent_of(pid).as_ref() == Some(&me)).collect();
    assert!(children.is_empty(), "the template and the workers are gone: {children:?}");
    println!("test result: ok. 1 passed; 0 failed");
}
