//! What the tests ask the kernel about processes, and what they do to them.

use std::fs;

/// Sends a signal to a child of this process, and to nobody else: a number may be given to a stranger as soon as its child has been waited
/// for. That it has ended is no error.
pub fn kill(pid: u32, signal: i32) {
    let me = std::process::id().to_string();
    if stat(pid).is_some_and(|s| s.get(1) == Some(&me)) {
        kill_any(pid, signal);
    }
}

/// Sends a signal to a process that is known to live.
pub fn kill_any(pid: u32, signal: i32) {
    assert!(pid > 1 && i32::try_from(pid).is_ok(), "{pid} means more than one process");
    // SAFETY: the call touches no memory.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Ends this process as suddenly as can be.
pub fn die() -> ! {
    kill_any(std::process::id(), libc::SIGKILL);
    unreachable!("SIGKILL cannot be survived")
}

fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &text[text.rfind(')')? + 2..];
    Some(after_name.split(' ').map(String::from).collect())
}

/// The letter of the process's state: R, S, T (stopped), Z; `None` if there is no such process.
pub fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// Ticks of CPU time of all its threads.
pub fn ticks(pid: u32) -> u64 {
    let stat = stat(pid).unwrap_or_default();
    let number = |k: usize| stat.get(k).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
    number(11) + number(12)
}

/// Stops a process and waits until it has stopped; whether it has, and not ended.
pub fn stop(pid: u32) -> bool {
    kill(pid, libc::SIGSTOP);
    stopped(pid)
}

/// Waits until a process that was told to stop has stopped; whether it has, and not ended.
pub fn stopped(pid: u32) -> bool {
    loop {
        match state(pid) {
            Some('T' | 't') => return true,
            None | Some('Z' | 'X') => return false,
            _ => std::thread::yield_now(),
        }
    }
}

/// Lets a stopped process go on.
pub fn go_on(pid: u32) {
    kill(pid, libc::SIGCONT);
}

/// Open descriptors of this process, by what they lead to.
pub fn descriptors() -> Vec<String> {
    descriptors_of(std::process::id())
}

/// Open descriptors of a process, by what they lead to.
pub fn descriptors_of(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut all: Vec<String> =
        entries.filter_map(|e| fs::read_link(e.path()).ok()).map(|l| l.to_string_lossy().into_owned()).collect();
    // The one that reads the folder.
    all.retain(|l| !l.ends_with("/fd"));
    all.sort();
    all
}

/// Children of this process, zombies included.
pub fn children() -> Vec<u32> {
    let me = std::process::id().to_string();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| stat(pid).is_some_and(|s| s.get(1) == Some(&me))).collect()
}

/// Threads of this process.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
