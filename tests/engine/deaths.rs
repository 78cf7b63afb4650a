//! One worker dies at one chosen point of a job's life.

use crate::harness::{list, wait_for};
use crate::system::{die, kill};
use crate::view::View;
use crate::workers::tally;
use gristmill::layout::State;
use gristmill::{JoinError, JoinableQueue, Mill, Queue, Task, tasks};
use serde::{Deserialize, Serialize};
use std::time::Duration;

list! {
    killed_between_start_and_completion
    killed_between_completion_and_delivery
    killed_while_it_waits_for_a_job
    killed_while_it_waits_for_room
    killed_before_it_has_become_a_worker
    a_job_that_dies_once_is_run_again_and_knows_it
    a_job_that_kills_every_worker_is_given_up_and_the_rest_completes
    forty_deadly_jobs_in_a_row_do_not_end_the_run
    a_job_may_kill_more_workers_in_a_row_than_a_group_has_patience_for
    a_wake_up_that_dies_with_its_receiver_is_made_good
    without_retries_a_death_costs_the_job_at_once
    a_job_that_ends_the_process_is_run_again
    a_guard_dropped_puts_its_job_back
    a_panic_that_is_caught_puts_the_job_back
    a_stopped_worker_keeps_only_the_job_that_it_runs
}

pub fn tasks() -> Vec<Task> {
    tasks![hold, obey, catch]
}

/// What a worker does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    Work,
    DieOnce,
    DieAlways,
    PanicOnce,
    PanicAlways,
    /// Ends the process as if all were well.
    ExitOnce,
    ExitAlways,
    DropOnce,
    /// Never comes to its end the first time.
    HoldOnce,
}

pub type Job = (u64, Act);

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Does as the job says; whether it is to be done now.
pub fn act(act: Act, attempt: u16) -> bool {
    let first = attempt == 0;
    match act {
        Act::DieOnce if first => die(),
        Act::DieAlways => die(),
        Act::PanicOnce if first => panic!("as the job says"),
        Act::PanicAlways => panic!("as the job says"),
        Act::ExitOnce if first => std::process::exit(0),
        Act::ExitAlways => std::process::exit(3),
        Act::HoldOnce if first => sleep_for_ever(),
        _ => true,
    }
}

/// Takes one job and keeps it.
pub fn hold(jobs: &JoinableQueue<u64>) {
    let _job = jobs.get().unwrap();
    sleep_for_ever();
}

/// Does what jobs say, one after the other; the result is the job's number.
fn obey(jobs: &JoinableQueue<Job>, results: &Queue<u64>) {
    let mut dropped = std::collections::BTreeSet::new();
    while let Ok(job) = jobs.get() {
        let (id, what) = *job;
        if what == Act::DropOnce && dropped.insert(id) {
            continue;
        }
        act(what, job.attempt());
        if results.put(id).is_err() {
            return;
        }
        job.task_done();
    }
}

/// Does what jobs say, and survives its panics.
fn catch(jobs: &JoinableQueue<Job>, results: &Queue<u64>) {
    while let Ok(job) = jobs.get() {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (id, what) = *job;
            act(what, job.attempt());
            results.put(id).unwrap();
            job.task_done();
        }));
    }
}

pub struct Run {
    pub mill: Mill,
    pub jobs: JoinableQueue<Job>,
    pub results: Queue<u64>,
}

pub fn run(retries: u32) -> Run {
    let mill = Mill::builder().retries(retries).build().unwrap();
    let (jobs, results) = (mill.joinable_queue(256).unwrap(), mill.queue(256).unwrap());
    Run { mill, jobs, results }
}

impl Run {
    pub fn workers(&self, count: usize) -> gristmill::Daemons {
        self.mill.spawn_daemons(count, obey, (&self.jobs, &self.results)).unwrap()
    }

    fn put(&self, acts: impl IntoIterator<Item = Act>) -> u64 {
        let mut count = 0;
        for act in acts {
            self.jobs.put((count, act)).unwrap();
            count += 1;
        }
        count
    }

