//! The Barrier.

use crate::numbers::Numbers;
use crate::support::*;
use gristmill::sync::{Barrier, BarrierError, Counter};
use gristmill::{Error, Task, tasks};

tests![
    nobody_goes_on_before_all_have_come_and_one_is_the_last,
    a_timeout_breaks_it_for_all_until_it_is_reset,
    a_killed_waiter_breaks_it_for_all,
    a_death_elsewhere_does_not_break_it,
    a_reset_sends_those_who_wait_away_and_goes_on,
    an_abort_breaks_it_for_all,
    one_party_does_not_wait,
    no_party_is_refused,
    random_deaths_inside_never_hang_a_round,
];

pub fn tasks() -> Vec<Task> {
    tasks![rounds, come_once, come_again_and_again]
}

fn rounds(barrier: &Barrier, arrived: &Counter, leaders: &Counter, count: &u32) {
    for round in 1..=i64::from(*count) {
        arrived.add(1);
        if barrier.wait().unwrap() {
            leaders.add(1);
        }
        let here = arrived.get();
        let parties = i64::from(barrier.parties());
        assert!(here >= round * parties, "round {round}: went on when {here} had come");
    }
}

fn come_once(barrier: &Barrier, broken: &Counter) {
    match barrier.wait() {
        Ok(_) => {}
        Err(BarrierError::Broken) => drop(broken.add(1)),
        Err(e) => panic!("{e}"),
    }
}

fn come_again_and_again(barrier: &Barrier, through: &Counter) {
    loop {
        match barrier.wait() {
            Ok(_) => drop(through.add(1)),
            Err(BarrierError::Broken) => std::thread::yield_now(),
            Err(e) => panic!("{e}"),
        }
    }
}

fn nobody_goes_on_before_all_have_come_and_one_is_the_last() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 6).unwrap();
    let (arrived, leaders) = (Counter::new(&mill, 0).unwrap(), Counter::new(&mill, 0).unwrap());
    let count = 200u32;
    let processes: Vec<_> = (0..4).map(|_| start(&mill, rounds, (&barrier, &arrived, &leaders, &count))).collect();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| {
            scope.spawn(|| rounds(&barrier, &arrived, &leaders, &count));
        });
    });
    processes.iter().for_each(ended_well);
    assert_eq!((arrived.get(), leaders.get()), (6 * 200, 200));
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
}

fn a_timeout_breaks_it_for_all_until_it_is_reset() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 3).unwrap();
    let broken = Counter::new(&mill, 0).unwrap();
    let other = start(&mill, come_once, (&barrier, &broken));
    until(|| barrier.waiting() == 1);
    let begin = std::time::Instant::now();
    assert_eq!(barrier.wait_timeout(SOON), Err(BarrierError::TimedOut));
    assert!(begin.elapsed() >= SOON);
    ended_well(&other);
    assert_eq!(broken.get(), 1);
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait_timeout(LONG), Err(BarrierError::Broken));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
    let others: Vec<_> = (0..2).map(|_| start(&mill, come_once, (&barrier, &broken))).collect();
    barrier.wait().unwrap();
    others.iter().for_each(ended_well);
    assert_eq!(broken.get(), 1);
}

fn a_killed_waiter_breaks_it_for_all() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 4).unwrap();
    let broken = Counter::new(&mill, 0).unwrap();
    let victim = start(&mill, come_once, (&barrier, &broken));
    let other = start(&mill, come_once, (&barrier, &broken));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 3);
        std::thread::sleep(SOON);
        kill(&victim);
        assert_eq!(thread.join().unwrap(), Err(BarrierError::Broken));
    });
    ended_well(&other);
    assert_eq!((broken.get(), barrier.waiting()), (1, 0));
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset().unwrap();
    assert_eq!(barrier.wait_timeout(SOON), Err(BarrierError::TimedOut));
}

fn a_death_elsewhere_does_not_break_it() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 2).unwrap();
    let elsewhere = Barrier::new(&mill, 2).unwrap();
    let broken = Counter::new(&mill, 0).unwrap();
    let other = start(&mill, come_once, (&barrier, &broken));
    let victim = start(&mill, come_once, (&elsewhere, &broken));
    until(|| barrier.waiting() == 1 && elsewhere.waiting() == 1);
    kill(&victim);
    assert_eq!((barrier.is_broken(), elsewhere.is_broken()), (false, true));
    barrier.wait().unwrap();
    ended_well(&other);
    assert_eq!(broken.get(), 0);
}

fn a_reset_sends_those_who_wait_away_and_goes_on() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 2).unwrap();
    let broken = Counter::new(&mill, 0).unwrap();
    for k in 1..=20 {
        let other = start(&mill, come_once, (&barrier, &broken));
        until(|| barrier.waiting() == 1);
        barrier.reset().unwrap();
        ended_well(&other);
        assert_eq!((broken.get(), barrier.is_broken()), (k, false));
    }
    let other = start(&mill, come_once, (&barrier, &broken));
    barrier.wait().unwrap();
    ended_well(&other);
}

fn an_abort_breaks_it_for_all() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 2).unwrap();
    let broken = Counter::new(&mill, 0).unwrap();
    let other = start(&mill, come_once, (&barrier, &broken));
    until(|| barrier.waiting() == 1);
    barrier.abort().unwrap();
    ended_well(&other);
    assert_eq!((broken.get(), barrier.wait()), (1, Err(BarrierError::Broken)));
}

fn one_party_does_not_wait() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 1).unwrap();
    assert!((0..3).all(|_| barrier.wait() == Ok(true)));
}

fn no_party_is_refused() {
    assert!(matches!(Barrier::new(&mill(), 0), Err(Error::Count { asked: 0, .. })));
}

/// Workers come again and again and are killed at random moments: inside, leaving, elsewhere. Each death that leaves others waiting has to break
/// the barrier; after a reset, rounds go through again.
fn random_deaths_inside_never_hang_a_round() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 3).unwrap();
    let through = Counter::new(&mill, 0).unwrap();
    let mut workers: Vec<_> = (0..3).map(|_| start(&mill, come_again_and_again, (&barrier, &through))).collect();
    let mut random = Numbers::new();
    for round in 0..80u64 {
        std::thread::sleep(std::time::Duration::from_micros(random.below(1500)));
        kill(&workers[(round % 3) as usize]);
        // The others are in a broken barrier, or wait in a whole one for a third that does not come.
        workers[(round % 3) as usize] = start(&mill, come_again_and_again, (&barrier, &through));
        if barrier.is_broken() {
            barrier.reset().unwrap();
        }
        let before = through.get();
        until(|| through.get() >= before + 6);
    }
    workers.iter().for_each(kill);
    assert_eq!(barrier.waiting(), 0);
}
