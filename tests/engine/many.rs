//! Many of everything: workers, producers, queues, Mills.

use crate::harness::{list, wait_for};
use crate::view::View;
use crate::workers::{check_results, square, swallow};
use gristmill::sync::Barrier;
use gristmill::{JoinableQueue, Mill, PutError, Queue, Task, WaitPolicy, tasks};
use std::sync::atomic::Ordering::SeqCst;

list! {
    sixty_four_workers_on_two_cores
    so_with_sleeping_at_once
    as_many_wake_as_there_are_jobs
    jobs_that_put_jobs
    jobs_that_put_more_jobs_than_fit_are_told
    workers_in_a_chain
    a_worker_that_takes_late_finds_all_in_order
    tasks_put_while_their_workers_start_reach_them
    several_mills_at_once
    every_queue_there_is_room_for
}

pub fn tasks() -> Vec<Task> {
    tasks![meet, tree, greedy, pass_on, add_one, fill]
}

fn sixty_four(policy: WaitPolicy) {
    let mill = Mill::builder().wait_policy(policy).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(256).unwrap();
    let results = mill.queue::<(u64, u64)>(256).unwrap();
    let daemons = mill.spawn_daemons(64, square, (&jobs, &results)).unwrap();
    for _ in 0..3 {
        (0..2000).for_each(|n| jobs.put(n).unwrap());
        jobs.join().unwrap();
        check_results(results.drain().unwrap().into_iter().map(|r| r.0), 2000, |_| false);
    }
    assert_eq!((daemons.pids().len(), mill.stats().processes, mill.stats().deaths), (64, 64, 0));
    jobs.close();
    daemons.join();
}

fn sixty_four_workers_on_two_cores() {
    sixty_four(WaitPolicy::Adaptive);
}

fn so_with_sleeping_at_once() {
    sixty_four(WaitPolicy::Block);
}

/// No job ends before all have begun.
fn meet(jobs: &JoinableQueue<u64>, all: &Barrier) {
    while let Ok(job) = jobs.get() {
        all.wait().unwrap();
        job.task_done();
    }
}

fn as_many_wake_as_there_are_jobs() {
    const WORKERS: u32 = 4;
    let mill = Mill::builder().wait_policy(WaitPolicy::Block).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let all = Barrier::new(&mill, WORKERS).unwrap();
    mill.spawn_daemons(WORKERS as usize, meet, (&jobs, &all)).unwrap();
    let view = View::new();
    for round in 0..40 {
        wait_for(|| view.channel(0).desc().jobs.sleepers.load(SeqCst) == WORKERS);
        if round % 2 == 0 {
            // As if nobody knew how short they are: short ones share a slot, which goes to one worker, and there the second would wait for the first.
            view.channel(0).desc().job_nanos.store(0, SeqCst);
            jobs.put_many(0..WORKERS.into()).unwrap();
        } else {
            // Each wakes another one, whether those before have come by then or not.
            (0..WORKERS.into()).for_each(|job| jobs.put(job).unwrap());
        }
        jobs.join().unwrap();
    }
}

/// A job of depth d puts two of depth d - 1 before it is done.
fn tree(jobs: &JoinableQueue<u32>, leaves: &Queue<u32>) {
    while let Ok(job) = jobs.get() {
        match *job {
            0 => leaves.put(std::process::id()).unwrap(),
            depth => (0..2).for_each(|_| jobs.put(depth - 1).unwrap()),
        }
        job.task_done();
    }
}

/// `join` does not return before the last of them is done: each is counted before the one that puts it ends.
fn jobs_that_put_jobs() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u32>(4096).unwrap();
    let leaves = mill.queue::<u32>(64).unwrap();
    mill.spawn_daemons(3, tree, (&jobs, &leaves)).unwrap();
    for depth in [0, 1, 5, 11] {
        jobs.put(depth).unwrap();
        jobs.join().unwrap();
        assert_eq!(leaves.drain().unwrap().len(), 1 << depth);
    }
}

/// Each job puts a hundred, in a queue of eight.
fn greedy(jobs: &JoinableQueue<u32>, said: &Queue<String>) {
    while let Ok(job) = jobs.get() {
        for _ in 0..*job {
            if let Err(e) = jobs.put(0) {
                assert!(matches!(e, PutError::Full(0)));
                said.put(e.to_string()).unwrap();
                break;
            }
        }
        job.task_done();
    }
}

/// All slots are taken by jobs that wait for a slot: nobody could ever go on, so they are told that the queue is full.
fn jobs_that_put_more_jobs_than_fit_are_told() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u32>(8).unwrap();
    let said = mill.queue::<String>(8).unwrap();
    let daemons = mill.spawn_daemons(2, greedy, (&jobs, &said)).unwrap();
    (0..4).for_each(|_| jobs.put(100).unwrap());
    jobs.join().unwrap();
    let said = said.drain().unwrap();
    assert!(said.len() <= 4 && said.iter().all(|s| s == "the queue is full"), "{said:?}");
    assert_eq!(daemons.deaths(), 0);
}

