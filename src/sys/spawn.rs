//! Starting a program with chosen descriptors under chosen numbers; and what a started worker does first. Used by the
//! supervisor and by worker start-up.
//!
//! `posix_spawn` and not `std::process::Command`: passing a close-on-exec descriptor with the latter takes code between fork and
//! exec, which copies page tables and is delicate in a program with threads.
//!
//! A worker that asks to [`die_with_parent`] is killed when the *thread* that spawned it ends, not only when the process does:
//! spawn from a thread that lives as long as the worker may.

use super::advice::advice;
use super::pidfd::Pidfd;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

/// A started child.
#[derive(Debug)]
pub struct Child {
    /// Its process number; means this child until it has been waited for.
    pub pid: u32,
    /// Its descriptor.
    pub pidfd: Pidfd,
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The kernel could not execute it, or make a process.
    #[error("cannot start {program}: {source}{}", advice(.source))]
    Start {
        /// The program.
        program: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// No descriptor was left to prepare it or to watch it.
    #[error("cannot start {program}: no descriptor for it: {source}{}", advice(.source))]
    Descriptor {
        /// The program.
        program: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// An argument or a variable has a NUL byte, which no program can be given.
    #[error("cannot start {program}: there is a NUL byte in {text:?}")]
    Nul {
        /// The program.
        program: String,
        /// The text with the byte.
        text: OsString,
    },
    /// The kernel would reap the child at once and its exit status would be lost.
    #[error("cannot start {program}: this program ignores SIGCHLD, so exit statuses are lost; set it to its default")]
    ChildrenAreReaped {
        /// The program.
        program: String,
    },
}

/// Starts `program` with the environment of this process plus `env`, its standard input empty, and each descriptor of `inherit`
/// under the number beside it. None as the program is this one again, even if its file has been replaced or removed.
///
/// In the child SIGINT is blocked, so that a Ctrl-C before [`ignore_interrupt`] is not lost on it; SIGINT and SIGTERM have their
/// default actions. Descriptors of this process that are not close-on-exec are inherited too, as always.
///
/// # Panics
/// If a number to inherit under is less than 3 or occurs twice.
pub fn spawn(
    program: Option<&Path>,
    args: &[OsString],
    env: &[(OsString, OsString)],
    inherit: &[(BorrowedFd, RawFd)],
) -> Result<Child, SpawnError> {
    let path = program.unwrap_or(Path::new("/proc/self/exe"));
    let name = match program {
        Some(p) => p.as_os_str().to_owned(),
        None => env::args_os().next().unwrap_or_else(|| path.into()),
    };
    let shown = || Path::new(&name).display().to_string();
    let start = |n| SpawnError::Start { program: shown(), source: io::Error::from_raw_os_error(n) };
    let text = |t: OsString| {
        CString::new(t.into_vec()).map_err(|e| SpawnError::Nul { program: shown(), text: OsString::from_vec(e.into_vec()) })
    };
    if children_are_reaped() {
        return Err(SpawnError::ChildrenAreReaped { program: shown() });
    }

    let file = text(path.into())?;
    let argv = [&name].into_iter().chain(args).cloned().map(text).collect::<Result<Vec<_>, _>>()?;
    let envp = environment(env).into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    // Held until the child is there.
    let sources = Sources::new(inherit).map_err(|source| SpawnError::Descriptor { program: shown(), source })?;
    let mut actions = Actions::new().map_err(start)?;
    for (source, target) in &sources.0 {
        actions.dup(source.number(), *target).map_err(start)?;
    }
    // After the others: one of them may be our standard input.
    actions.empty_stdin().map_err(start)?;
    let attributes = Attributes::new().map_err(start)?;

    let mut pid = 0;
    // SAFETY:
    // - `file` and each element of the vectors end with NUL, and the vectors of pointers with null; all outlive the call;
    // - the actions and attributes are initialized.
    let error = unsafe {
        libc::posix_spawn(
            &mut pid,
            file.as_ptr(),
            &actions.0,
            &attributes.0,
            pointers(&argv).as_ptr(),
            pointers(&envp).as_ptr(),
        )
    };
    if error != 0 {
        return Err(start(error));
    }
    Child::watched(pid).map_err(|source| SpawnError::Descriptor { program: shown(), source })
}

impl Child {
    /// A child that was just made and not waited for. If there is no descriptor to watch it by, it is ended.
    pub(super) fn watched(pid: libc::pid_t) -> io::Result<Child> {
        match Pidfd::open(pid as u32) {
            Ok(pidfd) => Ok(Child { pid: pid as u32, pidfd }),
            Err(source) => {
                // Nobody could watch it: it must not live on. It has not been waited for, so the number still is its own.
                // SAFETY: neither call touches memory.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    while libc::waitpid(pid, ptr::null_mut(), 0) == -1 && *libc::__errno_location() == libc::EINTR {}
                }
                Err(source)
            }
        }
    }
}

fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    texts.iter().map(|t| t.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// NAME=value of this process, with those of `more` instead of or beside them.
fn environment(more: &[(OsString, OsString)]) -> Vec<OsString> {
    let old = env::vars_os().filter(|(name, _)| more.iter().all(|(m, _)| m != name));
    let line = |(name, value): (OsString, OsString)| {
        let mut line = name;
        line.push(OsStr::from_bytes(b"="));
        line.push(value);
        line
    };
    old.chain(more.iter().cloned()).map(line).collect()
}

fn children_are_reaped() -> bool {
    // SAFETY: all zeroes is a valid sigaction.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set, and `old` is valid to write to.
    unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), &mut old) };
    old.sa_sigaction == libc::SIG_IGN || old.sa_flags & libc::SA_NOCLDWAIT != 0
}

