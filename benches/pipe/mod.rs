//! The rival: jobs between processes over pipes, as CPython's `multiprocessing.Queue` moves them.
//!
//! Each direction is one pipe shared by everyone, with one lock for its readers and one for its writers. A message is a
//! frame: the payload's length as 4 bytes, big endian, and the payload. Per message the work is what CPython 3.11 does:
//!
//! - put: take the writers' lock, one `write` of length and payload together, release the lock;
//! - get: take the readers' lock, one `read` of 4 bytes and one of the payload, release the lock. A reader sleeps inside
//!   `read` with the lock held, so the other readers sleep on the lock;
//! - a lock is a process-shared POSIX semaphore of value 1 on a cache line of its own: `sem_trywait`, then `sem_wait` if
//!   that failed; on release `sem_getvalue`, to see that the lock was held, and `sem_post`.
//!
//! As in CPython, a thread of the parent feeds the jobs' pipe while another reads the results.
//!
//! Where it differs, it does less, and so is faster than its model: nothing is pickled; no thread, deque or condition
//! variable stands between a worker and the results' pipe, nor between the caller and the feeding thread, which finds all
//! its jobs ready; the third semaphore of `multiprocessing.Queue`, which counts free places, is left out (`SimpleQueue`
//! has none either).
//!
//! A worker is this program executed again: a benchmark that uses the module calls [`worker_main`] first thing if
//! [`is_worker`]. A worker ends when the jobs' pipe is closed, so it also ends when its parent dies.

use memmap2::{MmapOptions, MmapRaw};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

/// Tells a worker what it is, and its descriptors: the jobs' end to read, the results' end to write, the locks' memory.
const WORKER_VARIABLE: &str = "GRISTMILL_BENCH_PIPE_WORKER";

const HEADER: usize = 4;
const PAYLOAD: usize = size_of::<u64>();

/// A semaphore of value 1 that processes share, used as CPython's `multiprocessing.Lock` uses it.
#[repr(C, align(64))]
struct Lock(UnsafeCell<libc::sem_t>);

impl Lock {
    fn acquire(&self) -> io::Result<()> {
        // SAFETY: the parent initialised the semaphore before it started a worker, and nobody destroys it while mapped.
        if unsafe { libc::sem_trywait(self.0.get()) } == 0 {
            return Ok(());
        }
        loop {
            // SAFETY: as above.
            if unsafe { libc::sem_wait(self.0.get()) } == 0 {
                return Ok(());
            }
            let e = io::Error::last_os_error();
            if e.kind() != ErrorKind::Interrupted {
                return Err(e);
            }
        }
    }

