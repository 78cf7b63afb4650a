//! What std has no call for. Whatever a signal interrupts is done again.

use crate::bench::left;
use libc::{c_int, c_long, c_void};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::null_mut;

/// What a call returned, once no signal has interrupted it.
fn retried(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(n) => return Ok(n),
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    }
}

/// Makes a FIFO for this user alone.
pub fn make_fifo(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the path ends with a zero and lives until the call returns.
    retried(|| unsafe { libc::mkfifo(path.as_ptr(), 0o600) } as isize).map(drop)
}

/// Whether a call that would have to wait fails instead, through any copy of this descriptor.
pub fn set_nonblocking(fd: BorrowedFd, on: bool) -> io::Result<()> {
    // SAFETY: takes integers and touches no memory.
    let flags = retried(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } as isize)? as c_int;
    let flags = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: as above.
    retried(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) } as isize).map(drop)
}

/// Gives a pipe room for at least so many bytes, in pages.
pub fn set_pipe_size(fd: BorrowedFd, bytes: usize) -> io::Result<()> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    // SAFETY: takes integers and touches no memory.
    retried(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) } as isize).map(drop)
}

/// Bytes that a pipe has room for, in whole pages.
pub fn pipe_size(fd: BorrowedFd) -> io::Result<usize> {
    // SAFETY: takes integers and touches no memory.
    retried(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) } as isize)
}

/// Two sockets of this type that are connected with one another.
pub fn socket_pair(kind: c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: there is room for two descriptors.
    retried(|| unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) } as isize)?;
    // SAFETY: both are new and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// One of a socket's buffers.
#[derive(Clone, Copy)]
pub enum Buffer {
    /// For what is sent.
    Send,
    /// For what is received.
    Receive,
}

/// Gives a socket's buffer so many bytes by the kernel's own count, which is twice what is asked for; or as many as it allows.
pub fn set_buffer(fd: BorrowedFd, buffer: Buffer, bytes: usize) -> io::Result<()> {
    let half = c_int::try_from(bytes / 2).unwrap_or(c_int::MAX / 2);
    let set = |option| {
        let (value, length) = ((&raw const half).cast::<c_void>(), size_of::<c_int>() as libc::socklen_t);
        // SAFETY: the option is an integer, of which that many bytes are valid to read.
        retried(|| unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, value, length) } as isize).map(drop)
    };
    // Only some may go beyond the system's limit; the others get what it is, without an error.
    let (force, ask) = match buffer {
        Buffer::Send => (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        Buffer::Receive => (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
    };
    set(force).or_else(|_| set(ask))
}

/// Payloads of `size` bytes, written one by one, that there is room for in front of an end that nobody reads from: it is full then.
pub fn filled(mut to: &File, size: usize) -> io::Result<usize> {
    set_nonblocking(to.as_fd(), true)?;
    let (payload, mut bytes) = (vec![0; size], 0);
    loop {
        match to.write(&payload[bytes % size..]) {
            Ok(n) => bytes += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(bytes / size),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Waits until one of these has room (`POLLOUT`) or something to read (`POLLIN`), or is broken.
pub fn wait_for<'a>(events: libc::c_short, fds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<()> {
    let mut entries: Vec<_> = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }).collect();
    // SAFETY: `entries` is that many entries, valid to write to.
    retried(|| unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) } as isize).map(drop)
}

