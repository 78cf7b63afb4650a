//! Arguments and results of every size, up to what the region carries and beyond.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, SubmitError};

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

fn payloads_of_every_size_come_back_as_they_went() {
    let pool = two().build(echo).unwrap();
    let around = [0, 1, 100, 127, 128, 238, 239, 240, 2000, 4096, 65_536, 1 << 20];
    let sizes: Vec<usize> = around.iter().flat_map(|&n: &usize| n.saturating_sub(2)..n + 3).collect();
    let jobs: Vec<_> = sizes.iter().map(|&size| pool.submit(bytes(size)).unwrap()).collect();
    for (size, job) in sizes.into_iter().zip(jobs) {
        assert!(job.result() == Ok(bytes(size)), "{size} bytes");
    }
}

fn the_largest_argument_goes_and_one_byte_more_comes_back() {
    let pool = two().arena_size(1 << 20).build(echo).unwrap();
    let Err(SubmitError::TooLarge { argument, size, limit }) = pool.submit(bytes(4 << 20)) else { panic!("it is too large") };
    assert!(argument == bytes(4 << 20) && size > 4 << 20 && limit < 2 << 20);
    let overhead = size - (4 << 20);
    // The length's own encoding is at most a byte longer for the larger one.
    let largest = (limit - overhead..limit).rev().find(|&n| pool.submit(bytes(n)).is_ok()).unwrap();
    assert!(limit - largest <= overhead);
    assert!(matches!(pool.submit(bytes(largest + 1)), Err(SubmitError::TooLarge { .. })));
    assert_eq!(pool.submit(bytes(3)).unwrap().result(), Ok(bytes(3)));
}

fn a_result_that_is_too_large_is_told_with_sizes_and_the_pool_goes_on() {
    let pool = two().arena_size(1 << 20).build(fill).unwrap();
    match pool.submit(4 << 20).unwrap().result() {
        Err(JobError::ResultTooLarge { size, limit, .. }) => assert!(size == 4 << 20 && limit <= 2 << 20),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.submit(1000).unwrap().result().unwrap().len(), 1000);
    let results: Vec<_> = pool.map([10, 4 << 20, 20]).unwrap().chunk_size(3).collect();
    assert!(results[0].is_ok() && matches!(results[1], Err(JobError::ResultTooLarge { job: 1, .. })) && results[2].is_ok());
}

/// Results of 100 kB, several times what the arena holds: workers wait for room until somebody takes results.
fn large_results_wait_for_room() {
    let pool = two().arena_size(1 << 20).build(fill).unwrap();
    let jobs = pool.submit_many((0..80).map(|n| 100_000 + n)).unwrap();
    for (n, job) in jobs.iter().enumerate().rev() {
        assert_eq!(job.result().unwrap().len(), 100_000 + n);
    }
}

fn large_results_find_room_although_nobody_waits() {
    let pool = two().arena_size(1 << 20).build(fill).unwrap();
    let jobs = pool.submit_many((0..40).map(|_| 100_000)).unwrap();
    until(|| pool.unfinished() == 0);
    assert!(jobs.iter().all(|job| job.result().unwrap().len() == 100_000));
}

fn large_arguments_wait_for_room() {
    let pool = two().arena_size(1 << 20).build(echo).unwrap();
    let jobs = pool.submit_many((0..50).map(|n| bytes(100_000 + n))).unwrap();
    assert!(jobs.iter().enumerate().all(|(n, job)| job.result() == Ok(bytes(100_000 + n))));
}

tests![
    payloads_of_every_size_come_back_as_they_went,
    the_largest_argument_goes_and_one_byte_more_comes_back,
    a_result_that_is_too_large_is_told_with_sizes_and_the_pool_goes_on,
    large_results_wait_for_room,
    large_results_find_room_although_nobody_waits,
    large_arguments_wait_for_room,
];
