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

/// The variable that tells a test binary which role to play; each binary has a test `role` that looks at it.
pub const ROLE: &str = "GRISTMILL_TEST_ROLE";
/// The variable with what the role needs to know.
pub const ARG: &str = "GRISTMILL_TEST_ARG";

pub fn role() -> Option<(String, String)> {
    Some((std::env::var(ROLE).ok()?, std::env::var(ARG).unwrap_or_default()))
}

pub fn role_args() -> Vec<OsString> {
    ["--exact", "role", "--nocapture", "--quiet"].map(OsString::from).to_vec()
}

/// This test binary again, or its copy at `program`, in a role.
pub fn start_role(program: Option<&Path>, role: &str, arg: &str, inherit: &[(BorrowedFd, RawFd)]) -> Child {
    let env = [(ROLE.into(), role.into()), (ARG.into(), arg.into())];
    spawn(program, &role_args(), &env, inherit).unwrap()
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
