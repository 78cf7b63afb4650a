//! What the machine can still give, asked before a region is made: reserving more than that would wake the kernel's
//! out-of-memory killer, which may choose any process, or end this one by a signal. Used by [`mapping`](super::mapping).

use std::fs;
use std::path::Path;

/// The smallest of the limits on a new region, and which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that a new region may have at most.
    pub bytes: u64,
    /// The limit's name, for a message to the user.
    pub limit: &'static str,
}

/// The room for a new region. Memory counts only for regions that live `in_memory`; a file on a disk can be larger.
///
/// What cannot be read does not limit: a system without a memory controller says nothing about it.
pub fn room(in_memory: bool) -> Room {
    let mut all = vec![
        (resource_limit(libc::RLIMIT_FSIZE), "the limit on file sizes (ulimit -f)"),
        (address_space(), "the limit on address space (ulimit -v)"),
    ];
    if in_memory {
        all.push((machine_memory(), "the machine's available memory"));
        all.push((group_memory(), "the memory limit of this container or control group"));
    }
    let known = all.into_iter().filter_map(|(bytes, limit)| Some(Room { bytes: bytes?, limit }));
    known.min_by_key(|r| r.bytes).unwrap_or(Room { bytes: i64::MAX as u64, limit: "the largest possible file" })
}

fn resource_limit(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    let r = unsafe { libc::getrlimit(which, &mut limit) };
    (r == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// What a program needs beside its region: stacks of threads, buffers. A region that took the last of the address space would
/// leave it to be ended by the first small allocation.
const SPARE: u64 = 2 << 20;

fn address_space() -> Option<u64> {
    let limit = resource_limit(libc::RLIMIT_AS)?;
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(pages * super::page_size() as u64 + SPARE))
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let rest = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

fn group_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|l| l.strip_prefix("0::/"))?;
    group_room(Path::new("/sys/fs/cgroup"), Path::new(path))
}

/// The least room of the group at `path` and its ancestors up to `root`, all of which limit it. Cached pages of files
/// count as room: the kernel gives them up before it kills.
fn group_room(root: &Path, path: &Path) -> Option<u64> {
    let number = |file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let room = |group: &Path| {
        let dir = root.join(group);
        let used = number(dir.join("memory.current"))?;
        let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
        let cached = stat.lines().filter_map(|l| l.strip_prefix("inactive_file ").or(l.strip_prefix("active_file ")));
        let cached: u64 = cached.filter_map(|n| n.parse::<u64>().ok()).sum();
        // "max" is not a number, and no limit.
        Some(number(dir.join("memory.max"))?.saturating_sub(used.saturating_sub(cached)))
    };
    path.ancestors().filter_map(room).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_group_limits_an_inner_one_and_cached_files_count_as_room() {
        let root = std::env::temp_dir().join(format!("gristmill-group-{}", std::process::id()));
        let inner = root.join("outer/inner");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("memory.max"), "5000\n").unwrap();
        fs::write(inner.join("memory.current"), "10\n").unwrap();
        let unlimited = inner.join("unlimited");
        fs::create_dir(&unlimited).unwrap();
        fs::write(unlimited.join("memory.max"), "max\n").unwrap();
        fs::write(unlimited.join("memory.current"), "10\n").unwrap();
        fs::write(root.join("outer/memory.max"), "1000\n").unwrap();
        fs::write(root.join("outer/memory.current"), "900\n").unwrap();
        fs::write(root.join("outer/memory.stat"), "anon 300\ninactive_file 200\nactive_file 50\nshmem 7\n").unwrap();
        let room = group_room(&root, Path::new("outer/inner/unlimited"));
        let none = group_room(&root, Path::new("elsewhere"));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(room, Some(350));
        assert_eq!(none, None);
    }

    #[test]
    fn memory_limits_a_region_in_memory_only() {
        assert!(room(true).bytes < 1 << 50, "{:?}", room(true));
        assert!(machine_memory().unwrap() > 1 << 20);
    }
}
