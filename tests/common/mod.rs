//! What the tests of several files need: parts of a test that must run in a process of their own.
#![allow(dead_code, missing_docs)]

use gristmill::sys::clock::Deadline;
use gristmill::sys::pidfd::Exit;
use gristmill::sys::spawn::{Child, spawn};
use std::ffi::OsString;
use std::fs;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The role that this test binary was started in, and what the role needs to know; each binary has a test `role` that looks.
///
/// A role travels in the arguments, which the harness takes for the names of tests. In the environment, one mistake there and a
/// role that starts another would start itself, for ever.
pub fn role() -> Option<(String, String)> {
    let find = |prefix| std::env::args().find_map(|a| a.strip_prefix(prefix).map(String::from));
    Some((find("role=")?, find("arg=")?))
}

pub fn role_args(role: &str, arg: &str) -> Vec<OsString> {
    let args = ["--exact", "--nocapture", "--quiet", "role", &format!("role={role}"), &format!("arg={arg}")];
    args.map(OsString::from).to_vec()
}

/// This test binary again, or its copy at `program`, in a role.
pub fn start_role(program: Option<&Path>, role: &str, arg: &str, inherit: &[(BorrowedFd, RawFd)]) -> Child {
    spawn(program, &role_args(role, arg), &[], inherit).unwrap()
}

/// How the child ended. A child that hangs is killed, and the test fails.
pub fn end(child: &Child) -> Exit {
    if let Some(exit) = child.pidfd.wait_until(Some(Deadline::after(Duration::from_secs(60)))).unwrap() {
        return exit;
    }
    child.pidfd.kill(libc::SIGKILL).unwrap();
    panic!("process {} hangs", child.pid);
}

/// A path that nothing has, removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        Scratch(std::env::temp_dir().join(format!("gristmill-test-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