fn pass_on(from: &Queue<u64>, to: &Queue<u64>) {
    add_one(from, to);
    to.close();
}

fn add_one(from: &Queue<u64>, to: &Queue<u64>) {
    while let Ok(n) = from.get() {
        if to.put(n + 1).is_err() {
            return;
        }
    }
}

fn workers_in_a_chain() {
    let mill = Mill::builder().build().unwrap();
    let queues: Vec<Queue<u64>> = (0..6).map(|_| mill.queue(3).unwrap()).collect();
    for pair in queues.windows(2) {
        mill.spawn_daemons(1, pass_on, (&pair[0], &pair[1])).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..1000).for_each(|n| queues[0].put(n).unwrap());
            queues[0].close();
        });
        for n in 0..1000 {
            assert_eq!(queues[5].get().unwrap(), n + 5, "in order through one worker for each step");
        }
        assert!(queues[5].get().is_err());
    });
}

/// Puts as many and says that it is done.
fn fill(to: &Queue<u64>, many: &u64, done: &Queue<()>) {
    (0..*many).for_each(|n| to.put(n).unwrap());
    done.put(()).unwrap();
}

/// While the parent waits, it moves items of a full queue out of the way, because nobody else takes from it as far as anybody can know. Then
/// a worker does.
fn a_worker_that_takes_late_finds_all_in_order() {
    for close in [false, true] {
        let mill = Mill::builder().build().unwrap();
        let [from, to] = [(); 2].map(|()| mill.queue::<u64>(8).unwrap());
        let done = mill.queue::<()>(1).unwrap();
        mill.spawn_daemons(1, fill, (&from, &500, &done)).unwrap();
        done.get().unwrap();
        assert_eq!(from.qsize(), 500);
        if close {
            from.close();
        }
        let late = mill.spawn_daemons(2, add_one, (&from, &to)).unwrap();
        let mut got: Vec<u64> = (0..500).map(|_| to.get().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, (1..=500).collect::<Vec<_>>());
        from.close();
        late.join();
        assert_eq!(late.deaths(), 0);

        // By one: in order.
        let [from, to] = [(); 2].map(|()| mill.queue::<u64>(8).unwrap());
        mill.spawn_daemons(1, fill, (&from, &500, &done)).unwrap();
        done.get().unwrap();
        mill.spawn_daemons(1, pass_on, (&from, &to)).unwrap();
        assert_eq!((0..500).map(|_| to.get().unwrap()).collect::<Vec<_>>(), (1..=500).collect::<Vec<_>>());
    }
}

/// The parent waits for the first result before any worker has come to take a task.
fn tasks_put_while_their_workers_start_reach_them() {
    for _ in 0..10 {
        let mill = Mill::builder().build().unwrap();
        let [tasks, results] = [(); 2].map(|()| mill.queue::<u64>(8).unwrap());
        (0..8).for_each(|n| tasks.put(n).unwrap());
        mill.spawn_daemons(2, add_one, (&tasks, &results)).unwrap();
        let mut got: Vec<u64> = (0..8).map(|_| results.get().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, (1..=8).collect::<Vec<_>>());
    }
}

fn several_mills_at_once() {
    let mills: Vec<Mill> = (0..4).map(|_| Mill::builder().region_size(2 << 20).arena_size(64 << 10).build().unwrap()).collect();
    let queues: Vec<_> = mills
        .iter()
        .map(|mill| {
            let (jobs, results) = (mill.joinable_queue::<u64>(32).unwrap(), mill.queue::<(u64, u64)>(32).unwrap());
            let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
            (jobs, results, daemons)
        })
        .collect();
    for (k, (jobs, _, daemons)) in queues.iter().enumerate() {
        (0..300).for_each(|n| jobs.put(n).unwrap());
        if k == 2 {
            crate::system::kill(daemons.pids()[0], libc::SIGKILL);
        }
    }
    for (jobs, results, _) in &queues {
        jobs.join().unwrap();
        check_results(results.drain().unwrap().into_iter().map(|r| r.0), 300, |_| true);
    }
    wait_for(|| mills[2].stats().deaths == 1);
    assert_eq!(mills.iter().map(|m| m.stats().deaths).sum::<u64>(), 1);
    // One goes, the others go on.
    let mut mills = mills;
    drop(mills.remove(0));
    queues[3].0.put(7).unwrap();
    queues[3].0.join().unwrap();
}

fn every_queue_there_is_room_for() {
    let mill = Mill::builder().max_queues(300).build().unwrap();
    let queues: Vec<JoinableQueue<u64>> = (0..300).map(|_| mill.joinable_queue(8).unwrap()).collect();
    for queue in [&queues[0], &queues[150], &queues[299]] {
        mill.spawn_daemons(1, swallow, (queue,)).unwrap();
        queue.put_many(0..100).unwrap();
        queue.join().unwrap();
    }
}
