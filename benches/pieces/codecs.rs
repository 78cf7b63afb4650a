//! Values to bytes and back, as pools and queues do it, and what that adds to a queue's put and get.

use bytemuck::{Pod, Zeroable};
use criterion::Criterion;
use gristmill::Mill;
use gristmill::queue::codec::{self, Codec, Postcard};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hint::black_box;

/// Two numbers: plain data, which may also be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
}

/// What is not plain: its decoding takes memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    number: u64,
    text: String,
}

/// Encoded to the end of a buffer that is kept, and decoded from it.
fn value<C: Codec<T>, T: Debug + PartialEq>(criterion: &mut Criterion, name: &str, value: &T) {
    let mut group = criterion.benchmark_group("codec");
    let mut bytes = vec![];
    group.bench_function(format!("{name}, encode"), |b| {
        b.iter(|| {
            bytes.clear();
            C::append(black_box(value), black_box(&mut bytes)).expect("encode");
        });
    });
    // The command line may have left the other entry out.
    bytes.clear();
    C::append(value, &mut bytes).expect("encode");
    assert_eq!(C::read(&bytes).as_ref(), Ok(value), "{name}");
    group.bench_function(format!("{name}, decode"), |b| b.iter(|| C::read(black_box(&bytes)).expect("decode")));
    group.finish();
}

/// The codecs by themselves, then a queue of each.
pub fn all(criterion: &mut Criterion) {
    let point = Point { x: 0.1, y: 1e300 };
    let line = Line {
        number: 1 << 40,
        text: "a line of a file, of the length that lines often have: about eighty bytes of text".into(),
    };
    value::<Postcard, _>(criterion, "u64", &7u64);
    value::<codec::Pod, _>(criterion, "two f64, plain", &point);
    value::<Postcard, _>(criterion, "two f64, record", &point);
    value::<Postcard, _>(criterion, "u64 and a string", &line);

    let mill = Mill::builder().build().expect("cannot make the region");
    let mut group = criterion.benchmark_group("one record, in and out");
    let queue = mill.pod_queue::<Point>(64).expect("no room for the queue");
    group.bench_function("two f64, plain", |b| {
        b.iter(|| {
            queue.put(black_box(point)).expect("put");
            queue.get().expect("get")
        });
    });
    let queue = mill.queue::<Point>(64).expect("no room for the queue");
    group.bench_function("two f64, record", |b| {
        b.iter(|| {
            queue.put(black_box(point)).expect("put");
            queue.get().expect("get")
        });
    });
    let queue = mill.queue::<Line>(64).expect("no room for the queue");
    let mut moved = Some(line);
    group.bench_function("u64 and a string", |b| {
        b.iter(|| {
            queue.put(moved.take().expect("it came back")).expect("put");
            moved = Some(queue.get().expect("get"));
        });
    });
    group.finish();
}
