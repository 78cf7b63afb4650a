//! A worker is executed instruction by instruction, by ptrace, and killed in every state that can be told from outside: each combination of
//! locks that it owns and states of slots that it is in, at its first instruction and at another one by chance.
//!
//! Where the system refuses ptrace (some containers), locks.rs meets the same states less surely.

use crate::harness::{list, wait_for};
use crate::system::{kill, state};
use crate::view::View;
use crate::workers::tally;
use gristmill::layout::State;
use gristmill::ring::slots::{JOBS as JOBS_ARENA, RESULTS as RESULTS_ARENA};
use gristmill::{Daemons, Mill, PodJoinableQueue, PodQueue, Task, tasks};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::*;

list! {
    killed_in_every_state_of_a_job
    stopped_while_it_owns_a_lock
}

const JOBS: u64 = 2;
/// Larger than a slot holds; plain data, so that few instructions are spent on it.
type Payload = [u64; 256];
/// Room for two of them, and a bit.
const ARENA: usize = 5000;

pub fn tasks() -> Vec<Task> {
    tasks![echo]
}

fn echo(jobs: &PodJoinableQueue<Payload>, back: &PodQueue<Payload>) {
    while let Ok(job) = jobs.get() {
        if back.put(*job).is_err() {
            return;
        }
        job.task_done();
    }
}

/// A process that this thread traces, stopped between two instructions.
struct Traced(libc::pid_t);

enum Step {
    Done,
    /// It sleeps in the kernel, and goes no further.
    Asleep,
}

impl Traced {
    /// `None` if the system does not let us.
    fn seize(pid: u32) -> Option<Traced> {
        let traced = Traced(pid as libc::pid_t);
        traced
            .request(libc::PTRACE_SEIZE)
            .inspect_err(|e| crate::skip::skipped(format!("ptrace is not allowed here: {e}")))
            .ok()?;
        // On one processor, the two take turns without waking another for each step.
        [0, traced.0].into_iter().for_each(on_one_processor);
        traced.request(libc::PTRACE_INTERRUPT).unwrap();
        while !traced.stopped() {}
        Some(traced)
    }

    fn request(&self, request: libc::c_uint) -> std::io::Result<()> {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: none of the requests made here reads or writes memory of this process.
        match unsafe { libc::ptrace(request, self.0, nothing, nothing) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Waits until it has stopped; whether it has, and not fallen asleep.
    fn stopped(&self) -> bool {
        let mut status = 0;
        for look in 1.. {
            // SAFETY: `status` is valid to write to. A stop is taken only: nobody ends this process while it is waited for here.
            if unsafe { libc::waitpid(self.0, &mut status, libc::__WALL | libc::WNOHANG) } == self.0 {
                assert!(libc::WIFSTOPPED(status), "the worker ended by itself: {status:#x}");
                return true;
            }
            // A step takes microseconds, unless it is a system call that sleeps.
            if look % 5000 == 0 && state(self.0 as u32) == Some('S') {
                return false;
            }
            std::thread::yield_now();
        }
        unreachable!("the loop has no end")
    }

    fn step(&self) -> Step {
        self.request(libc::PTRACE_SINGLESTEP).unwrap();
        if self.stopped() { Step::Done } else { Step::Asleep }
    }
}

/// Keeps a thread on the first processor that it may use; 0 is the caller.
fn on_one_processor(thread: libc::pid_t) {
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: all zeroes is an empty set, both calls are given its size, and the numbers are below `CPU_SETSIZE`.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(thread, size, &mut set);
        let first = (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &set)).unwrap();
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(first, &mut set);
        libc::sched_setaffinity(thread, size, &set);
    }
}

struct Bench {
    mill: Mill,
    jobs: PodJoinableQueue<Payload>,
    results: PodQueue<Payload>,
    daemons: Daemons,
    view: View,
    /// How many jobs were put so far.
    put: u64,
}

/// What a process has in hand: which locks it owns, and how many slots it has in which state.
type InHand = ([bool; 4], [u8; 3]);

impl Bench {
    fn new() -> Bench {
        let mill = Mill::builder().retries(1000).arena_size(ARENA).build().unwrap();
        let jobs = mill.pod_joinable_queue(2).unwrap();
        let results = mill.pod_queue(2).unwrap();
        let daemons = mill.spawn_daemons(1, echo, (&jobs, &results)).unwrap();
        Bench { view: View::new(), mill, jobs, results, daemons, put: 0 }
    }

    fn in_hand(&self, id: u16) -> InHand {
        let mut slots = [0; 3];
        for (queue, count) in [(0, 2), (1, 2)] {
            for word in (0..count).map(|slot| self.view.channel(queue).word(slot)).filter(|w| w.owner() == id) {
                match word.state() {
                    Some(State::Running) => slots[0] += 1,
                    Some(State::Finished) => slots[1] += 1,
                    _ => slots[2] += 1,
                }
            }
        }
        (self.view.locks().map(|(_, lock)| lock.owner() == Some(id)), slots)
    }

