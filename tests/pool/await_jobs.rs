//! Jobs as futures, with a runtime and without.

use crate::support::*;
use crate::tasks::*;
use gristmill::{JobError, JobHandle};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The whole of a runtime.
struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

fn tokio<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn a_job_is_awaited_without_a_runtime() {
    let pool = pool();
    assert_eq!(block_on(pool.submit(Do::Value(7)).unwrap()), Ok(7));
    assert!(matches!(block_on(pool.submit(Do::Panic("7".into())).unwrap()), Err(JobError::Panicked { .. })));
    let done = pool.submit(Do::Value(8)).unwrap();
    done.result().unwrap();
    assert_eq!(block_on(done), Ok(8));
    for n in 0..500 {
        assert_eq!(block_on(pool.submit(Do::Value(n)).unwrap()), Ok(n));
    }
}

fn many_jobs_are_awaited_in_tokio() {
    let pool = pool();
    tokio(async {
        let jobs = pool.submit_many((0..3000).map(Do::Value)).unwrap();
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.await, Ok(n));
        }
        let (a, b, c) = tokio::join!(
            pool.submit(Do::Sleep(30)).unwrap(),
            pool.submit(Do::Sleep(10)).unwrap(),
            pool.submit(Do::Value(3)).unwrap()
        );
        assert_eq!((a, b, c), (Ok(30), Ok(10), Ok(3)));
    });
}

fn tasks_of_the_runtime_await_jobs_of_their_own() {
    let pool = pool();
    tokio(async {
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let first = pool.submit(Do::Value(n)).unwrap().await.unwrap();
                    pool.submit(Do::Value(first + 1)).unwrap().await
                })
            })
            .collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Ok(n + 1));
        }
    });
}

fn a_future_that_loses_a_select_is_dropped_and_its_job_runs() {
    let (pool, place) = (pool(), Place::new());
    tokio(async {
        let slow = pool.submit(place.gate("gate")).unwrap();
        tokio::select! {
            _ = slow.clone() => panic!("the gate is closed"),
            fast = pool.submit(Do::Value(2)).unwrap() => assert_eq!(fast, Ok(2)),
        }
        let late = tokio::time::timeout(Duration::from_millis(20), slow.clone()).await;
        assert!(late.is_err(), "a timeout drops the future");
        place.open("gate");
        assert_eq!(slow.await, Ok(1));
    });
}

fn a_job_is_awaited_while_another_thread_waits_for_it() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(job.result(), Ok(1)));
            scope.spawn(|| assert_eq!(block_on(job.clone()), Ok(1)));
        }
        std::thread::sleep(Duration::from_millis(20));
        place.open("gate");
    });
}

fn a_cancelled_job_wakes_who_awaits_it() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    place.until_begun("gate");
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(block_on(job.clone()), Err(JobError::Cancelled { .. }))));
        std::thread::sleep(Duration::from_millis(20));
        assert!(job.cancel());
    });
}

fn the_end_of_the_pool_wakes_who_awaits() {
    let (pool, place) = (pool(), Place::new());
    let job = pool.submit(place.gate("gate")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(block_on(job.clone()), Err(JobError::PoolEnded { .. }))));
        std::thread::sleep(Duration::from_millis(20));
        drop(pool);
    });
}

fn a_handle_can_be_sent_to_any_task() {
    fn is_sendable<T: Send + Sync + Unpin + 'static>() {}
    is_sendable::<JobHandle<u64>>();
    is_sendable::<gristmill::ProcessPool<Do, u64>>();
}

tests![
    a_job_is_awaited_without_a_runtime,
    many_jobs_are_awaited_in_tokio,
    tasks_of_the_runtime_await_jobs_of_their_own,
    a_future_that_loses_a_select_is_dropped_and_its_job_runs,
    a_job_is_awaited_while_another_thread_waits_for_it,
    a_cancelled_job_wakes_who_awaits_it,
    the_end_of_the_pool_wakes_who_awaits,
    a_handle_can_be_sent_to_any_task,
];
