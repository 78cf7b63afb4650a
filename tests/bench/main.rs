//! The benchmark's contenders, in all kinds of shapes. Turns are forked from a process that has one thread, so this has no harness.

mod attempts;
mod families;
mod kernel;
mod turns;

use gristmill::bench::contenders;
use gristmill::bench::isolate;
use gristmill::bench::work;

fn main() {
    // In a process of the engine's this does not return.
    gristmill::init(contenders::registry());
    // A hang ends here, with a signal that is no success.
    // SAFETY: the call touches no memory.
    unsafe { libc::alarm(120) };
    // Once, as a run does it: turns inherit it.
    work::nanos_a_step();
    isolate::adopt_orphans().unwrap();
    let folder = std::env::temp_dir().join(format!("gristmill-test-{}-bench", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("TMPDIR", &folder) };

    kernel::all_payloads_arrive_in_every_shape_or_the_reason_is_told();
    kernel::a_system_v_queue_does_not_outlive_a_turn_that_is_killed_and_those_of_others_do();
    kernel::a_producer_goes_on_when_one_of_its_consumers_dies();
    families::memory_threads_and_the_engine_hand_over_everything_in_small_shapes();
    turns::a_panic_is_the_turns_failure_and_goes_no_further();
    attempts::a_slow_start_is_no_hang_and_who_hangs_has_been_killed();
    turns::who_is_ended_by_an_interruption_has_not_failed();
    turns::the_last_turn_of_a_run_is_told_as_the_last_one();
    families::the_engines_pool_has_all_jobs_worked_on_and_goes_on_when_a_worker_dies();
    families::the_engines_pool_has_started_when_all_its_workers_have();
    families::start_up_lasts_until_the_last_worker_is_ready();
    families::the_engine_goes_on_when_a_consumer_dies_and_threads_have_none_to_kill();

    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    std::fs::remove_dir(&folder).unwrap();
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap();
    assert_eq!(children, "", "processes are left");
    println!("test result: ok. 12 passed; 0 failed");
}
