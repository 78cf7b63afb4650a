//! The machine that figures were measured on: without it they say nothing.

use super::cgroup;
use super::measure::{Calls, Who};
use crate::sys::limits;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// What is said of system calls that are counted.
pub const COUNTED: &str = "counted";

/// The card that goes with every report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// When the run began, in UTC.
    pub started: String,
    /// The CPU's model.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cores: usize,
    /// CPUs of the machine, and threads of a core where the machine tells.
    pub topology: String,
    /// Data and unified caches of the first CPU.
    pub caches: Vec<String>,
    /// How the clock rate is chosen.
    pub governor: String,
    /// Kernel and its version.
    pub kernel: String,
    /// Whether a hypervisor is below.
    pub virtual_machine: bool,
    /// What the kernel does against flaws of the CPU.
    pub mitigations: Vec<String>,
    /// Limits of the control groups, and of those that these are in.
    pub cgroup: Vec<String>,
    /// Whether system calls are counted, or why they cannot be.
    pub system_calls: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Whether participants were kept on CPUs.
    pub pinning: String,
    /// Load averages before.
    pub load_before: String,
    /// And after.
    pub load_after: String,
    /// The compiler that has built this.
    pub compiler: String,
    /// The commit that this was built of, if that was a checkout.
    pub commit: String,
    /// Whether it was built with optimization.
    pub optimized: bool,
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Environment {
    /// As it is now.
    pub fn now() -> Environment {
        let unknown = || String::from("unknown");
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| cpuinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(": ")?.1.to_owned()));
        let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let smt = smt(read("/sys/devices/system/cpu/smt/active").as_deref(), &cpuinfo);
        Environment {
            started: said_by("date", &["-u", "+%Y-%m-%d %H:%M"]).unwrap_or_else(unknown),
            cpu: field("model name").unwrap_or_else(unknown),
            cores: limits::cpus(),
            topology: format!("{cpus} CPUs, {smt}"),
            caches: caches(),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .unwrap_or_else(|| "not shown by this machine".into()),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown)),
            virtual_machine: cpuinfo
                .lines()
                .any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor")),
            mitigations: mitigations(),
            cgroup: cgroup::limits(),
            system_calls: system_calls(),
            memory: read("/proc/meminfo")
                .and_then(|text| text.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok())
                .map_or(0, |k| k << 10),
            pinning: "none: the kernel places all participants".into(),
            load_before: load(),
            load_after: String::new(),
            compiler: option_env!("GRISTMILL_COMPILER").map_or_else(unknown, str::to_owned),
            commit: option_env!("GRISTMILL_COMMIT").map_or_else(unknown, str::to_owned),
            optimized: !cfg!(debug_assertions),
        }
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = read("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Nanoseconds of all CPUs since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Of all kinds.
    pub all: u64,
    /// In programs, and in the kernel for them.
    pub busy: u64,
    /// In which it wanted to run and another machine had its CPU.
    pub stolen: u64,
}

impl Times {
    /// Up to now.
    pub fn now() -> Option<Times> {
        // The kernel tells hundredths of seconds here, whatever it counts in.
        let nanos = |n: &str| Some(n.parse::<u64>().ok()? * 10_000_000);
        let text = read("/proc/stat")?;
        let times: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).filter_map(nanos).collect();
        let sum = |n: usize| times.iter().take(n).sum();
        Some(Times { all: sum(8), busy: sum(3), stolen: *times.get(7)? })
    }
}

fn caches() -> Vec<String> {
    let one = |n: usize| {
        let of = |what: &str| read(&format!("/sys/devices/system/cpu/cpu0/cache/index{n}/{what}"));
        let kind = of("type").filter(|kind| kind != "Instruction")?;
        Some(format!("L{} {} {}", of("level")?, kind.to_lowercase(), of("size")?))
    };
    (0..8).filter_map(one).collect()
}

fn mitigations() -> Vec<String> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let mut all: Vec<String> = entries
        .filter_map(|entry| {
            let says = fs::read_to_string(entry.path()).ok()?;
            let says = says.trim();
            (says != "Not affected").then(|| format!("{}: {says}", entry.file_name().to_string_lossy()))
        })
        .collect();
    all.sort();
    all
}

/// Whether cores have several threads: as the kernel says, or else by what each CPU has.
fn smt(active: Option<&str>, cpuinfo: &str) -> &'static str {
    let number = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|field| field.trim() == name))?;
        line.split_once(':')?.1.trim().parse::<u64>().ok()
    };
    match (active, number("siblings"), number("cpu cores")) {
        (Some("1"), _, _) => "SMT on",
        (Some("0"), _, _) => "SMT off",
        (_, Some(siblings), Some(cores)) => {
            if siblings > cores {
                "SMT on"
            } else {
                "SMT off"
            }
        }
        _ => "SMT unknown",
    }
}

/// Whether system calls can be counted, and why not.
fn system_calls() -> String {
    if Calls::count(&Who::with_caller(&[])).is_some() {
        return COUNTED.into();
    }
    let why = match fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id") {
        Err(e) => format!("/sys/kernel/tracing has no event for them that can be read ({e})"),
        Ok(_) => {
            let level = read("/proc/sys/kernel/perf_event_paranoid").unwrap_or_else(|| "unknown".into());
            format!("the kernel refuses to trace for this user (kernel.perf_event_paranoid is {level})")
        }
    };
    format!("cannot be counted: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_and_commit_are_those_of_the_build() {
        let here = Environment::now();
        assert!(here.compiler.starts_with("rustc 1."), "{}", here.compiler);
        let folder = env!("CARGO_MANIFEST_DIR");
        let git = |arguments: &[&str]| said_by("git", &[&["-C", folder, "rev-parse"], arguments].concat());
        let whole = |path: &str| fs::canonicalize(path).ok();
        // Out of a checkout, or in somebody else's, the build has none to note.
        let ours = git(&["--show-toplevel"]).is_some_and(|top| whole(&top) == whole(folder));
        let noted = here.commit.strip_suffix(" with changes").unwrap_or(&here.commit);
        if !ours {
            assert_eq!(noted, "unknown");
        } else if here.optimized {
            assert_eq!(noted, git(&["--short", "HEAD"]).unwrap());
        } else {
            // Not built anew for each commit: it is this one, or one before.
            assert!(noted.len() >= 7 && noted.chars().all(|c| c.is_ascii_hexdigit()), "{noted}");
        }
    }

    #[test]
    fn smt_is_seen_in_the_number_of_siblings_too() {
        let info = |siblings: u32| format!("processor\t: 0\nsiblings\t: {siblings}\ncore id\t\t: 0\ncpu cores\t: 2\n");
        assert_eq!([smt(Some("1"), ""), smt(Some("0"), &info(4)), smt(None, "")], ["SMT on", "SMT off", "SMT unknown"]);
        assert_eq!([smt(None, &info(4)), smt(None, &info(2))], ["SMT on", "SMT off"]);
    }

    #[test]
    fn calls_are_counted_or_it_is_said_why_not() {
        let said = system_calls();
        assert!(said == COUNTED || (said.starts_with("cannot be counted: ") && said.ends_with(')')), "{said}");
    }
}
