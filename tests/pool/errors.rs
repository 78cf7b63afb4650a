//! What goes wrong in a job comes back as its outcome.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, SubmitError};

fn a_panic_comes_with_its_message_and_place() {
    let pool = pool();
    match pool.submit(Do::Panic("it is\nover".into())).unwrap().result() {
        Err(JobError::Panicked { job: 0, message, place }) => {
            assert_eq!(message, "it is\nover");
            let parts: Vec<_> = place.split(':').collect();
            assert!(parts[0].ends_with("tasks.rs") && parts[1..].iter().all(|n| n.parse::<u32>().is_ok()), "{place}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.stats().worker_deaths, 0, "its worker goes on");
}

fn a_task_s_own_error_keeps_its_type() {
    let pool = two().build_fallible(parse).unwrap();
    assert_eq!(pool.submit("12".into()).unwrap().result(), Ok(12));
    let error = pool.submit("twelve".into()).unwrap().result().unwrap_err();
    assert_eq!(error, JobError::Task { job: 1, error: NoNumber { text: "twelve".into() } });
    let results: Vec<_> = pool.map(["1", "x", "3"].map(String::from)).unwrap().collect();
    assert_eq!(results[1], Err(JobError::Task { job: 1, error: NoNumber { text: "x".into() } }));
    assert_eq!((&results[0], &results[2]), (&Ok(1), &Ok(3)));
    assert_eq!(pool.stats().worker_deaths, 0);
}

fn a_pool_of_results_gives_them_as_they_are() {
    let pool = two().build(parse).unwrap();
    assert_eq!(pool.submit("x".into()).unwrap().result(), Ok(Err(NoNumber { text: "x".into() })));
}

fn an_argument_that_the_worker_cannot_decode_is_told() {
    let pool = two().build(picky).unwrap();
    assert_eq!(pool.submit(Picky(4)).unwrap().result(), Ok(4));
    match pool.submit(Picky(5)).unwrap().result() {
        Err(JobError::Argument { job: 1, why }) => assert!(!why.is_empty()),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.submit(Picky(6)).unwrap().result(), Ok(6));
}

fn an_argument_that_cannot_be_encoded_comes_back() {
    let pool = two().build(picky).unwrap();
    match pool.submit(Picky(13)) {
        Err(SubmitError::Encode { argument, why }) => assert!(argument == Picky(13) && !why.is_empty()),
        other => panic!("{other:?}"),
    }
}

fn a_result_that_cannot_be_encoded_is_told() {
    let pool = two().build(lost).unwrap();
    match pool.submit(13).unwrap().result() {
        Err(JobError::Unencodable { job: 0, why }) => assert!(!why.is_empty()),
        other => panic!("{other:?}"),
    }
    match pool.submit(15).unwrap().result() {
        Err(JobError::Panicked { message, .. }) => assert_eq!(message, "15 is written"),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.submit(2).unwrap().result(), Ok(Picky(2)));
}

fn a_result_that_cannot_be_decoded_here_is_told() {
    let pool = two().build(lost).unwrap();
    match pool.submit(3).unwrap().result() {
        Err(JobError::Result { job: 0, why }) => assert!(!why.is_empty()),
        other => panic!("{other:?}"),
    }
    assert!(pool.submit(3).unwrap().exception().is_some());
    assert_eq!(pool.map(0..4).unwrap().filter(|r| r.is_err()).count(), 2);
}

fn every_error_is_one_line_that_names_the_job() {
    let pool = pool();
    for what in [Do::Panic("no".into()), Do::Die(Death::Abort), Do::Die(Death::Exit(9))] {
        let job = pool.submit(what).unwrap();
        let text = job.result().unwrap_err().to_string();
        assert!(text.starts_with(&format!("job {}: ", job.index())) && !text.contains('\n'), "{text}");
    }
}

tests![
    a_panic_comes_with_its_message_and_place,
    a_task_s_own_error_keeps_its_type,
    a_pool_of_results_gives_them_as_they_are,
    an_argument_that_the_worker_cannot_decode_is_told,
    an_argument_that_cannot_be_encoded_comes_back,
    a_result_that_cannot_be_encoded_is_told,
    a_result_that_cannot_be_decoded_here_is_told,
    every_error_is_one_line_that_names_the_job,
];
