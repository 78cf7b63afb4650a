//! How a test runs: in a process of its own, watched, and with a look at what it leaves behind.
//!
//! The harness executes this binary again for each test. So a test may count its own descriptors and children, a hang ends with
//! the process, and what a test leaves running is found by the mark in its environment, which workers inherit.

use libtest_mimic::{Failed, Trial};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test: its name, and what runs in its process.
pub type Test = (&'static str, fn());

/// The variable that makes this binary run one test, and nothing else; its value is the test's name.
const ONLY: &str = "GRISTMILL_TEST";
/// The variable by which what a test leaves behind is found.
const MARK: &str = "GRISTMILL_TEST_MARK";

/// A test that takes longer hangs. Far longer than any takes, also on one core beside other work.
const LIMIT: Duration = Duration::from_secs(180);

/// The tests of a file.
macro_rules! list {
    ($($test:ident)*) => {
        pub fn tests() -> Vec<crate::harness::Test> {
            vec![$((concat!(module_path!(), "::", stringify!($test)), $test as fn())),*]
        }
    };
}
pub(crate) use list;

/// In a test's own process: runs it and ends.
pub fn run_the_one(tests: &[Test]) {
    let Ok(name) = std::env::var(ONLY) else { return };
    let found = tests.iter().find(|t| t.0 == name);
    // Should the harness be killed, this goes as well, and its workers with it.
    gristmill::sys::spawn::die_with_parent(std::os::unix::process::parent_id()).unwrap();
    found.unwrap_or_else(|| panic!("no test is called {name}")).1();
    std::process::exit(0);
}

/// For the list of tests.
pub fn trial((name, _): Test) -> Trial {
    Trial::test(name.trim_start_matches("engine::"), move || in_a_process(name))
}

fn in_a_process(name: &str) -> Result<(), Failed> {
    let mut said = scratch_file()?;
    let mark = format!("{name}-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let before = dev_shm();
    let mut child = Command::new("/proc/self/exe")
        .env(ONLY, name)
        .env(MARK, &mark)
        // Workers panic on purpose, dozens of them; to read a debug build's symbols takes each a third of a second.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .spawn()?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            let what = processes(&mark).iter().map(|&p| describe(p)).collect::<String>();
            child.kill()?;
            child.wait()?;
            return Err(format!("hangs: ended after {LIMIT:?}\n{what}{}", output(&mut said)?).into());
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    if !status.success() {
        let how = status.signal().map_or(format!("exit code {:?}", status.code()), |s| format!("signal {s}"));
        return Err(format!("{how}\n{}", output(&mut said)?).into());
    }
    // Its workers have lost their parent and are about to be gone.
    let left = until(LIMIT, || processes(&mark).is_empty()).then_some(()).ok_or_else(|| processes(&mark));
    if let Err(left) = left {
        let what = left.iter().map(|&p| describe(p)).collect::<String>();
        left.iter().for_each(|&pid| super::system::kill_any(pid, libc::SIGKILL));
        return Err(format!("processes are left behind:\n{what}{}", output(&mut said)?).into());
    }
    let new: Vec<_> = dev_shm().into_iter().filter(|n| !before.contains(n) && n.contains(name)).collect();
    if !new.is_empty() {
        return Err(format!("left in /dev/shm: {new:?}").into());
    }
    Ok(())
}

fn scratch_file() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("gristmill-test-{}-{:016x}", std::process::id(), rand::random::<u64>()));
    let file = File::options().read(true).append(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn output(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether `done` came true before `limit` had passed.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return done();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Waits for what must come; if it does not, the harness ends the test.
pub fn wait_for(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What lies in /dev/shm.
pub fn dev_shm() -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// All processes whose environment has the mark.
fn processes(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let marked = |&pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&b| b == 0).any(|line| line == wanted.as_bytes())
    };
    pids.filter(marked).collect()
}

fn describe(pid: u32) -> String {
    let mut text = String::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |what| fs::read_to_string(task.path().join(what)).unwrap_or_default().trim().to_string();
        let state = super::system::state(pid).unwrap_or('?');
        text += &format!(
            "process {pid} ({state}) thread {}: in {}, system call {}\n",
            read("comm"),
            read("wchan"),
            read("syscall")
        );
    }
    text
}
