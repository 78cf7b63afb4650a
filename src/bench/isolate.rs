//! A process for each turn: what a contender breaks, forgets or hangs in ends with it.

use super::contender::{Failure, Result};
use super::left::Left;
use crate::sys::clock::Deadline;
use crate::sys::{poll, spawn};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How a process of its own ended.
pub enum Ended<T> {
    /// With a value.
    Value(T),
    /// It could not do it.
    Failed(String),
    /// It died: of which signal, or with which code.
    Died(String),
    /// It was not ready in time, and was killed with all that it had started.
    Hung,
    /// A signal came for this process, and it was killed.
    Interrupted,
}

/// Makes the end of a turn's process the end of everything that it has started: what outlives it becomes a child of this process.
///
/// # Errors
/// If the kernel refuses.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes an integer and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Does something in a process of its own. This process must have one thread. `interrupted` is asked twenty times a second.
///
/// # Errors
/// If the system refuses to make the process.
pub fn isolated<T: Serialize + DeserializeOwned>(
    limit: Duration,
    interrupted: &dyn Fn() -> bool,
    body: impl FnOnce() -> Result<T>,
) -> Result<Ended<T>> {
    let deadline = Deadline::after(limit);
    isolated_until(&|| deadline, interrupted, body)
}

/// The same; `deadline` is asked as often as `interrupted`: it may hang on how far the process is.
///
/// # Errors
/// If the system refuses to make the process.
pub fn isolated_until<T: Serialize + DeserializeOwned>(
    deadline: &dyn Fn() -> Deadline,
    interrupted: &dyn Fn() -> bool,
    body: impl FnOnce() -> Result<T>,
) -> Result<Ended<T>> {
    if crate::sys::fork::threads()? != 1 {
        return Err("a turn's process cannot be forked: this process has several threads".into());
    }
    let left = Left::new()?;
    let (reader, mut writer) = io::pipe()?;
    let parent = std::process::id();
    io::stdout().flush()?;
    // SAFETY: this process has one thread, so the child is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error().into()),
        0 => {
            drop(reader);
            left.begin();
            let said =
                spawn::die_with_parent(parent).map_err(Failure::from).and_then(|()| caught(body)).map_err(|e| e.to_string());
            let told = serde_json::to_vec(&said).is_ok_and(|bytes| writer.write_all(&bytes).is_ok());
            // SAFETY: ends the process without what its parent has registered for its own end.
            unsafe { libc::_exit(i32::from(!told)) }
        }
        pid => {
            drop(writer);
            let ended = follow(reader, deadline, interrupted);
            left.close();
            kill(pid);
            let status = reap(pid);
            sweep();
            left.remove();
            // Ctrl-C goes to all: who was told to end by it has not failed.
            let failed = |ended| if interrupted() { Ended::Interrupted } else { ended };
            Ok(match ended {
                Ok(Some(bytes)) => match serde_json::from_slice::<std::result::Result<T, String>>(&bytes) {
                    Ok(Ok(value)) => Ended::Value(value),
                    Ok(Err(why)) => failed(Ended::Failed(why)),
                    Err(_) => failed(Ended::Died(status)),
                },
                Ok(None) => failed(Ended::Hung),
                Err(_) => Ended::Interrupted,
            })
        }
    }
}

/// A panic ends here, and is told: it must not unwind into what this process has copied of the one that it was forked from.
fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing of what the body has left half done is used: the process ends.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", text.unwrap_or("without a text")).into())
    })
}

/// Reads until the end; `None` if that does not come in time.
fn follow(
    mut reader: PipeReader,
    deadline: &dyn Fn() -> Deadline,
    interrupted: &dyn Fn() -> bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![];
    loop {
        if interrupted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let soon = Deadline::after(Duration::from_millis(50)).min(deadline());
        let readable = poll::poll(&[reader.as_fd()], Some(soon)).is_ok_and(|ready| ready[0]);
        if !readable {
            if deadline().passed() {
                return Ok(None);
            }
            continue;
        }
        let mut part = [0; 1 << 16];
        match reader.read(&mut part) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn kill(pid: i32) {
    // SAFETY: sends a signal; the process is a child that has not been waited for, so the number is its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits for a child and says how it ended.
pub fn reap(pid: i32) -> String {
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    while unsafe { libc::waitpid(pid, &mut status, 0) } == -1 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return "it was not there any more".into();
        }
    }
    use std::os::unix::process::ExitStatusExt;
    std::process::ExitStatus::from_raw(status).to_string()
}

/// Ends the children that are left, and theirs, until there are none.
fn sweep() {
    loop {
        let children = children();
        if children.is_empty() {
            return;
        }
        children.iter().for_each(|&pid| kill(pid));
        children.iter().for_each(|&pid| drop(reap(pid)));
    }
}

fn children() -> Vec<i32> {
    let me = std::process::id();
    let text = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
