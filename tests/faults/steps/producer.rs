//! A worker that produces: it is told to, and puts items one by one and many at once, some of them in the arena.

use super::drive::Scene;
use super::look::Look;
use gristmill::layout::State;
use gristmill::{Daemons, JoinableQueue, Mill, MillStats, PodJoinableQueue, Queue, WaitPolicy};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::atomic::Ordering::Relaxed;

/// The queue that it puts into.
pub trait Items: Serialize + DeserializeOwned + Sized {
    fn make(mill: &Mill, capacity: usize) -> Self;
    fn put(&self, item: String) -> bool;
    fn put_many(&self, items: Vec<String>) -> bool;
    /// Without waiting.
    fn take(&self) -> Option<String>;
}

impl Items for Queue<String> {
    fn make(mill: &Mill, capacity: usize) -> Self {
        mill.queue(capacity).unwrap()
    }

    fn put(&self, item: String) -> bool {
        Queue::put(self, item).is_ok()
    }

    fn put_many(&self, items: Vec<String>) -> bool {
        Queue::put_many(self, items).is_ok()
    }

    fn take(&self) -> Option<String> {
        self.try_get().ok()
    }
}

impl Items for JoinableQueue<String> {
    fn make(mill: &Mill, capacity: usize) -> Self {
        mill.joinable_queue(capacity).unwrap()
    }

    fn put(&self, item: String) -> bool {
        JoinableQueue::put(self, item).is_ok()
    }

    fn put_many(&self, items: Vec<String>) -> bool {
        JoinableQueue::put_many(self, items).is_ok()
    }

    fn take(&self) -> Option<String> {
        let job = self.try_get().ok()?;
        let item = job.clone();
        job.task_done();
        Some(item)
    }
}

/// What each order makes. The first one is too large for a slot, the third one fills it.
fn made() -> Vec<String> {
    [1100, 5, 300, 5, 5].iter().zip('a'..).map(|(&length, letter)| letter.to_string().repeat(length)).collect()
}

pub fn produce<Q: Items>(orders: &PodJoinableQueue<u64>, items: &Q) {
    let made = made();
    while let Ok(order) = orders.get() {
        if !(items.put(made[0].clone()) && items.put(made[1].clone()) && items.put_many(made[2..].to_vec())) {
            return;
        }
        order.task_done();
    }
}

#[derive(Clone, Copy)]
pub struct How {
    pub capacity: usize,
    /// So many items are in the queue before.
    pub before: usize,
    pub counters_from: u32,
}

pub struct Producer<Q> {
    how: How,
    mill: Mill,
    orders: PodJoinableQueue<u64>,
    items: Q,
    daemons: Daemons,
    look: Look,
    order: u64,
    taken: Vec<String>,
    /// Of this order: how many items were there when the worker died, and whether it is to be done again.
    put: usize,
    again: bool,
    running: u64,
}

impl<Q: Items + 'static> Producer<Q> {
    pub fn new(how: How) -> Self {
        let mill = Mill::builder().region_size(64 << 10).arena_size(4 << 10).max_processes(3).max_queues(2);
        let mill = mill.retries(60_000).wait_policy(WaitPolicy::Block).counters_from(how.counters_from).build().unwrap();
        let orders = mill.pod_joinable_queue(2).unwrap();
        let items = Q::make(&mill, how.capacity);
        let daemons = mill.spawn_daemons(1, produce::<Q>, (&orders, &items)).unwrap();
        let look = Look::new();
        Producer { how, mill, orders, items, daemons, look, order: 0, taken: vec![], put: 0, again: false, running: 0 }
    }
}

impl<Q: Items + 'static> Scene for Producer<Q> {
    fn look(&self) -> &Look {
        &self.look
    }

    fn stats(&self) -> MillStats {
        self.mill.stats()
    }

    fn pids(&self) -> Vec<u32> {
        self.daemons.pids()
    }

    fn wake(&mut self) {
        self.order += 1;
        self.taken.clear();
        // How many share a slot depends on what has been measured.
        self.look.channel(1).desc().job_nanos.store(0, Relaxed);
        (0..self.how.before).for_each(|n| assert!(self.items.put(format!("before {n}"))));
        self.orders.put(self.order).unwrap();
    }

    fn go_on(&mut self) -> bool {
        if self.orders.pending() == 0 {
            return false;
        }
        // It waits for room, in the queue or in the arena.
        self.taken.push(self.items.take().expect("it waits for room"));
        true
    }

    fn note(&mut self, id: u16) {
        let there = self.taken.len() + self.look.channel(1).waiting();
        self.put = there - self.how.before;
        self.running = self.look.owned(0, id, State::Running).len() as u64;
        self.again = self.running + self.look.channel(0).in_state(State::Ready) as u64 > 0;
    }

    fn check(&mut self, before: &MillStats) {
        // The next one may have to wait for room.
        loop {
            let over = self.orders.pending() == 0;
            match self.items.take() {
                Some(item) => self.taken.push(item),
                None if over => break,
                None => std::thread::yield_now(),
            }
        }
        self.orders.join().unwrap();
        assert_eq!(self.mill.stats().run_again - before.run_again, self.running);
        let made = made();
        assert!(self.again || self.put == made.len(), "an order is done with {} items put", self.put);
        // What had been put is there, in order and once, then what its successor has put; and nothing that was on its way.
        let all = if self.again { &made[..] } else { &[] };
        let expected = (0..self.how.before).map(|n| format!("before {n}"));
        let expected = expected.chain(made[..self.put].iter().chain(all).cloned());
        let short = |item: &String| item.chars().take(10).collect::<String>();
        let (expected, taken): (Vec<_>, Vec<_>) = (expected.collect(), std::mem::take(&mut self.taken));
        assert_eq!(taken.iter().map(short).collect::<Vec<_>>(), expected.iter().map(short).collect::<Vec<_>>());
        assert!(taken == expected, "an item is not whole");
    }
}
