//! Pools in ordinary tests, whose harness has the `main`: under `cargo test` all of these run in one process, under `cargo nextest` each in
//! its own. Workers are this binary, executed again, and run no test.

use gristmill::ProcessPool;
use std::path::PathBuf;

fn square(n: u64) -> u64 {
    n * n
}

fn cube(n: u64) -> u64 {
    n * n * n
}

/// The arguments that a worker was started with, and its number.
fn started_with(_: ()) -> (Vec<String>, u32) {
    (std::env::args().collect(), std::process::id())
}

fn load(start: u64) -> Result<u64, String> {
    Ok(start)
}

fn count_on(state: &mut u64, by: u64) -> u64 {
    *state += by;
    *state
}

gristmill::init_before_main!(square, cube, started_with, count_on; initializers: load);

#[test]
fn a_pool_runs_in_a_test() {
    let pool = ProcessPool::builder().workers(2).build(square).unwrap();
    let jobs = pool.submit_many(0..100).unwrap();
    assert!((0..).zip(jobs).all(|(n, job)| job.result() == Ok(n * n)));
}

#[test]
fn another_test_has_a_pool_of_its_own() {
    let pool = ProcessPool::builder().workers(2).build(cube).unwrap();
    let cubes: Result<Vec<u64>, _> = pool.map(0..1000).unwrap().collect();
    assert!(cubes.unwrap().into_iter().eq((0..1000).map(|n| n * n * n)));
}

#[test]
fn initializers_are_known_too() {
    let pool = ProcessPool::builder().workers(1).initializer(load, 10).build(count_on).unwrap();
    assert_eq!(pool.submit(1).unwrap().result(), Ok(11));
    assert_eq!(pool.submit(2).unwrap().result(), Ok(13));
}

/// Each run of this test leaves a line in a file; a worker that ran the tests again would leave more.
#[test]
fn a_worker_runs_no_test() {
    let file: PathBuf = std::env::temp_dir().join(format!("gristmill-tests-{}", std::process::id()));
    let lines = |text: &str| text.lines().count();
    std::fs::write(&file, "run\n").unwrap();
    let pool = ProcessPool::builder().workers(3).build(started_with).unwrap();
    for _ in 0..20 {
        let (arguments, pid) = pool.submit(()).unwrap().result().unwrap();
        assert_ne!(pid, std::process::id());
        assert_eq!(arguments.len(), 1, "a worker has the program's name and none of the harness's arguments: {arguments:?}");
    }
    assert!(pool.worker_pids().iter().all(|pid| !std::env::temp_dir().join(format!("gristmill-tests-{pid}")).exists()));
    assert_eq!(lines(&std::fs::read_to_string(&file).unwrap()), 1);
    std::fs::remove_file(&file).unwrap();
}

#[test]
#[should_panic(expected = "as it should")]
fn a_test_with_a_pool_may_fail() {
    let pool = ProcessPool::builder().workers(1).build(square).unwrap();
    assert_eq!(pool.submit(3).unwrap().result(), Ok(10), "as it should");
}
