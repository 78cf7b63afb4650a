//! What is left behind, and what is used while nothing is to be done: nothing.

use crate::harness::{dev_shm, list, until, wait_for};
use crate::system::{children, descriptors, descriptors_of, kill, kill_any, state, threads, ticks};
use crate::workers::{square, swallow};
use gristmill::sys::limits::resident;
use gristmill::{JoinableQueue, Mill, Queue, Task, WaitPolicy, tasks};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

list! {
    a_hundred_mills_leave_no_descriptor_thread_process_or_name
    a_dropped_mill_ends_workers_that_wait_and_workers_that_run
    a_parent_killed_takes_all_its_workers_along
    children_forked_by_a_job_do_not_keep_the_region
    idle_for_seconds_uses_no_cpu_time
    waiting_for_room_uses_no_cpu_time
    a_worker_takes_little_memory
    a_named_region_goes_with_its_mill
    without_its_name_a_region_goes_on_and_workers_are_replaced
    a_file_region_stays_and_is_refused_if_it_exists
}

pub fn tasks() -> Vec<Task> {
    tasks![spin, fork_one]
}

fn use_it(mill: &Mill) {
    let jobs = mill.joinable_queue::<u64>(16).unwrap();
    let results = mill.queue::<(u64, u64)>(16).unwrap();
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    jobs.put_many(0..40).unwrap();
    jobs.join().unwrap();
    assert_eq!(results.drain().unwrap().len(), 40);
}

fn a_hundred_mills_leave_no_descriptor_thread_process_or_name() {
    let run = || use_it(&Mill::builder().region_size(2 << 20).arena_size(64 << 10).build().unwrap());
    run();
    let look = || (descriptors(), threads(), children());
    let (before, names) = (look(), dev_shm());
    (0..100).for_each(|_| run());
    // Other tests have names of their own for a moment.
    let more = || dev_shm().into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>();
    until(Duration::from_secs(5), || look() == before && more().is_empty());
    assert_eq!((look(), more()), (before.clone(), vec![]));
    assert!(before.2.is_empty());
}

/// Takes one job and never ends it.
fn spin(jobs: &JoinableQueue<u64>) {
    let _job = jobs.get().unwrap();
    loop {
        std::hint::spin_loop();
    }
}

fn a_dropped_mill_ends_workers_that_wait_and_workers_that_run() {
    let before = descriptors();
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(16).unwrap();
    let full = mill.queue::<(u64, u64)>(1).unwrap();
    let (busy, idle) = (mill.joinable_queue::<u64>(16).unwrap(), mill.joinable_queue::<u64>(16).unwrap());
    jobs.put_many(0..10).unwrap();
    busy.put(1).unwrap();
    mill.spawn_daemons(1, square, (&jobs, &full)).unwrap();
    mill.spawn_daemons(1, spin, (&busy,)).unwrap();
    let stopped = mill.spawn_daemons(1, swallow, (&idle,)).unwrap();
    mill.spawn_daemons(1, swallow, (&idle,)).unwrap();
    wait_for(|| full.qsize() == 1 && !busy.unfinished().running.is_empty());
    assert!(crate::system::stop(stopped.pids()[0]));
    assert_eq!(children().len(), 4);
    drop(mill);
    assert!(children().is_empty(), "ended, and waited for");
    drop((jobs, full, busy, idle, stopped));
    assert_eq!(descriptors(), before);
}

/// The variable that makes this binary a parent that is to be killed.
const PARENT: &str = "GRISTMILL_TEST_PARENT";

/// In such a parent: never returns.
pub fn run_as_parent() {
    let Ok(policy) = std::env::var(PARENT) else { return };
    let policy = [WaitPolicy::Adaptive, WaitPolicy::Spin, WaitPolicy::Block][policy.parse::<usize>().unwrap()];
    let mill = Mill::builder().wait_policy(policy).build().unwrap();
    let (busy, idle) = (mill.joinable_queue::<u64>(16).unwrap(), mill.joinable_queue::<u64>(16).unwrap());
    busy.put_many(0..2).unwrap();
    let groups = [mill.spawn_daemons(2, spin, (&busy,)).unwrap(), mill.spawn_daemons(2, swallow, (&idle,)).unwrap()];
    let kept = mill.process(swallow, (&idle,)).unwrap();
    kept.set_daemon(false);
    kept.start().unwrap();
    wait_for(|| busy.unfinished().running.len() == 2);
    let pids: Vec<u32> = groups.iter().flat_map(|g| g.pids()).chain(kept.pid()).collect();
    println!("{}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    busy.join().unwrap();
}

fn a_parent_killed_takes_all_its_workers_along() {
    for policy in ["0", "1", "2"] {
        let before = dev_shm();
        let mut parent = Command::new("/proc/self/exe").env(PARENT, policy).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pids: Vec<u32> = line.split_whitespace().map(|p| p.parse().unwrap()).collect();
        assert_eq!(pids.len(), 5);
        assert!(pids.iter().all(|&p| state(p).is_some()));
        kill(parent.id(), libc::SIGKILL);
        parent.wait().unwrap();
        // How soon depends on the machine: `faults parent` measures it. Who has ended and is not reaped by init is gone.
        wait_for(|| pids.iter().all(|&p| state(p).is_none_or(|s| s == 'Z')));
        let new: Vec<_> = dev_shm().into_iter().filter(|n| !before.contains(n) && !n.starts_with("engine-named")).collect();
        assert!(new.is_empty(), "{new:?}");
    }
}

/// The job forks a child that outlives it, as a careless library may, and tells the child's number.
fn fork_one(said: &Queue<u32>) {
    // SAFETY: the worker has one thread; the child calls nothing but sleep.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: touches no memory.
            unsafe { libc::sleep(1000) };
        }
    }
    said.put(child as u32).unwrap();
}

