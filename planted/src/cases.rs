//! Which test catches which bug.

use crate::planted::Bug;

/// A test: its program and its name there.
pub type Test = (&'static str, &'static str);

/// The programs.
pub const PROGRAMS: [&str; 5] = ["bundles", "engine", "faults", "lock_conformance", "pool"];

const STORM: Test = ("faults", "storm::random_kills_lose_nothing");

/// The tests of which each catches it.
pub fn caught_by(bug: Bug) -> &'static [Test] {
    match bug {
        Bug::CommitBeforePayload => &[("faults", "steps::a_producer_for_an_empty_queue")],
        Bug::OutcomeCountsEarly => &[("faults", "steps::one_job_of_a_pool"), STORM],
        Bug::NoGeneration => &[("bundles", "an_old_entry_does_not_start_the_next_bundle_of_its_slot")],
        Bug::ChargesPopped => &[("engine", "deaths::a_job_that_kills_every_worker_is_given_up_and_the_rest_completes")],
        Bug::NoCountArray => &[("faults", "steps::numbers_of_a_pool"), STORM],
        Bug::CountFallsFirst => &[("faults", "steps::jobs_whose_end_somebody_waits_for")],
        Bug::PoolCountFallsFirst => &[("faults", "steps::one_job_of_a_pool")],
        Bug::DeliveryWithoutCas => &[("faults", "steps::jobs_of_a_pool_that_the_parent_delivers_for_a_stopped_worker")],
        Bug::NoHelp => &[("pool", "bundles::jobs_behind_a_long_one_are_given_to_an_idle_worker")],
        Bug::SequenceStays => &[("bundles", "who_is_about_to_sleep_sees_that_something_was_published")],
        Bug::WakesOne => &[("engine", "many::as_many_wake_as_there_are_jobs")],
        Bug::ForgetsTurns => &[("engine", "many::as_many_wake_as_there_are_jobs")],
        Bug::ResetsSleepers => &[("faults", "steps::a_producer_for_an_empty_queue")],
        Bug::DropsWaiters => &[("lock_conformance", "futex::who_has_slept_takes_it_with_the_waiters_bit")],
        Bug::TakeoverDropsWaiters => {
            &[("lock_conformance", "futex::taken_over_from_the_dead_it_keeps_its_waiters_and_they_get_it")]
        }
        Bug::NoWakeAll => &[("engine", "deaths::a_wake_up_that_dies_with_its_receiver_is_made_good")],
        Bug::NoScan => &[("faults", "steps::jobs_of_a_full_queue_where_counters_wrap_around")],
        Bug::RecoveryAppends => &[STORM],
        Bug::FreesDone => &[("faults", "steps::one_job_of_a_pool"), STORM],
        Bug::KeepsDeadOwner => &[("engine", "deaths::killed_between_start_and_completion")],
        Bug::RunsFinishedAgain => &[("faults", "steps::a_job_of_an_empty_queue"), STORM],
        Bug::KeepsDeadBlocks => &[("bundles", "a_block_that_died_with_its_worker_is_free_for_the_next_one")],
    }
}
