//! What is left of vectors that were dropped, in this process and in workers; and who has them mapped how.

use crate::coverage::{add_index, halve};
use crate::pool;
use gristmill::SharedVec;
use std::fs;
use std::time::Duration;

pub fn copy(inputs: &[u64], outputs: &mut [u64]) {
    outputs.copy_from_slice(inputs);
}

/// Lines of /proc/PID/maps that are vectors: their permissions.
fn mapped(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let vecs = maps.lines().filter(|line| line.contains("memfd:gristmill-vec"));
    vecs.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

/// Descriptors of a process, and those of vectors among them.
fn descriptors(pid: u32) -> (usize, Vec<String>) {
    let all: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().map(|entry| entry.path()).collect();
    let vec = |path: &&std::path::PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("gristmill-vec"));
    let vecs = all.iter().filter(vec).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    (all.len(), vecs)
}

/// Descriptors of each worker once it waits for work. Until then it may be starting, or about to open a vector whose last chunk another has.
fn at_rest(workers: &[u32]) -> Vec<usize> {
    let asleep = |pid| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") S ");
    let mut looks = 0;
    while looks < 10 {
        looks = if workers.iter().all(|pid| asleep(*pid)) { looks + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(2));
    }
    workers.iter().map(|pid| descriptors(*pid).0).collect()
}

/// For each vector that a process has mapped: kilobytes that are there, and the mapping's flags.
fn resident(pid: u32) -> Vec<(u64, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut found = vec![];
    let mut inside = false;
    for line in text.lines() {
        if line.split_once(' ').is_some_and(|(range, _)| range.contains('-')) {
            inside = line.contains("memfd:gristmill-vec");
        } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| inside) {
            found.push((rest.trim().trim_end_matches(" kB").parse().unwrap(), String::new()));
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
            found.last_mut().unwrap().1 = flags.into();
        }
    }
    found
}

/// The worker keeps the first vector mapped. It is dropped, and the next one gets the same number and has the same size: it must be opened
/// anew, not taken for the first one.
pub fn a_vector_under_a_used_descriptor_is_not_the_one_before() {
    let pool = pool(1);
    let me = std::process::id();
    let mut number = None;
    for round in 1..=20 {
        let inputs = SharedVec::from_fn(1000, |n| n as u64 * round).unwrap();
        let mut outputs = SharedVec::zeroed(1000).unwrap();
        let numbers = descriptors(me).1;
        assert_eq!(numbers.len(), 2);
        assert_eq!(*number.get_or_insert(numbers.clone()), numbers, "the test is about numbers that are used again");
        pool.map_slice(copy, &inputs, &mut outputs).unwrap();
        assert!(*outputs == *inputs, "round {round}");
    }
}

pub fn nothing_is_left_of_many_vectors() {
    let pool = pool(2);
    let me = std::process::id();
    let workers = pool.worker_pids();
    let mut warm = SharedVec::zeroed(10_000).unwrap();
    pool.for_each_chunk(add_index, &mut warm).unwrap();
    drop(warm);
    let before = (descriptors(me).0, at_rest(&workers));
    for _ in 0..100 {
        let inputs = SharedVec::from_fn(10_000, |n| n as u32).unwrap();
        let mut outputs = SharedVec::zeroed(10_000).unwrap();
        pool.chunks_of(100).map_slice(halve, &inputs, &mut outputs).unwrap();
    }
    assert_eq!(before, (descriptors(me).0, at_rest(&workers)));
    assert_eq!(mapped(me), [""; 0]);
    // Those of the last call may stay until the next one.
    assert!(workers.iter().all(|pid| mapped(*pid).len() <= 3), "{:?}", mapped(workers[0]));
    // Vectors that live are let go as well, beyond a few.
    let mut vecs: Vec<_> = (0..50).map(|_| SharedVec::zeroed(10_000).unwrap()).collect();
    vecs.iter_mut().for_each(|vec| pool.chunks_of(100).for_each_chunk(add_index, vec).unwrap());
    assert!(workers.iter().all(|pid| mapped(*pid).len() <= 8), "{:?}", mapped(workers[0]));
    assert_eq!(mapped(me).len(), 50);
    drop(vecs);
    assert_eq!(pool.worker_pids(), workers, "the same workers all the time");
}

pub fn memory_is_free_at_the_drop_though_workers_have_it_mapped() {
    let pool = pool(1);
    let worker = pool.worker_pids()[0];
    let mut vec = SharedVec::<u64>::zeroed(2 << 20).unwrap();
    pool.for_each_chunk(add_index, &mut vec).unwrap();
    assert!(resident(worker)[0].0 >= 16 << 10, "{:?}", resident(worker));
    drop(vec);
    let left = resident(worker);
    assert!(left.len() == 1 && left[0].0 == 0, "{left:?}");
}

pub fn inputs_are_mapped_for_reading_only_and_not_for_children() {
    let pool = pool(1);
    let worker = pool.worker_pids()[0];
    let inputs = SharedVec::<u64>::zeroed(1000).unwrap();
    let mut outputs = SharedVec::zeroed(1000).unwrap();
    pool.map_slice(copy, &inputs, &mut outputs).unwrap();
    let mut rights = mapped(worker);
    rights.sort();
    assert_eq!(rights, ["r--s", "rw-s"]);
    for pid in [worker, std::process::id()] {
        let flags = resident(pid);
        // dc: do not copy at a fork.
        assert!(flags.len() == 2 && flags.iter().all(|(_, flags)| flags.contains(" dc")), "{flags:?}");
    }
}

/// A program forks, and the child ends by running all destructors. The parent's items are not touched.
pub fn a_forked_child_that_drops_a_vector_leaves_it_whole() {
    let vec = SharedVec::from_fn(100_000, |n| n as u64).unwrap();
    // SAFETY: the child only drops the vector, which is system calls and the closing of a descriptor, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(vec);
        // SAFETY: the call does not return; nothing of this process has to be tidied up.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(vec.iter().zip(0..).all(|(item, n)| *item == n));
}
