//! What this process holds, compared before and after a case; and a watchdog for what hangs.

use gristmill::sys::mapping::Mapping;
use std::fs::{self, DirEntry, File};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What an allocator keeps for later is less.
const GROWTH: u64 = 64 << 20;

/// What this process holds of the system's.
#[derive(Clone, Debug)]
pub struct Held {
    /// Open descriptors, by what they lead to.
    descriptors: Vec<String>,
    threads: usize,
    /// Children, zombies included.
    children: Vec<String>,
    /// Shared mappings: of regions, of shared vectors, of files.
    mappings: Vec<String>,
    /// Names that belong to this process, in /dev/shm and where temporary files are.
    names: Vec<String>,
    /// Bytes in memory.
    resident: u64,
}

fn list(path: impl AsRef<Path>) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(path).into_iter().flatten().flatten()
}

fn sorted(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
}

/// Whether a test has given the name to something of this process: other programs' names come and go.
fn is_ours(name: &str) -> bool {
    let me = std::process::id().to_string();
    name.starts_with("gristmill-") && name.split('-').any(|part| part == me)
}

impl Held {
    pub fn now() -> Held {
        let links =
            list("/proc/self/fd").filter_map(|e| fs::read_link(e.path()).ok()).map(|l| l.to_string_lossy().into_owned());
        let of_task = |path: std::path::PathBuf| fs::read_to_string(path.join("children")).unwrap_or_default();
        let children = |task: DirEntry| of_task(task.path()).split_whitespace().map(String::from).collect::<Vec<_>>();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let shared = |line: &&str| line.split_whitespace().nth(1).is_some_and(|mode| mode.ends_with('s'));
        let names = list("/dev/shm").chain(list(std::env::temp_dir())).map(|e| e.file_name().to_string_lossy().into_owned());
        Held {
            // Without the one that reads the folder.
            descriptors: sorted(links.filter(|l| !l.ends_with("/fd"))),
            threads: list("/proc/self/task").count(),
            children: sorted(list("/proc/self/task").flat_map(children)),
            mappings: sorted(maps.lines().filter(shared).map(String::from)),
            names: sorted(names.filter(|name| is_ours(name))),
            resident: resident(),
        }
    }

    /// What is different now, by kind: `+` was not there, `-` is not there any more.
    fn changes(&self, now: &Held) -> String {
        let mut text = String::new();
        let lists = [
            ("descriptors", &self.descriptors, &now.descriptors),
            ("children", &self.children, &now.children),
            ("mappings", &self.mappings, &now.mappings),
            ("names", &self.names, &now.names),
        ];
        for (what, before, now) in lists.into_iter().filter(|(_, before, now)| before != now) {
            // Two descriptors may lead to the same.
            text += &format!("{what}, {} and now {}:", before.len(), now.len());
            now.iter().filter(|x| !before.contains(x)).for_each(|x| text += &format!(" +{x}"));
            before.iter().filter(|x| !now.contains(x)).for_each(|x| text += &format!(" -{x}"));
            text += "; ";
        }
        // A thread of the test before this one may have been ending when they were counted.
        if now.threads > self.threads {
            text += &format!("{} threads and now {}; ", self.threads, now.threads);
        }
        if now.resident > self.resident + GROWTH {
            text += &format!("{} bytes of memory and now {}; ", self.resident, now.resident);
        }
        text
    }

    /// What this process holds now that it did not hold then, or the other way round; what ends by itself has so long for it.
    pub fn difference(&self, patience: Duration) -> Option<String> {
        let start = Instant::now();
        loop {
            let changes = self.changes(&Held::now());
            if changes.is_empty() {
                return None;
            }
            if start.elapsed() > patience {
                return Some(changes);
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
        if let Some(what) = self.difference(PATIENCE) {
            panic!("left behind: {what}");
        }
    }
}

/// So long may take what ends by itself.
pub const PATIENCE: Duration = Duration::from_secs(10);

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

/// Each kind is left behind once.
fn what_is_left_behind_is_seen() {
    let before = Held::now();
    let soon = Duration::from_millis(20);
    let seen = |what: &str| {
        let left = before.difference(soon).unwrap_or_default();
        assert!(left.contains(what), "{what}: {left:?}");
    };
    assert_eq!(before.difference(Duration::from_secs(1)), None);
    let file = File::open("/proc/self/stat").unwrap();
    seen("descriptors");
    drop(file);
    let memory = vec![1u8; GROWTH as usize + (16 << 20)];
    seen("bytes of memory");
    drop(memory);
    let dog = Watchdog::new(Duration::from_secs(60), "nothing");
    dog.feed("a thread is seen");
    seen("threads");
    drop(dog);
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    seen("children");
    child.wait().unwrap();
    let name = format!("gristmill-held-{}", std::process::id());
    let named = Mapping::named(&name, 1 << 16).unwrap();
    seen("names");
    seen(&format!("/dev/shm/{name}"));
    drop(named);
    let path = std::env::temp_dir().join(&name);
    let mut mapping = Mapping::file(&path, 1 << 16).unwrap();
    mapping.close_descriptor();
    fs::remove_file(&path).unwrap();
    seen("mappings");
    assert!(!before.difference(soon).unwrap().contains("names"), "only the mapping is left");
    drop(mapping);
    let anonymous = Mapping::anonymous(1 << 16).unwrap();
    seen("mappings");
    drop(anonymous);
    before.compare();
}

pub const TESTS: crate::Tests = &[("what_is_left_behind_is_seen", what_is_left_behind_is_seen)];