    /// A worker that sleeps, seized; then the jobs that wake it are put.
    fn begin(&mut self) -> Option<(u32, u16, Traced)> {
        let asleep = |id| self.view.region.participant(id).is_some_and(|p| p.sleeps_on.load(SeqCst) != 0);
        let worker = || self.daemons.pids().first().and_then(|&pid| Some((pid, self.view.id_of(pid)?))).filter(|w| asleep(w.1));
        wait_for(|| worker().is_some());
        let (pid, id) = worker().unwrap();
        let traced = Traced::seize(pid)?;
        for _ in 0..JOBS {
            self.jobs.put([self.put; 256]).unwrap();
            self.put += 1;
        }
        Some((pid, id, traced))
    }

    /// Kills it where it is; then only what it was running may be done twice.
    fn kill(&self, pid: u32, id: u16) {
        let running = self.view.owned(0, id, State::Running);
        let in_hand: Vec<u64> = running.iter().map(|&(slot, _)| self.view.channel(0).ticket(slot)).collect();
        let before = self.mill.stats();
        kill(pid, libc::SIGKILL);
        wait_for(|| self.mill.stats().deaths == before.deaths + 1);
        assert_eq!(self.mill.stats().run_again, before.run_again + running.len() as u64);
        self.check(&in_hand);
    }

    /// All jobs come to their end; those in `may_repeat` may have two results, all others have one; and nothing is kept.
    fn check(&self, may_repeat: &[u64]) {
        self.jobs.join().unwrap();
        let numbers = self.results.drain().unwrap().into_iter().map(|r| {
            assert!(r.iter().all(|&n| n == r[0]), "a result has changed");
            r[0]
        });
        let tally = tally(numbers);
        let expected: Vec<u64> = (self.put - JOBS..self.put).collect();
        assert_eq!(tally.keys().copied().collect::<Vec<_>>(), expected);
        for (n, count) in tally {
            assert!(
                count == 1 || count == 2 && may_repeat.contains(&n),
                "{count} results of job {n}, in hand were {may_repeat:?}"
            );
        }
        for which in [JOBS_ARENA, RESULTS_ARENA] {
            wait_for(|| self.view.region.arena(which).used() == 0);
        }
        assert_eq!(self.view.channel(0).in_state(State::Free), 2);
        // The worker may be looking for more.
        wait_for(|| self.view.locks().iter().all(|(_, lock)| lock.owner().is_none()));
    }
}

fn killed_in_every_state_of_a_job() {
    let mut random = rand::rngs::StdRng::seed_from_u64(crate::numbers::seed());
    let mut bench = Bench::new();

    // Once to the end of all jobs: which states there are, and how many instructions each lasts.
    let Some((pid, id, traced)) = bench.begin() else { return };
    let mut states: BTreeMap<InHand, u64> = BTreeMap::new();
    while let Step::Done = traced.step() {
        *states.entry(bench.in_hand(id)).or_insert(0) += 1;
    }
    bench.kill(pid, id);
    println!("{} states, {} instructions", states.len(), states.values().sum::<u64>());
    for (lock, (name, _)) in bench.view.locks().into_iter().enumerate() {
        assert!(states.keys().any(|s| s.0[lock]), "{name} is never owned");
    }
    assert!((0..3).all(|k| states.keys().any(|s| s.1[k] > 0)), "RUNNING, FINISHED and OWNED are met");

    for (state, lasts) in &states {
        let mut tries = 0;
        loop {
            let (pid, id, traced) = bench.begin().expect("it was allowed before");
            // At its first instruction, or at another one.
            let mut left = if random.random() { 0 } else { random.random_range(0..*lasts) };
            let met = loop {
                let Step::Done = traced.step() else { break false };
                if bench.in_hand(id) == *state {
                    if left == 0 {
                        break true;
                    }
                    left -= 1;
                }
            };
            bench.kill(pid, id);
            if met {
                break;
            }
            // It was quicker this time: it found a lock free that it had to wait for, or looked less often before it slept.
            tries += 1;
            assert!(tries < 20, "{state:?} was met in the first run and never again");
        }
    }
}

/// A worker is stopped (a debugger, a batch system, a frozen container) while it owns a lock that others need. It is ended after seconds, and
/// the run goes on.
fn stopped_while_it_owns_a_lock() {
    let mut bench = Bench::new();
    for queue in [0, 1] {
        let Some((_, id, traced)) = bench.begin() else { return };
        while !bench.in_hand(id).0[queue] {
            assert!(matches!(traced.step(), Step::Done), "it never owned the lock");
        }
        let running = bench.view.owned(0, id, State::Running);
        let in_hand: Vec<u64> = running.iter().map(|&(slot, _)| bench.view.channel(0).ticket(slot)).collect();
        let before = bench.mill.stats().deaths;
        // Both wait for the lock, ring for the supervisor, and come back.
        if queue == 0 {
            drop(bench.jobs.try_get());
        } else {
            drop(bench.results.try_get());
        }
        assert_eq!(bench.mill.stats().deaths, before + 1);
        bench.check(&in_hand);
    }
}