/// The descriptors to inherit, none under a number that is the target of another: the child gives out the targets one after the
/// other, and would overwrite it before its turn.
struct Sources<'a>(Vec<(Source<'a>, RawFd)>);

enum Source<'a> {
    Given(BorrowedFd<'a>),
    Moved(OwnedFd),
}

impl Source<'_> {
    fn number(&self) -> RawFd {
        match self {
            Source::Given(fd) => fd.as_raw_fd(),
            Source::Moved(fd) => fd.as_raw_fd(),
        }
    }
}

impl<'a> Sources<'a> {
    fn new(inherit: &[(BorrowedFd<'a>, RawFd)]) -> io::Result<Self> {
        let is_target = |n: RawFd, except: usize| inherit.iter().enumerate().any(|(i, &(_, t))| i != except && t == n);
        let above = inherit.iter().map(|&(_, t)| t + 1).max().unwrap_or(0);
        let mut all = Vec::with_capacity(inherit.len());
        for (i, &(fd, target)) in inherit.iter().enumerate() {
            assert!(target >= 3, "descriptor number {target} belongs to a standard stream");
            assert!(!is_target(target, i), "two descriptors to inherit under the number {target}");
            if !is_target(fd.as_raw_fd(), i) {
                all.push((Source::Given(fd), target));
                continue;
            }
            // SAFETY: `fd` is open; the call touches no memory.
            let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
            if copy == -1 {
                let error = io::Error::last_os_error();
                // EINVAL: the limit on descriptors is below `above`, so there is none left that would do.
                let none = error.raw_os_error() == Some(libc::EINVAL);
                return Err(if none { io::Error::from_raw_os_error(libc::EMFILE) } else { error });
            }
            // SAFETY: the descriptor is new and belongs to nobody else.
            all.push((Source::Moved(unsafe { OwnedFd::from_raw_fd(copy) }), target));
        }
        Ok(Sources(all))
    }
}

/// 0 or an error number, as the functions of `posix_spawn` return it.
fn checked(error: libc::c_int) -> Result<(), i32> {
    if error == 0 { Ok(()) } else { Err(error) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> Result<Self, i32> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initializes it, or fails.
        checked(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it did not fail. The C type may be moved: it is a counter and a pointer to the heap.
        Ok(Actions(unsafe { actions.assume_init() }))
    }

    /// The two numbers may be the same: then the descriptor just stops being close-on-exec in the child.
    fn dup(&mut self, from: RawFd, to: RawFd) -> Result<(), i32> {
        // SAFETY: the actions are initialized.
        checked(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, from, to) })
    }

    fn empty_stdin(&mut self) -> Result<(), i32> {
        // SAFETY: the actions are initialized and the path ends with NUL.
        checked(unsafe { libc::posix_spawn_file_actions_addopen(&mut self.0, 0, c"/dev/null".as_ptr(), libc::O_RDONLY, 0) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: they are initialized, and nothing uses them any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> Result<Self, i32> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the call initializes it, or fails.
        checked(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it did not fail. The C type may be moved: it is plain data.
        let mut attributes = Attributes(unsafe { attributes.assume_init() });
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let at = &mut attributes.0;
        // SAFETY: the attributes and both sets are initialized.
        unsafe {
            checked(libc::posix_spawnattr_setsigmask(at, &signals(&[libc::SIGINT])))?;
            checked(libc::posix_spawnattr_setsigdefault(at, &signals(&[libc::SIGINT, libc::SIGTERM])))?;
            checked(libc::posix_spawnattr_setflags(at, flags as libc::c_short))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they are initialized, and nothing uses them any more.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

fn signals(of: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call initializes the set, and the others get signals that exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in of {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// In a worker: from now on the kernel kills this process when the thread that spawned it ends. Exits at once with code 1 if the
/// parent, `expected`, has gone already.
pub fn die_with_parent(expected: u32) -> io::Result<()> {
    // SAFETY: neither call touches memory.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) == -1 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the request: then there is another one, and nobody left to report to.
        if libc::getppid() as u32 != expected {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// In a worker: Ctrl-C goes to every process of the terminal, and what it means is for the parent to say.
pub fn ignore_interrupt() -> io::Result<()> {
    // SAFETY:
    // - to ignore a signal needs no handler that could be unsafe;
    // - the set is initialized.
    let (old, error) = unsafe {
        let old = libc::signal(libc::SIGINT, libc::SIG_IGN);
        (old, libc::pthread_sigmask(libc::SIG_UNBLOCK, &signals(&[libc::SIGINT]), ptr::null_mut()))
    };
    if old == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    checked(error).map_err(io::Error::from_raw_os_error)
}

/// In a worker: `ps` and `top` show the program's name and not `exe`, by which it was executed.
pub fn take_own_name() {
    let name = env::args_os().next().unwrap_or_default();
    let Some(Ok(name)) = Path::new(&name).file_name().map(|name| CString::new(name.as_bytes())) else { return };
    // SAFETY: the name ends with NUL; the kernel copies the first 15 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Keeps a descriptor from the programs that this process starts.
pub fn close_on_exec(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: `fd` is open; the call touches no memory. There is no other flag to keep.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// In a worker: takes the descriptor that was inherited under a number, and keeps it from the programs that this process starts.
///
/// Call it once for each number, before anything else opens descriptors.
///
/// # Errors
/// EBADF if there is none.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call touches no memory. It fails if nothing is open under the number.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and was opened for us by whoever started this program; nobody here knows of it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// In a worker: forgets a variable, so that programs which a job starts do not take themselves for workers.
pub fn forget_variable(name: &str) {
    // SAFETY: Rust's own readers of the environment are serialized with this; it happens first in `main`, before a program has
    // threads that read it otherwise.
    unsafe { env::remove_var(name) };
}
