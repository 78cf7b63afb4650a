//! Made-up results for tests: few contenders with chosen figures, or many on all axes.

use crate::bench::contender::{Family, Info, Pattern, Waits};
use crate::bench::crossover::crossovers;
use crate::bench::environment::Environment;
use crate::bench::kill::Fate;
use crate::bench::measure::Used;
use crate::bench::options::Options;
use crate::bench::plan::{Case, Plan};
use crate::bench::results::{Axis, Entry, Kill, Pace, Results, SCHEMA, SelfTest, Skipped, Summary, Verdict};
use crate::bench::statistics::{Interval, median};
use crate::bench::turn::{Aim, Late, Played};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::OnceLock;

/// A contender's figures in the base shape.
struct Made {
    info: Info,
    rate: f64,
    cpu: f64,
}

/// Makes results. Rounds vary by a few hundredths, the same way each time.
pub struct Builder {
    made: Vec<Made>,
    rng: SmallRng,
    results: Results,
}

fn self_test(says: &str, found: &str, verdict: Verdict) -> SelfTest {
    SelfTest { says: says.into(), found: found.into(), verdict }
}

/// The rounds of each figure.
const ROUNDS: usize = 7;

impl Builder {
    pub fn new() -> Builder {
        let environment = Environment {
            started: "2026-01-02 03:04".into(),
            cpu: "A CPU of 3 GHz".into(),
            cores: 4,
            topology: "4 CPUs, SMT off".into(),
            caches: vec!["L1 data 32K".into(), "L2 unified 1M".into()],
            governor: "performance".into(),
            kernel: "Linux 6.1".into(),
            virtual_machine: true,
            mitigations: vec!["spectre_v2: Mitigation: Enhanced IBRS".into()],
            cgroup: vec!["cpu.max max 100000".into()],
            system_calls: "cannot be counted: the kernel refuses".into(),
            memory: 8 << 30,
            pinning: "none: the kernel places all participants".into(),
            load_before: "0.10 0.05 0.01".into(),
            load_after: "1.90 0.80 0.30".into(),
            compiler: "rustc 1.91".into(),
            commit: "0123abc".into(),
            optimized: true,
        };
        let results = Results {
            schema: SCHEMA,
            version: "0.1.0".into(),
            command: "gristmill bench --seed 7".into(),
            seed: 7,
            partial: false,
            environment,
            self_tests: vec![self_test("A/A: the ratio's interval covers 1", "1.002 (0.981 to 1.020)", Verdict::Holds)],
            noise: vec![],
            clock: 20.0,
            contenders: vec![],
            skipped: vec![],
            entries: vec![],
            crossovers: vec![],
            kills: vec![],
        };
        Builder { made: vec![], rng: SmallRng::seed_from_u64(1), results }
    }

    /// One that hands over so many payloads a second in the base shape, for so many nanoseconds of CPU each.
    pub fn contender(&mut self, name: &str, family: Family, waits: Waits, rate: f64, cpu: f64) {
        let info = Info { batches: family != Family::Kernel, ..Info::new(name, "made up for a test", family, waits) };
        self.results.contenders.push(info.clone());
        self.made.push(Made { info, rate, cpu });
    }

    /// Results of the base figure alone.
    pub fn base(mut self) -> Results {
        let case = Plan::of(&Options::default()).cases[0];
        self.case(case, None);
        self.results
    }

    /// Results on all axes.
    fn all(mut self) -> Results {
        let plan = Plan::of(&Options { full: true, ..Options::default() });
        for &case in &plan.cases {
            self.case(case, None);
        }
        let again = self.results.entries.iter().find(|e| e.contender == "gristmill").cloned();
        self.results.entries.extend(again.map(|e| Entry { contender: "gristmill again".into(), ..e }));
        let latency = Case { axis: Axis::Latency, shape: plan.base() };
        for pace in [Pace::Common(plan.common)].into_iter().chain(plan.shares.iter().map(|&share| Pace::Share(share))) {
            self.case(latency, Some(pace));
        }
        self.results.crossovers = crossovers(&self.results.entries, &self.results.contenders);
        self.results
    }

    fn case(&mut self, case: Case, pace: Option<Pace>) {
        for n in 0..self.made.len() {
            let made = &self.made[n];
            let shape = case.shape;
            // How a queue behaves, roughly: a time for each call, one for each byte, and what participants take from one another.
            let batch = if made.info.batches { shape.batch.min(32) as f64 } else { 1.0 };
            let crowd = 1.0 + 0.15 * (shape.producers + shape.consumers).saturating_sub(3) as f64;
            let calls = if shape.pattern == Pattern::Calls { 2.0 } else { 1.0 };
            let nanos = 1e9 / made.rate * calls * crowd / batch
                + shape.payload as f64 * 0.15
                + shape.work as f64 / shape.consumers as f64;
            let (name, cpu, waits) = (made.info.name.clone(), made.cpu / batch, made.info.waits);
            // One that the system does not let have what was asked for.
            let room = Some(if name == "mq-posix" { shape.capacity.min(10) } else { shape.capacity } as u64);
            let round = |_| Played { room, idle: idle(case.axis, waits), ..self.round(nanos, cpu, waits, pace) };
            let rounds: Vec<Played> = (0..ROUNDS).map(round).collect();
            let aim = match pace {
                None => Aim::Throughput,
                Some(Pace::Common(rate)) => Aim::Latency { rate },
                Some(Pace::Share(share)) => Aim::Latency { rate: share * 1e9 / nanos },
            };
            let summary = Summary::by(|value| extremes(&value.of_all(&rounds, self.results.clock)));
            let (axis, failures) = (case.axis, vec![]);
            self.results.entries.push(Entry { contender: name, axis, shape, aim, pace, rounds, failures, summary });
        }
    }

