//! `add_done_callback`.

use crate::support::*;
use crate::tasks::*;
use gristmill::ProcessPool;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

fn a_callback_is_called_with_its_job_although_nobody_waits() {
    let pool = pool();
    let (told, ends) = channel();
    pool.submit(Do::Value(9)).unwrap().add_done_callback(move |job| told.send((job.done(), job.result())).unwrap());
    assert_eq!(ends.recv().unwrap(), (true, Ok(9)));
    let (told, ends) = channel();
    pool.submit(Do::Panic("9".into())).unwrap().add_done_callback(move |job| told.send(job.exception()).unwrap());
    assert!(ends.recv().unwrap().unwrap().to_string().contains("panicked"));
}

fn callbacks_run_in_the_order_in_which_they_were_added() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    let (told, ends) = channel();
    for n in 0..10 {
        let told = told.clone();
        job.add_done_callback(move |_| told.send(n).unwrap());
    }
    drop(told);
    place.open("gate");
    assert!(ends.iter().eq(0..10));
}

fn a_callback_of_a_job_that_is_done_runs_at_once_in_this_thread() {
    let pool = pool();
    let job = pool.submit(Do::Value(1)).unwrap();
    job.result().unwrap();
    let (told, ends) = channel();
    job.add_done_callback(move |_| told.send(std::thread::current().id()).unwrap());
    assert_eq!(ends.try_recv(), Ok(std::thread::current().id()));
}

fn a_callback_that_panics_stops_no_other_and_no_pool() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    let (told, ends) = channel();
    let after = told.clone();
    job.add_done_callback(move |_| told.send("before").unwrap());
    job.add_done_callback(|_| panic!("on purpose, in a callback"));
    job.add_done_callback(move |_| after.send("after").unwrap());
    place.open("gate");
    assert_eq!(job.result(), Ok(1));
    assert!(ends.iter().eq(["before", "after"]));
    job.add_done_callback(|_| panic!("on purpose, in a callback of a job that is done"));
    assert_eq!(pool.submit(Do::Value(2)).unwrap().result(), Ok(2));
}

fn a_callback_is_called_for_a_cancelled_job() {
    let (pool, place) = (build(ProcessPool::builder().workers(1)), Place::new());
    let blocker = pool.submit(place.gate("gate")).unwrap();
    let job = pool.submit(Do::Value(1)).unwrap();
    let (told, ends) = channel();
    job.add_done_callback(move |job| told.send(job.cancelled()).unwrap());
    assert!(job.cancel());
    assert_eq!(ends.recv(), Ok(true));
    place.open("gate");
    blocker.result().unwrap();
}

fn a_callback_may_submit_wait_and_add_callbacks() {
    let pool = pool();
    let (told, ends) = channel();
    let again = pool.clone();
    pool.submit(Do::Value(1)).unwrap().add_done_callback(move |_| {
        let second = again.submit(Do::Value(2)).unwrap();
        let value = second.result();
        second.add_done_callback(move |_| told.send(value).unwrap());
    });
    assert_eq!(ends.recv(), Ok(Ok(2)));
}

fn a_callback_may_drop_the_last_handle_of_the_pool() {
    let pool = pool();
    let (told, ends) = channel();
    let job = pool.submit(Do::Sleep(20)).unwrap();
    let last = Mutex::new(Some(pool));
    job.add_done_callback(move |_| {
        drop(last.lock().unwrap().take());
        told.send(()).unwrap();
    });
    ends.recv().unwrap();
    assert_eq!(job.result(), Ok(20));
}

fn callbacks_of_thousands_of_jobs_are_each_called_once() {
    let pool = pool();
    let seen = Arc::new(Mutex::new(vec![0u32; 5000]));
    for n in 0..5000 {
        let seen = seen.clone();
        pool.submit(Do::Value(n)).unwrap().add_done_callback(move |job| {
            seen.lock().unwrap()[job.result().unwrap() as usize] += 1;
        });
    }
    until(|| seen.lock().unwrap().iter().all(|&n| n > 0));
    assert!(seen.lock().unwrap().iter().all(|&n| n == 1));
}

tests![
    a_callback_is_called_with_its_job_although_nobody_waits,
    callbacks_run_in_the_order_in_which_they_were_added,
    a_callback_of_a_job_that_is_done_runs_at_once_in_this_thread,
    a_callback_that_panics_stops_no_other_and_no_pool,
    a_callback_is_called_for_a_cancelled_job,
    a_callback_may_submit_wait_and_add_callbacks,
    a_callback_may_drop_the_last_handle_of_the_pool,
    callbacks_of_thousands_of_jobs_are_each_called_once,
];
