//! A worker is killed after each instruction of what it does: woken, pop, start, run, finish, deliver, wake others, fall asleep; at an empty, a
//! half full and a full queue, with counters that pass their maximum meanwhile. Nothing is left to chance: see steps/drive.rs for which instructions
//! stand for others.
//!
//! `GRISTMILL_STEPS=all cargo test --release --test faults steps` kills after every single instruction; without the variable, after
//! each that anybody else could notice. Without `--release`, some of these are left out.

mod drive;
mod jobs;
mod look;
mod pool;
mod producer;
mod traced;

use drive::every_step;
use gristmill::{JoinableQueue, Queue, Task, WaitPolicy, tasks};
use jobs::{How, Jobs, LARGE, USUAL};
use pool::Work;
use producer::Producer;

/// Counters that start here pass their maximum while the first few jobs run.
const NEAR: u32 = u32::MAX - 1;

pub fn tasks() -> Vec<Task> {
    tasks![
        jobs::serve::<1>, jobs::serve::<LARGE>, pool::fill, pool::triple, producer::produce::<Queue<String>>,
        producer::produce::<JoinableQueue<String>>;
        initializers: pool::open_log
    ]
}

fn a_job_of_an_empty_queue() {
    every_step("a_job_of_an_empty_queue", || Jobs::<1>::new(USUAL), false);
}

fn a_job_of_an_empty_queue_while_looking_before_sleeping() {
    let how = How { wait: WaitPolicy::Adaptive, ..USUAL };
    every_step("a_job_of_an_empty_queue_while_looking_before_sleeping", || Jobs::<1>::new(how), false);
}

fn jobs_in_the_arena_of_a_half_full_queue() {
    let how = How { jobs: 2, ..USUAL };
    every_step("jobs_in_the_arena_of_a_half_full_queue", || Jobs::<LARGE>::new(how), false);
}

fn jobs_that_share_a_slot() {
    let how = How { capacity: 8, jobs: 3, together: true, ..USUAL };
    every_step("jobs_that_share_a_slot", || Jobs::<1>::new(how), false);
}

fn jobs_without_a_second_attempt() {
    let how = How { jobs: 3, retries: 0, ..USUAL };
    every_step("jobs_without_a_second_attempt", || Jobs::<1>::new(how), false);
}

fn jobs_that_share_a_slot_without_a_second_attempt() {
    let how = How { capacity: 8, jobs: 3, together: true, retries: 0, ..USUAL };
    every_step("jobs_that_share_a_slot_without_a_second_attempt", || Jobs::<1>::new(how), false);
}

fn jobs_of_a_full_queue_where_counters_wrap_around() {
    let how = How { jobs: 4, counters_from: NEAR, ..USUAL };
    every_step("jobs_of_a_full_queue_where_counters_wrap_around", || Jobs::<LARGE>::new(how), true);
}

fn jobs_whose_end_somebody_waits_for() {
    let how = How { jobs: 2, joined: true, ..USUAL };
    every_step("jobs_whose_end_somebody_waits_for", || Jobs::<1>::new(how), false);
}

/// The worker finds that somebody else has delivered for it.
fn jobs_that_the_parent_delivers_for_a_stopped_worker() {
    let how = How { jobs: 2, helped: true, ..USUAL };
    every_step("jobs_that_the_parent_delivers_for_a_stopped_worker", || Jobs::<1>::new(how), false);
}

fn one_job_of_a_pool() {
    let how = pool::How { work: Work::Bundle(1), ..pool::USUAL };
    every_step("one_job_of_a_pool", || pool::Jobs::new(how), false);
}

fn a_bundle_of_a_pool_with_a_result_in_the_arena() {
    every_step("a_bundle_of_a_pool_with_a_result_in_the_arena", || pool::Jobs::new(pool::USUAL), false);
}

fn a_bundle_of_a_pool_without_a_second_attempt() {
    let how = pool::How { retries: 0, ..pool::USUAL };
    every_step("a_bundle_of_a_pool_without_a_second_attempt", || pool::Jobs::new(how), false);
}

