//! A process that this thread executes instruction by instruction, by ptrace.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Where the instruction pointer stands, for ptrace; and the codes of two instructions.
#[cfg(target_arch = "x86_64")]
const RIP: usize = std::mem::offset_of!(libc::user_regs_struct, rip);
#[cfg(not(target_arch = "x86_64"))]
const RIP: usize = 0;
const SYSCALL: u16 = 0x050F;
const BREAKPOINT: i64 = 0xCC;

/// Instructions that were stepped, in all cases together.
pub static STEPPED: AtomicU64 = AtomicU64::new(0);

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Done,
    /// It was a system call in which the process sleeps now.
    Asleep,
}

/// Where it runs to.
pub struct Way {
    address: usize,
    /// What stood there.
    code: i64,
}

/// A traced process, stopped between two instructions.
pub struct Traced {
    pid: libc::pid_t,
    /// Whether the next step goes back into the system call that was interrupted when it was seized.
    fresh: bool,
    /// On which processors this thread may run otherwise.
    processors: libc::cpu_set_t,
}

impl Traced {
    /// Stops the process and takes it over; from here to [`kill`](Self::kill) both share one processor, so that they take turns without
    /// waking another one for each step.
    ///
    /// # Errors
    /// If the system does not let us, or its instructions are not known here.
    pub fn seize(pid: u32) -> io::Result<Traced> {
        if cfg!(not(target_arch = "x86_64")) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let processors = processors_of(0);
        let traced = Traced { pid: pid as libc::pid_t, fresh: true, processors };
        traced.request(libc::PTRACE_SEIZE, 0)?;
        let mut one = processors;
        // SAFETY: the set is whole; a number beyond it would be a panic.
        unsafe {
            libc::CPU_ZERO(&mut one);
            libc::CPU_SET(libc::sched_getcpu() as usize, &mut one);
        }
        [0, traced.pid].into_iter().for_each(|thread| keep_on(thread, &one));
        traced.request(libc::PTRACE_INTERRUPT, 0)?;
        traced.stop(|| false);
        Ok(traced)
    }

    fn request(&self, request: libc::c_uint, address: usize) -> io::Result<i64> {
        // SAFETY: none of the requests made here writes into this process: those that look at the other one give a word back.
        match unsafe { libc::ptrace(request, self.pid, address, 0usize) } {
            -1 => Err(io::Error::last_os_error()),
            word => Ok(word),
        }
    }

