//! The end of a queue: who waits is told, what was put is still taken.

use crate::harness::list;
use crate::workers::{check_results, square};
use gristmill::{GetError, JoinableQueue, Mill, PutError, Queue, Task, tasks};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

list! {
    all_who_wait_are_told
    what_was_put_before_the_end_is_still_taken
    an_item_put_right_before_the_end_is_not_lost
    workers_that_wait_come_to_their_end
    a_job_given_back_after_the_end_is_done
}

pub fn tasks() -> Vec<Task> {
    tasks![done_at_the_second_try]
}

const SHORT: Duration = Duration::from_millis(30);

fn all_who_wait_are_told() {
    let mill = Mill::builder().build().unwrap();
    let empty = mill.queue::<u8>(2).unwrap();
    let empty_jobs = mill.joinable_queue::<u8>(2).unwrap();
    // Of jobs: items of a plain queue would be moved out of the way for a put that waits.
    let full = mill.joinable_queue::<u8>(1).unwrap();
    full.put(1).unwrap();
    std::thread::scope(|scope| {
        let gets: Vec<_> = (0..3).map(|_| scope.spawn(|| empty.get().map(drop))).collect();
        let more: Vec<_> =
            (0..3).map(|_| scope.spawn(|| empty_jobs.get_timeout(Duration::from_secs(3600)).map(drop))).collect();
        let put = scope.spawn(|| full.put(9));
        std::thread::sleep(SHORT);
        empty.close();
        full.close();
        empty_jobs.close();
        for waits in gets.into_iter().chain(more) {
            assert!(matches!(waits.join().unwrap(), Err(GetError::Closed)));
        }
        assert!(matches!(put.join().unwrap(), Err(PutError::Closed(9))));
    });
    assert!(matches!(empty.try_put(1), Err(PutError::Closed(1))));
    assert!(matches!(empty.try_get(), Err(GetError::Closed)));
    empty_jobs.join().unwrap();
}

fn what_was_put_before_the_end_is_still_taken() {
    let mill = Mill::builder().build().unwrap();
    let queue = mill.queue::<u8>(4).unwrap();
    queue.put_many([1, 2]).unwrap();
    queue.close();
    assert!(matches!(queue.put(3), Err(PutError::Closed(3))));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.get_timeout(SHORT).unwrap(), 2);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.get_many(5), Err(GetError::Closed)));
    assert!(queue.drain().unwrap().is_empty());
}

/// A taker finds the queue empty; now the last item is put and the queue is closed; then the taker looks whether it is closed. It must
/// not go away without the item: nobody else may be there to take it.
fn an_item_put_right_before_the_end_is_not_lost() {
    (0..6).for_each(|_| meet(500));
}

fn meet(rounds: u32) {
    let mill = Mill::builder().max_queues(rounds).arena_size(4096).build().unwrap();
    let queues: Vec<Queue<u32>> = (0..rounds).map(|_| mill.queue(1).unwrap()).collect();
    let turn = AtomicU32::new(u32::MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                while turn.load(SeqCst) != round {
                    std::hint::spin_loop();
                }
                // So that it meets the taker at another point each time.
                (0..round % 97).for_each(|_| std::hint::spin_loop());
                queues[round as usize].put(round).unwrap();
                queues[round as usize].close();
            }
        });
        for round in 0..rounds {
            turn.store(round, SeqCst);
            let item = queues[round as usize].get();
            if !matches!(item, Ok(n) if n == round) {
                eprintln!("round {round}: {item:?}, and {} left", queues[round as usize].qsize());
                std::process::exit(1);
            }
        }
    });
}

fn workers_that_wait_come_to_their_end() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let results = mill.queue::<(u64, u64)>(64).unwrap();
    let daemons = mill.spawn_daemons(3, square, (&jobs, &results)).unwrap();
    jobs.put_many(0..1000).unwrap();
    jobs.join().unwrap();
    assert!(!daemons.join_timeout(SHORT), "they wait for more");
    assert_eq!(daemons.pids().len(), 3);
    jobs.close();
    daemons.join();
    assert_eq!((daemons.deaths(), daemons.pids()), (0, vec![]));
    assert_eq!(mill.stats().deaths, 0);
    check_results(results.drain().unwrap().into_iter().map(|r| r.0), 1000, |_| false);
}

/// Drops the first job that it gets, once; then does all.
fn done_at_the_second_try(jobs: &JoinableQueue<u64>) {
    drop(jobs.get().unwrap());
    while let Ok(job) = jobs.get() {
        job.task_done();
    }
}

fn a_job_given_back_after_the_end_is_done() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    jobs.put(1).unwrap();
    jobs.close();
    let daemons = mill.spawn_daemons(1, done_at_the_second_try, (&jobs,)).unwrap();
    jobs.join().unwrap();
    daemons.join();
    assert_eq!(daemons.deaths(), 0);
}