    /// Every job has exactly one result, except those that are `lost`, which have none; and the queue is as good as new.
    pub fn check(&self, jobs: u64, lost: &[u64]) {
        let tally = tally(self.results.drain().unwrap());
        for n in 0..jobs {
            let count = tally.get(&n).copied().unwrap_or(0);
            assert_eq!(count, usize::from(!lost.contains(&n)), "results of job {n}");
        }
        assert_eq!((self.jobs.pending(), self.jobs.qsize()), (0, 0));
        // All slots are there again, and somebody works.
        for n in 0..self.jobs.capacity() as u64 {
            self.jobs.put((n, Act::Work)).unwrap();
        }
        self.jobs.join().unwrap();
        assert_eq!(self.results.drain().unwrap().len(), self.jobs.capacity());
    }
}

/// A worker has started a job and not finished it when it is killed: the slot is RUNNING, its owner is dead. The job is run again.
fn killed_between_start_and_completion() {
    let r = run(3);
    let jobs = r.put([Act::HoldOnce, Act::Work, Act::Work]);
    let daemons = r.workers(1);
    let view = View::new();
    let pid = daemons.pids()[0];
    wait_for(|| view.id_of(pid).is_some_and(|id| view.owned(0, id, State::Running).len() == 1));
    kill(pid, libc::SIGKILL);
    r.jobs.join().unwrap();
    assert_eq!((r.mill.stats().deaths, r.mill.stats().run_again, daemons.deaths()), (1, 1, 1));
    r.check(jobs, &[]);
}

/// A worker has finished jobs, and not told anybody because nobody waits, when it is killed in the next job: slots are FINISHED, their owner is
/// dead. They count as done and are not run again.
fn killed_between_completion_and_delivery() {
    let r = run(3);
    let jobs = r.put([Act::Work, Act::Work, Act::HoldOnce, Act::Work]);
    let daemons = r.workers(1);
    let view = View::new();
    let pid = daemons.pids()[0];
    wait_for(|| {
        view.id_of(pid)
            .is_some_and(|id| view.owned(0, id, State::Running).len() == 1 && view.channel(0).word(0).is(State::Finished))
    });
    let id = view.id_of(pid).unwrap();
    assert_eq!(view.owned(0, id, State::Finished).len(), 2);
    assert_eq!(r.jobs.pending(), 4, "not delivered");
    kill(pid, libc::SIGKILL);
    r.jobs.join().unwrap();
    assert_eq!((r.mill.stats().deaths, r.mill.stats().run_again), (1, 1), "only the one that was running");
    r.check(jobs, &[]);
}

fn killed_while_it_waits_for_a_job() {
    let r = run(3);
    let daemons = r.workers(2);
    let view = View::new();
    let asleep = |pid| {
        view.id_of(pid)
            .is_some_and(|id| view.region.participant(id).unwrap().sleeps_on.load(std::sync::atomic::Ordering::SeqCst) != 0)
    };
    for round in 0..10 {
        wait_for(|| daemons.pids().len() == 2 && daemons.pids().into_iter().all(asleep));
        kill(daemons.pids()[round % 2], libc::SIGKILL);
        let jobs = r.put([Act::Work; 5]);
        r.jobs.join().unwrap();
        wait_for(|| daemons.deaths() == round as u64 + 1);
        assert_eq!(r.mill.stats().run_again, 0);
        r.check(jobs, &[]);
    }
}

/// Results fill their queue, and the worker is killed while it waits for a slot with its job in hand.
fn killed_while_it_waits_for_room() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<Job>(64).unwrap();
    let results = mill.queue::<u64>(1).unwrap();
    let view = View::new();
    (0..10).for_each(|n| jobs.put((n, Act::Work)).unwrap());
    let daemons = mill.spawn_daemons(1, obey, (&jobs, &results)).unwrap();
    let waits = &view.channel(1).desc().free.sleepers;
    wait_for(|| waits.load(std::sync::atomic::Ordering::SeqCst) == 1);
    kill(daemons.pids()[0], libc::SIGKILL);
    wait_for(|| mill.stats().deaths == 1);
    jobs.join().unwrap();
    let got = tally(results.drain().unwrap());
    assert_eq!(got.into_iter().collect::<Vec<_>>(), (0..10).map(|n| (n, 1)).collect::<Vec<_>>());
    assert_eq!(mill.stats().run_again, 1);
}

