//! A pool, measured as a program's own benchmarks would: workers are this benchmark, executed again. `cargo bench --bench pool`. Beside its
//! rivals it runs in `rivals/`.
#![allow(missing_docs)] // criterion's macros make items without any.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gristmill::ProcessPool;

fn square(n: u64) -> u64 {
    n.wrapping_mul(n)
}

gristmill::init_before_main!(square);

const JOBS: u64 = 10_000;

fn pool(criterion: &mut Criterion) {
    let pool = ProcessPool::builder().workers(2).build(square).unwrap();
    let expected = (0..JOBS).map(square).sum::<u64>();
    let mut group = criterion.benchmark_group("jobs of 8 bytes");
    group.throughput(Throughput::Elements(JOBS));
    group.bench_function("submit, then result", |bencher| {
        bencher.iter(|| {
            let jobs = pool.submit_many(0..JOBS).unwrap();
            assert_eq!(jobs.iter().map(|job| job.result().unwrap()).sum::<u64>(), expected);
        });
    });
    group.bench_function("map", |bencher| {
        bencher.iter(|| assert_eq!(pool.map(0..JOBS).unwrap().map(|value| value.unwrap()).sum::<u64>(), expected));
    });
    group.finish();
}

criterion_group!(benches, pool);
criterion_main!(benches);
