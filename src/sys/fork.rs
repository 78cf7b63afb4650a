//! Workers by `fork`: a *template*, forked while the program still has one thread, forks one worker after the other on request.
//!
//! A program with several threads must not fork: the child would have locks that other threads held, and not those threads. The parent
//! has a second thread as soon as it has a supervisor, so it forks once before that, and the template, which never gets a second
//! thread, forks for it. Its children are made as its *siblings* (CLONE_PARENT): the parent waits for them like for those that it spawns.

use super::pidfd::Pidfd;
use super::spawn::{Child, die_with_parent, ignore_interrupt};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How many threads this process has that may run its code.
///
/// # Errors
/// If /proc cannot be read.
pub fn threads() -> io::Result<usize> {
    let all: Vec<_> = fs::read_dir("/proc/self/task")?.collect::<Result<_, _>>()?;
    match all.len() {
        1 => Ok(1),
        _ => all.iter().try_fold(0, |count, task| Ok(count + usize::from(!has_ended(&task.path())?))),
    }
}

/// Whether a thread of this process is past its last instruction. The kernel lets others join it before it takes it out of /proc.
fn has_ended(task: &Path) -> io::Result<bool> {
    /// PF_EXITING.
    const EXITING: u32 = 4;
    match fs::read_to_string(task.join("stat")) {
        Ok(text) => {
            // After the name: the state, five numbers, and the flags.
            let flags = text.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(6)?.parse::<u32>().ok());
            Ok(flags.is_some_and(|flags| flags & EXITING != 0))
        }
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(true),
        Err(e) => Err(e),
    }
}

/// The parent's hold on the template. Dropped, the template ends.
#[derive(Debug)]
pub struct Template {
    socket: UnixStream,
    pidfd: Pidfd,
}

impl Template {
    /// Forks the template. In each worker `worker` is called with the bytes of its request, and gives its exit code.
    ///
    /// # Errors
    /// If this process has several threads (EDEADLK), or the system refuses.
    pub fn start(worker: impl Fn(&[u8]) -> i32) -> io::Result<Template> {
        if threads()? != 1 {
            return Err(io::Error::from_raw_os_error(libc::EDEADLK));
        }
        let (ours, theirs) = UnixStream::pair()?;
        let parent = std::process::id();
        // What is buffered would be printed by each child again.
        io::stdout().flush()?;
        // SAFETY: this process has one thread, so the child is whole.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(ours);
                let prepared = die_with_parent(parent).and_then(|()| ignore_interrupt());
                exit(serve(theirs, prepared, &worker))
            }
            pid => {
                let template = Child::watched(pid)?;
                Ok(Template { socket: ours, pidfd: template.pidfd })
            }
        }
    }

    /// Forks a worker, a child of this process.
    ///
    /// # Errors
    /// The system's, or a broken pipe if the template has died.
    pub fn fork(&self, request: &[u8]) -> io::Result<Child> {
        let mut socket = &self.socket;
        let mut answer = [0; 4];
        // In one piece: what is refused, is refused whole, and the next request is understood.
        let request = [&(request.len() as u64).to_le_bytes(), request].concat();
        socket.write_all(&request).and_then(|()| socket.read_exact(&mut answer)).map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the process that forks workers has died; build the Mill or pool anew",
            ),
            _ => e,
        })?;
        match i32::from_le_bytes(answer) {
            pid if pid > 0 => Child::watched(pid),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        // It reads the end of its requests and ends. Without memory for `poll` it is looked at again and again.
        while self.pidfd.wait_until(None).is_err_and(|e| e.raw_os_error() == Some(libc::ENOMEM)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The template's life: requests until the parent closes its end.
fn serve(mut socket: UnixStream, prepared: io::Result<()>, worker: &impl Fn(&[u8]) -> i32) -> i32 {
    loop {
        let mut length = [0; 8];
        if socket.read_exact(&mut length).is_err() {
            return 0;
        }
        let mut request = vec![0; u64::from_le_bytes(length) as usize];
        if socket.read_exact(&mut request).is_err() {
            return 0;
        }
        if let Err(e) = &prepared {
            // Whoever asks first learns why there are no workers.
            let _ = answer(&mut socket, -e.raw_os_error().unwrap_or(libc::EAGAIN));
            return 1;
        }
        let flags = libc::CLONE_PARENT | libc::SIGCHLD;
        // SAFETY: the template has one thread, so the child is whole; without CLONE_VM it has a stack of its own, a copy of this one.
        let made = match unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_long, 0, 0, 0, 0) } {
            0 => {
                drop(socket);
                exit(worker(&request))
            }
            -1 => -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN),
            pid => pid as i32,
        };
        if answer(&mut socket, made).is_err() {
            return 0;
        }
    }
}

/// Says which process was made, or minus the error. There may be no memory for it at the moment, but a worker of which the parent does not hear
/// would be nobody's.
fn answer(socket: &mut UnixStream, made: i32) -> io::Result<()> {
    loop {
        match socket.write_all(&made.to_le_bytes()) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM)) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// Ends a forked process: what the parent has registered for its own end (`atexit`) is not for its copies.
fn exit(code: i32) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}