/// The replacement, too, is killed while its program still starts, before it has attached the region.
fn killed_before_it_has_become_a_worker() {
    let r = run(3);
    let daemons = r.workers(1);
    for killed in 1..6 {
        kill(daemons.pids()[0], libc::SIGKILL);
        wait_for(|| daemons.deaths() == killed);
        wait_for(|| daemons.pids().len() == 1);
    }
    let jobs = r.put([Act::Work; 20]);
    r.jobs.join().unwrap();
    r.check(jobs, &[]);
}

fn a_job_that_dies_once_is_run_again_and_knows_it() {
    let r = run(3);
    r.workers(2);
    let jobs = r.put((0..200).map(|n| if n % 10 == 3 { Act::DieOnce } else { Act::Work }));
    r.jobs.join().unwrap();
    let stats = r.mill.stats();
    assert_eq!((stats.deaths, stats.run_again, stats.given_up), (20, 20, 0));
    r.check(jobs, &[]);
}

fn a_job_that_kills_every_worker_is_given_up_and_the_rest_completes() {
    let r = run(3);
    r.workers(2);
    let jobs = r.put((0..200).map(|n| if n == 57 { Act::DieAlways } else { Act::Work }));
    let lost = r.jobs.join().unwrap_err();
    assert!(matches!(lost, JoinError::Lost { jobs: 1 }), "{lost}");
    assert_eq!(lost.to_string(), "1 jobs were given up: every worker that ran them died");
    let stats = r.mill.stats();
    assert_eq!((stats.deaths, stats.run_again, stats.given_up), (4, 3, 1));
    r.jobs.join().expect("said once");
    r.check(jobs, &[57]);
}

/// Every death costs a job an attempt, so that this ends: it is the jobs that are deadly, and workers can live.
fn forty_deadly_jobs_in_a_row_do_not_end_the_run() {
    let r = run(1);
    r.workers(2);
    let jobs = r.put((0..60).map(|n| if n < 40 { [Act::DieAlways, Act::ExitAlways][n % 2] } else { Act::Work }));
    let lost = r.jobs.join().unwrap_err();
    assert!(matches!(lost, JoinError::Lost { jobs: 40 }), "{lost}");
    let stats = r.mill.stats();
    assert_eq!((stats.deaths, stats.run_again, stats.given_up), (80, 40, 40));
    r.check(jobs, &(0..40).collect::<Vec<_>>());
}

/// Nothing else is done meanwhile: the job is the oldest, so each new worker meets it first.
fn a_job_may_kill_more_workers_in_a_row_than_a_group_has_patience_for() {
    for what in [Act::DieAlways, Act::ExitAlways, Act::PanicAlways] {
        let r = run(120);
        r.workers(1);
        let jobs = r.put([what, Act::Work, Act::Work]);
        let lost = r.jobs.join().unwrap_err();
        assert!(matches!(lost, JoinError::Lost { jobs: 1 }), "{what:?}: {lost}");
        wait_for(|| r.mill.stats().deaths == 121);
        r.check(jobs, &[0]);
    }
}

