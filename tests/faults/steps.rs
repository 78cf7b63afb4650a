//! A worker is killed after each instruction of what it does: woken, pop, start, run, finish, deliver, wake others, fall asleep; at an empty, a
//! half full and a full queue, with counters that pass their maximum meanwhile; while it waits for a lock, and beside a second worker. Nothing is
//! left to chance: see steps/drive.rs for which instructions stand for others.
//!
//! `GRISTMILL_STEPS=all cargo test --release --test faults steps` kills after every single instruction; without the variable, after
//! each that anybody else could notice. Without `--release`, some of these are left out.

pub mod drive;
mod everywhere;
mod jobs;
pub mod look;
mod pool;
mod producer;
pub mod second;
mod taker;
pub mod traced;
mod turnstile;
mod way;

use drive::every_step;
use gristmill::ring::slots::{JOBS, RESULTS};
use gristmill::{JoinableQueue, Queue, Task, WaitPolicy, tasks};
use jobs::{How, Jobs, LARGE, Stands, USUAL};
use look::Lock;
use pool::Work;
use producer::Producer;
use taker::Taker;

/// Counters that start here pass their maximum while the first few jobs run.
const NEAR: u32 = u32::MAX - 1;

pub fn tasks() -> Vec<Task> {
    tasks![
        jobs::serve::<1>, jobs::serve::<LARGE>, taker::pass_on::<1>, taker::pass_on::<LARGE>, pool::fill, pool::triple,
        producer::produce::<Queue<String>>, producer::produce::<JoinableQueue<String>>;
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

/// The worker wakes who waits for its result.
fn a_job_whose_result_somebody_waits_for() {
    let how = How { awaited: true, ..USUAL };
    every_step("a_job_whose_result_somebody_waits_for", || Jobs::<1>::new(how), false);
}

/// The worker finds that somebody else has delivered for it.
fn jobs_that_the_parent_delivers_for_a_stopped_worker() {
    let how = How { jobs: 2, helped: true, ..USUAL };
    every_step("jobs_that_the_parent_delivers_for_a_stopped_worker", || Jobs::<1>::new(how), false);
}

/// It comes to each lock while somebody else holds it: to take, for the result's block, to put, to deliver, to free the job's block.
fn a_job_whose_worker_waits_for_every_lock() {
    const LOCKS: &[Lock] = &[Lock::Jobs(0), Lock::Arena(RESULTS), Lock::Jobs(1), Lock::Jobs(0), Lock::Arena(JOBS)];
    let how = How { joined: true, locks: LOCKS, ..USUAL };
    every_step("a_job_whose_worker_waits_for_every_lock", || Jobs::<LARGE>::new(how), false);
}

/// Who waits with it comes after it, and must not sleep on when the wake-up has died.
fn a_job_whose_worker_waits_for_locks_with_somebody_else() {
    let how = How { locks: &[Lock::Jobs(0), Lock::Jobs(1)], beside: true, ..USUAL };
    every_step("a_job_whose_worker_waits_for_locks_with_somebody_else", || Jobs::<1>::new(how), false);
}

fn jobs_beside_a_worker_that_sleeps() {
    let how = How { jobs: 2, second: Some(Stands::Asleep), ..USUAL };
    every_step("jobs_beside_a_worker_that_sleeps", || Jobs::<1>::new(how), false);
}

/// The worker finds nothing, offers it again, and takes it.
fn a_job_that_another_worker_has_taken_and_not_begun() {
    let how = How { capacity: 8, jobs: 2, second: Some(Stands::WithJobs), ..USUAL };
    every_step("a_job_that_another_worker_has_taken_and_not_begun", || Jobs::<1>::new(how), false);
}

fn an_item_of_an_empty_plain_queue() {
    let how = taker::How { capacity: 4, items: 1, together: false, counters_from: 0 };
    every_step("an_item_of_an_empty_plain_queue", || Taker::<1>::new(how), false);
}

fn items_in_the_arena_of_a_half_full_plain_queue() {
    let how = taker::How { capacity: 4, items: 2, together: false, counters_from: 0 };
    every_step("items_in_the_arena_of_a_half_full_plain_queue", || Taker::<LARGE>::new(how), false);
}

fn items_of_a_plain_queue_that_share_a_slot() {
    let how = taker::How { capacity: 8, items: 3, together: true, counters_from: 0 };
    every_step("items_of_a_plain_queue_that_share_a_slot", || Taker::<1>::new(how), false);
}

fn items_of_a_full_plain_queue_where_counters_wrap_around() {
    let how = taker::How { capacity: 3, items: 3, together: false, counters_from: NEAR };
    every_step("items_of_a_full_plain_queue_where_counters_wrap_around", || Taker::<LARGE>::new(how), true);
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

/// It comes to each lock while somebody else holds it: to take, for the result's block, to deliver.
fn a_bundle_of_a_pool_whose_worker_waits_for_every_lock() {
    let how = pool::How { locks: &[Lock::Jobs(0), Lock::Arena(RESULTS), Lock::Results(0)], ..pool::USUAL };
    every_step("a_bundle_of_a_pool_whose_worker_waits_for_every_lock", || pool::Jobs::new(how), false);
}

fn a_job_of_a_pool_beside_a_worker_that_sleeps() {
    let how = pool::How { work: Work::Bundle(1), second: true, ..pool::USUAL };
    every_step("a_job_of_a_pool_beside_a_worker_that_sleeps", || pool::Jobs::new(how), false);
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

fn a_producer_for_a_half_full_queue() {
    let how = producer::How { capacity: 8, before: 3, counters_from: 0 };
    every_step("a_producer_for_a_half_full_queue", || Producer::<Queue<String>>::new(how), false);
}

fn a_producer_for_an_empty_joinable_queue() {
    let how = producer::How { capacity: 8, before: 0, counters_from: 0 };
    every_step("a_producer_for_an_empty_joinable_queue", || Producer::<JoinableQueue<String>>::new(how), false);
}

fn a_producer_for_a_half_full_joinable_queue() {
    let how = producer::How { capacity: 8, before: 3, counters_from: 0 };
    every_step("a_producer_for_a_half_full_joinable_queue", || Producer::<JoinableQueue<String>>::new(how), false);
}

fn a_producer_for_a_full_queue_where_counters_wrap_around() {
    let how = producer::How { capacity: 3, before: 3, counters_from: NEAR };
    every_step("a_producer_for_a_full_queue_where_counters_wrap_around", || Producer::<Queue<String>>::new(how), true);
}

fn a_producer_for_a_full_joinable_queue_where_counters_wrap_around() {
    let how = producer::How { capacity: 3, before: 3, counters_from: NEAR };
    every_step(
        "a_producer_for_a_full_joinable_queue_where_counters_wrap_around",
        || Producer::<JoinableQueue<String>>::new(how),
        true,
    );
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
    ("a_job_whose_result_somebody_waits_for", a_job_whose_result_somebody_waits_for),
    ("jobs_that_the_parent_delivers_for_a_stopped_worker", jobs_that_the_parent_delivers_for_a_stopped_worker),
    ("a_job_whose_worker_waits_for_every_lock", a_job_whose_worker_waits_for_every_lock),
    ("a_job_whose_worker_waits_for_locks_with_somebody_else", a_job_whose_worker_waits_for_locks_with_somebody_else),
    ("jobs_beside_a_worker_that_sleeps", jobs_beside_a_worker_that_sleeps),
    ("a_job_that_another_worker_has_taken_and_not_begun", a_job_that_another_worker_has_taken_and_not_begun),
    ("an_item_of_an_empty_plain_queue", an_item_of_an_empty_plain_queue),
    ("items_in_the_arena_of_a_half_full_plain_queue", items_in_the_arena_of_a_half_full_plain_queue),
    ("items_of_a_plain_queue_that_share_a_slot", items_of_a_plain_queue_that_share_a_slot),
    ("items_of_a_full_plain_queue_where_counters_wrap_around", items_of_a_full_plain_queue_where_counters_wrap_around),
    ("one_job_of_a_pool", one_job_of_a_pool),
    ("a_bundle_of_a_pool_with_a_result_in_the_arena", a_bundle_of_a_pool_with_a_result_in_the_arena),
    ("a_bundle_of_a_pool_without_a_second_attempt", a_bundle_of_a_pool_without_a_second_attempt),
    ("jobs_of_a_full_pool_where_counters_wrap_around", jobs_of_a_full_pool_where_counters_wrap_around),
    (
        "jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker",
        jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker,
    ),
    ("a_bundle_of_a_pool_whose_worker_waits_for_every_lock", a_bundle_of_a_pool_whose_worker_waits_for_every_lock),
    ("a_job_of_a_pool_beside_a_worker_that_sleeps", a_job_of_a_pool_beside_a_worker_that_sleeps),
    ("numbers_of_a_pool", numbers_of_a_pool),
    ("numbers_of_a_pool_without_a_second_attempt", numbers_of_a_pool_without_a_second_attempt),
    ("a_producer_for_an_empty_queue", a_producer_for_an_empty_queue),
    ("a_producer_for_a_half_full_queue", a_producer_for_a_half_full_queue),
    ("a_producer_for_an_empty_joinable_queue", a_producer_for_an_empty_joinable_queue),
    ("a_producer_for_a_half_full_joinable_queue", a_producer_for_a_half_full_joinable_queue),
    ("a_producer_for_a_full_queue_where_counters_wrap_around", a_producer_for_a_full_queue_where_counters_wrap_around),
    (
        "a_producer_for_a_full_joinable_queue_where_counters_wrap_around",
        a_producer_for_a_full_joinable_queue_where_counters_wrap_around,
    ),
];
