//! A worker dies with several items of one slot: only what it had in hand is under suspicion.

use crate::deaths::{Act, Job, Run, act, run};
use crate::harness::{list, wait_for};
use crate::system::die;
use crate::view::View;
use crate::workers::tally;
use gristmill::layout::State;
use gristmill::{JoinError, JoinableQueue, Mill, Queue, Task, tasks};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::SeqCst;

list! {
    one_deadly_item_of_a_bundle_costs_nothing_but_itself
    a_deadly_item_taken_with_others_costs_nothing_but_itself
    an_item_that_kills_who_decodes_it_costs_nothing_but_itself
    an_item_of_a_plain_queue_is_lost_only_with_its_taker
}

pub fn tasks() -> Vec<Task> {
    tasks![obey_many, take_some, decode]
}

/// Does what jobs say, many at a time.
fn obey_many(jobs: &JoinableQueue<Job>, results: &Queue<u64>) {
    while let Ok(taken) = jobs.get_many(64) {
        for &(id, what) in taken.iter() {
            act(what, 1);
            if results.put(id).is_err() {
                return;
            }
        }
        taken.task_done();
    }
}

/// Puts one bundle of 64 with one item of that kind in it.
fn bundle(r: &Run, deadly: u64, what: Act) {
    let view = View::new();
    // As if workers had measured how short jobs are: only then a slot gets more than one.
    view.channel(0).desc().job_nanos.store(1, SeqCst);
    r.jobs.put_many((0..64).map(|n| (n, if n == deadly { what } else { Act::Work }))).unwrap();
    assert_eq!(view.channel(0).in_state(State::Ready), 1, "all 64 stand in one slot");
    assert_eq!(r.jobs.qsize(), 64);
}

fn one_deadly_item_of_a_bundle_costs_nothing_but_itself() {
    for deadly in [0, 31, 63] {
        for (what, deaths) in [(Act::DieAlways, 4), (Act::DieOnce, 1)] {
            let r = run(3);
            bundle(&r, deadly, what);
            r.workers(1);
            let lost = what == Act::DieAlways;
            assert_eq!(matches!(r.jobs.join(), Err(JoinError::Lost { jobs: 1 })), lost);
            assert_eq!((r.mill.stats().deaths, r.mill.stats().given_up), (deaths, u64::from(lost)));
            r.check(64, [deadly].get(..usize::from(lost)).unwrap());
        }
    }
}

/// All 64 are in the worker's hand when it dies, so that all are under suspicion; run one by one, only the deadly one goes on killing.
fn a_deadly_item_taken_with_others_costs_nothing_but_itself() {
    for deadly in [0, 31, 63] {
        let r = run(3);
        bundle(&r, deadly, Act::DieAlways);
        r.mill.spawn_daemons(1, obey_many, (&r.jobs, &r.results)).unwrap();
        assert!(matches!(r.jobs.join(), Err(JoinError::Lost { jobs: 1 })));
        assert_eq!(r.mill.stats().given_up, 1);
        let got = tally(r.results.drain().unwrap());
        assert!((0..64).all(|n| got.contains_key(&n) != (n == deadly)), "{got:?}");
        assert_eq!(r.jobs.pending(), 0);
    }
}

/// A value that only workers decode, and 13 kills them.
#[derive(Serialize)]
struct Deadly(u64);

impl<'de> Deserialize<'de> for Deadly {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u64::deserialize(from)? {
            13 => die(),
            n => Ok(Deadly(n)),
        }
    }
}

fn decode(jobs: &JoinableQueue<Deadly>, results: &Queue<u64>) {
    while let Ok(job) = jobs.get() {
        results.put(job.0).unwrap();
        job.task_done();
    }
}

fn an_item_that_kills_who_decodes_it_costs_nothing_but_itself() {
    for bundles in [false, true] {
        let mill = Mill::builder().build().unwrap();
        let (jobs, results) = (mill.joinable_queue(64).unwrap(), mill.queue::<u64>(64).unwrap());
        if bundles {
            let view = View::new();
            view.channel(0).desc().job_nanos.store(1, SeqCst);
            jobs.put_many((0..40).map(Deadly)).unwrap();
            assert_eq!(view.channel(0).in_state(State::Ready), 1, "all stand in one slot");
        } else {
            (0..40).for_each(|n| jobs.put(Deadly(n)).unwrap());
        }
        mill.spawn_daemons(1, decode, (&jobs, &results)).unwrap();
        assert!(matches!(jobs.join(), Err(JoinError::Lost { jobs: 1 })));
        assert_eq!((mill.stats().deaths, mill.stats().given_up), (4, 1));
        let expected: Vec<u64> = (0..40).filter(|&n| n != 13).collect();
        assert_eq!(tally(results.drain().unwrap()).into_keys().collect::<Vec<_>>(), expected);
    }
}

/// Takes three items, tells of two, and dies with the third in hand.
fn take_some(items: &Queue<u64>, told: &Queue<u64>) {
    for _ in 0..2 {
        told.put(items.get().unwrap()).unwrap();
    }
    let _lost = items.get();
    die();
}

/// An item of a plain queue is done when its taker has it. Those that the taker had popped, or copied with others of a bundle and not handed
/// out, are another's.
fn an_item_of_a_plain_queue_is_lost_only_with_its_taker() {
    for bundles in [false, true] {
        let mill = Mill::builder().build().unwrap();
        let items = mill.queue::<u64>(64).unwrap();
        let told = mill.queue::<u64>(64).unwrap();
        if bundles {
            items.put_many(0..48).unwrap();
            assert!(View::new().channel(0).in_state(State::Ready) < 48, "several to a slot");
        } else {
            (0..48).for_each(|n| items.put(n).unwrap());
        }
        let daemons = mill.spawn_daemons(1, take_some, (&items, &told)).unwrap();
        wait_for(|| daemons.deaths() >= 16);
        let got = tally(told.drain().unwrap());
        assert!(got.values().all(|&n| n == 1), "{got:?}");
        let expected: Vec<_> = (0..48).filter(|n| n % 3 != 2).collect();
        assert_eq!(got.into_keys().collect::<Vec<_>>(), expected);
    }
}
