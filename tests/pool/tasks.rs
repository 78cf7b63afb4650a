//! The jobs of these tests.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a job is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Do {
    /// Give this number.
    Value(u64),
    /// Sleep so many milliseconds, and give that number.
    Sleep(u64),
    /// Note the run in the file beside this path, and wait until the path exists; gives 1.
    Gate(PathBuf),
    /// Append a line to this file, then do the other.
    Noted(PathBuf, Box<Do>),
    /// Die if this file does not exist yet, and make it before; else do the other.
    DieOnce(PathBuf, Death, Box<Do>),
    /// Die.
    Die(Death),
    /// Panic with these words.
    Panic(String),
    /// Give the number of the worker's process.
    Pid,
    /// Take so many MiB of memory, and hold it until the path exists.
    Memory(usize, PathBuf),
}

/// Ways in which a job takes its worker along.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Death {
    Signal(i32),
    NullPointer,
    Exit(i32),
    Abort,
    StackOverflow,
    OutOfMemory,
}

pub fn run(job: Do) -> u64 {
    match job {
        Do::Value(n) => n,
        Do::Sleep(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            ms
        }
        Do::Gate(path) => {
            note(&path.with_extension("begun"));
            wait_for(&path);
            1
        }
        Do::Noted(path, what) => {
            note(&path);
            run(*what)
        }
        Do::DieOnce(path, how, what) => {
            if !path.exists() {
                File::create(path).unwrap();
                die(how);
            }
            run(*what)
        }
        Do::Die(how) => die(how),
        Do::Panic(words) => panic!("{words}"),
        Do::Pid => std::process::id().into(),
        Do::Memory(mib, path) => {
            let held = std::hint::black_box(vec![1u8; mib << 20]);
            wait_for(&path);
            held.len() as u64
        }
    }
}

fn note(path: &Path) {
    let line = format!("{}\n", std::process::id());
    // The place may be gone: then nobody asks.
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        file.write_all(line.as_bytes()).unwrap();
    }
}

fn wait_for(path: &Path) {
    while !path.exists() && path.parent().is_some_and(Path::exists) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn die(how: Death) -> u64 {
    match how {
        Death::Signal(signal) => loop {
            // SAFETY: raising a signal touches no memory of ours. The standard library's handler for SIGSEGV lets the first one pass.
            unsafe { libc::raise(signal) };
        },
        Death::NullPointer => {
            // SAFETY: none. This is the fault that a pool has to survive.
            unsafe { libc::memset(std::hint::black_box(std::ptr::null_mut()), 1, 8) };
        }
        Death::Exit(code) => std::process::exit(code),
        Death::Abort => std::process::abort(),
        Death::StackOverflow => return deeper(1),
        Death::OutOfMemory => {
            let most = libc::rlimit { rlim_cur: 256 << 20, rlim_max: 256 << 20 };
            // SAFETY: `most` is a valid rlimit, for this process alone.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &most) }, 0);
            return std::hint::black_box(vec![1u8; 1 << 30]).len() as u64;
        }
    }
    unreachable!("the fault ends this process")
}

#[allow(unconditional_recursion, reason = "it is to overflow the stack")]
fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 512]);
    deeper(frame[7] + 1) + frame[3]
}

/// Even numbers only.
pub fn even(n: u64) -> u64 {
    assert!(n.is_multiple_of(2), "{n} is odd");
    n
}

pub fn square(n: u64) -> u64 {
    n.wrapping_mul(n)
}

pub fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// So many bytes.
pub fn fill(length: usize) -> Vec<u8> {
    vec![7; length]
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoNumber {
    pub text: String,
}

pub fn parse(text: String) -> Result<u64, NoNumber> {
    text.parse().map_err(|_| NoNumber { text })
}

/// Encodes as a number; only even numbers can be decoded, 13 cannot be encoded, and 15 panics while it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Picky(pub u64);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            13 => Err(S::Error::custom("13 is never written")),
            15 => panic!("15 is written"),
            n => to.serialize_u64(n),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u64::deserialize(from)? {
            n if n % 2 == 0 => Ok(Picky(n)),
            _ => Err(D::Error::custom("it is odd")),
        }
    }
}

pub fn picky(n: Picky) -> u64 {
    n.0
}

/// 13 gives a result that cannot be encoded, other odd numbers one that cannot be decoded.
pub fn lost(n: u64) -> Picky {
    Picky(n)
}

/// Counts its own encodings: what is decoded is one more.
pub fn stubborn(n: u32) -> u32 {
    n
}

/// What [`start_at`] makes.
pub struct Counter(u64);

pub fn start_at(from: u64) -> Result<Counter, String> {
    Ok(Counter(from))
}

pub fn refuse(why: String) -> Result<Counter, String> {
    Err(why)
}

pub fn burst(why: String) -> Result<Counter, String> {
    panic!("{why}")
}

/// Works while the file is not there.
pub fn refuse_later(file: PathBuf) -> Result<Counter, String> {
    note(&file.with_extension("starts"));
    if file.exists() { Err("the file is there".into()) } else { Ok(Counter(0)) }
}

/// Sleeps so many milliseconds, if any.
pub fn nap(milliseconds: u64) -> u64 {
    if milliseconds > 0 {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
    milliseconds
}

/// The worker, and how many jobs it has counted.
pub fn count(counter: &mut Counter, by: u64) -> (u32, u64) {
    counter.0 += by;
    (std::process::id(), counter.0)
}

/// Needs a state that no initializer here makes.
pub fn add_to(text: &mut String, more: String) -> String {
    text.push_str(&more);
    text.clone()
}

pub fn label(n: u64) -> String {
    format!("{n} ")
}

pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// Associative, and not commutative.
pub fn concat(a: String, b: String) -> String {
    a + &b
}

/// Folds nothing.
pub fn quarrel(_: String, _: String) -> String {
    panic!("it does not fold anywhere")
}

/// Does not fold in a worker, whose jobs run in its first thread. Tests run in others.
pub fn worse(a: u64, b: u64) -> u64 {
    assert!(std::thread::current().name() != Some("main"), "it does not fold");
    a.wrapping_add(b)
}

/// The CPUs on which this worker may run.
pub fn affinity(_: ()) -> Vec<usize> {
    gristmill::sys::limits::cpu_numbers()
}

pub fn make_a_pool(_: ()) -> String {
    match gristmill::ProcessPool::builder().workers(1).build(square) {
        Ok(_) => "it was made".into(),
        Err(why) => why.to_string(),
    }
}

/// Not registered.
pub fn stranger(n: u64) -> u64 {
    n
}

/// What [`tally_in`] makes: a byte for each number, in a file that all workers have mapped.
pub struct Tally(memmap2::MmapMut);

pub fn tally_in(file: PathBuf) -> Result<Tally, std::io::Error> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file)?;
    // SAFETY: a file of the test's own, which nobody cuts short.
    Ok(Tally(unsafe { memmap2::MmapMut::map_mut(&file)? }))
}

/// Counts the number; some panic, and some kill their worker the first time.
pub fn tally(tally: &mut Tally, n: u64) -> u64 {
    let count = &mut tally.0[n as usize];
    *count += 1;
    if n % 1009 == 17 && *count == 1 {
        std::process::abort();
    }
    assert!(n % 1013 != 5, "{n}");
    n * n
}
