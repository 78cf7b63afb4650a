//! What shared vectors and the work on their ranges promise: every item once, failures named, nothing left behind.
//!
//! The tests run one at a time: some count descriptors and mappings of this process.

mod coverage;
mod failures;
mod leaks;

use gristmill::{PoolBuilder, ProcessPool, tasks};
use libtest_mimic::{Arguments, Trial};
use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

type Pool = ProcessPool<Infallible, ()>;

fn pool(workers: usize) -> Pool {
    build(ProcessPool::builder().workers(workers))
}

fn build(builder: PoolBuilder) -> Pool {
    builder.build_for_slices().unwrap()
}

/// Runs a test; one that hangs ends the whole program as failed.
fn watched(name: &'static str, test: fn()) -> Trial {
    Trial::test(name, move || {
        let (over, is_over) = channel::<()>();
        std::thread::spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs");
                std::process::abort();
            }
        });
        test();
        drop(over);
        Ok(())
    })
}

macro_rules! trials {
    ($($module:ident: $($test:ident)*;)*) => { vec![$($(watched(stringify!($test), $module::$test),)*)*] };
}

fn main() {
    use coverage::*;
    use failures::*;
    use leaks::*;
    gristmill::init(tasks![
        add_index,
        halve,
        neighbours,
        scale,
        bytes,
        bump,
        note_size,
        die_at_mark,
        die_once,
        die_once_mapped,
        copy_slowly,
        panic_at_mark,
        write_for_ever,
        slow_or_panic,
        increment,
        copy
    ]);
    let trials = trials! {
        coverage:
            each_item_is_visited_once_in_place
            each_item_is_visited_once_from_inputs_to_outputs
            chunks_of_a_size_have_that_size
            all_inputs_are_there_for_each_chunk
            items_of_any_plain_type_and_size
            several_vectors_from_several_threads_at_once
            a_pool_of_jobs_takes_slices_too;
        failures:
            what_cannot_be_right_is_refused_before_anything_runs
            more_memory_than_there_is_is_an_error
            a_dead_worker_costs_the_chunk_that_it_had
            half_a_chunk_is_run_again_with_retries
            a_chunk_that_kills_all_its_workers_is_given_up
            outputs_are_right_however_often_workers_are_killed
            a_panic_names_its_chunk_and_the_rest_is_left
            what_was_not_begun_is_not_run_after_a_failure
            no_worker_writes_any_more_when_the_pool_was_killed
            a_chunk_over_its_time_is_ended_before_the_call_returns
            a_pool_that_was_shut_down_says_so;
        leaks:
            a_vector_under_a_used_descriptor_is_not_the_one_before
            nothing_is_left_of_many_vectors
            memory_is_free_at_the_drop_though_workers_have_it_mapped
            inputs_are_mapped_for_reading_only_and_not_for_children
            a_forked_child_that_drops_a_vector_leaves_it_whole;
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}