    fn round(&mut self, nanos: f64, cpu: f64, waits: Waits, pace: Option<Pace>) -> Played {
        let mut about = |value: f64| (value * (1.0 + 0.06 * (self.rng.random::<f64>() - 0.5))) as u64;
        let jobs = 1_000_000;
        let late = pace.map(|pace| {
            let busy = if let Pace::Share(share) = pace { 1.0 + share } else { 1.0 };
            let p50 = about((nanos * 2.0 + 1_500.0) * busy);
            Late { samples: 20_000, p50, p90: p50 * 2, p99: p50 * 9, p999: about(p50 as f64 * 60.0), max: p50 * 400 }
        });
        Played {
            start_up: about(2e6),
            room: None,
            jobs,
            wall: about(nanos * jobs as f64),
            used: Used { cpu: about(cpu * jobs as f64), voluntary: about(3_000.0), involuntary: 50 },
            calls: (waits != Waits::Spin).then(|| about(20_000.0)),
            memory: about(3e6),
            idle: None,
            late,
        }
    }
}

/// CPU without anything to do, which is measured in the base shape alone.
fn idle(axis: Axis, waits: Waits) -> Option<f64> {
    (axis == Axis::Base).then_some(if waits == Waits::Spin { 1.99 } else { 0.001 })
}

/// All that rounds say, without a bootstrap, which takes long in a build without optimization.
fn extremes(values: &[f64]) -> Option<Interval> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some(Interval { median: median(values)?, low, high })
}

/// As crowded as a full run: 35 contenders on all axes, with everything that a report can show.
pub fn full() -> Results {
    static FULL: OnceLock<Results> = OnceLock::new();
    FULL.get_or_init(make).clone()
}

fn make() -> Results {
    use Family::*;
    use Waits::*;
    let mut builder = Builder::new();
    builder.contender("gristmill", Engine, Adaptive, 9.1e6, 160.0);
    builder.contender("gristmill-block", Engine, Block, 2.4e6, 420.0);
    builder.contender("gristmill-spin", Engine, Spin, 9.8e6, 210.0);
    let kernel =
        ["pipe-locked", "pipe-atomic", "pipe-each", "fifo", "unix-stream", "unix-dgram", "unix-seqpacket", "unix-named"];
    for (n, name) in kernel.iter().chain(&["mq-posix", "mq-sysv", "tcp-loopback"]).enumerate() {
        builder.contender(name, Kernel, Block, 9e5 / (1.0 + n as f64 * 0.13), 640.0 + 45.0 * n as f64);
    }
    let memory = ["one-lock", "two-locks", "vyukov", "spsc-each", "futex", "eventfd", "semaphore", "inline", "offset"];
    for (n, name) in memory.iter().enumerate() {
        let waits = [Block, Adaptive, Spin][n % 3];
        builder.contender(
            &format!("shm-{name}"),
            Memory,
            waits,
            1.5e6 * (1.0 + (n * 5 % 9) as f64 * 0.7),
            300.0 + 20.0 * n as f64,
        );
    }
    builder.contender("threads-mutex", Threads, Block, 2.9e6, 350.0);
    builder.contender("threads-mpsc", Threads, Adaptive, 8e6, 120.0);
    builder.contender("threads-crossbeam", Threads, Adaptive, 1.39e7, 70.0);
    builder.contender("threads-rayon", Threads, Adaptive, 7e6, 150.0);
    let peers =
        ["procspawn", "ipc-channel", "iceoryx2", "python-queue", "python-simple-queue", "python-pool", "python-executor"];
    for (n, name) in peers.iter().chain(&["faster-fifo"]).enumerate() {
        builder.contender(
            name,
            Peer,
            if n == 2 { Spin } else { Block },
            [8e4, 3.1e5, 4.2e6, 6e4, 1.1e5, 3e4, 9e3, 2.1e5][n],
            2_000.0 * (n + 1) as f64,
        );
    }
    let mut results = builder.all();
    results.partial = true;
    results.noise = vec!["it was busy before the run began: load 3.90 2.00 1.00".into()];
    results.self_tests.extend([
        self_test("a FIFO is a pipe with a name: within 5 % of one another", "0.871 (0.850 to 0.902)", Verdict::Fails),
        self_test("a wide one", "0.971 (0.710 to 1.402); undecided: the interval is wider than ±10 %", Verdict::Undecided),
        self_test("one of none", "fifo: has no base figure in this run", Verdict::NotRun),
    ]);
    let shape = results.entries[0].shape;
    let skipped = |contender: &str, shape, why: &str| Skipped { contender: contender.into(), shape, why: why.into() };
    results.skipped = vec![
        skipped("mq-posix", Some(shape), "the kernel has room for 10 messages; fs.mqueue.msg_max says so"),
        skipped("gnu-parallel", None, "there is no program 'parallel'"),
    ];
    let goes_on = Fate::GoesOn { lost: 1, again: 0 };
    let fates = [
        goes_on.clone(),
        Fate::Hangs { missing: Some(12) },
        Fate::Breaks { how: "Broken pipe".into() },
        Fate::Drops { lost: 32, again: 0 },
        Fate::Skipped { why: "there was no worker to kill".into() },
    ];
    results.kills = results
        .contenders
        .iter()
        .enumerate()
        .map(|(n, info)| {
            let fate = match info.family {
                Engine => goes_on.clone(),
                Threads => Fate::NoProcess,
                _ => fates[n % 5].clone(),
            };
            Kill { contender: info.name.clone(), fates: vec![fate; if info.family == Threads { 1 } else { 10 }] }
        })
        .collect();
    results
}
