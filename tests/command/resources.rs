//! What a run takes: memory that does not grow with the input, no CPU time while nothing happens, as many workers as CPUs.

use super::run::{Ended, Run, gristmill, run_with, serving, start, status};
use std::fs;
use std::io::{BufWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

/// Small numbers as in a long file of them. A debug build gets fewer, each with blanks around it so that the bytes are many.
const NUMBERS: u64 = if cfg!(debug_assertions) { 600_000 } else { 20_000_000 };
const BLANKS: usize = if cfg!(debug_assertions) { 180 } else { 0 };

/// Far below the input and the output, which are more than 100 MB together, and above what a debug build's own code takes.
const PARENT_KIB: u64 = 32 << 10;
const WORKER_KIB: u64 = 24 << 10;
/// Without its code and the region: what could grow with the input.
const WORKER_OWN_KIB: u64 = 2 << 10;
/// The default region, which is there once, whoever has looked at it.
const REGION_KIB: u64 = 16 << 10;

/// Millions of numbers through pipes. The greatest memory that parent and workers ever had resident is small, in order and
/// without, although the reader of the output pauses in between.
#[test]
fn an_input_of_any_length_takes_constant_memory() {
    let mut command = gristmill(&["run", "factor", "-j", "2", "--stats", "json"]);
    command.stdin(Stdio::piped());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut run = start(command, Some(writer.into()));
    let mut stdin = BufWriter::with_capacity(1 << 16, run.stdin());
    let feeder = std::thread::spawn(move || {
        let blanks = " ".repeat(BLANKS);
        let mut bytes = 0;
        for n in 0..NUMBERS {
            let n = n % 1000;
            writeln!(stdin, "{n}{blanks}").unwrap();
            bytes += n.to_string().len() + blanks.len() + 1;
        }
        bytes as u64
    });
    let pid = run.pid();
    let reading = std::thread::spawn(move || {
        let (mut bytes, mut lines, mut reads, mut part) = (0, 0, 0, vec![0; 1 << 16]);
        let (mut parent, mut worker, mut own) = (0, 0, 0);
        loop {
            let n = reader.read(&mut part).unwrap();
            if n == 0 {
                return (bytes, lines, parent, worker, own);
            }
            bytes += n as u64;
            lines += part[..n].iter().filter(|&&c| c == b'\n').count() as u64;
            reads += 1;
            if reads % 16 == 1 {
                parent = parent.max(status(pid, "VmHWM"));
                let most = |part| serving(pid).into_iter().map(|pid| status(pid, part)).max().unwrap_or(0);
                (worker, own) = (worker.max(most("VmHWM")), own.max(most("RssAnon")));
            }
            if reads == 20 {
                // Everything between piles up, as far as it may.
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    });
    let ended = run.end();
    let (put, (got, lines, parent, worker, own)) = (feeder.join().unwrap(), reading.join().unwrap());
    eprintln!("{put} bytes in, {got} bytes out: parent {parent} KiB, worker {worker} KiB at most, {own} KiB its own");
    assert_eq!((ended.code, lines, ended.stat("jobs")), (0, NUMBERS, NUMBERS as f64));
    assert!(put + got > 100 << 20, "{put} + {got} bytes show nothing");
    assert!(parent > 1000 && parent < PARENT_KIB, "parent: {parent} KiB");
    assert!(worker > 1000 && worker < WORKER_KIB, "worker: {worker} KiB");
    assert!(own > 0 && own < WORKER_OWN_KIB, "a worker's own: {own} KiB");
}

/// How often the threads of a process have left a CPU: whoever looks around does so after each look. Its CPU time says less, since on a busy
/// machine everything takes longer.
fn switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let texts = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap());
    let of = |text: String| {
        let counts = text.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
        counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum::<u64>()
    };
    texts.map(of).sum()
}

/// The input is open and silent. Neither the parent nor a worker looks around for something to do.
#[test]
fn an_idle_run_takes_no_cpu_time_and_its_workers_little_memory() {
    let mut command = gristmill(&["run", "factor", "-j", "2"]);
    command.stdin(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    let mut run: Run = start(command, Some(writer.into()));
    let mut stdin = run.stdin();
    writeln!(stdin, "12").unwrap();
    let mut results = std::io::BufRead::lines(std::io::BufReader::new(reader));
    assert_eq!(results.next().unwrap().unwrap(), "12: 2 2 3");
    let mut all = run.wait_for("workers", |run| Some(serving(run.pid())).filter(|pids| pids.len() == 2));
    for &pid in &all {
        let parts = ["RssAnon", "RssFile", "RssShmem"].map(|part| status(pid, part));
        eprintln!("an idle worker: {parts:?} KiB");
        // What is resident of the region is the region's memory, whoever has looked at it: on a busy machine, where a job takes a second, workers
        // look at all slots. The code itself is most of the rest: in a debug build much more.
        if !cfg!(debug_assertions) {
            assert!(parts[0] + parts[1] < 4 << 10, "{parts:?} KiB");
        }
        assert!(parts[0] < 1 << 10 && parts[2] <= REGION_KIB, "{parts:?} KiB");
    }
    all.push(run.pid());
    std::thread::sleep(Duration::from_millis(200));
    let before: Vec<u64> = all.iter().map(|&pid| switches(pid)).collect();
    std::thread::sleep(Duration::from_secs(10));
    let left: Vec<u64> = before.iter().zip(&all).map(|(before, &pid)| switches(pid) - before).collect();
    eprintln!("an idle run of ten seconds: {left:?} switches");
    // The parent wakes up twice a second, to hear of Ctrl-C.
    assert!(left.iter().all(|&switches| switches <= 60), "switches within ten seconds: {left:?}");
    drop(stdin);
    assert_eq!(run.end().code, 0);
}

#[test]
fn by_default_there_is_a_worker_for_each_cpu_that_the_run_may_use() {
    let on = |cpus: Vec<usize>| -> Ended {
        let mut command = gristmill(&["run", "factor", "--stats", "json"]);
        let set = move || {
            // SAFETY: all zeroes is a valid set of no CPU; the numbers are below its size, and the call only reads it.
            let r = unsafe {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                cpus.iter().for_each(|&cpu| libc::CPU_SET(cpu, &mut set));
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
            };
            if r == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec only the affinity is set; nothing is allocated or locked.
        unsafe { command.pre_exec(set) };
        run_with(command, "1")
    };
    // SAFETY: all zeroes is a valid set, and it is valid to write to.
    let ours: Vec<usize> = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    };
    assert_eq!(on(vec![ours[0]]).stat("workers"), 1.0);
    // A quota of the control group may allow fewer than there are.
    let all = std::thread::available_parallelism().unwrap().get();
    assert_eq!(on(ours).stat("workers"), all as f64);
}
