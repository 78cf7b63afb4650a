//! One process: what a program holds of it, and what the supervisor writes down about it.

use super::launch::Work;
use super::supervisor::{Command, Shared};
use super::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::pidfd::{Exit, Pidfd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Why an operation on a [`Process`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It needs a process that has been started.
    #[error("the process has not been started")]
    NotStarted,
    /// A process is started once.
    #[error("the process has been started already")]
    StartedTwice,
    /// The signal cannot be sent.
    #[error("cannot send the signal: {0}")]
    Signal(std::io::Error),
    /// It cannot be started.
    #[error(transparent)]
    Start(#[from] Error),
}

/// What there is to know about one seat: a process, or a worker and its replacements.
pub(crate) struct Life {
    pub(super) task: &'static str,
    pub(super) work: Work,
    /// Whether it is started again when it dies; the group decides when to give up.
    pub(super) group: Option<Arc<super::group::Group>>,
    pub(super) daemon: AtomicBool,
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Now {
    pub(super) asked: bool,
    pub(super) pid: Option<u32>,
    pub(super) pidfd: Option<Arc<Pidfd>>,
    pub(super) exit: Option<Exit>,
}

impl Life {
    pub(super) fn new(task: &'static str, work: Work, group: Option<Arc<super::group::Group>>) -> Arc<Life> {
        Arc::new(Life { task, work, group, daemon: AtomicBool::new(true), now: Mutex::default(), changed: Condvar::new() })
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn started(&self, pid: u32, pidfd: Arc<Pidfd>) {
        let mut now = self.now();
        (now.pid, now.pidfd) = (Some(pid), Some(pidfd));
    }

    /// Its process has ended and another will take its place: until then nobody is here, and the old number may be a stranger's.
    pub(super) fn gone(&self) {
        let mut now = self.now();
        (now.pid, now.pidfd) = (None, None);
    }

    /// Its end, after everything that it held has been repaired.
    pub(super) fn ended(&self, exit: Exit) {
        self.now().exit = Some(exit);
        self.changed.notify_all();
    }

    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Exit> {
        let mut now = self.now();
        loop {
            if now.exit.is_some() {
                return now.exit;
            }
            now = match deadline {
                None => self.changed.wait(now).unwrap_or_else(|e| e.into_inner()),
                Some(d) => {
                    let left = d.checked_duration_since(Instant::now())?;
                    self.changed.wait_timeout(now, left).unwrap_or_else(|e| e.into_inner()).0
                }
            };
        }
    }
}

/// A process that runs one function of this program, after Python's `multiprocessing.Process`.
///
/// Made by [`Mill::process`](super::Mill::process); it runs from [`start`](Process::start) on. It is not started again when it dies.
/// Dropped, it goes on. When the `Mill` is dropped, daemons (the default) are killed, others waited for.
pub struct Process {
    pub(super) shared: Arc<Shared>,
    pub(super) life: Arc<Life>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let now = self.life.now();
        write!(f, "Process({}, pid {:?}, exit {:?})", self.life.task, now.pid, now.exit)
    }
}

impl Process {
    /// The path of its function.
    pub fn name(&self) -> &'static str {
        self.life.task
    }

    /// Whether it is killed when the `Mill` is dropped (the default) rather than waited for.
    pub fn daemon(&self) -> bool {
        self.life.daemon.load(Relaxed)
    }

    /// See [`daemon`](Self::daemon).
    pub fn set_daemon(&self, daemon: bool) {
        self.life.daemon.store(daemon, Relaxed);
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it was started before, or the program cannot be started.
    pub fn start(&self) -> Result<(), ProcessError> {
        {
            let mut now = self.life.now();
            if now.asked {
                return Err(ProcessError::StartedTwice);
            }
            now.asked = true;
        }
        if self.life.group.is_none() {
            let mut others = super::supervisor::lock(&self.shared.others);
            others.retain(|l| l.strong_count() > 0);
            others.push(Arc::downgrade(&self.life));
        }
        let (reply, answer) = std::sync::mpsc::channel();
        self.shared.command(Command::Start { life: self.life.clone(), reply });
        match answer.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => {
                self.life.ended(Exit::Unknown);
                Err(e.into())
            }
            Err(_) => {
                self.life.ended(Exit::Unknown);
                Err(Error::from(crate::ring::Stop::Shutdown).into())
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it was not started.
    pub fn join(&self) -> Result<Exit, ProcessError> {
        self.asked()?;
        Ok(self.life.wait(None).unwrap_or(Exit::Unknown))
    }

    /// Waits for its end until the timeout; `None` if it goes on.
    ///
    /// # Errors
    /// If it was not started.
    pub fn join_timeout(&self, timeout: Duration) -> Result<Option<Exit>, ProcessError> {
        self.asked()?;
        Ok(self.life.wait(Instant::now().checked_add(timeout)))
    }

    fn asked(&self) -> Result<(), ProcessError> {
        if self.life.now().asked { Ok(()) } else { Err(ProcessError::NotStarted) }
    }

    /// Whether it has been started and has not ended.
    pub fn is_alive(&self) -> bool {
        let now = self.life.now();
        now.pid.is_some() && now.exit.is_none()
    }

    /// How it ended; `None` while it has not.
    pub fn exit(&self) -> Option<Exit> {
        self.life.now().exit
    }

    /// How it ended, as Python says it: the exit code, or minus the signal; `None` while it has not.
    pub fn exitcode(&self) -> Option<i32> {
        match self.exit()? {
            Exit::Code(code) => Some(code),
            Exit::Signal { signal, .. } => Some(-signal),
            Exit::Unknown => Some(255),
        }
    }

    /// Its number, once it has been started.
    pub fn pid(&self) -> Option<u32> {
        self.life.now().pid
    }

    fn signal(&self, signal: i32) -> Result<(), ProcessError> {
        let pidfd = self.life.now().pidfd.clone().ok_or(ProcessError::NotStarted)?;
        match pidfd.kill(signal) {
            // It has ended, which is what was wanted.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other.map_err(ProcessError::Signal),
        }
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// If it was not started.
    pub fn terminate(&self) -> Result<(), ProcessError> {
        self.signal(libc::SIGTERM)
    }

    /// Ends it (SIGKILL).
    ///
    /// # Errors
    /// If it was not started.
    pub fn kill(&self) -> Result<(), ProcessError> {
        self.signal(libc::SIGKILL)
    }

    /// Calls `with` with a descriptor that is readable once the process has ended, for `poll` and its like.
    ///
    /// # Errors
    /// If it was not started.
    pub fn sentinel<R>(&self, with: impl FnOnce(BorrowedFd<'_>) -> R) -> Result<R, ProcessError> {
        let pidfd = self.life.now().pidfd.clone().ok_or(ProcessError::NotStarted)?;
        Ok(with(pidfd.as_fd()))
    }
}

/// The moment `after` from now, as an absolute deadline of the kernel's clock.
pub(super) fn deadline(at: Instant) -> Deadline {
    Deadline::after(at.saturating_duration_since(Instant::now()))
}
