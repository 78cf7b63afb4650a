//! What this process holds, compared before and after a case; and a watchdog for what hangs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What this process holds of the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Open descriptors, by what they lead to.
    descriptors: Vec<String>,
    threads: usize,
    /// Children, zombies included.
    children: Vec<String>,
    /// Mappings of regions and of shared vectors.
    mappings: usize,
    /// Names in /dev/shm.
    names: BTreeSet<String>,
}

impl Held {
    pub fn now() -> Held {
        let list = |path: &str| fs::read_dir(path).into_iter().flatten().flatten();
        let links =
            list("/proc/self/fd").filter_map(|e| fs::read_link(e.path()).ok()).map(|l| l.to_string_lossy().into_owned());
        // Without the one that reads the folder.
        let mut descriptors: Vec<String> = links.filter(|l| !l.ends_with("/fd")).collect();
        descriptors.sort();
        let of_task = |path: std::path::PathBuf| fs::read_to_string(path.join("children")).unwrap_or_default();
        let mut children: Vec<String> = list("/proc/self/task")
            .flat_map(|t| of_task(t.path()).split_whitespace().map(String::from).collect::<Vec<_>>())
            .collect();
        children.sort();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Held {
            descriptors,
            threads: list("/proc/self/task").count(),
            children,
            mappings: maps.lines().filter(|l| l.contains("memfd:") || l.contains("/dev/shm/")).count(),
            names: list("/dev/shm").map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
        }
    }

    /// What this process holds now that it did not hold then, or the other way round; what ends by itself has so long for it.
    fn difference(&self, patience: Duration) -> Option<String> {
        let (start, me) = (Instant::now(), std::process::id().to_string());
        loop {
            let now = Held::now();
            // Names of other programs come and go.
            let ours = now.names.difference(&self.names).any(|name| name.contains(&me));
            // A thread of the test before this one may have been ending when they were counted.
            let threads = if now.threads < self.threads { self.threads } else { now.threads };
            if !ours && (Held { names: self.names.clone(), threads, ..now.clone() }) == *self {
                return None;
            }
            if start.elapsed() > patience {
                return Some(format!("before {self:?}\nnow {now:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The children that were not there before.
    pub fn children_beyond(&self, before: &Held) -> Vec<i32> {
        self.children.iter().filter(|pid| !before.children.contains(pid)).map(|pid| pid.parse().unwrap()).collect()
    }

    /// Panics if anything is left behind.
    pub fn compare(&self) {
        if let Some(what) = self.difference(Duration::from_secs(10)) {
            panic!("left behind:\n{what}");
        }
    }
}

/// Where each thread of this process and of its children is, as far as the system tells.
fn threads() -> String {
    let me = std::process::id().to_string();
    let mut text = String::new();
    for pid in Held::now().children.into_iter().chain([me]) {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |what| fs::read_to_string(task.path().join(what)).unwrap_or_default().trim().replace('\n', " ");
            let state = read("stat").rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?');
            let call = read("syscall");
            text +=
                &format!("{pid} {:?} {}: {state} in {}, system call {call}\n", task.file_name(), read("comm"), read("wchan"));
        }
    }
    text
}

/// Bytes of this process that are in memory.
pub fn resident() -> u64 {
    resident_of(std::process::id())
}

/// Bytes of a process that are in memory.
pub fn resident_of(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Ends this process, which fails its tests, if it is not fed for so long; says what hangs.
pub struct Watchdog {
    food: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub fn new(patience: Duration, what: impl Into<String>) -> Watchdog {
        let (food, bowl) = channel::<String>();
        let mut what = what.into();
        let watch = move || loop {
            match bowl.recv_timeout(patience) {
                Ok(next) => what = next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("hung: 1; no progress for {patience:?} in: {what}");
                    eprint!("{}", threads());
                    // Workers go with this process.
                    std::process::exit(101);
                }
            }
        };
        Watchdog { food: Some(food), thread: Some(std::thread::spawn(watch)) }
    }

    /// Something has gone on; the next step is `what`.
    pub fn feed(&self, what: impl Into<String>) {
        let _ = self.food.as_ref().map(|food| food.send(what.into()));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.food = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn what_is_left_behind_is_seen() {
    let before = Held::now();
    let resident_before = resident();
    let soon = Duration::from_millis(20);
    assert_eq!(before.difference(soon), None);
    let left = (std::fs::File::open("/proc/self/stat").unwrap(), vec![1u8; 8 << 20]);
    assert!(before.difference(soon).is_some() && resident() > resident_before + (7 << 20));
    drop(left);
    let dog = Watchdog::new(Duration::from_secs(60), "nothing");
    dog.feed("a thread is seen");
    assert!(before.difference(soon).is_some());
    drop(dog);
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    assert!(before.difference(soon).is_some());
    child.wait().unwrap();
    before.compare();
}

pub const TESTS: crate::Tests = &[("what_is_left_behind_is_seen", what_is_left_behind_is_seen)];