/// Many messages in one call.
#[derive(Default)]
pub struct Messages {
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Messages {
    /// Headers for messages of `size` bytes side by side from `base` on.
    fn over(&mut self, base: *mut u8, size: usize, count: usize) {
        self.parts.clear();
        self.headers.clear();
        self.parts.extend((0..count).map(|n| libc::iovec { iov_base: base.wrapping_add(n * size).cast(), iov_len: size }));
        self.headers.extend(self.parts.iter_mut().map(|part| {
            // SAFETY: integers and pointers, for which zero says that there is none.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header
        }));
    }

    /// Sends all of `bytes` as messages of `size` bytes each.
    pub fn send(&mut self, fd: BorrowedFd, bytes: &[u8], size: usize) -> io::Result<()> {
        self.over(bytes.as_ptr().cast_mut(), size, bytes.len() / size);
        let mut left = &mut self.headers[..];
        while !left.is_empty() {
            // SAFETY: the headers are that many; each names bytes of `bytes`, which are only read, through a part in a vector that stays as it is.
            let sent = retried(|| unsafe {
                libc::sendmmsg(fd.as_raw_fd(), left.as_mut_ptr(), left.len() as libc::c_uint, 0) as isize
            })?;
            left = &mut left[sent..];
        }
        Ok(())
    }

    /// Waits for a message and takes it and those that are there with it, as many as `bytes` has room for; how many.
    pub fn receive(&mut self, fd: BorrowedFd, bytes: &mut [u8], size: usize) -> io::Result<usize> {
        self.over(bytes.as_mut_ptr(), size, bytes.len() / size);
        let (at, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: as above, and the bytes are valid to write to.
        let count =
            retried(|| unsafe { libc::recvmmsg(fd.as_raw_fd(), at, count, libc::MSG_WAITFORONE as _, null_mut()) as isize })?;
        match self.headers[..count].iter().all(|header| header.msg_len as usize == size) {
            true if count > 0 => Ok(count),
            _ => Err(io::Error::other("a message has another size than was sent")),
        }
    }
}

/// A POSIX message queue whose name is gone as soon as it is there.
pub struct PosixQueue(libc::mqd_t);

impl PosixQueue {
    /// With room for so many messages of so many bytes, at most.
    pub fn new(messages: usize, size: usize) -> io::Result<PosixQueue> {
        let name = CString::new(format!("/gristmill-{}-{:08x}", std::process::id(), rand::random::<u32>()))?;
        // SAFETY: integers only.
        let mut limits: libc::mq_attr = unsafe { std::mem::zeroed() };
        (limits.mq_maxmsg, limits.mq_msgsize) = (messages as c_long, size as c_long);
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: the name ends with a zero; the mode and the limits are what O_CREAT asks for, and live until the call returns.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600 as libc::mode_t, &raw mut limits) };
        if queue == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above. The queue lives as long as somebody has it open.
        unsafe { libc::mq_unlink(name.as_ptr()) };
        Ok(PosixQueue(queue))
    }

    /// Waits for room.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        // SAFETY: the message is valid to read.
        retried(|| unsafe { libc::mq_send(self.0, message.as_ptr().cast(), message.len(), 0) } as isize).map(drop)
    }

    /// Waits for a message; how long it is. There must be room for the longest one.
    pub fn receive(&self, message: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the message is valid to write to.
        retried(|| unsafe { libc::mq_receive(self.0, message.as_mut_ptr().cast(), message.len(), null_mut()) })
    }
}

impl Drop for PosixQueue {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody uses it any more.
        unsafe { libc::mq_close(self.0) };
    }
}

/// Lets this process have POSIX message queues of any size, if it may.
pub fn lift_message_queue_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is valid to read.
    unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &limit) };
}

/// A System V message queue. It stays when it is dropped: `left` removes it after the turn.
pub struct SystemQueue(c_int);

impl SystemQueue {
    /// A new one of this turn.
    pub fn new() -> io::Result<SystemQueue> {
        left::queue().map(SystemQueue)
    }

    fn status(&self) -> io::Result<libc::msqid_ds> {
        // SAFETY: integers only.
        let mut status: libc::msqid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: the status is valid to write to.
        retried(|| unsafe { libc::msgctl(self.0, libc::IPC_STAT, &mut status) } as isize)?;
        Ok(status)
    }

    /// Bytes of messages that it has room for.
    pub fn room(&self) -> io::Result<usize> {
        Ok(self.status()?.msg_qbytes as usize)
    }

    /// Gives it room for so many bytes of messages.
    pub fn set_room(&self, bytes: usize) -> io::Result<()> {
        let mut status = self.status()?;
        status.msg_qbytes = bytes as libc::msglen_t;
        // SAFETY: the status is valid to read.
        retried(|| unsafe { libc::msgctl(self.0, libc::IPC_SET, &mut status) } as isize).map(drop)
    }

    /// Waits for room. The first word is the message's type, which is positive.
    pub fn send(&self, message: &[c_long]) -> io::Result<()> {
        let bytes = size_of_val(&message[1..]);
        // SAFETY: a word and that many bytes are valid to read.
        retried(|| unsafe { libc::msgsnd(self.0, message.as_ptr().cast(), bytes, 0) } as isize).map(drop)
    }

    /// Waits for a message; how many bytes it has without its type.
    pub fn receive(&self, message: &mut [c_long]) -> io::Result<usize> {
        let bytes = size_of_val(&message[1..]);
        // SAFETY: a word and that many bytes are valid to write to.
        retried(|| unsafe { libc::msgrcv(self.0, message.as_mut_ptr().cast(), bytes, 0, 0) })
    }
}
