//! `Process`, as Python's `multiprocessing.Process` has it.

use crate::harness::{list, until, wait_for};
use crate::system::die;
use gristmill::sys::clock::Deadline;
use gristmill::sys::poll::poll;
use gristmill::{Exit, Mill, Process, ProcessError, Queue, Task, tasks};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

list! {
    a_process_runs_once_with_its_arguments
    it_is_started_once
    what_needs_a_started_process_says_so
    exit_codes_and_signals_are_told
    terminate_and_kill_end_it
    join_with_a_timeout_comes_back
    the_sentinel_is_readable_at_the_end
    it_is_not_started_again_when_it_dies
    dropping_the_mill_waits_for_processes_that_are_no_daemons
    after_the_mill_nothing_starts_and_nothing_hangs
}

pub fn tasks() -> Vec<Task> {
    tasks![add, exit_with, panic_now, kill_self, wait_for_ever, slow]
}

fn add(a: &u64, b: &(u32, String), sum: &Queue<u64>) {
    sum.put(a + u64::from(b.0) + b.1.len() as u64).unwrap();
}

fn exit_with(code: &i32) {
    std::process::exit(*code);
}

fn panic_now() {
    panic!("as told");
}

fn kill_self() {
    die();
}

fn wait_for_ever(ready: &Queue<u32>) {
    ready.put(std::process::id()).unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn slow(done: &Queue<u32>) {
    std::thread::sleep(Duration::from_millis(200));
    done.put(1).unwrap();
}

fn mill() -> Mill {
    Mill::builder().build().unwrap()
}

fn waiting(mill: &Mill) -> Process {
    let ready = mill.queue::<u32>(1).unwrap();
    let process = mill.process(wait_for_ever, (&ready,)).unwrap();
    process.start().unwrap();
    assert_eq!(Some(ready.get().unwrap()), process.pid());
    process
}

fn a_process_runs_once_with_its_arguments() {
    let mill = mill();
    let sum = mill.queue::<u64>(4).unwrap();
    let process = mill.process(add, (&1, &(20, "x".repeat(300)), &sum)).unwrap();
    assert!(process.name().ends_with("processes::add") && process.daemon());
    assert_eq!((process.is_alive(), process.pid(), process.exit(), process.exitcode()), (false, None, None, None));
    process.start().unwrap();
    assert_eq!(process.join().unwrap(), Exit::Code(0));
    assert_eq!((process.is_alive(), process.exitcode()), (false, Some(0)));
    assert_eq!(sum.drain().unwrap(), [321]);
    assert_eq!(mill.stats().deaths, 0);
}

fn it_is_started_once() {
    let mill = mill();
    let process = waiting(&mill);
    assert!(matches!(process.start(), Err(ProcessError::StartedTwice)));
    process.kill().unwrap();
    process.join().unwrap();
    let again = process.start().unwrap_err();
    assert_eq!(again.to_string(), "the process has been started already");
}

fn what_needs_a_started_process_says_so() {
    let mill = mill();
    let process = mill.process(panic_now, ()).unwrap();
    let no = |r: Result<(), ProcessError>| assert_eq!(r.unwrap_err().to_string(), "the process has not been started");
    no(process.join().map(drop));
    no(process.join_timeout(Duration::ZERO).map(drop));
    no(process.terminate());
    no(process.kill());
    no(process.sentinel(|_| ()));
}

fn exit_codes_and_signals_are_told() {
    let mill = mill();
    for code in [0, 1, 77, 255] {
        let process = mill.process(exit_with, (&code,)).unwrap();
        process.start().unwrap();
        assert_eq!(process.join().unwrap(), Exit::Code(code));
        assert_eq!(process.exitcode(), Some(code));
    }
    let process = mill.process(panic_now, ()).unwrap();
    process.start().unwrap();
    assert_eq!(process.join().unwrap(), Exit::Code(101));
    let process = mill.process(kill_self, ()).unwrap();
    process.start().unwrap();
    assert_eq!(process.join().unwrap(), Exit::Signal { signal: 9, core_dumped: false });
    assert_eq!(process.exitcode(), Some(-9));
    assert_eq!(mill.stats().deaths, 5, "every end but exit code 0");
}

fn terminate_and_kill_end_it() {
    let mill = mill();
    let process = waiting(&mill);
    assert!(process.is_alive());
    process.terminate().unwrap();
    process.join().unwrap();
    assert_eq!(process.exitcode(), Some(-libc::SIGTERM));
    process.terminate().expect("it has ended, as was wanted");
    process.kill().expect("it has ended, as was wanted");

    let process = waiting(&mill);
    assert!(crate::system::stop(process.pid().unwrap()));
    process.kill().unwrap();
    process.join().unwrap();
    assert_eq!(process.exitcode(), Some(-libc::SIGKILL));
}

fn join_with_a_timeout_comes_back() {
    let mill = mill();
    let process = waiting(&mill);
    let start = Instant::now();
    assert_eq!(process.join_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(30), "came back too early");
    std::thread::scope(|scope| {
        let joins: Vec<_> = (0..3).map(|_| scope.spawn(|| process.join().unwrap())).collect();
        process.kill().unwrap();
        joins.into_iter().for_each(|j| assert!(matches!(j.join().unwrap(), Exit::Signal { signal: 9, .. })));
    });
    assert!(process.join_timeout(Duration::ZERO).unwrap().is_some());
}

fn the_sentinel_is_readable_at_the_end() {
    let mill = mill();
    let process = waiting(&mill);
    let ended = |within| {
        let look = |fd: std::os::fd::BorrowedFd<'_>| poll(&[fd.as_fd()], Some(Deadline::after(within))).unwrap()[0];
        process.sentinel(look).unwrap()
    };
    assert!(!ended(Duration::from_millis(20)));
    process.kill().unwrap();
    assert!(ended(Duration::from_secs(100)));
}

fn it_is_not_started_again_when_it_dies() {
    let mill = mill();
    let process = waiting(&mill);
    process.kill().unwrap();
    process.join().unwrap();
    assert!(!until(Duration::from_millis(200), || mill.stats().processes > 0));
    assert_eq!(mill.stats().deaths, 1);
}

fn dropping_the_mill_waits_for_processes_that_are_no_daemons() {
    let mill = mill();
    let done = mill.queue::<u32>(4).unwrap();
    let patient = mill.process(slow, (&done,)).unwrap();
    patient.set_daemon(false);
    patient.start().unwrap();
    let ended = waiting(&mill);
    drop(mill);
    assert_eq!(patient.exitcode(), Some(0));
    assert_eq!(ended.exitcode(), Some(-libc::SIGKILL));
}

fn after_the_mill_nothing_starts_and_nothing_hangs() {
    let mill = mill();
    let queue = mill.queue::<u32>(1).unwrap();
    let jobs = mill.joinable_queue::<u32>(1).unwrap();
    let never = mill.process(panic_now, ()).unwrap();
    let ended = waiting(&mill);
    queue.put(1).unwrap();
    jobs.put(1).unwrap();
    drop(mill);
    assert_eq!(ended.join().unwrap(), Exit::Signal { signal: 9, core_dumped: false });
    assert_eq!(never.start().unwrap_err().to_string(), "the region has been shut down");
    assert!(!never.is_alive());
    assert_eq!(never.join().unwrap(), Exit::Unknown);
    let text = "the region has been shut down";
    assert_eq!(queue.put(2).unwrap_err().to_string(), text);
    assert_eq!(jobs.join().unwrap_err().to_string(), text);
    wait_for(|| crate::system::children().is_empty());
}
