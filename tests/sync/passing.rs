//! Handles among a worker's arguments, and room in the region.

use crate::support::*;
use gristmill::sync::{Counter, Event, Mutex, RwLock, Semaphore};
use gristmill::{Error, JoinableQueue, Mill, Task, tasks};

tests![
    daemons_take_objects_beside_queues,
    another_type_or_kind_is_refused,
    an_address_that_leads_nowhere_is_refused,
    a_worker_cannot_pass_one_on,
    the_parent_cannot_receive_one,
    a_full_region_is_an_error_and_harms_nothing,
];

pub fn tasks() -> Vec<Task> {
    tasks![work, open_others, open_garbage, pass_on]
}

fn work(jobs: &JoinableQueue<u64>, sum: &Mutex<u64>) {
    while let Ok(job) = jobs.get() {
        *sum.lock().unwrap() += *job;
        job.task_done();
    }
}

fn refused<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
    postcard::from_bytes::<T>(bytes).is_err()
}

#[allow(clippy::ptr_arg)] // An argument is passed as a reference to what was sent.
fn open_others(bytes: &Vec<u8>, refusals: &Counter) {
    *postcard::from_bytes::<Mutex<u64>>(bytes).unwrap().lock().unwrap() += 1;
    let all = [
        refused::<Mutex<i64>>(bytes),
        refused::<Mutex<u32>>(bytes),
        refused::<Mutex<[u64; 2]>>(bytes),
        refused::<RwLock<u64>>(bytes),
        refused::<Semaphore>(bytes),
        refused::<Event>(bytes),
        refused::<Counter>(bytes),
    ];
    refusals.add(all.iter().filter(|&&r| r).count() as i64);
}

/// The bytes are the address of a Mutex: the region's number and a place. Every other place is tried.
#[allow(clippy::ptr_arg)] // As above.
fn open_garbage(bytes: &Vec<u8>, refusals: &Counter) {
    let (region, place): (u64, u64) = postcard::from_bytes(bytes).unwrap();
    let places = [0, 1, place + 1, place - 64, place + 64, 1 << 20, (2 << 20) - 64, 2 << 20, 1 << 40, u64::MAX, u64::MAX - 63];
    for at in places {
        let address = postcard::to_allocvec(&(region, at)).unwrap();
        refusals.add(i64::from(refused::<Mutex<u64>>(&address)));
    }
    let elsewhere = postcard::to_allocvec(&(region ^ 1, place)).unwrap();
    refusals.add(i64::from(refused::<Mutex<u64>>(&elsewhere)));
}

fn pass_on(mutex: &Mutex<u64>) {
    let error = postcard::to_allocvec(mutex).unwrap_err();
    // postcard keeps no text; that it fails is what counts.
    assert!(!error.to_string().is_empty());
}

fn daemons_take_objects_beside_queues() {
    let mill = mill();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let sum = Mutex::new(&mill, 0u64).unwrap();
    let daemons = mill.spawn_daemons(4, work, (&jobs, &sum)).unwrap();
    (1..=1000).for_each(|n| jobs.put(n).unwrap());
    jobs.join().unwrap();
    assert_eq!(*sum.lock().unwrap(), 500_500);
    jobs.close();
    daemons.join();
}

fn another_type_or_kind_is_refused() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 41u64).unwrap();
    let refusals = Counter::new(&mill, 0).unwrap();
    let bytes = postcard::to_allocvec(&mutex).unwrap();
    ended_well(&start(&mill, open_others, (&bytes, &refusals)));
    assert_eq!(refusals.get(), 7);
    assert_eq!(*mutex.lock().unwrap(), 42);
}

fn an_address_that_leads_nowhere_is_refused() {
    let mill = mill();
    let _before = Counter::new(&mill, 0).unwrap();
    let mutex = Mutex::new(&mill, 41u64).unwrap();
    let refusals = Counter::new(&mill, 0).unwrap();
    let bytes = postcard::to_allocvec(&mutex).unwrap();
    ended_well(&start(&mill, open_garbage, (&bytes, &refusals)));
    assert_eq!(refusals.get(), 12);
}

fn a_worker_cannot_pass_one_on() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u64).unwrap();
    ended_well(&start(&mill, pass_on, (&mutex,)));
}

fn the_parent_cannot_receive_one() {
    let mill = mill();
    let mutex = Mutex::new(&mill, 0u64).unwrap();
    assert!(refused::<Mutex<u64>>(&postcard::to_allocvec(&mutex).unwrap()));
}

fn a_full_region_is_an_error_and_harms_nothing() {
    let mill = Mill::builder().region_size(256 << 10).arena_size(16 << 10).max_processes(4).build().unwrap();
    let first = Mutex::new(&mill, 7u64).unwrap();
    let mut made = vec![];
    let error = loop {
        match Mutex::new(&mill, [1u8; 3000]) {
            Ok(mutex) => made.push(mutex),
            Err(e) => break e,
        }
    };
    assert!(matches!(error, Error::NoRoomFor { what: "Mutex", needed: 3136, left } if left < 3136), "{error:?}");
    assert!(error.to_string().contains("region_size"));
    assert!(made.len() > 3);
    assert!(made.iter().all(|m| *m.lock().unwrap() == [1; 3000]));
    assert_eq!(*first.lock().unwrap(), 7);
    assert!(mill.queue::<u64>(100_000).is_err());
}
