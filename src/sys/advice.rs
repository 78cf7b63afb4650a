//! What to do about an error of the system: the end of messages, for those who do not know its errors by heart.

use std::io;

/// A semicolon and what to do, or nothing where the error says it all.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "; raise the limit on open files (ulimit -n)",
        Some(libc::ENFILE) => "; the machine has too many open files: close some or raise fs.file-max",
        Some(libc::EAGAIN) => {
            "; there are too many processes or threads, or too little memory: end some or raise the limit (ulimit -u)"
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => "; free some memory or raise the limit on it",
        Some(libc::ENOSPC | libc::EDQUOT) => "; free some space",
        Some(libc::EINTR | libc::EBUSY) => "; try again",
        _ => "",
    }
}
