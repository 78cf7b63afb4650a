//! What a process can do against others of its own user: they may otherwise look into it and change it at will.

use std::io;

/// From now on nobody but root can trace this process, open its memory or descriptors through /proc, or get a core dump of it. The program
/// that it executes next can be traced again.
///
/// # Errors
/// The system's.
pub fn not_dumpable() -> io::Result<()> {
    // SAFETY: the call touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// From now on neither this process nor a program that it starts gains rights by executing a file (set-user-id and the like). It may then restrict
/// itself further by seccomp and landlock without being root.
///
/// # Errors
/// The system's.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: the call touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
