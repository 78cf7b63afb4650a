//! A process of which one system call is made to fail: the n-th of its kind that a certain thread makes, or a certain worker.
//!
//! By seccomp's user notification: a filter that all its threads and children inherit hands each call of the kinds in [`CALLS`] to us, and we let it
//! happen or answer with an error in its place. So nothing is stepped, and it works on every architecture.

use gristmill::sys::clock::Deadline;
use gristmill::sys::pidfd::{Exit, Pidfd};
use gristmill::sys::poll::poll;
use gristmill::sys::spawn::{self, die_with_parent};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The socket between the two, and the file for what the process says on standard error: numbers that nothing else gets.
const CONTROL: RawFd = 500;
const SAID: RawFd = 501;

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A kind of call, and the errors by which the kernel may refuse it. The first is the usual one.
type Call = (&'static str, libc::c_long, &'static [i32]);

macro_rules! calls {
    ($($name:ident: $($error:ident)+;)*) => { &[$((stringify!($name), libc::$name, &[$(libc::$error),+])),*] };
}

/// What is not here cannot be refused for want of something (`munmap` of whole mappings, `close`, wake-ups, `prlimit64` for what this process may do
/// by its limits), or not in a way that is the business of a program (`brk`: the allocator does without), or leaves nothing that could be done
/// (`unlink`, of a name).
const CALLS: &[Call] = calls! {
    SYS_memfd_create: EMFILE ENFILE ENOMEM;
    SYS_ftruncate: ENOSPC EINTR ENOMEM;
    SYS_fallocate: ENOSPC EINTR ENOMEM;
    SYS_mmap: ENOMEM EAGAIN ENFILE;
    SYS_mremap: ENOMEM EAGAIN;
    SYS_mprotect: ENOMEM;
    SYS_madvise: ENOMEM EAGAIN;
    SYS_openat: EMFILE ENFILE ENOMEM EINTR ENOSPC;
    SYS_clone: EAGAIN ENOMEM;
    SYS_clone3: EAGAIN ENOMEM;
    SYS_execve: ENOMEM EAGAIN EMFILE;
    SYS_pidfd_open: EMFILE ENFILE ENOMEM;
    SYS_waitid: EINTR;
    SYS_wait4: EINTR;
    SYS_ppoll: ENOMEM EINTR;
    SYS_eventfd2: EMFILE ENFILE ENOMEM;
    SYS_pipe2: EMFILE ENFILE;
    SYS_socketpair: EMFILE ENFILE ENOMEM;
    SYS_dup3: EMFILE EINTR;
    SYS_prctl: EINVAL;
    SYS_sched_setaffinity: ENOMEM EINVAL;
    SYS_sched_getaffinity: ENOMEM;
    SYS_futex: EINTR EAGAIN;
    SYS_read: EINTR ENOMEM;
    SYS_pread64: EINTR ENOMEM;
    SYS_write: EINTR ENOMEM ENOSPC;
    SYS_pwrite64: EINTR ENOMEM ENOSPC;
    SYS_sendto: EINTR ENOBUFS ENOMEM;
    SYS_recvfrom: EINTR;
    SYS_getdents64: ENOMEM;
    SYS_statx: ENOMEM;
    SYS_fstat: ENOMEM;
    SYS_newfstatat: ENOMEM;
    SYS_fstatfs: EINTR ENOMEM;
    SYS_readlinkat: ENOMEM;
    SYS_fchmod: EINTR ENOMEM;
    SYS_getrandom: EINTR;
    SYS_clock_nanosleep: EINTR;
    SYS_sigaltstack: ENOMEM;
};

/// What one call is for different descriptors or commands.
const SPECIAL: &[Call] = &[
    ("SYS_fcntl F_DUPFD", libc::SYS_fcntl, &[libc::EMFILE]),
    ("SYS_fcntl F_ADD_SEALS", libc::SYS_fcntl, &[libc::ENOMEM, libc::EBUSY]),
    ("SYS_read of an eventfd", libc::SYS_read, &[libc::EINTR]),
    ("SYS_write to an eventfd", libc::SYS_write, &[libc::EINTR]),
];

fn all() -> impl Iterator<Item = &'static Call> {
    SPECIAL.iter().chain(CALLS).chain(OLD_CALLS)
}

/// Calls of one architecture only.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[Call] = calls! {
    SYS_open: EMFILE ENFILE ENOMEM EINTR;
    SYS_fork: EAGAIN ENOMEM;
    SYS_vfork: EAGAIN ENOMEM;
    SYS_poll: ENOMEM EINTR;
    SYS_readlink: ENOMEM;
    SYS_dup2: EMFILE EINTR;
};
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[Call] = &[];

