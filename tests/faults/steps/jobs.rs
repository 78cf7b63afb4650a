//! A worker of a JoinableQueue that puts results into a Queue.

use super::drive::{Scene, until};
use super::look::{Lock, Look};
use super::second::Second;
use super::traced::sleeps;
use super::turnstile::Turnstile;
use gristmill::layout::State;
use gristmill::{Daemons, JoinError, Mill, MillStats, PodJoinableQueue, PodQueue, WaitPolicy};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::*;
use std::thread::JoinHandle;
use std::time::Duration;

/// Numbers of 1 word stand in their slot, numbers of `LARGE` words in the arena.
pub const LARGE: usize = 160;

pub fn serve<const N: usize>(jobs: &PodJoinableQueue<[u64; N]>, results: &PodQueue<[u64; N]>) {
    while let Ok(job) = jobs.get() {
        if results.put(*job).is_err() {
            return;
        }
        job.task_done();
    }
}

#[derive(Clone, Copy)]
pub struct How {
    pub capacity: usize,
    pub jobs: usize,
    /// Whether they are put together, into one slot.
    pub together: bool,
    pub retries: u32,
    pub wait: WaitPolicy,
    pub counters_from: u32,
    /// Whether a thread of the parent waits for the end of all jobs meanwhile.
    pub joined: bool,
    /// Whether a thread of the parent waits for the first result meanwhile.
    pub awaited: bool,
    /// Whether the worker is not killed, but stopped, while the parent delivers what is finished.
    pub helped: bool,
    /// These are held by the parent while the worker comes to them, one after the other; whether somebody else waits beside the worker.
    pub locks: &'static [Lock],
    pub beside: bool,
    /// Whether there is a second worker, and where it stands still.
    pub second: Option<Stands>,
}

/// Where a second worker stands still until the first one is dead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Asleep,
    /// It has taken both jobs, and put no result yet.
    WithJobs,
}

/// Two workers leave each other something: one takes two jobs where there are so many more.
const MORE: usize = 6;

pub const USUAL: How = How {
    capacity: 4,
    jobs: 1,
    together: false,
    retries: 60_000,
    wait: WaitPolicy::Block,
    counters_from: 0,
    joined: false,
    awaited: false,
    helped: false,
    locks: &[],
    beside: false,
    second: None,
};

pub struct Jobs<const N: usize> {
    how: How,
    mill: Mill,
    jobs: PodJoinableQueue<[u64; N]>,
    results: PodQueue<[u64; N]>,
    daemons: Daemons,
    look: Look,
    turnstile: Turnstile,
    second: Option<Second>,
    /// The number of this cycle's first job, and its ticket.
    next: u64,
    ticket: u64,
    got: Vec<[u64; N]>,
    /// The jobs that the dead one had begun and not finished; and of how many of its slots something is left for another one.
    in_hand: Vec<u64>,
    again: u64,
    joiner: Option<JoinHandle<Result<(), JoinError>>>,
    taker: Option<JoinHandle<[u64; N]>>,
}

impl<const N: usize> Jobs<N> {
    /// The second worker stops where it is to stand: the first one is in our hands.
    fn place_second(&mut self) {
        let (Some(second), Some(stands)) = (&self.second, self.how.second) else { return };
        if stands == Stands::WithJobs {
            // How many it takes at a time depends on how long the last ones took: these are quick.
            for _ in 0..3 {
                self.jobs.put([0; N]).unwrap();
                self.jobs.join().unwrap();
                self.results.get().unwrap();
            }
            until(|| self.look.id_of(second.pid()).is_some_and(|id| self.look.sleeps_on(id).is_some()));
            until(|| sleeps(second.pid() as i32));
        }
        second.stop();
    }

    /// It takes both jobs, and is stopped when it would put the first one's result.
    fn give_second_jobs(&mut self) {
        let (Some(second), Some(Stands::WithJobs)) = (&self.second, self.how.second) else { return };
        let mut turnstile = Turnstile::new(&[Lock::Jobs(1)], false);
        turnstile.shut();
        second.go_on();
        until(|| turnstile.is_met() && sleeps(second.pid() as i32));
        second.stop();
        turnstile.open();
        let id = self.look.id_of(second.pid()).expect("it lives");
        assert!(self.look.holds(id), "it has begun both jobs");
        // There were so many that it has taken two; the others are only in the way.
        for _ in 0..MORE {
            self.jobs.get().unwrap().task_done();
        }
        assert!(self.jobs.join_timeout(Duration::ZERO).is_err(), "the second one has jobs");
        assert_eq!(self.jobs.pending(), 2);
    }

    pub fn new(how: How) -> Self {
        let mill = Mill::builder().region_size(64 << 10).arena_size(8 << 10).max_processes(4).max_queues(2);
        let mill = mill.retries(how.retries).wait_policy(how.wait).counters_from(how.counters_from).build().unwrap();
        let jobs = mill.pod_joinable_queue(how.capacity).unwrap();
        // As many results wait for the parent: with fewer than there are jobs the worker has to wait for room.
        let results = mill.pod_queue(how.capacity.min(3)).unwrap();
        let workers = 1 + usize::from(how.second.is_some());
        let daemons = mill.spawn_daemons(workers, serve::<N>, (&jobs, &results)).unwrap();
        let second = how.second.map(|_| Second::new(|| daemons.pids()));
        Jobs {
            how,
            mill,
            jobs,
            results,
            daemons,
            look: Look::new(),
            turnstile: Turnstile::new(how.locks, how.beside),
            second,
            next: 0,
            ticket: 0,
            got: vec![],
            in_hand: vec![],
            again: 0,
            joiner: None,
            taker: None,
        }
    }
}

