//! Both kinds of queue within one process: order, waiting and not waiting, counting, types.

use crate::harness::list;
use gristmill::{GetError, Mill, PutError, Queue};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

list! {
    items_come_out_in_their_order_each_once
    a_full_queue_says_so_and_gives_the_item_back
    a_full_joinable_queue_counts_jobs_that_run
    an_empty_queue_says_so
    put_many_tells_what_it_has_put_when_it_fails
    every_serde_type_comes_back_equal
    plain_data_comes_back_equal
    sizes_are_told_exactly
}

const SHORT: Duration = Duration::from_millis(30);

fn items_come_out_in_their_order_each_once() {
    let mill = Mill::builder().build().unwrap();
    let queue = mill.queue::<u32>(7).unwrap();
    let (mut put, mut got) = (0, 0);
    for round in 0..1000 {
        while queue.try_put(put).is_ok() {
            put += 1;
        }
        for _ in 0..round % 8 {
            if let Ok(item) = queue.try_get() {
                assert_eq!(item, got);
                got += 1;
            }
        }
    }
    assert_eq!(queue.drain().unwrap(), (got..put).collect::<Vec<_>>());
    assert!(put > 3000);
}

fn a_full_queue_says_so_and_gives_the_item_back() {
    let mill = Mill::builder().build().unwrap();
    let queue = mill.queue::<String>(2).unwrap();
    queue.put("a".into()).unwrap();
    queue.put("b".into()).unwrap();
    assert!(queue.full());
    match queue.try_put("c".into()) {
        Err(PutError::Full(item)) => assert_eq!(item, "c"),
        other => panic!("{other:?}"),
    }
    let start = Instant::now();
    match queue.put_timeout("d".into(), SHORT) {
        Err(PutError::TimedOut(item)) => assert_eq!(item, "d"),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() >= SHORT, "came back too early");
    assert_eq!(queue.put_timeout("e".into(), Duration::ZERO).unwrap_err().into_item(), "e");
    // A put that waits goes on as soon as there is room.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.put("f".into()));
        std::thread::sleep(SHORT);
        assert_eq!(queue.get().unwrap(), "a");
        waits.join().unwrap().unwrap();
    });
    assert_eq!(queue.drain().unwrap(), ["b", "f"]);
    assert!(!queue.full());
}

fn a_full_joinable_queue_counts_jobs_that_run() {
    let mill = Mill::builder().build().unwrap();
    let jobs = mill.joinable_queue::<u8>(2).unwrap();
    jobs.put(1).unwrap();
    jobs.put(2).unwrap();
    let running = jobs.get().unwrap();
    assert!(jobs.full(), "a job that runs keeps its place");
    assert!(matches!(jobs.try_put(3), Err(PutError::Full(3))));
    assert_eq!((jobs.qsize(), jobs.pending()), (1, 2));
    running.task_done();
    jobs.try_put(3).unwrap();
    for expected in [2, 3] {
        let job = jobs.try_get().unwrap();
        assert_eq!(*job, expected);
        job.task_done();
    }
    jobs.join().unwrap();
    assert_eq!(jobs.pending(), 0);
}

fn an_empty_queue_says_so() {
    let mill = Mill::builder().build().unwrap();
    let queue = mill.queue::<u8>(2).unwrap();
    let jobs = mill.joinable_queue::<u8>(2).unwrap();
    assert!(queue.empty() && jobs.empty());
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(jobs.try_get(), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(SHORT), Err(GetError::TimedOut)));
    assert!(matches!(jobs.get_timeout(SHORT), Err(GetError::TimedOut)));
    assert!(start.elapsed() >= 2 * SHORT, "came back too early");
    assert!(queue.drain().unwrap().is_empty());
    // A get that waits has an item as soon as there is one.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.get());
        let waits_too = scope.spawn(|| jobs.get_timeout(Duration::MAX).map(|job| (*job, job.task_done())));
        std::thread::sleep(SHORT);
        queue.put(7).unwrap();
        jobs.put(8).unwrap();
        assert_eq!(waits.join().unwrap().unwrap(), 7);
        assert_eq!(waits_too.join().unwrap().unwrap().0, 8);
    });
    jobs.join().unwrap();
}

fn put_many_tells_what_it_has_put_when_it_fails() {
    let mill = Mill::builder().arena_size(4096).build().unwrap();
    let queue = mill.queue::<Vec<u8>>(500).unwrap();
    let mut items = (0..300).map(|n| if n == 200 { vec![0; 10_000] } else { vec![n as u8; n % 40] });
    let failed = queue.put_many(&mut items).unwrap_err();
    assert!(matches!(failed.why, PutError::TooLarge { .. }), "{failed}");
    assert!(failed.items.iter().any(|i| i.len() == 10_000), "the item at fault comes back");
    let rest = items.count();
    let got = queue.drain().unwrap();
    assert_eq!(got.len(), failed.put);
    assert_eq!(failed.put + failed.items.len() + rest, 300, "{failed}");
    for (n, item) in got.into_iter().enumerate() {
        assert_eq!(item, vec![n as u8; n % 40]);
    }

    let numbers = mill.pod_joinable_queue::<u64>(500).unwrap();
    numbers.close();
    let mut items = 1..=3;
    let failed = numbers.put_many(&mut items).unwrap_err();
    assert_eq!((failed.put, failed.why.to_string()), (0, "the queue is closed".into()));
    let back: Vec<u64> = failed.items.into_iter().chain(items).collect();
    assert_eq!(back, [1, 2, 3], "what was drawn comes back, the rest was not drawn");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Line(i64, f64),
    Text { words: Vec<String>, more: Option<Box<Shape>> },
}

