//! What Linux has for reaching into another process, tried: by another user, who may do none of it, and by a process of the same user, to whom only
//! a process that is not dumpable is closed.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Larger than any descriptor of those who are reached into.
const DESCRIPTORS: i32 = 64;

/// All attempts.
pub const ALL: [&str; 9] = [
    "the list of descriptors",
    "a descriptor",
    "a descriptor's copy",
    "the memory",
    "its bytes",
    "the list of mappings",
    "the environment",
    "its directory",
    "tracing",
];

/// Lets every process trace this one as far as the security module Yama goes, which otherwise lets a parent trace its children and nobody else: what
/// refuses an attempt is then what the tests are about. Where there is no Yama nothing happens.
pub fn open_to_tracers() {
    // SAFETY: the call touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Whether Yama keeps even those out whom a process has let in; then no attempt of an ordinary user can go.
pub fn nobody_may_trace() -> bool {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    scope.trim().parse::<u32>().is_ok_and(|scope| scope >= 2)
}

/// Whether the path can be opened at all.
pub fn opens(path: &Path) -> bool {
    let ways = [OpenOptions::new().read(true).to_owned(), OpenOptions::new().write(true).to_owned()];
    ways.iter().any(|way| way.open(path).is_ok())
}

/// Makes all attempts at a process, and gives those that went. One that was traced goes on when this process ends.
pub fn into(pid: u32) -> BTreeSet<&'static str> {
    let proc = Path::new("/proc").join(pid.to_string());
    let number = pid as libc::pid_t;
    let tried = [
        ("the list of descriptors", fs::read_dir(proc.join("fd")).is_ok()),
        ("a descriptor", (3..DESCRIPTORS).any(|fd| opens(&proc.join(format!("fd/{fd}"))))),
        ("a descriptor's copy", copies_a_descriptor(number)),
        ("the memory", opens(&proc.join("mem"))),
        ("its bytes", reads_bytes(number)),
        ("the list of mappings", fs::read_to_string(proc.join("maps")).is_ok_and(|maps| !maps.is_empty())),
        ("the environment", fs::read(proc.join("environ")).is_ok()),
        ("its directory", fs::read_dir(proc.join("cwd")).is_ok() && fs::read_link(proc.join("root")).is_ok()),
        ("tracing", traces(number)),
    ];
    tried.into_iter().filter(|(_, went)| *went).map(|(what, _)| what).collect()
}

fn copies_a_descriptor(pid: libc::pid_t) -> bool {
    // SAFETY: neither call touches memory; the descriptors go with this process.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        (3..DESCRIPTORS).any(|fd| libc::syscall(libc::SYS_pidfd_getfd, pidfd, fd, 0) != -1)
    }
}

fn reads_bytes(pid: libc::pid_t) -> bool {
    let mut byte = 0u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // The program's own code lies there, if anything does: whoever may read is told EFAULT if nothing does, and EPERM otherwise.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let address = usize::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: 1 };
    // SAFETY: at most one byte is written, to `byte`.
    let read = unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) };
    read == 1 || io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

fn traces(pid: libc::pid_t) -> bool {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call touches no memory of this process.
    unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, nothing) == 0 }
}
