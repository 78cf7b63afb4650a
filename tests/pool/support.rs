//! What the tests share: the watchdog, places in the file system by which jobs and tests see each other, and usual pools.

pub use crate::numbers::Numbers;
use crate::tasks::{Do, run};
use gristmill::{JobHandle, PoolBuilder, ProcessPool};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The tests of a file, by name.
pub type Tests = &'static [(&'static str, fn())];

/// Makes the list of a file's tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: crate::support::Tests = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;

/// So long a test may take on a busy machine. Nothing passes or fails by being slow before that.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs a test in a thread of its own; one that hangs fails, and its thread ends with the process.
pub fn watched(name: &str, test: fn()) -> Result<(), String> {
    let (told, ends) = channel();
    let body = move || {
        let result = std::panic::catch_unwind(test);
        let _ = told.send(result.map_err(|why| match why.downcast::<String>() {
            Ok(text) => *text,
            Err(why) => why.downcast::<&str>().map_or("a panic".into(), |text| text.to_string()),
        }));
    };
    std::thread::Builder::new().name(name.into()).spawn(body).unwrap();
    match ends.recv_timeout(WATCHDOG) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(format!("hangs: not over after {WATCHDOG:?}")),
        Err(RecvTimeoutError::Disconnected) => Err("ended without a word".into()),
    }
}

/// Jobs that die on purpose leave no core files.
pub fn no_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is a valid rlimit, and lowering it needs no right.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) }, 0);
}

/// A pool of two workers.
pub fn pool() -> ProcessPool<Do, u64> {
    build(two())
}

pub fn two() -> PoolBuilder {
    ProcessPool::builder().workers(2)
}

pub fn build(builder: PoolBuilder) -> ProcessPool<Do, u64> {
    builder.build(run).unwrap()
}

/// Looks until it is so; the watchdog bounds it.
pub fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A directory of a test's own. Jobs that wait in it end when it goes.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gristmill-pool-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A job that says so when it has begun, and then waits until [`open`](Self::open).
    pub fn gate(&self, name: &str) -> Do {
        Do::Gate(self.path(name))
    }

    pub fn open(&self, name: &str) {
        fs::write(self.path(name), b"").unwrap();
    }

    /// How often the job of this gate has begun.
    pub fn begun(&self, name: &str) -> usize {
        lines(&self.path(name).with_extension("begun"))
    }

    /// Waits until the job of this gate has begun.
    pub fn until_begun(&self, name: &str) {
        until(|| self.begun(name) > 0);
    }

    /// A job that notes each of its runs, then does `what`.
    pub fn noted(&self, name: &str, what: Do) -> Do {
        Do::Noted(self.path(name), Box::new(what))
    }

    /// How often the job of this name has been run.
    pub fn runs(&self, name: &str) -> usize {
        lines(&self.path(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A job may just be making a file in it.
        while fs::remove_dir_all(&self.0).is_err() && self.0.exists() {
            std::thread::yield_now();
        }
    }
}

pub fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Runs short jobs until the pool knows that they are short, so that single submissions are put together.
pub fn warm(pool: &ProcessPool<Do, u64>) {
    loop {
        let jobs = pool.submit_many((0..500).map(Do::Value)).unwrap();
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.result().unwrap(), n);
        }
        let stats = pool.stats();
        if !stats.job_time.is_zero() && stats.job_time < Duration::from_micros(2) {
            return;
        }
    }
}

/// Returns when a short job is kept back, since all workers are busy: until then the pool's own thread may still be about to publish.
pub fn until_kept_back(pool: &ProcessPool<Do, u64>) {
    until(|| {
        let before = pool.stats().bundles;
        drop(pool.submit(Do::Value(0)).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        pool.stats().bundles == before
    });
}

/// Jobs that lie in one bundle of a pool with one worker, which begins them when `gate` of `place` is opened; tells that they do.
pub fn in_one_bundle(pool: &ProcessPool<Do, u64>, place: &Place, gate: &str, jobs: Vec<Do>) -> Vec<JobHandle<u64>> {
    assert_eq!(pool.workers(), 1);
    warm(pool);
    drop(pool.submit(place.gate(gate)).unwrap());
    place.until_begun(gate);
    until_kept_back(pool);
    let before = pool.stats().bundles;
    let handles = pool.submit_many(jobs).unwrap();
    assert_eq!(pool.stats().bundles, before, "they are kept back, since the worker is busy");
    handles
}
