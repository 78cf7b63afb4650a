//! One run of the command, under a watchdog, and what it left on its outputs.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What takes longer hangs: it is killed, and the test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The command with these arguments, nothing on standard input, and no colours or back traces in its messages.
pub fn gristmill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    command.args(args).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command
}

/// A started command. Dropped, it is killed, and its workers with it.
pub struct Run {
    child: Arc<Mutex<Child>>,
    pid: u32,
    stdin: Option<ChildStdin>,
    out: Receiver<Vec<u8>>,
    err: Receiver<Vec<u8>>,
    /// Says to the watchdog that the run is over.
    over: Sender<()>,
}

/// How a run ended. `code` is 128 plus the signal, as a shell shows it, if a signal ended it.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

/// Starts it with both outputs piped, unless `stdout` gives the standard output another place.
pub fn start(command: Command, stdout: Option<Stdio>) -> Run {
    start_to(command, stdout, None)
}

/// Starts it with the outputs that are not given piped.
pub fn start_to(mut command: Command, stdout: Option<Stdio>, stderr: Option<Stdio>) -> Run {
    command.stdout(stdout.unwrap_or_else(Stdio::piped)).stderr(stderr.unwrap_or_else(Stdio::piped));
    let mut child = command.spawn().unwrap();
    let out = child.stdout.take().map_or_else(|| collect(std::io::empty()), collect);
    let err = child.stderr.take().map_or_else(|| collect(std::io::empty()), collect);
    let (pid, stdin, child) = (child.id(), child.stdin.take(), Arc::new(Mutex::new(child)));
    let (over, watched) = channel();
    // Kills what hangs even while the test itself waits for output of the run, which then ends.
    let watchdog = Arc::clone(&child);
    std::thread::spawn(move || {
        if watched.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("process {pid} hangs and is killed");
            let _ = lock(&watchdog).kill();
        }
    });
    Run { child, pid, stdin, out, err, over }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs it to its end.
pub fn run(command: Command) -> Ended {
    start(command, None).end()
}

/// Runs it to its end with this on standard input.
pub fn run_with(mut command: Command, input: impl Into<Vec<u8>>) -> Ended {
    command.stdin(Stdio::piped());
    let mut run = start(command, None);
    let feeder = feed(run.stdin(), input.into());
    let ended = run.end();
    feeder.join().unwrap();
    ended
}

/// Writes to a run's standard input from a thread, and closes it. A run that stops reading is no fault of the feeder.
pub fn feed(mut stdin: ChildStdin, input: Vec<u8>) -> JoinHandle<()> {
    std::thread::spawn(move || drop(stdin.write_all(&input)))
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (all, end) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        let _ = all.send(bytes);
    });
    end
}

impl Run {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    pub fn is_alive(&self) -> bool {
        lock(&self.child).try_wait().unwrap().is_none()
    }

    pub fn workers(&self) -> Vec<u32> {
        workers(self.pid)
    }

    /// Waits until `what` gives something; the test fails if the run ends before, or the watchdog ends it.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Run) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(self.is_alive(), "the run has ended and there was no {what}; standard error: {}", text(&self.err));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end of the process and of all who hold its outputs: its workers do, so none of them is left.
    pub fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let status = loop {
            if let Some(status) = lock(&self.child).try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let _ = self.over.send(());
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let out = self.out.recv_timeout(LIMIT).expect("somebody outlives the run and holds its standard output");
        let err = self.err.recv_timeout(LIMIT).expect("somebody outlives the run and holds its standard error");
        Ended { code, out, err: String::from_utf8(err).unwrap() }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        // Both do nothing to a child that has been waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn text(all: &Receiver<Vec<u8>>) -> String {
    String::from_utf8_lossy(&all.recv_timeout(Duration::from_secs(10)).unwrap_or_default()).into_owned()
}

impl Ended {
    /// The number under `key` in the statistics, which are the last line on standard error.
    pub fn stat(&self, key: &str) -> f64 {
        let last = self.err.lines().last().unwrap_or_default();
        let stats: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.err));
        stats[key].as_f64().unwrap_or_else(|| panic!("no {key} in {last}"))
    }

    /// Standard error, if it is one line.
    pub fn only_line(&self) -> &str {
        let line = self.err.strip_suffix('\n').unwrap_or(&self.err);
        assert!(!line.is_empty() && !line.contains('\n'), "not one line: {:?}", self.err);
        line
    }

    pub fn out(&self) -> &str {
        str::from_utf8(&self.out).unwrap()
    }
}

/// The processes that a process has started, by all of its threads.
pub fn workers(of: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{of}/task")) else { return vec![] };
    let children = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    children.flat_map(|c| c.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// The workers that have begun to serve. Until it executes the program a new process has the memory of the command, its arguments
/// too; and then the name of the link by which it was executed.
pub fn serving(of: u32) -> Vec<u32> {
    let read = |pid: &u32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let serves = |pid: &u32| read(pid, "cmdline").matches('\0').count() == 1 && read(pid, "comm") == "gristmill\n";
    workers(of).into_iter().filter(serves).collect()
}

/// A figure in KiB of /proc/PID/status.
pub fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.map_or(0, |line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap())
}

pub fn signal(pid: i32, signal: i32) -> bool {
    // SAFETY: the call touches no memory.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// What coreutils' `factor` prints.
pub fn factor(input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("factor").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let feeder = feed(child.stdin.take().unwrap(), input.to_vec());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The numbers, one on a line.
pub fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// Fails if the bytes differ, and says where: they are too long to be shown.
pub fn assert_same(got: &[u8], expected: &[u8]) {
    if got != expected {
        let at = got.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(got.len().min(expected.len()));
        let near =
            |bytes: &[u8]| bytes[at.saturating_sub(60).min(bytes.len())..(at + 60).min(bytes.len())].escape_ascii().to_string();
        panic!("{} bytes, not {}; they differ at {at}: {} … not {}", got.len(), expected.len(), near(got), near(expected));
    }
}

/// A folder of one test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("gristmill-command-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub fn file(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(Path::new(name.as_ref()));
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