impl<const N: usize> Scene for Jobs<N> {
    fn look(&self) -> &Look {
        &self.look
    }

    fn stats(&self) -> MillStats {
        self.mill.stats()
    }

    fn pids(&self) -> Vec<u32> {
        self.daemons.pids()
    }

    fn second(&self) -> Option<u32> {
        self.second.as_ref().map(Second::pid)
    }

    fn turnstile(&self) -> Option<&Turnstile> {
        Some(&self.turnstile)
    }

    fn wake(&mut self) {
        self.next += 100;
        self.place_second();
        let d = self.look.channel(0).desc();
        self.ticket = d.ticket.load(Relaxed);
        let more = if self.how.second == Some(Stands::WithJobs) { MORE } else { 0 };
        if self.how.awaited {
            let results = self.results.clone();
            self.taker = Some(std::thread::spawn(move || results.get().unwrap()));
            until(|| self.look.channel(1).desc().jobs.sleepers.load(SeqCst) != 0);
        }
        let numbers = (self.next..).take(self.how.jobs + more).map(|n| [n; N]);
        if self.how.together {
            // Short ones are bundled.
            d.job_nanos.store(100, Relaxed);
            assert_eq!(self.jobs.put_many(numbers).unwrap(), self.how.jobs);
        } else {
            numbers.for_each(|n| self.jobs.put(n).unwrap());
        }
        if self.how.joined {
            let jobs = self.jobs.clone();
            self.joiner = Some(std::thread::spawn(move || jobs.join()));
            until(|| d.done.sleepers.load(SeqCst) != 0);
        }
        self.give_second_jobs();
        self.turnstile.shut();
    }

    fn go_on(&mut self) -> bool {
        if self.turnstile.pass() {
            return true;
        }
        let of_second = u64::from(self.how.second == Some(Stands::WithJobs));
        if self.jobs.pending() <= of_second {
            assert!(self.turnstile.is_through(), "it has not come to a lock that is held");
            return false;
        }
        self.got.push(self.results.try_get().expect("it waits for room"));
        true
    }

    fn meddle(&self, id: u16) -> bool {
        if self.how.helped && !self.look.owns_a_lock(id) {
            // It looks for what is finished, and sleeps for a moment.
            let _ = self.jobs.join_timeout(Duration::from_micros(100));
        }
        self.how.helped
    }

    fn note(&mut self, id: u16) {
        assert_eq!(self.look.uncounted(), None);
        let channel = self.look.channel(0);
        if self.look.sleeps_on(id).is_some() && self.got.len() + self.results.qsize() == self.how.jobs {
            // It has done all, and recovery, which would count anew, has not been here.
            assert_eq!(channel.pending(), 0, "jobs are pending though all are done");
        }
        if N == LARGE {
            let accepted = channel.in_state(State::Ready) + channel.in_state(State::Running);
            let used = self.look.bytes_used(channel.payload_arena());
            assert!(used >= accepted * size_of::<[u64; N]>(), "{used} bytes are in use for {accepted} jobs");
        }
        self.in_hand.clear();
        self.again = 0;
        for slot in self.look.owned(0, id, State::Running) {
            let bits = if channel.items(slot) == 1 { 1 } else { channel.in_hand(slot) };
            let first = self.next + channel.ticket(slot).wrapping_sub(self.ticket);
            self.in_hand.extend((0..64).filter(|k| bits >> k & 1 == 1).map(|k| first + k));
            let given_up = if self.how.retries == 0 { bits } else { 0 };
            self.again += u64::from(channel.left(slot) & !given_up != 0);
        }
        assert!(self.in_hand.len() <= 1, "one job at a time: {:?}", self.in_hand);
    }

    fn killed(&mut self) {
        self.turnstile.open();
        self.second.iter().for_each(Second::go_on);
    }

    fn check(&mut self, before: &MillStats) {
        self.turnstile.end();
        let lost = if self.how.retries == 0 { self.in_hand.len() as u64 } else { 0 };
        match self.jobs.join() {
            Ok(()) => assert_eq!(lost, 0, "join tells of no loss"),
            Err(JoinError::Lost { jobs }) => assert_eq!(jobs, lost, "lost, in hand were {:?}", self.in_hand),
            Err(e) => panic!("{e}"),
        }
        self.got.extend(self.taker.take().map(|taker| taker.join().unwrap()));
        self.got.extend(self.results.drain().unwrap());
        if let Some(joiner) = self.joiner.take() {
            joiner.join().unwrap().unwrap();
        }
        let after = self.mill.stats();
        assert_eq!(after.given_up - before.given_up, lost, "given up, in hand were {:?}", self.in_hand);
        assert_eq!(after.run_again - before.run_again, self.again, "run again, in hand were {:?}", self.in_hand);
        let mut tally = BTreeMap::new();
        for result in self.got.drain(..) {
            assert_eq!(result, [result[0]; N], "a result is not whole");
            *tally.entry(result[0]).or_insert(0) += 1;
        }
        for n in (self.next..).take(self.how.jobs) {
            let count = tally.remove(&n).unwrap_or(0);
            let allowed = match (self.in_hand.contains(&n), self.how.retries) {
                (true, 0) => 0..=1,
                (true, _) => 1..=2,
                (false, _) => 1..=1,
            };
            assert!(allowed.contains(&count), "{count} results of job {n}, in hand were {:?}", self.in_hand);
        }
        assert!(tally.is_empty(), "nobody put {tally:?}");
    }
}
