//! What processes have used, read from outside.

use crate::sys::{clock, limits};
use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};
use std::fs;
use std::path::Path;

/// Whose use is measured.
#[derive(Clone, Debug)]
pub struct Who {
    /// This process, and others.
    pids: Vec<u32>,
    /// Whether the thread that asks is left out: it looks on.
    but_me: bool,
}

/// A thread of a process.
struct Task {
    pid: u32,
    tid: u32,
}

impl Who {
    /// Participants, and all threads of this process but the one that asks, whatever they are for: whoever uses a contender has them too.
    pub fn without_host(participants: &[u32]) -> Who {
        Who { pids: [&[std::process::id()], participants].concat(), but_me: true }
    }

    /// Participants, and all of this process: the one that asks takes part.
    pub fn with_caller(participants: &[u32]) -> Who {
        Who { pids: [&[std::process::id()], participants].concat(), but_me: false }
    }

    /// Their threads, as far as they are still there.
    fn tasks(&self) -> Vec<Task> {
        // SAFETY: the call has no arguments and cannot fail.
        let me = unsafe { libc::gettid() } as u32;
        let threads = |pid: &u32| {
            let pid = *pid;
            let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            entries.filter_map(move |entry| Some(Task { pid, tid: entry.file_name().to_str()?.parse().ok()? }))
        };
        self.pids.iter().flat_map(threads).filter(|task| !self.but_me || task.tid != me).collect()
    }
}

impl Task {
    fn folder(&self) -> String {
        format!("/proc/{}/task/{}", self.pid, self.tid)
    }

    fn switches(&self) -> Used {
        let status = fs::read_to_string(format!("{}/status", self.folder())).unwrap_or_default();
        let (voluntary, involuntary) =
            (field(&status, "voluntary_ctxt_switches:"), field(&status, "nonvoluntary_ctxt_switches:"));
        Used { cpu: 0, voluntary, involuntary }
    }
}

/// CPU time and context switches of some processes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Used {
    /// Nanoseconds on a CPU, in the programs and in the kernel.
    pub cpu: u64,
    /// Times that a thread gave up its CPU to wait.
    pub voluntary: u64,
    /// Times that a thread was made to give it up.
    pub involuntary: u64,
}

impl Used {
    /// By all of them. A process that has ended counts no more.
    pub fn by(who: &Who) -> Used {
        let processes = who.pids.iter().map(|&pid| Used { cpu: limits::cpu_of(pid), ..Used::default() });
        let all = processes.chain(who.tasks().iter().map(|task| task.switches())).fold(Used::default(), std::ops::Add::add);
        if who.but_me { Used { cpu: all.cpu.saturating_sub(limits::thread_cpu()), ..all } } else { all }
    }

    /// By children of this process that have ended and been waited for, and by theirs.
    pub fn by_ended_children() -> Used {
        // SAFETY: a `rusage` is numbers only, for which zeroes are valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: it is valid to write to; the call fails only for what is no such number as this.
        unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
        let nanos = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
        Used {
            cpu: nanos(usage.ru_utime) + nanos(usage.ru_stime),
            voluntary: usage.ru_nvcsw as u64,
            involuntary: usage.ru_nivcsw as u64,
        }
    }

    /// Since `before`.
    pub fn since(self, before: Used) -> Used {
        Used {
            cpu: self.cpu.saturating_sub(before.cpu),
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
        }
    }
}

impl std::ops::Add for Used {
    type Output = Used;

