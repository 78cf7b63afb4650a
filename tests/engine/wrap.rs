//! Every counter of the region passes its maximum while jobs run, workers die and the arena is used.

use crate::harness::{list, wait_for};
use crate::system::kill;
use crate::view::View;
use crate::workers::{check_results, echo_jobs, one_of, square};
use gristmill::Mill;
use std::sync::atomic::Ordering::*;

list! {
    every_counter_wraps_around_while_jobs_run_and_workers_die
    counters_wrap_around_with_the_arena_in_use
    order_is_kept_where_tickets_wrap_around
}

const START: u32 = u32::MAX - 40;

fn every_counter_wraps_around_while_jobs_run_and_workers_die() {
    let mill = Mill::builder().counters_from(START).retries(1000).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(8).unwrap();
    let results = mill.queue::<(u64, u64)>(8).unwrap();
    let view = View::new();
    let counters = || {
        let of = |k: usize| {
            let d = view.channel(k).desc();
            [&d.job_head, &d.job_tail, &d.jobs.sequence, &d.free.sequence, &d.job_lock.acquisitions].map(|c| c.load(SeqCst))
        };
        let generations = (0..8).map(|slot| view.channel(0).word(slot).generation());
        [of(0), of(1)].concat().into_iter().chain(generations).collect::<Vec<u32>>()
    };
    assert!(counters().into_iter().all(|c| c >= START), "started near the maximum: {:?}", counters());
    let ticket = |k: usize| view.channel(k).desc().ticket.load(SeqCst);
    assert_eq!(ticket(0), u64::from(START) << 32 | u64::from(START));
    let daemons = mill.spawn_daemons(2, square, (&jobs, &results)).unwrap();
    let mut got = vec![];
    for n in 0..3000 {
        jobs.put(n).unwrap();
        if n % 300 == 150 {
            let before = daemons.deaths();
            kill(one_of(&daemons), libc::SIGKILL);
            wait_for(|| daemons.deaths() == before + 1);
        }
        if n % 50 == 0 {
            got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
        }
    }
    jobs.join().unwrap();
    got.extend(results.drain().unwrap().into_iter().map(|r| r.0));
    check_results(got, 3000, |_| true);
    assert!(counters().into_iter().all(|c| c < START), "all have passed their maximum: {:?}", counters());
    assert_eq!(mill.stats().deaths, 10);
    assert_eq!(jobs.pending(), 0);
}

fn counters_wrap_around_with_the_arena_in_use() {
    let mill = Mill::builder().counters_from(START).arena_size(64 << 10).retries(1000).build().unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(4).unwrap();
    let results = mill.queue::<Vec<u8>>(4).unwrap();
    let view = View::new();
    let daemons = mill.spawn_daemons(2, echo_jobs, (&jobs, &results)).unwrap();
    let rooms = || [0, 1].map(|k| view.region.arena(k).room().sequence.load(SeqCst));
    assert!(rooms().into_iter().all(|c| c >= START), "started near the maximum: {:?}", rooms());
    let mut got = 0;
    for n in 0..600u32 {
        jobs.put(vec![n as u8; 10_000 + n as usize]).unwrap();
        if n % 100 == 50 {
            kill(one_of(&daemons), libc::SIGKILL);
        }
        if n % 20 == 0 {
            got += results.drain().unwrap().into_iter().map(|r| assert!(r.iter().all(|b| *b == r[0]))).count();
        }
    }
    jobs.join().unwrap();
    got += results.drain().unwrap().len();
    assert!(got >= 600, "{got}");
    assert!((0..4).all(|slot| view.channel(0).word(slot).generation() < START), "all slots have passed their maximum");
    assert!(rooms().into_iter().all(|c| c < START), "both arenas have passed their maximum: {:?}", rooms());
    jobs.put(vec![1; (64 << 10) - 3]).unwrap();
    assert_eq!(results.get().unwrap().len(), (64 << 10) - 3);
}

/// A recovery sorts what is left by ticket, and some of the tickets are small again.
fn order_is_kept_where_tickets_wrap_around() {
    let mill = Mill::builder().counters_from(u32::MAX).build().unwrap();
    let jobs = mill.joinable_queue::<u64>(64).unwrap();
    let view = View::new();
    // The ticket is at its maximum in both halves.
    assert_eq!(view.channel(0).desc().ticket.load(SeqCst), u64::MAX);
    (0..40).for_each(|n| jobs.put(n).unwrap());
    let holder = mill.spawn_daemons(1, crate::deaths::hold, (&jobs,)).unwrap();
    wait_for(|| jobs.unfinished().running.len() == 1);
    jobs.close();
    kill(holder.pids()[0], libc::SIGKILL);
    wait_for(|| mill.stats().run_again == 1);
    let order: Vec<u64> = std::iter::from_fn(|| {
        let job = jobs.try_get().ok()?;
        let n = *job;
        job.task_done();
        Some(n)
    })
    .collect();
    // The replacement has taken one meanwhile, and holds it, or will when it has started.
    assert!(order.len() >= 39 && order.is_sorted(), "{order:?}");
}
