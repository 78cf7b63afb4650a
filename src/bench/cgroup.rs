//! The limits of this process's control groups, and of the groups that these are in, in both versions.

use std::fs;
use std::path::Path;

/// From so many bytes on a limit of memory is none: the first version has no other word for that.
const NO_LIMIT: u64 = 1 << 60;

/// All of them, by their names in the kernel; those of a group above say of which.
pub fn limits() -> Vec<String> {
    limits_in(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new("/sys/fs/cgroup"))
}

/// `groups` has a line for each hierarchy: a number, what it controls, and the group's path.
fn limits_in(groups: &str, root: &Path) -> Vec<String> {
    let mut found = vec![];
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mounts, files): (Vec<&str>, Vec<&str>) = match controllers {
            // The second version, alone or beside the first.
            "" => (vec!["", "unified"], vec!["cpu.max", "cpuset.cpus.effective", "memory.max", "pids.max"]),
            some => {
                let files = some.split(',').filter_map(|controller| match controller {
                    "cpu" => Some("cpu.cfs_quota_us"),
                    "cpuset" => Some("cpuset.effective_cpus"),
                    "memory" => Some("memory.limit_in_bytes"),
                    "pids" => Some("pids.max"),
                    _ => None,
                });
                ([some].into_iter().chain(some.split(',')).collect(), files.collect())
            }
        };
        for file in files {
            // From the group itself to the root: where it is a container's, the path may lead nowhere, and the root be its own.
            let above = Path::new(path).ancestors().map(|group| (group, group == Path::new(path)));
            let limits = above.filter_map(|(group, own)| {
                let folder = |mount: &&str| root.join(mount).join(group.strip_prefix("/").unwrap_or(group));
                let limit = mounts.iter().find_map(|mount| limit(&folder(mount), file))?;
                Some(if own { limit } else { format!("{limit} (of {})", group.display()) })
            });
            // The CPUs of a group are among those of the groups above.
            let most = if file.starts_with("cpuset") { 1 } else { usize::MAX };
            found.extend(limits.take(most));
        }
    }
    found.dedup();
    found
}

/// What a file says, unless that is no limit.
fn limit(folder: &Path, file: &str) -> Option<String> {
    let read = |file: &str| Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned());
    let says = read(file)?;
    let none = says.is_empty() || says.starts_with("max") || says == "-1" || says.parse::<u64>().is_ok_and(|n| n >= NO_LIMIT);
    let period = if file == "cpu.cfs_quota_us" { read("cpu.cfs_period_us").map(|of| format!(" of {of}")) } else { None };
    (!none).then(|| format!("{file} {says}{}", period.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(std::path::PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Root {
            let root = std::env::temp_dir().join(format!("gristmill-cgroup-{name}-{}", std::process::id()));
            for (path, says) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{says}\n")).unwrap();
            }
            Root(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn limits_of_groups_above_count_and_no_limit_is_none() {
        let root = Root::new(
            "two",
            &[
                ("a/b/cpu.max", "max 100000"),
                ("a/cpu.max", "50000 100000"),
                ("a/b/memory.max", "1048576"),
                ("a/b/cpuset.cpus.effective", "0-1"),
                ("a/cpuset.cpus.effective", "0-3"),
                ("a/pids.max", "max"),
            ],
        );
        let expected = ["cpu.max 50000 100000 (of /a)", "cpuset.cpus.effective 0-1", "memory.max 1048576"];
        assert_eq!(limits_in("0::/a/b\n", &root.0), expected);
    }

    #[test]
    fn the_first_version_has_a_tree_for_each_controller() {
        let root = Root::new(
            "one",
            &[
                ("cpu,cpuacct/x/cpu.cfs_quota_us", "20000"),
                ("cpu,cpuacct/x/cpu.cfs_period_us", "100000"),
                ("cpu,cpuacct/cpu.cfs_quota_us", "-1"),
                ("memory/memory.limit_in_bytes", "9223372036854771712"),
                ("pids/pids.max", "64"),
                ("unified/y/pids.max", "99"),
            ],
        );
        // The path of memory is one that this process does not see.
        let groups = "3:cpu,cpuacct:/x\n2:memory:/docker/1\n1:pids:/docker/1\n5:name=systemd:/x\n0::/y\n";
        assert_eq!(limits_in(groups, &root.0), ["cpu.cfs_quota_us 20000 of 100000", "pids.max 64 (of /)", "pids.max 99"]);
        assert!(limits_in("", &root.0).is_empty() && limits_in("nonsense\n", &root.0).is_empty());
    }
}
