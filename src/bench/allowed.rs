//! How many more processes this user may have: what does not fit is told before it is tried, and not by a turn that fails.

use super::contender::{Pattern, Shape};
use crate::sys::limits;
use std::fs;
use std::path::Path;

/// Processes and threads that may still be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    most: u64,
    /// Which limit that is, and what to do about it.
    limit: String,
}

impl Allowed {
    /// As it is now: the least of what the user's limit and those of the control groups leave; `None` where there are none.
    pub fn now() -> Option<Allowed> {
        let user = limits::processes_left().map(|most| Allowed { most, limit: "RLIMIT_NPROC: raise it with ulimit -u".into() });
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        user.into_iter().chain(of_groups(&groups, Path::new("/sys/fs/cgroup"))).min()
    }

    /// Why a shape does not fit, if so: no contender has it with fewer than these.
    pub fn refuses(&self, shape: &Shape) -> Option<String> {
        let needs = needs(shape) as u64;
        let Allowed { most, limit } = self;
        (needs > *most).then(|| format!("it needs {needs} processes or threads, and this user may have {most} more ({limit})"))
    }
}

/// A turn's own process, and the participants that every contender has. With calls these are workers alone: a pool of threads is called, and gets
/// its results, where the turn is.
fn needs(shape: &Shape) -> usize {
    1 + match shape.pattern {
        Pattern::OneWay => shape.producers + shape.consumers,
        Pattern::Calls | Pattern::Commands => shape.consumers,
    }
}

/// `groups` has a line for each hierarchy: a number, what it controls, and the group's path. The groups above count as well.
fn of_groups(groups: &str, root: &Path) -> Option<Allowed> {
    let mut all = vec![];
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // The second version, alone or beside the first, which has a tree for each controller.
        let mounts = match controllers {
            "" => ["", "unified"].as_slice(),
            some if some.split(',').any(|controller| controller == "pids") => &["pids"],
            _ => continue,
        };
        for (group, mount) in Path::new(path).ancestors().flat_map(|group| mounts.iter().map(move |mount| (group, mount))) {
            let folder = root.join(mount).join(group.strip_prefix("/").unwrap_or(group));
            let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
            if let (Some(most), Some(now)) = (number("pids.max"), number("pids.current")) {
                let limit = format!("pids.max of the control group {}", group.display());
                all.push(Allowed { most: most.saturating_sub(now), limit });
            }
        }
    }
    all.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_leaves_the_least_decides() {
        let root = std::env::temp_dir().join(format!("gristmill-pids-{}", std::process::id()));
        let files = [
            ("a/b/pids.max", "max"),
            ("a/b/pids.current", "3"),
            ("a/pids.max", "50"),
            ("a/pids.current", "40"),
            ("pids/x/pids.max", "30"),
            ("pids/x/pids.current", "25"),
        ];
        for (path, says) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{says}\n")).unwrap();
        }
        let found = |groups: &str| of_groups(groups, &root).map(|allowed| (allowed.most, allowed.limit));
        let (above, first) = ("pids.max of the control group /a", "pids.max of the control group /x");
        let (two, one) = (found("0::/a/b\n"), found("4:cpu:/y\n3:pids:/x\n0::/a/b\n"));
        let none = found("0::/c\n4:cpu:/x\n");
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(two, Some((10, above.into())));
        assert_eq!(one, Some((5, first.into())));
        assert_eq!(none, None);
    }

    #[test]
    fn a_shape_is_refused_from_one_participant_too_many_on() {
        let allowed = Allowed { most: 5, limit: "a limit".into() };
        let shape =
            |pattern, producers, consumers| Shape { pattern, payload: 8, producers, consumers, batch: 1, capacity: 8, work: 0 };
        let fits = |pattern, producers, consumers| allowed.refuses(&shape(pattern, producers, consumers)).is_none();
        assert!(fits(Pattern::OneWay, 2, 2) && !fits(Pattern::OneWay, 2, 3));
        assert!(fits(Pattern::Calls, 1, 4) && !fits(Pattern::Calls, 1, 5));
        assert!(fits(Pattern::Commands, 1, 4) && !fits(Pattern::Commands, 1, 5));
        let why = allowed.refuses(&shape(Pattern::OneWay, 4, 4)).unwrap();
        assert_eq!(why, "it needs 9 processes or threads, and this user may have 5 more (a limit)");
    }
}
