//! The oracle: what became of each job, from what workers note outside the region and from what the parent was told.
//!
//! Each job of a case has a number from 0. Whoever runs it notes that in a file which parent and workers map: three words for
//! each job, changed by one atomic step each, so that a death between any two instructions leaves them whole. The file neither
//! grows with the number of runs nor makes anybody wait, and what is forbidden is seen at the moment when it happens: who
//! begins a job finds there who began it last, and looks whether that process lives.
//!
//! In a job: `let _run = oracle::run(id);`. In the parent: [`Oracle::accept`], [`Oracle::outcome`], and at the end
//! [`Oracle::verdict`].

use memmap2::MmapRaw;
use std::fs::{self, File};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Words before those of jobs: how often a job was begun whose last process lives and had not ended it; the same, and it had,
/// or a job that was said to be done; the first such job's number, from 1.
const OVERLAPS: usize = 0;
const REPEATS: usize = 1;
const FIRST: usize = 2;
/// The number of the case, from 1.
const CASE: usize = 3;
const HEAD: usize = 8;

/// A job's words: who runs it or ran it last; how often it was begun (low half) and came to its end (high half); the case in
/// which it was said to be done, by a worker that may say so late.
const RUNNER: usize = 0;
const COUNTS: usize = 1;
const DONE: usize = 2;
const WORDS: usize = 3;

/// A new file in memory: to wait for a disk would be felt as the engine's delay, and a killed parent leaves no name.
fn create(words: usize) -> File {
    // SAFETY: the name is a string with its end; the call touches nothing else.
    let fd = unsafe { libc::memfd_create(c"oracle".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "no memory for the oracle: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new and belongs to nobody else.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(8 * words as u64).unwrap();
    file
}

/// The one that this worker's parent has open.
fn open() -> File {
    let folder = format!("/proc/{}/fd", std::os::unix::process::parent_id());
    let paths = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).flatten().map(|entry| entry.path());
    let is_oracle = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:oracle"));
    let path = paths.into_iter().find(is_oracle).expect("the parent has an oracle");
    File::options().read(true).write(true).open(path).unwrap()
}

fn words(map: &MmapRaw) -> &[AtomicU64] {
    // SAFETY: the mapping is page-aligned, as long as it says, and shared memory that is only ever changed through atomic
    // words; nobody cuts the file short.
    unsafe { std::slice::from_raw_parts(map.as_mut_ptr().cast(), map.len() / 8) }
}

/// When the process started, in ticks, if it lives.
fn lives(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text[text.rfind(')')? + 2..].split(' ');
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// One run of a job in one process: its number and its start, since numbers come again. The lowest bit says that the run has
/// ended.
#[derive(Clone, Copy, PartialEq)]
struct Runner(u64);

impl Runner {
    fn of(pid: u32, start: u64) -> Runner {
        Runner(u64::from(pid) << 42 | (start << 1 & ((1 << 42) - 2)))
    }

    /// This process.
    fn me() -> Runner {
        static ME: OnceLock<Runner> = OnceLock::new();
        *ME.get_or_init(|| {
            let pid = std::process::id();
            Runner::of(pid, lives(pid).expect("/proc tells of this process"))
        })
    }

    fn ended(self) -> Runner {
        Runner(self.0 | 1)
    }

    fn is_alive(self) -> bool {
        let pid = (self.0 >> 42) as u32;
        lives(pid).is_some_and(|start| Runner::of(pid, start) == Runner(self.0 & !1))
    }
}

/// A run that ends when this goes out of scope, by a panic too.
#[must_use]
pub struct Run {
    slot: &'static [AtomicU64],
    head: &'static [AtomicU64],
    job: u64,
    case: u64,
}

impl Run {
    /// The run has ended.
    pub fn end(self) -> Ended {
        Ended { word: &self.slot[DONE], case: self.case }
    }
}

/// A run that has ended, and whose job may not be done yet.
pub struct Ended {
    word: &'static AtomicU64,
    case: u64,
}

impl Ended {
    /// The engine has been told that the job is done: nobody may begin it any more, even if this process dies now.
    pub fn done(self) {
        self.word.store(self.case, SeqCst);
    }
}

fn accuse(head: &[AtomicU64], what: usize, job: u64) {
    head[what].fetch_add(1, SeqCst);
    let _ = head[FIRST].compare_exchange(0, job + 1, SeqCst, SeqCst);
}

/// In a worker: the words of all jobs, and those of one.
fn place(job: u64) -> (&'static [AtomicU64], &'static [AtomicU64]) {
    static MAP: OnceLock<MmapRaw> = OnceLock::new();
    let map = MAP.get_or_init(|| {
        let file = open();
        MmapRaw::map_raw(&file).expect("the oracle's file can be mapped")
    });
    let (head, slots) = words(map).split_at(HEAD);
    (head, &slots[WORDS * job as usize..][..WORDS])
}

/// In a worker: this process runs the job from now on.
pub fn run(job: u64) -> Run {
    let (head, slot) = place(job);
    let before = Runner(slot[RUNNER].swap(Runner::me().0, SeqCst));
    slot[COUNTS].fetch_add(1, SeqCst);
    let case = head[CASE].load(SeqCst);
    let done = slot[DONE].load(SeqCst) == case;
    // A job is run again only if the one who ran it died: whether or not that one came to its end.
    if done || before.0 != 0 && before.is_alive() {
        accuse(head, if before.0 & 1 == 0 && !done { OVERLAPS } else { REPEATS }, job);
    }
    Run { slot, head, job, case }
}

impl Drop for Run {
    fn drop(&mut self) {
        let me = Runner::me();
        self.slot[COUNTS].fetch_add(1 << 32, SeqCst);
        if self.slot[RUNNER].compare_exchange(me.0, me.ended().0, SeqCst, SeqCst).is_err() {
            // Somebody else has begun it, and this process lives.
            accuse(self.head, OVERLAPS, self.job);
        }
    }
}

/// What the parent was told of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value that it was to give.
    Value,
    /// A value, and the wrong one.
    Wrong,
    /// An error: it may have run or not.
    Failed,
    /// An error that says that it never began.
    NotBegun,
}

/// What is to be said of a case. Nothing was lost if `lost`, `doubled` and `wrong` are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub jobs: u64,
    /// Jobs that ended in an error.
    pub failed: u64,
    /// Accepted, and without an outcome; or with a value that nobody made to the end.
    pub lost: u64,
    /// How many runs there were beyond the first one of each job. A death costs one at most.
    pub again: u64,
    /// Two outcomes, or run by two live workers, or run again though its worker lived, or more often than it may.
    pub doubled: u64,
    /// A value that is not the job's, or a run of a job that was said not to have begun.
    pub wrong: u64,
    /// The first job of which one of these is true.
    pub first: Option<u64>,
}

