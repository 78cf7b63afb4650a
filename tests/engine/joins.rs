//! `join`: it returns when all is done, says who is late, and moves results out of the way.

use crate::harness::{list, wait_for};
use crate::workers::{check_results, square};
use gristmill::{JoinError, Mill, PutError, WaitPolicy};
use std::time::{Duration, Instant};

list! {
    put_everything_then_join_then_read_ten_times_the_capacity
    so_does_it_with_spinning
    so_does_it_with_sleeping_at_once
    ten_times_the_capacity_with_a_worker_for_each_of_two_queues
    results_beyond_the_bound_are_an_error_and_the_run_can_go_on
    the_bound_is_said_in_put_as_well
    join_without_jobs_returns
    a_late_join_names_the_process_and_counts_who_waits
    threads_join_together
    threads_put_get_and_join_at_once
}

fn ten_times_the_capacity(policy: WaitPolicy) {
    const CAPACITY: usize = 64;
    let mill = Mill::builder().wait_policy(policy).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(CAPACITY).unwrap();
    let results = mill.queue::<(u64, u64)>(CAPACITY).unwrap();
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let many = 10 * CAPACITY as u64;
    for round in 0..3 {
        for n in 0..many {
            jobs.put(n).unwrap();
        }
        jobs.join().unwrap();
        assert_eq!(results.qsize(), many as usize);
        let got = match round {
            0 => results.drain().unwrap(),
            1 => (0..many).map(|_| results.get().unwrap()).collect(),
            _ => (0..many).map(|_| results.try_get().unwrap()).collect(),
        };
        assert!(got.iter().all(|(n, square)| n * n == *square));
        check_results(got.into_iter().map(|r| r.0), many, |_| false);
        assert!(results.empty() && jobs.empty());
    }
}

fn put_everything_then_join_then_read_ten_times_the_capacity() {
    ten_times_the_capacity(WaitPolicy::Adaptive);
}

fn so_does_it_with_spinning() {
    ten_times_the_capacity(WaitPolicy::Spin);
}

fn so_does_it_with_sleeping_at_once() {
    ten_times_the_capacity(WaitPolicy::Block);
}

/// Two queues of results fill up while the parent waits for the jobs of only one.
fn ten_times_the_capacity_with_a_worker_for_each_of_two_queues() {
    let mill = Mill::builder().build().unwrap();
    let queues = [(); 2].map(|()| (mill.joinable_queue::<u64>(16).unwrap(), mill.queue::<(u64, u64)>(16).unwrap()));
    for (jobs, results) in &queues {
        mill.spawn_daemons(1, square, (jobs, results)).unwrap();
    }
    for n in 0..500 {
        queues.iter().for_each(|q| q.0.put(n).unwrap());
    }
    queues.iter().rev().for_each(|q| q.0.join().unwrap());
    for (_, results) in &queues {
        check_results(results.drain().unwrap().into_iter().map(|r| r.0), 500, |_| false);
    }
}

fn results_beyond_the_bound_are_an_error_and_the_run_can_go_on() {
    let mill = Mill::builder().result_memory(300).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(1000).unwrap();
    let results = mill.queue::<(u64, u64)>(16).unwrap();
    for n in 0..1000 {
        jobs.put(n).unwrap();
    }
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let mut got = vec![];
    let mut full = 0;
    loop {
        match jobs.join() {
            Ok(()) => break,
            Err(e @ JoinError::ResultsFull { limit: 300 }) => {
                assert!(e.to_string().contains("300 bytes") && e.to_string().contains("result_memory"), "{e}");
                full += 1;
                got.extend(results.drain().unwrap());
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!(full > 1, "1000 results do not fit 16 slots and 300 bytes");
    got.extend(results.drain().unwrap());
    check_results(got.into_iter().map(|r| r.0), 1000, |_| false);
}

fn the_bound_is_said_in_put_as_well() {
    let mill = Mill::builder().result_memory(300).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(16).unwrap();
    let results = mill.queue::<(u64, u64)>(16).unwrap();
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let (mut got, mut full) = (vec![], 0);
    for n in 0..1000 {
        let mut item = n;
        while let Err(e) = jobs.put(item) {
            assert!(matches!(e, PutError::ResultsFull { limit: 300, .. }), "{e}");
            item = e.into_item();
            assert_eq!(item, n);
            full += 1;
            got.extend(results.drain().unwrap());
        }
    }
    assert!(full > 0);
    while jobs.join().is_err() {
        got.extend(results.drain().unwrap());
    }
    got.extend(results.drain().unwrap());
    check_results(got.into_iter().map(|r| r.0), 1000, |_| false);
}

fn join_without_jobs_returns() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(4).unwrap();
    jobs.join().unwrap();
    jobs.join_timeout(Duration::ZERO).unwrap();
    jobs.put(1).unwrap();
    jobs.get().unwrap().task_done();
    jobs.join().unwrap();
    jobs.join().unwrap();
}

fn a_late_join_names_the_process_and_counts_who_waits() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(100).unwrap();
    let daemons = mill.spawn_daemons(1, crate::deaths::hold, (&jobs,)).unwrap();
    for n in 0..5 {
        jobs.put(n).unwrap();
    }
    wait_for(|| jobs.unfinished().running.len() == 1);
    let start = Instant::now();
    let late = jobs.join_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50), "came back too early");
    let JoinError::TimedOut(unfinished) = &late else { panic!("{late}") };
    let pid = daemons.pids()[0];
    assert_eq!(unfinished.waiting, 4);
    assert_eq!((unfinished.running[0].job, unfinished.running[0].pid, unfinished.running[0].attempt), (0, pid, 0));
    assert_eq!(late.to_string(), format!("not finished until the timeout: 4 jobs wait, 1 run: job 0 in process {pid}"));
}

fn threads_join_together() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    for round in 0..50 {
        jobs.put_many(0..round).unwrap();
        std::thread::scope(|scope| {
            (0..4).for_each(|_| {
                scope.spawn(|| jobs.join().unwrap());
            });
        });
        assert_eq!(jobs.pending(), 0);
        assert_eq!(results.drain().unwrap().len(), round as usize);
    }
}

fn threads_put_get_and_join_at_once() {
    const EACH: u64 = 1500;
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(32).unwrap();
    let results = mill.queue::<(u64, u64)>(32).unwrap();
    mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let got = std::thread::scope(|scope| {
        let putters: Vec<_> = (0..3)
            .map(|k| {
                let jobs = &jobs;
                scope.spawn(move || match k {
                    0 => drop(jobs.put_many(0..EACH).unwrap()),
                    _ => (k * EACH..(k + 1) * EACH).for_each(|n| jobs.put(n).unwrap()),
                })
            })
            .collect();
        let getters: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut got = vec![];
                    while let Ok((n, _)) = results.get() {
                        got.push(n);
                    }
                    got
                })
            })
            .collect();
        putters.into_iter().for_each(|p| p.join().unwrap());
        jobs.join().unwrap();
        results.close();
        getters.into_iter().flat_map(|g| g.join().unwrap()).collect::<Vec<_>>()
    });
    check_results(got, 3 * EACH, |_| false);
}