fn jobs_of_a_full_pool_where_counters_wrap_around() {
    let how = pool::How { work: Work::Slots, counters_from: NEAR, ..pool::USUAL };
    every_step("jobs_of_a_full_pool_where_counters_wrap_around", || pool::Jobs::new(how), true);
}

/// The worker finds that somebody else has delivered for it, and that the slots have other jobs by now.
fn jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker() {
    let how = pool::How { work: Work::Slots, helped: true, ..pool::USUAL };
    every_step("jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker", || pool::Jobs::new(how), false);
}

fn numbers_of_a_pool() {
    let how = pool::How { work: Work::Numbers, ..pool::USUAL };
    every_step("numbers_of_a_pool", || pool::Jobs::new(how), false);
}

fn numbers_of_a_pool_without_a_second_attempt() {
    let how = pool::How { work: Work::Numbers, retries: 0, ..pool::USUAL };
    every_step("numbers_of_a_pool_without_a_second_attempt", || pool::Jobs::new(how), false);
}

fn a_producer_for_an_empty_queue() {
    let how = producer::How { capacity: 8, before: 0, counters_from: 0 };
    every_step("a_producer_for_an_empty_queue", || Producer::<Queue<String>>::new(how), false);
}

fn a_producer_for_a_half_full_joinable_queue() {
    let how = producer::How { capacity: 8, before: 3, counters_from: 0 };
    every_step("a_producer_for_a_half_full_joinable_queue", || Producer::<JoinableQueue<String>>::new(how), false);
}

fn a_producer_for_a_full_queue_where_counters_wrap_around() {
    let how = producer::How { capacity: 3, before: 3, counters_from: NEAR };
    every_step("a_producer_for_a_full_queue_where_counters_wrap_around", || Producer::<Queue<String>>::new(how), true);
}

pub const TESTS: crate::Tests = &[
    ("a_job_of_an_empty_queue", a_job_of_an_empty_queue),
    ("a_job_of_an_empty_queue_while_looking_before_sleeping", a_job_of_an_empty_queue_while_looking_before_sleeping),
    ("jobs_in_the_arena_of_a_half_full_queue", jobs_in_the_arena_of_a_half_full_queue),
    ("jobs_that_share_a_slot", jobs_that_share_a_slot),
    ("jobs_without_a_second_attempt", jobs_without_a_second_attempt),
    ("jobs_that_share_a_slot_without_a_second_attempt", jobs_that_share_a_slot_without_a_second_attempt),
    ("jobs_of_a_full_queue_where_counters_wrap_around", jobs_of_a_full_queue_where_counters_wrap_around),
    ("jobs_whose_end_somebody_waits_for", jobs_whose_end_somebody_waits_for),
    ("jobs_that_the_parent_delivers_for_a_stopped_worker", jobs_that_the_parent_delivers_for_a_stopped_worker),
    ("one_job_of_a_pool", one_job_of_a_pool),
    ("a_bundle_of_a_pool_with_a_result_in_the_arena", a_bundle_of_a_pool_with_a_result_in_the_arena),
    ("a_bundle_of_a_pool_without_a_second_attempt", a_bundle_of_a_pool_without_a_second_attempt),
    ("jobs_of_a_full_pool_where_counters_wrap_around", jobs_of_a_full_pool_where_counters_wrap_around),
    (
        "jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker",
        jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker,
    ),
    ("numbers_of_a_pool", numbers_of_a_pool),
    ("numbers_of_a_pool_without_a_second_attempt", numbers_of_a_pool_without_a_second_attempt),
    ("a_producer_for_an_empty_queue", a_producer_for_an_empty_queue),
    ("a_producer_for_a_half_full_joinable_queue", a_producer_for_a_half_full_joinable_queue),
    ("a_producer_for_a_full_queue_where_counters_wrap_around", a_producer_for_a_full_queue_where_counters_wrap_around),
];