impl Verdict {
    /// Panics if anything was lost, doubled or wrong.
    pub fn clean(&self) {
        assert!(self.is_clean(), "{self:?}");
    }

    pub fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.wrong) == (0, 0, 0)
    }
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Verdict) {
        self.jobs += other.jobs;
        self.failed += other.failed;
        self.lost += other.lost;
        self.again += other.again;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.first = self.first.or(other.first);
    }
}

/// The parent's side. There is one at a time in a process.
pub struct Oracle {
    map: MmapRaw,
    /// Workers open it from here.
    _file: File,
    /// For each accepted job the first outcome, and how many there were.
    told: Vec<(Option<Outcome>, u32)>,
}

impl Oracle {
    /// For cases of so many jobs at most. Make it before the workers.
    pub fn new(jobs: usize) -> Oracle {
        let file = create(HEAD + WORDS * jobs);
        let map = MmapRaw::map_raw(&file).unwrap();
        words(&map)[CASE].store(1, SeqCst);
        Oracle { map, _file: file, told: vec![] }
    }

    /// How many jobs a case may have.
    pub fn room(&self) -> usize {
        (self.map.len() / 8 - HEAD) / WORDS
    }

    /// A job that is about to be submitted: its number. If it is then refused, that is its outcome.
    pub fn accept(&mut self) -> u64 {
        assert!(self.told.len() < self.room(), "the oracle has room for {} jobs", self.room());
        self.told.push((None, 0));
        self.told.len() as u64 - 1
    }

    /// What the parent was told of a job.
    pub fn outcome(&mut self, job: u64, outcome: Outcome) {
        let (first, count) = &mut self.told[job as usize];
        first.get_or_insert(outcome);
        *count += 1;
    }

    /// How often a job was begun, and how often it came to its end.
    pub fn runs(&self, job: u64) -> (u32, u32) {
        let counts = words(&self.map)[HEAD + WORDS * job as usize + COUNTS].load(SeqCst);
        (counts as u32, (counts >> 32) as u32)
    }

