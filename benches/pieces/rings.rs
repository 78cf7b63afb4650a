//! A queue whose both ends are one thread's: what its operations cost when nothing has to be waited for.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use gristmill::{GetError, Mill, PutError};
use std::hint::black_box;
use std::sync::mpsc::{self, TryRecvError, TrySendError};

/// Items that a queue has room for.
const CAPACITY: usize = 1024;

/// Items of one `put_many` or `get_many`.
const MANY: usize = 64;

const PAGE: usize = 4096;

/// All groups.
pub fn all(criterion: &mut Criterion) {
    let mill = Mill::builder().region_size(32 << 20).arena_size(8 << 20).build().expect("cannot make the region");
    singles(&mut criterion.benchmark_group("one item of 8 bytes, in and out"), &mill);
    batches(&mut criterion.benchmark_group("64 items of 8 bytes, in and out"), &mill);
    pages(&mut criterion.benchmark_group("4 KiB, in and out"), &mill);
    refusals(&mut criterion.benchmark_group("refused"), &mill);
}

fn singles(group: &mut BenchmarkGroup<'_, WallTime>, mill: &Mill) {
    group.throughput(Throughput::Elements(1));
    let queue = mill.pod_queue::<u64>(CAPACITY).expect("no room for the queue");
    group.bench_function("PodQueue", |b| {
        b.iter(|| {
            queue.put(black_box(7)).expect("put");
            queue.get().expect("get")
        });
    });
    let queue = mill.pod_joinable_queue::<u64>(CAPACITY).expect("no room for the queue");
    group.bench_function("PodJoinableQueue, with task_done", |b| {
        b.iter(|| {
            queue.put(black_box(7)).expect("put");
            let job = queue.get().expect("get");
            let value = *job;
            job.task_done();
            value
        });
    });
    let (sender, receiver) = mpsc::sync_channel::<u64>(CAPACITY);
    group.bench_function("std::sync::mpsc::sync_channel", |b| {
        b.iter(|| {
            sender.send(black_box(7)).expect("send");
            receiver.recv().expect("receive")
        });
    });
}

fn batches(group: &mut BenchmarkGroup<'_, WallTime>, mill: &Mill) {
    group.throughput(Throughput::Elements(MANY as u64));
    let items = [7u64; MANY];
    // A call may give less than it was asked for.
    let queue = mill.pod_queue::<u64>(CAPACITY).expect("no room for the queue");
    group.bench_function("PodQueue", |b| {
        b.iter(|| {
            queue.put_many(black_box(items)).expect("put");
            let mut left = MANY;
            while left > 0 {
                left -= black_box(queue.get_many(left).expect("get")).len();
            }
        });
    });
    let queue = mill.pod_joinable_queue::<u64>(CAPACITY).expect("no room for the queue");
    group.bench_function("PodJoinableQueue, with task_done", |b| {
        b.iter(|| {
            queue.put_many(black_box(items)).expect("put");
            let mut left = MANY;
            while left > 0 {
                let jobs = black_box(queue.get_many(left).expect("get"));
                left -= jobs.len();
                jobs.task_done();
            }
        });
    });
    let (sender, receiver) = mpsc::sync_channel::<u64>(CAPACITY);
    group.bench_function("std::sync::mpsc::sync_channel, one by one", |b| {
        b.iter(|| {
            black_box(items).into_iter().for_each(|item| sender.send(item).expect("send"));
            receiver.iter().take(MANY).map(black_box).for_each(drop);
        });
    });
}

/// Payloads that stand in the arena, for they are larger than a slot.
fn pages(group: &mut BenchmarkGroup<'_, WallTime>, mill: &Mill) {
    group.throughput(Throughput::Bytes(PAGE as u64));
    let page = [7u8; PAGE];
    let queue = mill.pod_queue::<[u8; PAGE]>(CAPACITY).expect("no room for the queue");
    group.bench_function("PodQueue", |b| {
        b.iter(|| {
            queue.put(black_box(page)).expect("put");
            queue.get().expect("get")
        });
    });
    let (sender, receiver) = mpsc::sync_channel::<[u8; PAGE]>(CAPACITY);
    group.bench_function("std::sync::mpsc::sync_channel", |b| {
        b.iter(|| {
            sender.send(black_box(page)).expect("send");
            receiver.recv().expect("receive")
        });
    });
}

/// What a caller pays who does not want to wait, and would have to.
fn refusals(group: &mut BenchmarkGroup<'_, WallTime>, mill: &Mill) {
    let queue = mill.pod_queue::<u64>(MANY).expect("no room for the queue");
    let (sender, receiver) = mpsc::sync_channel::<u64>(MANY);
    group.bench_function("try_get, empty", |b| b.iter(|| assert!(matches!(queue.try_get(), Err(GetError::Empty)))));
    group.bench_function("std's try_recv, empty", |b| b.iter(|| assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty))));
    for item in 0..MANY as u64 {
        queue.try_put(item).expect("there is room");
        sender.try_send(item).expect("there is room");
    }
    group
        .bench_function("try_put, full", |b| b.iter(|| assert!(matches!(queue.try_put(black_box(7)), Err(PutError::Full(_))))));
    let full = TrySendError::Full(7);
    group.bench_function("std's try_send, full", |b| b.iter(|| assert_eq!(sender.try_send(black_box(7)), Err(full))));
}
