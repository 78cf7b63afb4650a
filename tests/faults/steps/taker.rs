//! A worker that takes from a plain Queue, and puts what it has taken into another one. What it had in hand goes with it, by contract: an item
//! is over as soon as its taker has copied it.

use super::drive::Scene;
use super::look::Look;
use gristmill::layout::State;
use gristmill::{Daemons, Mill, MillStats, PodQueue, WaitPolicy};
use std::sync::atomic::Ordering::*;

pub fn pass_on<const N: usize>(items: &PodQueue<[u64; N]>, results: &PodQueue<[u64; N]>) {
    while let Ok(item) = items.get() {
        if results.put(item).is_err() {
            return;
        }
    }
}

#[derive(Clone, Copy)]
pub struct How {
    pub capacity: usize,
    pub items: usize,
    /// Whether they are put together, into one slot.
    pub together: bool,
    pub counters_from: u32,
}

pub struct Taker<const N: usize> {
    how: How,
    mill: Mill,
    items: PodQueue<[u64; N]>,
    results: PodQueue<[u64; N]>,
    daemons: Daemons,
    look: Look,
    /// The number of this cycle's first item.
    next: u64,
    got: Vec<[u64; N]>,
    /// The item that the dead one had in hand; and how many slots it was about to copy.
    lost: Option<u64>,
    again: u64,
}

impl<const N: usize> Taker<N> {
    pub fn new(how: How) -> Self {
        let mill = Mill::builder().region_size(64 << 10).arena_size(12 << 10).max_processes(3).max_queues(2);
        let mill = mill.wait_policy(WaitPolicy::Block).counters_from(how.counters_from).build().unwrap();
        let items = mill.pod_queue(how.capacity).unwrap();
        // With fewer than there are items the worker has to wait for room.
        let results = mill.pod_queue(how.capacity.min(3)).unwrap();
        let daemons = mill.spawn_daemons(1, pass_on::<N>, (&items, &results)).unwrap();
        Taker { how, mill, items, results, daemons, look: Look::new(), next: 0, got: vec![], lost: None, again: 0 }
    }

    /// Results that have come through.
    fn through(&self) -> usize {
        self.got.len() + self.look.channel(1).waiting()
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<N> {
        (self.next..).take(self.how.items)
    }
}

impl<const N: usize> Scene for Taker<N> {
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
        self.next += 100;
        if self.how.together {
            // Short ones are bundled.
            self.look.channel(0).desc().job_nanos.store(100, Relaxed);
            assert_eq!(self.items.put_many(self.numbers().map(|n| [n; N])).unwrap(), self.how.items);
        } else {
            self.numbers().for_each(|n| self.items.put([n; N]).unwrap());
        }
    }

    fn go_on(&mut self) -> bool {
        if self.through() == self.how.items {
            return false;
        }
        self.got.push(self.results.try_get().expect("it waits for room"));
        true
    }

    fn note(&mut self, id: u16) {
        let channel = self.look.channel(0);
        let running = self.look.owned(0, id, State::Running);
        let left = |slot: &u32| channel.left(*slot).count_ones() as usize;
        // Those that it has not taken come to the next one; and it takes one after the other.
        let waiting = channel.waiting() + running.iter().map(left).sum::<usize>();
        let in_hand = self.how.items - waiting - self.through();
        assert!(in_hand <= 1, "{in_hand} items are in hand, and {waiting} wait");
        self.lost = (in_hand == 1).then(|| self.next + self.through() as u64);
        self.again = running.iter().filter(|slot| left(slot) > 0).count() as u64;
    }

    fn check(&mut self, before: &MillStats) {
        let expected: Vec<_> = self.numbers().filter(|&n| Some(n) != self.lost).collect();
        while self.got.len() < expected.len() {
            self.got.push(self.results.get().unwrap());
        }
        let after = self.mill.stats();
        assert_eq!((after.run_again - before.run_again, after.given_up - before.given_up), (self.again, 0));
        assert_eq!(self.items.qsize(), 0, "items that nobody takes");
        self.got.extend(self.results.drain().unwrap());
        for result in &self.got {
            assert_eq!(result, &[result[0]; N], "an item is not whole");
        }
        // Each of the others once, in their order.
        assert_eq!(self.got.drain(..).map(|result| result[0]).collect::<Vec<_>>(), expected, "lost is {:?}", self.lost);
    }
}