/// The kind of a call, if it is one that can be refused.
fn kind(thread: u32, number: libc::c_long, args: &[u64; 6]) -> Option<&'static str> {
    let operation = args[1] as i32;
    let is_eventfd = || {
        let what = fs::read_link(format!("/proc/{thread}/fd/{}", args[0]));
        what.is_ok_and(|what| what.to_string_lossy().contains("eventfd"))
    };
    match (number, operation) {
        (libc::SYS_fcntl, libc::F_DUPFD_CLOEXEC | libc::F_DUPFD) => Some("SYS_fcntl F_DUPFD"),
        (libc::SYS_fcntl, libc::F_ADD_SEALS) => Some("SYS_fcntl F_ADD_SEALS"),
        (libc::SYS_fcntl, _) => None,
        (libc::SYS_read, _) if is_eventfd() => Some("SYS_read of an eventfd"),
        (libc::SYS_write, _) if is_eventfd() => Some("SYS_write to an eventfd"),
        (libc::SYS_prctl, _) if args[0] as i32 != libc::PR_SET_PDEATHSIG => None,
        (libc::SYS_futex, _) if ![libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].contains(&(operation & 0x7f)) => None,
        _ => CALLS.iter().chain(OLD_CALLS).find(|c| c.1 == number).map(|c| c.0),
    }
}

/// Who makes a call: the threads of the process in the order of their first calls, and the processes that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Thread(u32),
    Child(u32),
}

/// The `nth` call of its kind, from 1 on, is refused; or from that one on all of its kind, whoever makes them.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub who: Who,
    pub call: &'static str,
    pub nth: u32,
    pub error: i32,
    pub lasting: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { who, call, nth, error, lasting } = self;
        let error = io::Error::from_raw_os_error(*error);
        write!(f, "{who:?}, {call} {nth}{}: {error}", if *lasting { " and all later" } else { "" })
    }
}

/// How often each called what.
pub type Counts = BTreeMap<(Who, &'static str), u32>;

/// The errors that a kind of call may end with.
pub fn errors(call: &str) -> &'static [i32] {
    all().find(|c| c.0 == call).expect("one of ours").2
}

/// What came of one run.
pub struct Run {
    pub process: u32,
    pub counts: Counts,
    /// Whether the call that was to fail was made.
    pub reached: bool,
    /// What the process says about the part of it that a call was to fail in, and about what was left after that.
    pub told: Option<String>,
    pub left: Option<String>,
    /// `None`: it hung.
    pub exit: Option<Exit>,
    /// What it wrote to standard error.
    pub said: String,
}

/// In the process: from now on its calls are counted, until [`Counted::end`].
pub struct Counted(UnixDatagram);

/// Installs the filter on this thread, and gives the listener. Close-on-exec.
fn filter() -> io::Result<OwnedFd> {
    let op = |code: u32, k: u32, jt: usize, jf: usize| libc::sock_filter { code: code as u16, jt: jt as u8, jf: jf as u8, k };
    let (load, equal, give) =
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET);
    let mut numbers: Vec<_> = all().map(|call| call.1).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut program = vec![op(load, std::mem::offset_of!(libc::seccomp_data, nr) as u32, 0, 0)];
    for (k, &number) in numbers.iter().enumerate() {
        program.push(op(equal, number as u32, numbers.len() - k, 0));
    }
    program.push(op(give, libc::SECCOMP_RET_ALLOW, 0, 0));
    // The first argument's lower half; little-endian.
    program.push(op(load, std::mem::offset_of!(libc::seccomp_data, args) as u32, 0, 0));
    program.push(op(equal, CONTROL as u32, 0, 1));
    program.push(op(give, libc::SECCOMP_RET_ALLOW, 0, 0));
    program.push(op(give, libc::SECCOMP_RET_USER_NOTIF, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program and its instructions live until the call returns, which copies them.
    let fd = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)
    };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

impl Counted {
    /// Called while this process has one thread.
    pub fn begin() -> Counted {
        die_with_parent(std::os::unix::process::parent_id()).unwrap();
        let said = spawn::inherited(SAID).unwrap();
        // SAFETY: both are open, and standard error is nobody's property.
        unsafe { libc::dup2(said.as_raw_fd(), 2) };
        let control = UnixDatagram::from(spawn::inherited(CONTROL).unwrap());
        match filter() {
            Ok(listener) => {
                control.send(listener.as_raw_fd().to_string().as_bytes()).unwrap();
                control.recv(&mut [0]).unwrap();
            }
            Err(e) => {
                control.send(format!("no: {e}").as_bytes()).unwrap();
                std::process::exit(0);
            }
        }
        Counted(control)
    }

    /// From here on, calls are counted.
    pub fn go(&self) {
        self.end("");
    }

    /// The part that is counted is over, with this result. Returns once no call fails any more.
    pub fn end(&self, told: &str) {
        self.0.send(told.as_bytes()).unwrap();
        self.0.recv(&mut [0]).unwrap();
    }

    /// What was left, the last that the other side is told.
    pub fn left(&self, left: &str) {
        self.0.send(left.as_bytes()).unwrap();
    }
}

