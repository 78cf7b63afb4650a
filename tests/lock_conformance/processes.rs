//! Processes and threads that use locks in one shared mapping, and a watchdog over them.
//!
//! A child is forked while other tests run in threads of this program, so it only locks, computes and ends: it allocates nothing itself
//! and prints by `write(2)` alone.

use gristmill::lock::{Holder, RawLock};
use gristmill::sys::clock::Deadline;
use std::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, atomic};
use std::time::Duration;

/// Seconds after which a test counts as hung.
pub const LIMIT: u32 = 90;

const FENCE: u64 = 0x5AFE_5AFE_5AFE_5AFE;

/// What the processes of a test share: two locks side by side between fences, and things for them to protect.
#[repr(C)]
pub struct Board<L> {
    fence0: AtomicU64,
    pub a: L,
    fence1: AtomicU64,
    pub b: L,
    fence2: AtomicU64,
    /// Counts that are raised by a load and a store, one for each lock.
    pub counts: [AtomicU64; 2],
    /// Ordinary memory, for the owner of `a`.
    pub plain: UnsafeCell<[u64; 8]>,
    /// How far a test has come.
    pub stage: AtomicU32,
    /// More of the same, for tests with several actors.
    pub marks: [AtomicU32; 2],
}

impl<L> Board<L> {
    pub fn stage(&self, is: u32) {
        // Release ↔ the acquire in `until_stage`.
        self.stage.store(is, Release);
    }

    pub fn until_stage(&self, is: u32) {
        until(|| self.stage.load(Acquire) == is);
    }

    /// Waits until `n` have come here.
    pub fn meet(&self, n: u32) {
        self.stage.fetch_add(1, AcqRel);
        self.until_stage(n);
    }

    pub fn fences_stand(&self) -> bool {
        [&self.fence0, &self.fence1, &self.fence2].iter().all(|fence| fence.load(Relaxed) == FENCE)
    }
}

/// The mapping that a [`Board`] lies in.
pub struct Shared<L>(*mut Board<L>);

// SAFETY: threads reach the board by shared reference only. It consists of atomics, locks (which are Sync) and `plain`, whose users hold `a`.
unsafe impl<L: RawLock> Send for Shared<L> {}
// SAFETY: as above.
unsafe impl<L: RawLock> Sync for Shared<L> {}

impl<L: RawLock> Shared<L> {
    pub fn new() -> Self {
        // SAFETY: a fresh anonymous mapping; it replaces nothing.
        let place = unsafe {
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), size_of::<Board<L>>(), access, flags, -1, 0)
        };
        assert_ne!(place, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        let board = place.cast::<Board<L>>();
        // SAFETY:
        // - the mapping is large enough, page-aligned, and nobody else knows it yet;
        // - all fields but the locks are valid in any bit pattern; the locks are made from garbage, as `init` must be able to.
        unsafe {
            for i in 0..size_of::<Board<L>>() {
                board.cast::<u8>().add(i).write((i * 37 + 11) as u8);
            }
            L::init(&raw mut (*board).a).unwrap();
            L::init(&raw mut (*board).b).unwrap();
            for fence in [&raw mut (*board).fence0, &raw mut (*board).fence1, &raw mut (*board).fence2] {
                fence.write(AtomicU64::new(FENCE));
            }
            (&raw mut (*board).counts).write_bytes(0, 1);
            (&raw mut (*board).plain).write_bytes(0, 1);
            (&raw mut (*board).stage).write_bytes(0, 1);
            (&raw mut (*board).marks).write_bytes(0, 1);
        }
        Shared(board)
    }

    /// Writes `lock` over the first lock.
    pub fn put(&mut self, lock: L) {
        // SAFETY: mapped, aligned, and nobody else has it yet.
        unsafe { (&raw mut (*self.0).a).write(lock) }
    }
}

impl<L> Deref for Shared<L> {
    type Target = Board<L>;
    fn deref(&self) -> &Board<L> {
        // SAFETY: made in `new`, mapped until `drop`; see Sync for what a shared reference may reach.
        unsafe { &*self.0 }
    }
}

impl<L> Drop for Shared<L> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.0.cast(), size_of::<Board<L>>()) };
    }
}

/// A holder for test process `n`, from 0.
pub fn holder(n: usize) -> Holder {
    Holder::new(n as u16 + 1, 7)
}

pub fn pause(microseconds: u32) {
    // SAFETY: no memory is involved.
    unsafe { libc::usleep(microseconds) };
}

