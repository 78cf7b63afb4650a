//! What processes have used, read from outside.

use crate::sys::clock;
use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};
use std::fs;

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
    pub fn by(pids: &[u32]) -> Used {
        pids.iter().map(|&pid| Used::by_one(pid)).fold(Used::default(), std::ops::Add::add)
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

    fn by_one(pid: u32) -> Used {
        let mut used = Used { cpu: cpu(pid), ..Used::default() };
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            used.voluntary += field(&status, "voluntary_ctxt_switches:");
            used.involuntary += field(&status, "nonvoluntary_ctxt_switches:");
        }
        used
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

fn cpu(pid: u32) -> u64 {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both are valid to write to.
    let failed =
        unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) != 0 || libc::clock_gettime(clock, &mut time) != 0 };
    if failed { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}

/// Bytes of memory of some processes, what several share counted once (PSS).
pub fn memory(pids: &[u32]) -> u64 {
    let of = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_or(0, |text| field(&text, "Pss:") << 10);
    pids.iter().map(of).sum()
}

/// Counts the system calls of some processes, where the kernel lets this user: it takes the right to trace, and tracefs to be mounted.
pub struct Calls(Vec<Counter>);

impl Calls {
    /// From now on; `None` where they cannot be counted.
    pub fn count(pids: &[u32]) -> Option<Calls> {
        let id = fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id").ok()?.trim().parse().ok()?;
        let counters = pids.iter().map(|&pid| {
            let mut counter = Builder::new(Tracepoint::with_id(id))
                .observe_pid(pid as i32)
                .include_kernel()
                .inherit(true)
                .any_cpu()
                .build()
                .ok()?;
            counter.enable().ok()?;
            Some(counter)
        });
        counters.collect::<Option<Vec<_>>>().map(Calls)
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
        let me = [std::process::id()];
        let before = Used::by(&me);
        let start = clock::now();
        while clock::now() - start < 20_000_000 {
            std::hint::black_box(start);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        let used = Used::by(&me).since(before);
        assert!(used.cpu > 5_000_000 && used.voluntary > 0, "{used:?}");
        assert!(memory(&me) > 100 << 10);
        assert_eq!(Used::by(&[NOBODY]), Used::default());
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