    /// The end of a case whose jobs may each be run so often (`retries` and one): what is to be said of it. The next case
    /// begins with job 0. No job may be under way.
    pub fn verdict(&mut self, most_runs: u32) -> Verdict {
        let words = words(&self.map);
        let mut verdict = Verdict { jobs: self.told.len() as u64, ..Verdict::default() };
        verdict.doubled = words[OVERLAPS].swap(0, SeqCst) + words[REPEATS].swap(0, SeqCst);
        verdict.first = words[FIRST].swap(0, SeqCst).checked_sub(1);
        for (job, (outcome, count)) in self.told.iter().enumerate() {
            let (begun, ended) = self.runs(job as u64);
            let lost = match outcome {
                None => true,
                Some(Outcome::Value | Outcome::Wrong) => begun == 0 || ended == 0,
                Some(Outcome::Failed | Outcome::NotBegun) => false,
            };
            let doubled = *count > 1 || begun > most_runs;
            let wrong = *outcome == Some(Outcome::Wrong) || *outcome == Some(Outcome::NotBegun) && begun > 0;
            verdict.failed += u64::from(matches!(outcome, Some(Outcome::Failed | Outcome::NotBegun)));
            verdict.lost += u64::from(lost);
            verdict.again += u64::from(begun.saturating_sub(1));
            verdict.doubled += u64::from(doubled);
            verdict.wrong += u64::from(wrong);
            if verdict.first.is_none() && (lost || doubled || wrong) {
                verdict.first = Some(job as u64);
            }
        }
        for slot in words[HEAD..].chunks_exact(WORDS).take(self.told.len()) {
            slot[RUNNER].store(0, SeqCst);
            slot[COUNTS].store(0, SeqCst);
        }
        words[CASE].fetch_add(1, SeqCst);
        self.told.clear();
        verdict
    }
}

/// What the oracle's own tests run: with whom, and how it ends.
pub fn note(job: (u64, u64)) -> u64 {
    let (id, ends) = job;
    let run = run(id);
    match ends {
        0 => {}
        1 => std::process::abort(),
        _ => {
            std::thread::sleep(std::time::Duration::from_millis(ends));
            drop(run);
            return id;
        }
    }
    id
}

/// Whatever the engine does right, an oracle that sees nothing would be content.
fn the_oracle_sees_what_is_forbidden() {
    use gristmill::ProcessPool;
    let mut oracle = Oracle::new(16);
    let pool = ProcessPool::builder().workers(2).build(note).unwrap();
    let go = |jobs: &[(u64, u64)]| -> Vec<bool> {
        let jobs: Vec<_> = jobs.iter().map(|&job| pool.submit(job).unwrap()).collect();
        jobs.iter().map(|job| job.result().is_ok()).collect()
    };
    // As it should be: one gives its value, one dies.
    let (a, b) = (oracle.accept(), oracle.accept());
    assert_eq!(go(&[(a, 0), (b, 1)]), [true, false]);
    oracle.outcome(a, Outcome::Value);
    oracle.outcome(b, Outcome::Failed);
    let verdict = oracle.verdict(1);
    assert_eq!(verdict, Verdict { jobs: 2, failed: 1, ..Verdict::default() });
    verdict.clean();
    // A job whose worker died may be begun again by another, but not more often than it may.
    for (most, doubled) in [(2, 0), (1, 1)] {
        let a = oracle.accept();
        assert_eq!(go(&[(a, 1)]), [false]);
        assert_eq!(go(&[(a, 0)]), [true]);
        oracle.outcome(a, Outcome::Value);
        let verdict = oracle.verdict(most);
        assert_eq!((verdict.doubled, verdict.again), (doubled, 1));
    }
    // Two live workers at once; and one after another. The first one's end and the second one's begin may both be told.
    for together in [true, false] {
        let a = oracle.accept();
        if together {
            go(&[(a, 300), (a, 300)]);
        } else {
            go(&[(a, 0)]);
            go(&[(a, 0)]);
        }
        oracle.outcome(a, Outcome::Value);
        let verdict = oracle.verdict(9);
        assert!(verdict.doubled > 0 && verdict.first == Some(a), "{verdict:?}");
    }
    // No outcome; a value that nobody made; two outcomes; a wrong value.
    let jobs = [oracle.accept(), oracle.accept(), oracle.accept(), oracle.accept()];
    assert_eq!(go(&[(jobs[2], 0), (jobs[3], 0)]), [true, true]);
    oracle.outcome(jobs[1], Outcome::Value);
    oracle.outcome(jobs[2], Outcome::Value);
    oracle.outcome(jobs[2], Outcome::Value);
    oracle.outcome(jobs[3], Outcome::Wrong);
    let expected = Verdict { jobs: 4, lost: 2, doubled: 1, wrong: 1, first: Some(0), ..Verdict::default() };
    assert_eq!(oracle.verdict(1), expected);
    assert!(!expected.is_clean());
}

pub const TESTS: crate::Tests = &[("the_oracle_sees_what_is_forbidden", the_oracle_sees_what_is_forbidden)];