    /// Waits until it has stopped; whether it has, and not fallen asleep, which `asleep` tells from a short wait inside the kernel.
    fn stop(&self, asleep: impl Fn() -> bool) -> Step {
        loop {
            let mut status = 0;
            // SAFETY: `status` is valid to write to. A stop is taken only: nobody ends this process while it is waited for here.
            let got = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL | libc::WNOHANG) };
            if got == self.pid {
                assert!(libc::WIFSTOPPED(status), "the worker ended by itself: {status:#x}");
                return Step::Done;
            }
            assert_eq!(got, 0, "waitpid: {}", io::Error::last_os_error());
            if asleep() && sleeps(self.pid) {
                return Step::Asleep;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    /// The same for an instruction that cannot sleep.
    fn stop_at_once(&self) {
        let mut status = 0;
        // SAFETY: as above.
        let got = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
        assert!(got == self.pid && libc::WIFSTOPPED(status), "the worker ended by itself: {got} {status:#x}");
    }

    /// Executes the instruction at `at`, where it stands. `asleep` tells whether the worker says of itself that it sleeps.
    pub fn step(&mut self, at: u64, asleep: impl Fn() -> bool) -> Step {
        let call = std::mem::take(&mut self.fresh) || self.is_system_call(at);
        STEPPED.fetch_add(1, Relaxed);
        self.request(libc::PTRACE_SINGLESTEP, 0).expect("it stands still");
        if call {
            return self.stop(asleep);
        }
        self.stop_at_once();
        Step::Done
    }

    /// After [`Step::Asleep`]: waits until somebody has woken it, and the instruction has ended.
    pub fn woken(&self) {
        self.stop(|| false);
    }

    /// Whether the instruction is a system call, whose effect is not seen in memory alone.
    pub fn is_system_call(&self, at: u64) -> bool {
        // -1 is an error as well as a word; neither is this instruction.
        self.request(libc::PTRACE_PEEKTEXT, at as usize).is_ok_and(|code| code as u16 == SYSCALL)
    }

    /// The address of the next instruction.
    pub fn at(&self) -> u64 {
        self.request(libc::PTRACE_PEEKUSER, RIP).expect("it stands still") as u64
    }

    /// Where code lies in it: this program's and the libraries', in the order in which they are mapped, and not what the kernel has put there.
    pub fn code(&self) -> Vec<Range<u64>> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid)).expect("it lives");
        let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        let range = |line: &str| {
            let (from, to) = line.split_once(' ')?.0.split_once('-')?;
            Some(number(from)..number(to))
        };
        maps.lines().filter(|line| line.contains(" r-xp ") && line.contains('/')).filter_map(range).collect()
    }

    /// Lets it run, to an address.
    pub fn run_to(&mut self, address: u64) -> Way {
        let code = self.request(libc::PTRACE_PEEKTEXT, address as usize).expect("code of its own");
        self.poke(libc::PTRACE_POKETEXT, address as usize, code & !0xFF | BREAKPOINT);
        self.fresh = false;
        self.request(libc::PTRACE_CONT, 0).expect("it stands still");
        Way { address: address as usize, code }
    }

    /// Lets it run until it sleeps.
    pub fn run_on(&mut self, asleep: impl Fn() -> bool) {
        self.fresh = false;
        self.request(libc::PTRACE_CONT, 0).expect("it stands still");
        assert!(self.stop(asleep) == Step::Asleep);
    }

    /// Waits until it has come there, or sleeps on the way; whoever wakes it then waits again.
    pub fn come(&self, way: &Way, asleep: impl Fn() -> bool) -> Step {
        let step = self.stop(asleep);
        if step == Step::Done {
            // It stands behind the breakpoint.
            self.poke(libc::PTRACE_POKETEXT, way.address, way.code);
            self.poke(libc::PTRACE_POKEUSER, RIP, way.address as i64);
        }
        step
    }

    fn poke(&self, request: libc::c_uint, address: usize, word: i64) {
        // SAFETY: what is written is the other process's memory or register.
        assert_eq!(unsafe { libc::ptrace(request, self.pid, address, word) }, 0, "{}", io::Error::last_os_error());
    }

    /// Lets go of it, stopped by a signal as anybody could send it.
    pub fn leave_stopped(self) {
        // SAFETY: a signal to a child that has not been waited for touches no memory of ours.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGSTOP) }, 0);
        [0, self.pid].into_iter().for_each(|thread| keep_on(thread, &self.processors));
        self.request(libc::PTRACE_DETACH, 0).expect("it stands still");
    }

    /// Kills it where it is. Its end is left to the supervisor, whose child it is.
    pub fn kill(self) {
        // SAFETY: a signal to a child that has not been waited for touches no memory of ours.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
        keep_on(0, &self.processors);
    }
}

/// Whether the process sleeps in the kernel.
pub fn sleeps(pid: libc::pid_t) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// The processors of a thread; 0 is the caller.
fn processors_of(thread: libc::pid_t) -> libc::cpu_set_t {
    // SAFETY: all zeroes is an empty set, and the call is given its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(thread, size_of::<libc::cpu_set_t>(), &mut set), 0);
        set
    }
}

fn keep_on(thread: libc::pid_t, processors: &libc::cpu_set_t) {
    // SAFETY: the call is given the set's size.
    assert_eq!(unsafe { libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), processors) }, 0);
}