    fn release(&self) -> io::Result<()> {
        let mut value = 0;
        // SAFETY: the semaphore is live, as in `acquire`, and `value` is a valid place to write to.
        if unsafe { libc::sem_getvalue(self.0.get(), &mut value) } != 0 {
            return Err(io::Error::last_os_error());
        }
        if value >= 1 {
            return Err(io::Error::other("pipe benchmark: a lock was released that nobody held"));
        }
        // SAFETY: the semaphore is live, as in `acquire`.
        if unsafe { libc::sem_post(self.0.get()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Runs `f` with the lock held. Releases it even if `f` fails, so that the others see the broken pipe too.
    fn with<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.acquire()?;
        let result = f();
        self.release()?;
        result
    }
}

/// What the shared mapping holds.
#[repr(C)]
struct Locks {
    job_readers: Lock,
    job_writers: Lock,
    result_readers: Lock,
    result_writers: Lock,
}

/// The locks, mapped into this process.
struct SharedLocks(MmapRaw);

impl SharedLocks {
    /// New locks, all free, in memory that has no name; the file is what a worker maps.
    fn create() -> io::Result<(Self, File)> {
        const NAME: &CStr = c"pipe-locks";
        // SAFETY: the name is a C string, which the call only reads.
        let fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and has no other owner.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(size_of::<Locks>() as u64)?;
        let shared = Self::map(&file)?;
        let locks = shared.get();
        for lock in [&locks.job_readers, &locks.job_writers, &locks.result_readers, &locks.result_writers] {
            // SAFETY: the place is mapped, aligned, writable, and no other process has it yet.
            if unsafe { libc::sem_init(lock.0.get(), 1, 1) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok((shared, file))
    }

    fn map(file: &File) -> io::Result<Self> {
        MmapOptions::new().len(size_of::<Locks>()).map_raw(file).map(SharedLocks)
    }

    fn get(&self) -> &Locks {
        // SAFETY:
        // - the mapping is as long as `Locks`, begins at a page, and lives as long as the borrow;
        // - `Locks` is nothing but `UnsafeCell`s of C structs that are valid for all bytes, and only sem_* touch them.
        unsafe { &*self.0.as_ptr().cast::<Locks>() }
    }
}

// SAFETY: the semaphores are reached only through sem_*, which threads and processes may call at the same time.
unsafe impl Sync for Lock {}

/// Sends one frame with one `write`; more only if the pipe took a part.
fn put(mut pipe: &PipeWriter, lock: &Lock, value: u64) -> io::Result<()> {
    let mut frame = [0; HEADER + PAYLOAD];
    frame[..HEADER].copy_from_slice(&(PAYLOAD as i32).to_be_bytes());
    frame[HEADER..].copy_from_slice(&value.to_ne_bytes());
    lock.with(|| pipe.write_all(&frame))
}

/// Receives one frame with one `read` for its length and one for its payload; `None` if the pipe was closed before it.
fn get(pipe: &PipeReader, lock: &Lock) -> io::Result<Option<u64>> {
    let payload = lock.with(|| {
        let mut header = [0; HEADER];
        if !fill(pipe, &mut header)? {
            return Ok(None);
        }
        if i32::from_be_bytes(header) != PAYLOAD as i32 {
            return Err(io::Error::new(ErrorKind::InvalidData, "pipe benchmark: a frame has a wrong length"));
        }
        let mut payload = [0; PAYLOAD];
        if !fill(pipe, &mut payload)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(payload))
    })?;
    Ok(payload.map(u64::from_ne_bytes))
}

/// Fills `buffer`; false if the pipe was closed before its first byte.
fn fill(mut pipe: &PipeReader, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match pipe.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// What a worker does with a job.
fn square(job: u64) -> u64 {
    job.wrapping_mul(job)
}

/// Whether this process was started by [`PipePool::start`].
pub fn is_worker() -> bool {
    std::env::var_os(WORKER_VARIABLE).is_some()
}

/// The whole life of a worker. To be called first thing in `main`, if [`is_worker`].
pub fn worker_main() -> ! {
    let ended = worker_descriptors().and_then(|[jobs, results, locks]| {
        work(&PipeReader::from(jobs), &PipeWriter::from(results), &SharedLocks::map(&File::from(locks))?)
    });
    match ended {
        Ok(()) => std::process::exit(0),
        // The parent gave up while results were under way.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            eprintln!("pipe benchmark: worker {}: {e}", std::process::id());
            std::process::exit(1)
        }
    }
}

fn worker_descriptors() -> io::Result<[OwnedFd; 3]> {
    let wrong = || io::Error::new(ErrorKind::InvalidInput, format!("{WORKER_VARIABLE} is not three descriptors"));
    let text = std::env::var(WORKER_VARIABLE).map_err(|_| wrong())?;
    let numbers: Vec<RawFd> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let numbers: [RawFd; 3] = numbers.try_into().map_err(|_| wrong())?;
    // SAFETY: `start` kept exactly these open across exec, for this process to own, and they are taken once.
    Ok(numbers.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn work(jobs: &PipeReader, results: &PipeWriter, locks: &SharedLocks) -> io::Result<()> {
    let locks = locks.get();
    while let Some(job) = get(jobs, &locks.job_readers)? {
        put(results, &locks.result_writers, square(job))?;
    }
    Ok(())
}

/// Worker processes that square numbers, reached over two pipes. Dropping it ends and reaps them.
pub struct PipePool {
    // Only these two ends are open here, so that each side sees the end of the other.
    pipes: Option<(PipeWriter, PipeReader)>,
    locks: SharedLocks,
    workers: Vec<Child>,
}

impl PipePool {
    /// Starts `workers` processes by executing this program again.
    pub fn start(workers: usize) -> io::Result<Self> {
        let (job_reader, job_writer) = io::pipe()?;
        let (result_reader, result_writer) = io::pipe()?;
        let (locks, file) = SharedLocks::create()?;
        // Made first, so that an error below ends and reaps the workers that were started before it.
        let mut pool = PipePool { pipes: Some((job_writer, result_reader)), locks, workers: Vec::with_capacity(workers) };
        let kept = [job_reader.as_raw_fd(), result_writer.as_raw_fd(), file.as_raw_fd()];
        for _ in 0..workers {
            let mut command = Command::new(std::env::current_exe()?);
            command.env(WORKER_VARIABLE, kept.map(|fd| fd.to_string()).join(","));
            // SAFETY:
            // - between fork and exec the closure only calls fcntl and reads errno, which are async-signal-safe;
            // - the descriptors stay open until the loop is over.
            unsafe { command.pre_exec(move || kept.into_iter().try_for_each(keep_across_exec)) };
            pool.workers.push(command.spawn()?);
        }
        Ok(pool)
    }

    /// Sends all `jobs`, receives as many results, and returns their wrapping sum. Results come in any order.
    ///
    /// # Panics
    ///
    /// If all workers have died, or the results are not the squares of the jobs.
    pub fn run(&mut self, jobs: &[u64]) -> u64 {
        let (to_workers, from_workers) = self.pipes();
        let locks = self.locks.get();
        let sum = thread::scope(|scope| {
            let feeder = scope.spawn(|| jobs.iter().try_for_each(|&job| put(to_workers, &locks.job_writers, job)));
            let mut sum = 0u64;
            for received in 0..jobs.len() {
                match get(from_workers, &locks.result_readers) {
                    Ok(Some(result)) => sum = sum.wrapping_add(result),
                    Ok(None) => panic!("all workers ended after {received} of {} results", jobs.len()),
                    Err(e) => panic!("cannot read result {received} of {}: {e}", jobs.len()),
                }
            }
            feeder.join().expect("the feeding thread panicked").expect("cannot write a job");
            sum
        });
        let expected = jobs.iter().fold(0u64, |sum, &job| sum.wrapping_add(square(job)));
        assert_eq!(sum, expected, "the results are not the squares of the {} jobs", jobs.len());
        sum
    }

    /// Sends one job, waits for its result, and returns it.
    ///
    /// # Panics
    ///
    /// If all workers have died, or the result is not the square of the job.
    pub fn roundtrip(&mut self, job: u64) -> u64 {
        let (to_workers, from_workers) = self.pipes();
        let locks = self.locks.get();
        put(to_workers, &locks.job_writers, job).expect("cannot write the job");
        let result = get(from_workers, &locks.result_readers).expect("cannot read the result").expect("all workers ended");
        assert_eq!(result, square(job), "the result is not the square of {job}");
        result
    }

    /// The CPU time that this process and the workers have used since they started, in user and kernel mode.
    pub fn cpu_time(&self) -> Duration {
        let workers = self.pids().map(|pid| cpu_time_of(pid as libc::pid_t));
        cpu_time_of(0) + workers.sum::<Duration>()
    }

    /// The workers' processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.workers.iter().map(Child::id)
    }

    fn pipes(&self) -> (&PipeWriter, &PipeReader) {
        self.pipes.as_ref().map(|(writer, reader)| (writer, reader)).expect("the pipes are open until the pool is dropped")
    }
}

impl Drop for PipePool {
    fn drop(&mut self) {
        // The jobs' end tells idle workers to stop; the results' end frees one that is stuck on a full pipe.
        drop(self.pipes.take());
        for worker in &mut self.workers {
            match worker.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => eprintln!("pipe benchmark: worker {} ended with {status}", worker.id()),
                Err(e) => eprintln!("pipe benchmark: cannot wait for worker {}: {e}", worker.id()),
            }
        }
    }
}

fn keep_across_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes an integer and touches no memory.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The CPU time of all threads of a process; of this one if `pid` is 0.
pub fn cpu_time_of(pid: libc::pid_t) -> Duration {
    let mut clock = 0;
    // SAFETY: `clock` is a valid place to write to.
    let error = unsafe { libc::clock_getcpuclockid(pid, &mut clock) };
    assert_eq!(error, 0, "no CPU clock of process {pid}: {}", io::Error::from_raw_os_error(error));
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    let failed = unsafe { libc::clock_gettime(clock, &mut time) } != 0;
    assert!(!failed, "cannot read the CPU clock of process {pid}: {}", io::Error::last_os_error());
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
