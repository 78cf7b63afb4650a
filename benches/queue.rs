//! How fast jobs of 8 bytes go out to worker processes and their results of 8 bytes come back.
//!
//! Everything is measured in one run, so that the ratios hold on any machine; the rival over pipes is in `pipe`, gristmill in `ring`.
//!
//! `gristmill bench` measures all else between processes; this stays because the README's table of queues is made by it.

mod pipe;
mod ring;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use pipe::PipePool;
use ring::{Calls, RingPool};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Jobs in one measured pass: enough to hide the start of the feeding thread, few enough for many passes.
const JOBS: usize = 100_000;

/// Numbers whose squares differ in all bits, so that a lost or doubled result changes the sum.
fn jobs() -> Vec<u64> {
    (1..=JOBS as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

/// One entry of the throughput group: passes over all jobs, each of which must give the right sum.
fn entry(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    workers: usize,
    mut pass: impl FnMut() -> u64,
    cpu: impl Fn() -> Duration,
) {
    let jobs = jobs();
    let expected = jobs.iter().fold(0u64, |sum, job| sum.wrapping_add(job.wrapping_mul(*job)));
    let mut per_job = CpuPerJob::default();
    group.bench_function(BenchmarkId::new(name, workers), |b| {
        b.iter_custom(|passes| {
            let (cpu_before, start) = (cpu(), Instant::now());
            for _ in 0..passes {
                assert_eq!(pass(), expected, "{name}: a result was lost, doubled or wrong");
            }
            let elapsed = start.elapsed();
            per_job.add(passes * JOBS as u64, cpu() - cpu_before);
            elapsed
        });
    });
    per_job.print(&format!("{name}/{workers}"));
}

/// Many jobs under way at once: what a pool can carry.
fn throughput(c: &mut Criterion) {
    let jobs = jobs();
    let mut group = c.benchmark_group("jobs of 8 bytes");
    group.throughput(Throughput::Elements(JOBS as u64)).sampling_mode(SamplingMode::Flat);
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for workers in [1, 2] {
        let pipe = RefCell::new(PipePool::start(workers).expect("cannot start the workers"));
        entry(&mut group, "pipe", workers, || pipe.borrow_mut().run(&jobs), || pipe.borrow().cpu_time());
        drop(pipe);
        for (name, calls) in [("put and get", Calls::Single), ("put_many and get_many of 64", Calls::Many)] {
            let ring = RefCell::new(RingPool::start(workers, calls).expect("cannot start the workers"));
            entry(&mut group, name, workers, || ring.borrow_mut().run(&jobs), || ring.borrow().cpu_time());
        }
    }
    group.finish();
}

/// One job at a time: how long its caller waits for the result.
fn latency(c: &mut Criterion) {
    let mut group = c.benchmark_group("one job out and back");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut pipe = PipePool::start(1).expect("cannot start the worker");
    let mut ring = RingPool::start(1, Calls::Single).expect("cannot start the worker");
    let mut job = 0;
    group.bench_function("pipe", |b| {
        b.iter(|| {
            job += 1;
            pipe.roundtrip(job)
        });
    });
    group.bench_function("put and get", |b| {
        b.iter(|| {
            job += 1;
            ring.roundtrip(job)
        });
    });
    group.finish();
}

/// CPU time of parent and workers together, over all passes of one entry.
#[derive(Default)]
struct CpuPerJob {
    jobs: u64,
    time: Duration,
}

impl CpuPerJob {
    fn add(&mut self, jobs: u64, time: Duration) {
        self.jobs += jobs;
        self.time += time;
    }

    /// Prints nothing if the command line filtered the entry out.
    fn print(&self, entry: &str) {
        if self.jobs > 0 {
            let nanoseconds = self.time.as_secs_f64() * 1e9 / self.jobs as f64;
            println!("{entry}: {nanoseconds:.0} ns of CPU time per job, parent and workers together");
        }
    }
}

fn main() {
    if pipe::is_worker() {
        pipe::worker_main();
    }
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    throughput(&mut criterion);
    latency(&mut criterion);
    criterion.final_summary();
}
