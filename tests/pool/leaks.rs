//! Nothing is left behind, and an idle pool does nothing. Each of these looks at a whole process, so it has one of its own.

use crate::common;
use crate::support::*;
use crate::tasks::*;
use gristmill::sys::pidfd::Exit;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

fn in_a_process_of_its_own(role: &str) {
    assert_eq!(common::end(&common::start_role(None, role, "", &[])), Exit::Code(0), "see standard error");
}

/// Called in that process.
pub fn role(role: &str) {
    match role {
        "leaks" => a_hundred_pools(),
        "idle" => idle(),
        other => panic!("no such role: {other}"),
    }
}

fn a_hundred_pools_leave_nothing_behind() {
    in_a_process_of_its_own("leaks");
}

/// Descriptors, threads, children and mappings of regions.
fn held() -> [usize; 4] {
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let children = children.map(|list| list.split_whitespace().count()).sum();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    [count("/proc/self/fd"), count("/proc/self/task"), children, maps.lines().filter(|line| line.contains("memfd:")).count()]
}

fn a_hundred_pools() {
    let before = held();
    let place = Place::new();
    let mut handles = vec![];
    for n in 0..100 {
        let pool = pool();
        let running = pool.submit(place.gate("never")).unwrap();
        let waiting = pool.submit_many((0..20).map(Do::Value)).unwrap();
        running.add_done_callback(|_| {});
        match n % 5 {
            0 => drop(pool),
            1 => pool.kill_workers(),
            2 => pool.terminate_workers(),
            3 => {
                assert!(running.cancel());
                pool.shutdown(true, n % 2 == 0);
            }
            _ => {
                assert!(pool.submit(Do::Die(Death::Abort)).unwrap().result().is_err());
                pool.shutdown(false, true);
            }
        }
        if n % 10 == 0 {
            assert!(held()[3] > 0, "while a handle lives, its region is mapped");
        }
        handles = waiting;
    }
    drop(handles);
    assert_eq!(held(), before, "descriptors, threads, children, mapped regions");
}

fn an_idle_pool_does_nothing_at_all() {
    in_a_process_of_its_own("idle");
}

/// How often each thread of these processes has gone to sleep or was put aside.
fn switches(pids: &[u32]) -> BTreeMap<String, u64> {
    let tasks = pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).unwrap());
    tasks
        .map(|task| {
            let path = task.unwrap().path().join("status");
            let status = fs::read_to_string(&path).unwrap();
            let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
            (
                path.display().to_string(),
                counts.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum(),
            )
        })
        .collect()
}

fn idle() {
    let pools = [pool(), build(two().job_timeout(Duration::from_secs(5)).worker_memory(1 << 40))];
    for pool in &pools {
        assert!(pool.map((0..1000).map(Do::Value)).unwrap().all(|r| r.is_ok()));
        pool.submit_many((0..1000).map(Do::Value)).unwrap().iter().for_each(|job| drop(job.result()));
        pool.submit(Do::Value(1)).unwrap().add_done_callback(|_| {});
    }
    // One that has ended, because no worker can live.
    let dead = two().initializer(refuse, "no".to_string()).build(count).unwrap();
    until(|| dead.submit(1).is_err());
    until(|| dead.worker_pids().is_empty());
    // Until everybody sleeps.
    std::thread::sleep(Duration::from_millis(500));
    let mut pids: Vec<u32> = pools.iter().flat_map(|pool| pool.worker_pids()).collect();
    pids.push(std::process::id());
    let mut before = switches(&pids);
    std::thread::sleep(Duration::from_secs(10));
    let mut after = switches(&pids);
    // This thread alone has done something.
    let me = format!("/proc/{0}/task/{0}/status", std::process::id());
    assert!(before.remove(&me) < after.remove(&me), "it shows what it is to show");
    assert_eq!(before, after);
}

tests![a_hundred_pools_leave_nothing_behind, an_idle_pool_does_nothing_at_all];