    fn add(self, other: Used) -> Used {
        Used {
            cpu: self.cpu + other.cpu,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Bytes of memory of some processes, what several share counted once (PSS). The memory of the host is among them, whoever looks on; what the
/// kernel keeps for them is not: buffers of pipes and sockets, messages in its queues.
pub fn memory(who: &Who) -> u64 {
    let of = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_or(0, |text| field(&text, "Pss:") << 10);
    who.pids.iter().map(of).sum()
}

/// Counts the system calls of some processes, where the kernel lets this user: it takes the right to trace, and tracefs to be mounted.
pub struct Calls(Vec<Counter>);

impl Calls {
    /// From now on; `None` where they cannot be counted.
    pub fn count(who: &Who) -> Option<Calls> {
        let id = fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id").ok()?.trim().parse().ok()?;
        // A counter is of one thread, and of what that makes later: each thread that is there now needs one.
        let counter = |task: &Task| {
            let mut counter = Builder::new(Tracepoint::with_id(id))
                .observe_pid(task.tid as i32)
                .include_kernel()
                .inherit(true)
                .any_cpu()
                .build()?;
            counter.enable()?;
            Ok::<_, std::io::Error>(counter)
        };
        let mut counters = vec![];
        for task in who.tasks() {
            match counter(&task) {
                Ok(counter) => counters.push(counter),
                // It has ended.
                Err(_) if !Path::new(&task.folder()).exists() => {}
                Err(_) => return None,
            }
        }
        Some(Calls(counters))
    }

    /// How many there were.
    pub fn so_far(mut self) -> Option<u64> {
        self.0.iter_mut().map(|counter| counter.read().ok()).sum()
    }
}

/// Nanoseconds that it takes to read the clock: the least mean of several tries.
pub fn clock_cost() -> f64 {
    const READS: u64 = 10_000;
    let once = || {
        let start = clock::now();
        (0..READS).for_each(|_| {
            std::hint::black_box(clock::now());
        });
        (clock::now() - start) as f64 / READS as f64
    };
    (0..10).map(|_| once()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the greatest number of a process; the clock's number has no room for much more.
    const NOBODY: u32 = (1 << 22) + 1;

    #[test]
    fn work_and_sleep_show() {
        let me = Who::with_caller(&[]);
        let before = Used::by(&me);
        let start = limits::thread_cpu();
        while limits::thread_cpu() - start < 20_000_000 {
            std::hint::black_box(start);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        let used = Used::by(&me).since(before);
        assert!(used.cpu >= 20_000_000 && used.voluntary > 0, "{used:?}");
        assert!(memory(&me) > 100 << 10);
        assert_eq!(Used::by(&Who { pids: vec![NOBODY], but_me: false }), Used::default());
    }

    #[test]
    fn the_thread_that_looks_on_is_left_out_and_others_are_not() {
        let host = Who::without_host(&[]);
        let before = (Used::by(&host), limits::thread_cpu());
        let spin = |nanos| {
            let start = limits::thread_cpu();
            while limits::thread_cpu() - start < nanos {
                std::hint::black_box(start);
            }
        };
        std::thread::scope(|scope| scope.spawn(|| spin(30_000_000)).join().unwrap());
        assert!(Used::by(&host).since(before.0).cpu >= 30_000_000, "another one");
        let me = std::process::id();
        // SAFETY: the call has no arguments and cannot fail.
        let tid = unsafe { libc::gettid() } as u32;
        let has = |who: &Who| who.tasks().iter().any(|task| task.pid == me && task.tid == tid);
        assert!(!has(&host) && has(&Who::with_caller(&[])));
    }

    #[test]
    fn calls_of_threads_that_were_there_before_count() {
        use std::sync::mpsc::channel;
        let ((go, gone), (done, over)) = (channel::<()>(), channel());
        std::thread::spawn(move || {
            done.send(()).unwrap();
            gone.recv().unwrap();
            for _ in 0..200_000 {
                // SAFETY: the call has no arguments and cannot fail.
                unsafe { libc::syscall(libc::SYS_getppid) };
            }
            done.send(()).unwrap();
        });
        over.recv().unwrap();
        // Where the kernel does not let this user count, there is nothing to see.
        let Some(calls) = Calls::count(&Who::without_host(&[])) else { return };
        go.send(()).unwrap();
        over.recv().unwrap();
        assert!(calls.so_far().unwrap() >= 200_000);
    }

    #[test]
    fn children_count_once_they_are_waited_for() {
        let before = Used::by_ended_children();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"])
            .spawn()
            .unwrap();
        child.wait().unwrap();
        assert!(Used::by_ended_children().since(before).cpu > 1_000_000);
    }
}