/// Two processes sleep. A job is put, and wakes the one that has slept longer; this one is killed before it gets to run. Nobody replaces it:
/// the other must be woken in its place.
fn a_wake_up_that_dies_with_its_receiver_is_made_good() {
    let mill = Mill::builder().build().unwrap();
    let (jobs, results) = (mill.joinable_queue::<Job>(64).unwrap(), mill.queue::<u64>(64).unwrap());
    let view = View::new();
    let sleepers = || view.channel(0).desc().jobs.sleepers.load(std::sync::atomic::Ordering::SeqCst);
    let one_more = |n| {
        let process = mill.process(obey, (&jobs, &results)).unwrap();
        process.start().unwrap();
        wait_for(|| sleepers() == n && crate::system::state(process.pid().unwrap()) == Some('S'));
        process
    };
    let mut first = one_more(1);
    for round in 0..30 {
        let second = one_more(2);
        jobs.put((round, Act::Work)).unwrap();
        first.kill().unwrap();
        jobs.join().unwrap();
        wait_for(|| sleepers() == 1);
        first = second;
    }
    assert_eq!(tally(results.drain().unwrap()).len(), 30);
    wait_for(|| mill.stats().deaths == 30);
}

fn without_retries_a_death_costs_the_job_at_once() {
    let r = run(0);
    r.workers(1);
    let jobs = r.put([Act::Work, Act::DieOnce, Act::Work]);
    assert!(matches!(r.jobs.join(), Err(JoinError::Lost { jobs: 1 })));
    assert_eq!(r.mill.stats().deaths, 1);
    r.check(jobs, &[1]);
}

/// The job calls exit(0): that is no end of the worker's function, but a death like any other.
fn a_job_that_ends_the_process_is_run_again() {
    let r = run(3);
    r.workers(1);
    let jobs = r.put([Act::Work, Act::ExitOnce, Act::Work]);
    r.jobs.join().unwrap();
    assert_eq!((r.mill.stats().deaths, r.mill.stats().run_again), (1, 1));
    r.check(jobs, &[]);
}

fn a_guard_dropped_puts_its_job_back() {
    let r = run(0);
    r.workers(1);
    let jobs = r.put([Act::DropOnce, Act::Work, Act::DropOnce]);
    r.jobs.join().unwrap();
    assert_eq!(r.mill.stats().deaths, 0);
    r.check(jobs, &[]);
    // In the parent, and with many at a time.
    let own = r.mill.joinable_queue::<u64>(64).unwrap();
    own.put_many(0..40).unwrap();
    drop(own.get().unwrap());
    drop(own.get_many(64).unwrap());
    assert_eq!((own.pending(), own.qsize()), (40, 40));
    let mut seen = vec![];
    while let Ok(job) = own.try_get() {
        seen.push(*job);
        assert_eq!(job.attempt(), 0, "nobody died of it");
        job.task_done();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    own.join().unwrap();
}

fn a_panic_that_is_caught_puts_the_job_back() {
    let r = run(2);
    r.mill.spawn_daemons(1, catch, (&r.jobs, &r.results)).unwrap();
    let jobs = r.put([Act::Work, Act::PanicOnce, Act::PanicAlways, Act::Work]);
    assert!(matches!(r.jobs.join(), Err(JoinError::Lost { jobs: 1 })));
    assert_eq!(r.mill.stats().deaths, 0);
    r.check(jobs, &[2]);
}

/// A worker that has popped several jobs is stopped in the first. The others run them; only the one that it has begun waits for it.
fn a_stopped_worker_keeps_only_the_job_that_it_runs() {
    let r = run(3);
    let jobs = r.put([&[Act::HoldOnce][..], &[Act::Work; 30]].concat());
    let daemons = r.workers(1);
    let first = daemons.pids()[0];
    wait_for(|| r.jobs.unfinished().running.len() == 1);
    assert!(crate::system::stop(first));
    let more = r.workers(1);
    wait_for(|| r.jobs.unfinished().waiting == 0 && r.jobs.unfinished().running.len() == 1);
    match r.jobs.join_timeout(Duration::from_millis(20)) {
        Err(JoinError::TimedOut(u)) => assert_eq!((u.waiting, u.running[0].pid), (0, first)),
        other => panic!("{other:?}"),
    }
    kill(first, libc::SIGKILL);
    r.jobs.join().unwrap();
    assert_eq!(more.deaths(), 0);
    r.check(jobs, &[]);
}