struct Calls<'a> {
    fault: Option<&'a Fault>,
    process: u32,
    counting: bool,
    /// By thread.
    known: BTreeMap<u32, Who>,
    /// Processes started, in the order of their first calls.
    children: Vec<u32>,
    threads: u32,
    counts: Counts,
    reached: bool,
}

impl Calls<'_> {
    fn who(&mut self, thread: u32) -> Who {
        if let Some(&who) = self.known.get(&thread) {
            return who;
        }
        let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
        let process = status.lines().find_map(|l| l.strip_prefix("Tgid:")?.trim().parse().ok()).unwrap_or(thread);
        let who = if process == self.process {
            self.threads += 1;
            Who::Thread(self.threads - 1)
        } else {
            let place = self.children.iter().position(|&c| c == process);
            Who::Child(place.unwrap_or_else(|| {
                self.children.push(process);
                self.children.len() - 1
            }) as u32)
        };
        self.known.insert(thread, who);
        who
    }

    /// The error to answer with, or none.
    fn verdict(&mut self, thread: u32, number: libc::c_long, args: &[u64; 6]) -> Option<i32> {
        if !self.counting {
            return None;
        }
        let call = kind(thread, number, args)?;
        let who = self.who(thread);
        let count = self.counts.entry((who, call)).or_default();
        *count += 1;
        let fault = self.fault.filter(|f| f.call == call)?;
        let this = fault.who == who && fault.nth == *count || fault.lasting && self.reached;
        self.reached |= this;
        this.then_some(fault.error)
    }

    /// One call, from its announcement to our answer. Whoever made it may have been killed meanwhile.
    fn answer(&mut self, listener: &OwnedFd) {
        // SAFETY: all zeroes is a valid value of both, and what the kernel wants the first to be.
        let (mut call, mut reply): (libc::seccomp_notif, libc::seccomp_notif_resp) = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and `call` valid to write to.
        if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut call) } == -1 {
            return;
        }
        reply.id = call.id;
        match self.verdict(call.pid, libc::c_long::from(call.data.nr), &call.data.args) {
            Some(error) => reply.error = -error,
            None => reply.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        }
        // SAFETY: the descriptor is open, and `reply` a valid answer.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut reply) };
    }
}

/// Runs `start`, which gives a process that calls [`Counted::begin`] in it. `Err` if this system has no such filters.
pub fn run(role: &str, arg: &str, fault: Option<&Fault>) -> Result<Run, String> {
    let (control, theirs) = UnixDatagram::pair().unwrap();
    let mut said = gristmill::sys::mapping::memory_file(&[]).unwrap();
    let child = crate::common::start_role(None, role, arg, &[(theirs.as_fd(), CONTROL), (said.as_fd(), SAID)]);
    drop(theirs);
    let mut calls = Calls {
        fault,
        process: child.pid,
        counting: false,
        known: BTreeMap::new(),
        children: vec![],
        threads: 0,
        counts: Counts::new(),
        reached: false,
    };
    let (mut listener, mut begun) = (None, false);
    let mut told = vec![];
    let limit = Deadline::after(LIMIT);
    let exit = loop {
        if let Some(exit) = child.pidfd.wait().unwrap() {
            break Some(exit);
        }
        if limit.passed() {
            child.pidfd.kill(libc::SIGKILL).unwrap();
            child.pidfd.wait_until(None).unwrap();
            break None;
        }
        let fds: Vec<_> =
            [control.as_fd(), child.pidfd.as_fd()].into_iter().chain(listener.as_ref().map(OwnedFd::as_fd)).collect();
        let ready = poll(&fds, Some(limit)).unwrap();
        if ready.get(2) == Some(&true) {
            calls.answer(listener.as_ref().expect("it is ready"));
        } else if ready[0] {
            let text = receive(&control);
            if listener.is_some() && !begun {
                begun = true;
                calls.counting = true;
            } else if listener.is_some() {
                calls.counting = false;
                told.push(text);
            } else {
                let number = text.parse().map_err(|_| text)?;
                listener = Some(their_descriptor(&child.pidfd, number).map_err(|e| e.to_string())?);
            }
            // It may have ended already.
            let _ = control.send(&[0]);
        }
    };
    control.set_nonblocking(true).unwrap();
    let mut rest = [0; 4096];
    while let Ok(length) = control.recv(&mut rest) {
        told.push(String::from_utf8_lossy(&rest[..length]).into());
    }
    let mut text = String::new();
    said.rewind().and_then(|()| File::read_to_string(&mut said, &mut text)).unwrap();
    let mut told = told.into_iter();
    Ok(Run {
        process: child.pid,
        counts: calls.counts,
        reached: calls.reached,
        told: told.next(),
        left: told.next(),
        exit,
        said: text,
    })
}

fn receive(control: &UnixDatagram) -> String {
    let mut text = [0; 4096];
    let length = control.recv(&mut text).unwrap();
    String::from_utf8_lossy(&text[..length]).into()
}

fn their_descriptor(process: &Pidfd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call touches no memory.
    match unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it is new and belongs to nobody else.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
    }
}
