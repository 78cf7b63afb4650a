//! What a terminal says about itself. Used by the command.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Columns of the terminal behind a descriptor; `None` if there is no terminal or it does not say.
pub fn columns(fd: BorrowedFd) -> Option<u16> {
    // SAFETY: all zeroes is a valid winsize.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` is open and `size` is valid to write to; the request fails if there is no terminal.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (r == 0 && size.ws_col > 0).then_some(size.ws_col)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_terminal_has_no_columns() {
        assert_eq!(columns(std::fs::File::open("/dev/null").unwrap().as_fd()), None);
    }
}
