//! What this process may use, and what it and its children have used. Used by the pool and the command.

use std::fs;
use std::io;

/// CPUs that this process may use at a time, the affinity mask and the quota of its control group included; at least 1.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// The CPUs that this process may use, by their numbers; empty if the kernel does not say.
pub fn cpu_numbers() -> Vec<usize> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid to write to, of the size given.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) } == -1 {
        return vec![];
    }
    // SAFETY: the number is below the set's size.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Keeps this thread, and those that it starts, on one CPU.
///
/// # Errors
/// If there is no such CPU, or this process may not use it.
pub fn pin(cpu: usize) -> io::Result<()> {
    keep_on(&[cpu])
}

/// Keeps this thread, and those that it starts, on some CPUs.
///
/// # Errors
/// If this process may use none of them, or there cannot be one of that number.
pub fn keep_on(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus {
        if cpu >= libc::CPU_SETSIZE as usize {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: the number is below the set's size, as just checked.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: `set` is a valid set of the size given.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Processes and threads that this user may still have (`RLIMIT_NPROC`); `None` where that does not bind: without a limit, and for who may
/// exceed limits.
pub fn processes_left() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid to write to.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &mut limit) } == -1;
    if failed || limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let me = Status::of("self")?;
    // CAP_SYS_ADMIN and CAP_SYS_RESOURCE.
    let exceeds = me.capabilities & (1 << 21 | 1 << 24) != 0;
    if me.user == 0 || exceeds {
        return None;
    }
    // Among the names are `self` and others that are no processes of their own.
    let is_pid = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let names = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let theirs = names.filter(|name| is_pid(name)).filter_map(|pid| Status::of(&pid)).filter(|status| status.user == me.user);
    Some(limit.rlim_cur.saturating_sub(theirs.map(|status| status.threads).sum()))
}

/// What `/proc` says of a process.
struct Status {
    user: u32,
    threads: u64,
    capabilities: u64,
}

impl Status {
    fn of(pid: &str) -> Option<Status> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        Some(Status {
            user: field("Uid:")?.parse().ok()?,
            threads: field("Threads:")?.parse().ok()?,
            capabilities: u64::from_str_radix(field("CapEff:")?, 16).ok()?,
        })
    }
}

/// CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds in the programs themselves.
    pub user: f64,
    /// Seconds in the kernel on their behalf.
    pub system: f64,
}

/// CPU time of this process, all its threads included.
pub fn usage_self() -> Usage {
    usage(libc::RUSAGE_SELF)
}

/// CPU time of the children of this process that have ended and were waited for, and of theirs.
pub fn usage_of_children() -> Usage {
    usage(libc::RUSAGE_CHILDREN)
}

fn usage(whose: libc::c_int) -> Usage {
    // SAFETY: all zeroes is a valid rusage.
    let mut r: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `r` is valid to write to, and `whose` one of the two that every Linux knows, so the call can't fail.
    unsafe { libc::getrusage(whose, &mut r) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Usage { user: seconds(r.ru_utime), system: seconds(r.ru_stime) }
}

/// Nanoseconds of CPU that all threads of a process have used, also those that have ended; 0 if there is no such process.
pub fn cpu_of(pid: u32) -> u64 {
    let mut clock = 0;
    // SAFETY: it is valid to write to.
    let failed = unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) != 0 };
    if failed { 0 } else { nanos(clock) }
}

/// Nanoseconds of CPU that the thread that asks has used.
pub fn thread_cpu() -> u64 {
    nanos(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is valid to write to.
    let failed = unsafe { libc::clock_gettime(clock, &mut time) != 0 };
    if failed { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}

/// Bytes of memory that process `pid` has resident, the touched pages of shared mappings included; None if there is no such
/// process.
pub fn resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * super::page_size() as u64)
}

/// Bytes of memory that process `pid` has resident for itself, shared mappings not counted; None if there is no such process.
pub fn private_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split_whitespace().skip(1).map(|n| n.parse::<u64>());
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * super::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_as_user_time() {
        let before = usage_self();
        let mut x = 1u64;
        while usage_self().user - before.user < 0.02 {
            for _ in 0..100_000 {
                x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        }
        assert!(cpus() >= 1);
    }

    #[test]
    fn a_thread_has_its_own_time_and_its_process_that_of_all() {
        let (mine, all) = (thread_cpu(), cpu_of(std::process::id()));
        std::thread::scope(|scope| {
            scope.spawn(|| while thread_cpu() < 20_000_000 {});
        });
        assert!(cpu_of(std::process::id()) - all >= 20_000_000);
        assert!(thread_cpu() - mine < 20_000_000, "it slept meanwhile");
        // More than the greatest number of a process; the clock's number has no room for much more.
        assert_eq!(cpu_of((1 << 22) + 1), 0);
    }

    #[test]
    fn touched_memory_is_resident() {
        let before = resident(std::process::id()).unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(resident(std::process::id()).unwrap() > before + (32 << 20));
        drop(block);
        assert_eq!(resident(u32::MAX), None);
    }
}
