//! Signals to children of this process.

/// Whether this process has a child of that number.
pub fn is_child(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).map(String::from);
    parent == Some(std::process::id().to_string())
}

/// Sends a signal to a child of this process, and to nobody else; whether it could be sent.
pub fn signal(pid: u32, signal: i32) -> bool {
    // SAFETY: a signal to a child of ours touches no memory of this process.
    is_child(pid) && unsafe { libc::kill(pid as i32, signal) == 0 }
}
