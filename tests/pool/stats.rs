//! `stats()` and `explain()`.

use crate::support::*;
use crate::tasks::*;

fn counts_add_up() {
    let pool = pool();
    assert_eq!(pool.stats().explain().to_string(), "no jobs yet");
    let jobs = pool.submit_many((0..500).map(|n| if n % 50 == 7 { Do::Panic("x".into()) } else { Do::Value(n) })).unwrap();
    jobs.iter().for_each(|job| drop(job.result()));
    let stats = pool.stats();
    assert_eq!((stats.submitted, stats.completed, stats.failed, stats.unfinished), (500, 500, 10, 0));
    assert_eq!((stats.retried, stats.worker_deaths), (0, 0));
    assert!(stats.bundles > 0 && stats.bundles <= 500);
    // The last bundle's count may be written after its outcomes are seen.
    until(|| pool.stats().workers.iter().map(|w| w.jobs).sum::<u64>() == 500);
    until(|| pool.stats().workers.len() == 2);
    assert!(pool.stats().workers.iter().all(|w| pool.worker_pids().contains(&w.pid) && w.lock_wait <= w.busy));
}

fn jobs_of_a_map_count_one_by_one() {
    let pool = pool();
    assert_eq!(pool.map((0..1000).map(Do::Value)).unwrap().chunk_size(10).count(), 1000);
    let stats = pool.stats();
    assert_eq!((stats.submitted, stats.completed, stats.bundles), (1000, 100, 100));
}

fn unfinished_jobs_are_told() {
    let (pool, place) = (pool(), Place::new());
    let jobs: Vec<_> = (0..5).map(|_| pool.submit(place.gate("gate")).unwrap()).collect();
    assert_eq!((pool.unfinished(), pool.stats().unfinished), (5, 5));
    assert_eq!(format!("{pool:?}"), "ProcessPool(2 workers, 5 jobs unfinished)");
    assert!(format!("{:?}", jobs[0]).contains("not done"));
    place.open("gate");
    jobs.iter().for_each(|job| drop(job.result()));
    assert_eq!(pool.stats().unfinished, 0);
}

fn deaths_and_runs_are_told_in_words_and_stay_known_after_the_end() {
    let pool = build(two().retries(1));
    assert!(pool.submit(Do::Die(Death::Abort)).unwrap().result().is_err());
    let stats = pool.stats();
    assert_eq!((stats.worker_deaths, stats.retried, stats.failed), (2, 1, 1));
    assert!(stats.explain().to_string().contains("2 workers died, 1 jobs were run again"), "{}", stats.explain());
    pool.shutdown(true, false);
    let stats = pool.stats();
    assert_eq!((stats.worker_deaths, stats.retried, stats.failed), (2, 1, 1), "an end is no death");
}

/// Jobs that take no time, one by one and each waited for: more is spent on handing them over than on them.
fn tiny_jobs_are_told_to_be_batched() {
    let pool = two().build(square).unwrap();
    let mut jobs = 0;
    // On a busy machine it takes longer until they are known to be short.
    until(|| {
        (0..1000).for_each(|n| assert_eq!(pool.submit(n).unwrap().result(), Ok(n * n)));
        jobs += 1000;
        let text = pool.stats().explain().to_string();
        assert!(text.starts_with(&format!("{jobs} jobs of ")), "{text}");
        text.contains("batch at least") && text.contains("or use map")
    });
}

tests![
    counts_add_up,
    jobs_of_a_map_count_one_by_one,
    unfinished_jobs_are_told,
    deaths_and_runs_are_told_in_words_and_stay_known_after_the_end,
    tiny_jobs_are_told_to_be_batched,
];