/// Waits until `ready`, at most for [`LIMIT`].
pub fn until(ready: impl Fn() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(LIMIT.into()));
    for looks in 0u64.. {
        if ready() {
            return;
        }
        assert!(!deadline.passed(), "hung: what was awaited did not come in {LIMIT} s");
        if looks < 100 { std::hint::spin_loop() } else { pause(20) }
    }
}

/// In a child, or a thread of a test that can only fail if a lock is broken: ends the process with a message unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            crate::processes::fail(concat!("\n", file!(), ":", line!(), ": failed in a child: ", stringify!($condition), "\n"))
        }
    };
}
pub(crate) use check;

pub fn fail(message: &str) -> ! {
    // SAFETY: both calls are safe in a child of a program with threads; the message lives through the first.
    unsafe {
        libc::write(2, message.as_ptr().cast(), message.len());
        libc::_exit(1)
    }
}

/// A child process. Dropping it kills it.
pub struct Child(libc::pid_t);

/// Forks a child that runs `body` and ends; the alarm kills it if it hangs, and the kernel if the test ends before it.
pub fn spawn(body: impl FnOnce()) -> Child {
    struct EndIfUnwinding;
    impl Drop for EndIfUnwinding {
        fn drop(&mut self) {
            fail("\na child panicked\n");
        }
    }
    // SAFETY: the child runs what the module's head allows, and never returns from here.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let end = EndIfUnwinding;
            // SAFETY: neither call touches memory.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::alarm(LIMIT);
            }
            body();
            std::mem::forget(end);
            // SAFETY: ends this process without running what belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        pid => Child(pid),
    }
}

impl Child {
    fn reap(&mut self) -> libc::c_int {
        let mut status = 0;
        loop {
            // SAFETY: `status` is ours, and so is the child, which was not waited for yet.
            let r = unsafe { libc::waitpid(self.0, &mut status, 0) };
            if r == self.0 {
                self.0 = 0;
                return status;
            }
            let error = std::io::Error::last_os_error();
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "waitpid: {error}");
        }
    }

    /// Waits for the end, which must be a good one.
    pub fn finish(mut self) {
        let status = self.reap();
        let hung = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM;
        assert!(!hung, "hung: a child did not end in {LIMIT} s");
        assert_eq!(status, 0, "a child failed (its wait status is {status:#x})");
    }

    /// Waits for the death by SIGKILL that the child brings upon itself.
    pub fn killed(mut self) {
        let status = self.reap();
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "wait status {status:#x}");
    }

    /// Kills it and waits until it is dead.
    pub fn kill(self) {
        // SAFETY: our own child, not waited for yet.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        self.killed();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 != 0 {
            // SAFETY: our own child, not waited for yet.
            unsafe { libc::kill(self.0, libc::SIGKILL) };
            self.reap();
        }
    }
}

/// Ends the process that calls it as nothing else can.
pub fn die() -> ! {
    // SAFETY: no memory is involved.
    unsafe { libc::raise(libc::SIGKILL) };
    unreachable!("SIGKILL can't be survived")
}

/// Runs `body(0)` to `body(n - 1)` in a process each and waits for all.
pub fn in_processes(n: usize, body: impl Fn(usize)) {
    let children: Vec<Child> = (0..n).map(|i| spawn(|| body(i))).collect();
    children.into_iter().for_each(Child::finish);
}

/// Runs `body(0)` to `body(n - 1)` in a thread each and waits for all. Threads that hang are left behind, with what they share.
pub fn in_threads<L: RawLock + 'static>(n: usize, shared: Arc<Shared<L>>, body: fn(&Board<L>, usize)) {
    let threads: Vec<_> = (0..n)
        .map(|i| {
            let shared = shared.clone();
            std::thread::spawn(move || body(&shared, i))
        })
        .collect();
    until(|| threads.iter().all(|thread| thread.is_finished()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    atomic::fence(SeqCst);
}

/// Keeps this process on two of the processors that it may use.
pub fn on_two_processors() {
    // SAFETY: a cpu_set_t is plain bits, valid as zeros; the calls read and write the two sets, which are ours.
    unsafe {
        let (mut all, mut two): (libc::cpu_set_t, libc::cpu_set_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut all);
        (0..libc::CPU_SETSIZE as usize).filter(|&c| libc::CPU_ISSET(c, &all)).take(2).for_each(|c| libc::CPU_SET(c, &mut two));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &two);
    }
}
