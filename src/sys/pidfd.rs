//! Descriptors of processes: they become readable when the process ends, and always mean the same process, which a number
//! does not. Used by the supervisor and by `Process`.

use super::clock::Deadline;
use super::poll::poll;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A process, child of this one or not. Readable once the process has ended.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// Killed.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether it left an image of its memory.
        core_dumped: bool,
    },
    /// It has ended, and how is not known: it was not a child of this process, or something else in this program waited for it.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal { signal, core_dumped } => {
                write!(f, "signal {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                f.write_str(if core_dumped { ", core dumped" } else { "" })
            }
            Exit::Unknown => f.write_str("unknown exit status"),
        }
    }
}

/// What the dynamic loader ends with.
const NOT_LOADED: i32 = 127;

impl Exit {
    /// The same for a worker that could not start.
    pub(crate) fn explained(self) -> String {
        match self {
            Exit::Code(NOT_LOADED) => {
                format!("{self}, which the loader gives if it cannot load a program or its libraries; see standard error")
            }
            _ => self.to_string(),
        }
    }
}

impl Pidfd {
    /// The process that has the number `pid` now. For a child that was not waited for this is certain; for any other compare
    /// [`start_time`] after this call.
    ///
    /// # Errors
    /// ESRCH if there is none, EMFILE if this process has too many descriptors.
    pub fn open(pid: u32) -> io::Result<Pidfd> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: the call touches no memory.
        match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the descriptor is new and belongs to nobody else. The kernel makes it close-on-exec.
            fd => Ok(Pidfd(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        }
    }

    /// How the process ended, or None while it lives; does not block. A child is reaped by the call that says how; later
    /// calls say [`Exit::Unknown`].
    pub fn wait(&self) -> io::Result<Option<Exit>> {
        // The descriptor tells of the end alone; the call below would also take the stops of a child that this process traces, as a debugger in it
        // does: they would pass for its end, and the debugger would wait for them for ever. Where the system refuses to look, it is called
        // all the same.
        let ended = self.ended();
        if let Ok(false) = ended {
            return Ok(None);
        }
        // SAFETY: all zeroes is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let fd = self.0.as_raw_fd() as libc::id_t;
        // SAFETY: the descriptor is open and `info` valid to write to.
        while unsafe { libc::waitid(libc::P_PIDFD, fd, &mut info, libc::WEXITED | libc::WNOHANG) } == -1 {
            let e = io::Error::last_os_error();
            if e.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            // Not our child, or reaped already: the descriptor itself has told that it has ended.
            let gone = e.raw_os_error() == Some(libc::ECHILD);
            return if gone { ended.map(|_| Some(Exit::Unknown)) } else { Err(e) };
        }
        // SAFETY: waitid succeeded, so these fields are set, or zero if nothing has ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        let exit = match info.si_code {
            libc::CLD_EXITED => Exit::Code(status),
            code => Exit::Signal { signal: status, core_dumped: code == libc::CLD_DUMPED },
        };
        Ok((pid != 0).then_some(exit))
    }

    /// As [`Pidfd::wait`], where a system that refuses to say how a process ended must not make a live one pass for dead, nor a dead one
    /// for alive.
    pub(crate) fn wait_or_look(&self) -> Option<Exit> {
        self.wait().unwrap_or_else(|_| self.ended().is_ok_and(|ended| ended).then_some(Exit::Unknown))
    }

    /// As [`Pidfd::wait`], but sleeps until the process ends or until the deadline; None if that passed.
    pub fn wait_until(&self, deadline: Option<Deadline>) -> io::Result<Option<Exit>> {
        loop {
            let exit = self.wait()?;
            if exit.is_some() || deadline.is_some_and(Deadline::passed) {
                return Ok(exit);
            }
            poll(&[self.as_fd()], deadline)?;
        }
    }

    fn ended(&self) -> io::Result<bool> {
        Ok(poll(&[self.as_fd()], Some(Deadline(0)))?[0])
    }

    /// Sends a signal to this very process. That it has ended already is no error.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; without a siginfo the call touches no memory.
        let r = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, info, 0) };
        if r == 0 {
            return Ok(());
        }
        let e = io::Error::last_os_error();
        if e.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(e) }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// When process `pid` started, in clock ticks since the machine did; None if there is no such process. A number and a start
/// time together mean one process for ever.
pub fn start_time(pid: u32) -> Option<u64> {
    parse_start_time(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22. The second field is the program's name, in parentheses, and may itself have spaces and parentheses.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&b| b == b')')?;
    std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The name of a signal, SIGKILL for 9; None for real-time signals and for what is no signal.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    macro_rules! names {
        ($($name:ident)*) => { match signal { $(libc::$name => Some(stringify!($name)),)* _ => None } };
    }
    names! {
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGCHLD
        SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_start_time() {
        let line = b"77 (a) R 1 (b) S 3) S 1 77 77 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 987654 1000 2 18446744073709551615\n";
        assert_eq!(parse_start_time(line), Some(987_654));
        assert_eq!(parse_start_time(b"77 (cut"), None);
        assert!(start_time(std::process::id()).unwrap() >= start_time(1).unwrap());
        assert_eq!(start_time(u32::MAX), None);
    }

    #[test]
    fn exits_read_well() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(Exit::Signal { signal: 9, core_dumped: false }.to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Exit::Signal { signal: 11, core_dumped: true }.to_string(), "signal 11 (SIGSEGV), core dumped");
        assert_eq!(Exit::Signal { signal: 40, core_dumped: false }.to_string(), "signal 40");
    }
}