fn roundtrip<T: Serialize + serde::de::DeserializeOwned + 'static + Clone + PartialEq + std::fmt::Debug>(
    mill: &Mill,
    items: Vec<T>,
) {
    let queue: Queue<T> = mill.queue(100).unwrap();
    for item in &items {
        queue.put(item.clone()).unwrap();
    }
    assert_eq!(queue.drain().unwrap(), items);
    assert_eq!(queue.put_many(items.clone()).unwrap(), items.len());
    assert_eq!(queue.get_many(100).unwrap(), items);
    let jobs = mill.joinable_queue::<T>(100).unwrap();
    jobs.put_many(items.clone()).unwrap();
    let taken = jobs.get_many(100).unwrap();
    assert_eq!(taken[..], items);
    taken.task_done();
    jobs.join().unwrap();
}

fn every_serde_type_comes_back_equal() {
    let mill = Mill::builder().build().unwrap();
    roundtrip(&mill, vec![(), (), ()]);
    roundtrip(&mill, vec![true, false]);
    roundtrip(&mill, vec![u64::MAX, 0, 1 << 40]);
    roundtrip(&mill, vec![i128::MIN, -1, i128::MAX]);
    roundtrip(&mill, vec![f64::INFINITY, -0.0, f64::MIN_POSITIVE]);
    roundtrip(&mill, vec!['ß', '\u{10FFFF}', '\0']);
    roundtrip(&mill, vec![String::new(), "ß".repeat(3000), "x".into()]);
    roundtrip(&mill, vec![None, Some(vec![1u8; 5000]), Some(vec![])]);
    let deep = (0..50).fold(Shape::Dot, |inner, n| Shape::Text { words: vec!["w".repeat(n)], more: Some(Box::new(inner)) });
    roundtrip(&mill, vec![Shape::Dot, Shape::Line(-5, 0.1), deep]);
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Point {
    x: f64,
    id: u32,
    weight: [f32; 3],
}

// SAFETY: all zeroes is a value of each field.
unsafe impl bytemuck::Zeroable for Point {}
// SAFETY: numbers only, in C's order, 8 + 4 + 12 bytes without padding; any bytes are a value.
unsafe impl bytemuck::Pod for Point {}

fn plain_data_comes_back_equal() {
    let mill = Mill::builder().build().unwrap();
    let point = |n: u32| Point { x: f64::from(n).sqrt(), id: n, weight: [n as f32; 3] };
    let queue = mill.pod_queue::<Point>(1000).unwrap();
    for n in 0..10 {
        queue.put(point(n)).unwrap();
    }
    queue.put_many((10..900).map(point)).unwrap();
    assert_eq!(queue.drain().unwrap(), (0..900).map(point).collect::<Vec<_>>());

    // Larger than any slot: through the arena.
    let large = mill.pod_joinable_queue::<[u64; 1024]>(3).unwrap();
    large.put_many([[1; 1024], [2; 1024]]).unwrap();
    for n in [1, 2] {
        let job = large.get().unwrap();
        assert_eq!(*job, [n; 1024]);
        job.task_done();
    }
    large.join().unwrap();

    let nothing = mill.pod_queue::<[u8; 0]>(10).unwrap();
    nothing.put([]).unwrap();
    nothing.put_many([[], [], []]).unwrap();
    assert_eq!(nothing.drain().unwrap().len(), 4);
}

fn sizes_are_told_exactly() {
    let mill = Mill::builder().build().unwrap();
    let queue = mill.queue::<u64>(100).unwrap();
    assert_eq!((queue.capacity(), queue.qsize()), (100, 0));
    queue.put_many(0..70).unwrap();
    assert_eq!((queue.qsize(), queue.empty(), queue.full()), (70, false, false));
    for n in 0..5 {
        assert_eq!(queue.get().unwrap(), n);
    }
    assert_eq!(queue.qsize(), 65);
    queue.put_many(70..105).unwrap();
    assert_eq!((queue.qsize(), queue.full()), (100, true));
    assert_eq!(queue.get_many(99).unwrap().len(), 99);
    assert_eq!((queue.qsize(), queue.empty()), (1, false));
    assert_eq!(queue.get().unwrap(), 104);
    assert!(queue.empty());
}