fn children_forked_by_a_job_do_not_keep_the_region() {
    let mill = Mill::builder().build().unwrap();
    let said = mill.queue::<u32>(1).unwrap();
    let daemons = mill.spawn_daemons(1, fork_one, (&said,)).unwrap();
    let child = said.get().unwrap();
    daemons.join();
    let maps = std::fs::read_to_string(format!("/proc/{child}/maps")).unwrap();
    let open = descriptors_of(child);
    kill_any(child, libc::SIGKILL);
    assert!(!maps.contains("memfd:gristmill"), "it has the region mapped:\n{maps}");
    assert!(!open.iter().any(|l| l.contains("memfd:gristmill")), "it has the region open: {open:?}");
}

/// A tick is 10 ms: one may be the end of what began before.
fn uses_no_cpu_time(pids: impl IntoIterator<Item = u32>) {
    std::thread::sleep(Duration::from_millis(300));
    let pids: Vec<u32> = pids.into_iter().collect();
    let before: Vec<u64> = pids.iter().map(|&p| ticks(p)).collect();
    std::thread::sleep(Duration::from_secs(3));
    let used: Vec<u64> = pids.iter().zip(before).map(|(&p, before)| ticks(p) - before).collect();
    assert!(used.iter().all(|&t| t <= 1), "ticks in 3 s: {used:?}");
}

fn idle_for_seconds_uses_no_cpu_time() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    let daemons = mill.spawn_daemons(4, square, (&jobs, &results)).unwrap();
    jobs.put_many(0..1000).unwrap();
    jobs.join().unwrap();
    std::thread::scope(|scope| {
        // The parent waits as well: for a job that is never put.
        scope.spawn(|| results.drain().and_then(|_| results.get()));
        uses_no_cpu_time(daemons.pids().into_iter().chain([std::process::id()]));
        results.close();
    });
}

/// Results fill their queue, and the parent does something else for a while; one worker has nothing to do.
fn waiting_for_room_uses_no_cpu_time() {
    let mill = Mill::builder().build().unwrap();
    let [jobs, idle] = [(); 2].map(|()| mill.joinable_queue::<u64>(64).unwrap());
    let results = mill.queue::<(u64, u64)>(4).unwrap();
    let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let more = mill.spawn_daemons(1, swallow, (&idle,)).unwrap();
    (0..64).for_each(|n| jobs.put(n).unwrap());
    wait_for(|| results.qsize() == 4 && jobs.unfinished().running.len() == 2);
    uses_no_cpu_time(daemons.pids().into_iter().chain(more.pids()).chain([std::process::id()]));
    jobs.join().unwrap();
    assert_eq!(results.drain().unwrap().len(), 64);
}

fn a_worker_takes_little_memory() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    for _ in 0..20 {
        jobs.put_many(0..1000).unwrap();
        jobs.join().unwrap();
        results.drain().unwrap();
    }
    for pid in daemons.pids() {
        let bytes = resident(pid).unwrap();
        println!("{} KiB", bytes >> 10);
        assert!(bytes < 12 << 20, "{bytes} bytes");
    }
}

fn a_named_region_goes_with_its_mill() {
    let name = format!("engine-named-{}", std::process::id());
    let there = || dev_shm().contains(&name);
    let mill = Mill::builder().name(&name).build().unwrap();
    assert!(there());
    use_it(&mill);
    let taken = Mill::builder().name(&name).build().unwrap_err().to_string();
    assert!(taken.contains(&name), "{taken}");
    assert!(there(), "who was refused removed it");
    drop(mill);
    assert!(!there());
    drop(Mill::builder().name(&name).build().unwrap());
}

/// As the README says to do with what a killed program has left; it may be one that lives.
fn without_its_name_a_region_goes_on_and_workers_are_replaced() {
    let name = format!("engine-removed-{}", std::process::id());
    let mill = Mill::builder().name(&name).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(16).unwrap();
    let results = mill.queue::<(u64, u64)>(16).unwrap();
    let daemons = mill.spawn_daemons(1, square, (&jobs, &results)).unwrap();
    std::fs::remove_file(format!("/dev/shm/{name}")).unwrap();
    kill(daemons.pids()[0], libc::SIGKILL);
    jobs.put_many(0..40).unwrap();
    jobs.join().unwrap();
    assert_eq!((results.drain().unwrap().len(), daemons.deaths()), (40, 1));
}

fn a_file_region_stays_and_is_refused_if_it_exists() {
    let path = std::env::temp_dir().join(format!("gristmill-test-file-{}", std::process::id()));
    let mill = Mill::builder().file(&path).build().unwrap();
    use_it(&mill);
    drop(mill);
    let again = Mill::builder().file(&path).build().map(drop);
    let there = path.exists();
    std::fs::remove_file(&path).unwrap();
    assert!(there, "the file stays");
    let text = again.unwrap_err().to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
    let nowhere = Mill::builder().file("/no/such/folder/region").build().unwrap_err().to_string();
    assert!(nowhere.contains("/no/such/folder/region"), "{nowhere}");
}
