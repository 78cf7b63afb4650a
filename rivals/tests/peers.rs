//! Each peer hands over all payloads, is skipped for a reason where it cannot, and leaves nothing behind. Turns are forked from this process, which
//! must have one thread: so this has no harness.

use gristmill::bench::attempt::Killed;
use gristmill::bench::contender::{Contender, Opened, Pattern, Result, Shape};
use gristmill::bench::contenders;
use gristmill::bench::control::Control;
use gristmill::bench::isolate::{Ended, adopt_orphans, isolated};
use gristmill::bench::kill::{Fate, SHORT, kill};
use gristmill::bench::turn::{Aim, Lengths, play};
use gristmill_rivals::{peers, sweep};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Ends a turn that hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    gristmill::init(contenders::registry());
    peers::init();
    // A hang that no turn's limit ends is ended here, with a signal that is no success.
    // SAFETY: the call touches no memory.
    unsafe { libc::alarm(600) };
    let temp = std::env::temp_dir().join(format!("gristmill-peers-{}", std::process::id()));
    std::fs::create_dir(&temp).unwrap();
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("TMPDIR", &temp) };
    adopt_orphans().unwrap();
    // Once, as a run does it: turns inherit it.
    gristmill::bench::work::nanos_a_step();
    let before = regions();

    let mut ran = BTreeSet::new();
    for peer in peers::all() {
        let name = peer.info().name;
        for shape in shapes() {
            if all_arrive(&*peer, &shape) {
                ran.insert(name.clone());
            }
        }
        assert!(shapes().iter().any(|shape| peer.refuses(shape).is_none()), "{name} takes part in nothing");
    }
    for name in ["procspawn", "ipc-channel", "iceoryx2"] {
        assert!(ran.contains(name), "{name} needs nothing but this program");
    }
    for peer in peers::all().into_iter().filter(|peer| ran.contains(&peer.info().name)) {
        each_is_late_by_something(&*peer);
        a_death_is_seen(&*peer);
    }
    absent_python_is_a_reason();

    sweep();
    assert_eq!(children(), "", "processes are left");
    assert_eq!(regions().difference(&before).collect::<Vec<_>>(), Vec::<&String>::new(), "regions are left");
    assert_eq!(names(&temp), BTreeSet::new(), "files are left");
    std::fs::remove_dir(&temp).unwrap();
    println!("test result: ok: {}", ran.into_iter().collect::<Vec<_>>().join(", "));
}

fn shape(pattern: Pattern, payload: usize, producers: usize, consumers: usize, batch: usize) -> Shape {
    Shape { pattern, payload, producers, consumers, batch, capacity: 128, work: 0 }
}

fn shapes() -> Vec<Shape> {
    use Pattern::{Calls, OneWay};
    vec![
        shape(OneWay, 64, 1, 1, 1),
        shape(OneWay, 8, 2, 1, 1),
        shape(OneWay, 16, 1, 2, 8),
        shape(OneWay, 40, 2, 2, 1),
        Shape { capacity: 16, ..shape(OneWay, 256 << 10, 1, 1, 1) },
        shape(Calls, 64, 1, 2, 1),
        Shape { work: 10_000, ..shape(Calls, 4096, 1, 2, 8) },
        shape(Calls, 8, 1, 1, 1),
    ]
}

/// Whether a reason says that something is not on this machine.
fn absent(why: &str) -> bool {
    why.ends_with("is not installed")
}

fn turn<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
    match isolated(LIMIT, &|| false, body).unwrap() {
        Ended::Value(value) => Some(value),
        Ended::Failed(why) if absent(&why) => None,
        Ended::Failed(why) | Ended::Died(why) => panic!("{name}: {why}"),
        Ended::Hung => panic!("{name}: hangs"),
        Ended::Interrupted => unreachable!("nobody interrupts"),
    }
}

/// A turn compares what was received with what was sent. Whether there was one.
fn all_arrive(peer: &dyn Contender, shape: &Shape) -> bool {
    let label = format!("{}: {shape}", peer.info().name);
    if peer.refuses(shape).is_some() {
        return false;
    }
    let played = turn(&label, || play(peer, shape, &Lengths::shortest(), Aim::Throughput));
    println!("{label}: {}", if played.is_some() { "ok" } else { "absent" });
    played.is_some_and(|played| {
        assert!(played.jobs > 0 && played.wall > 0 && played.used.cpu > 0 && played.memory > 0, "{label}: {played:?}");
        true
    })
}

fn each_is_late_by_something(peer: &dyn Contender) {
    let (name, shape) = (peer.info().name, shape(Pattern::OneWay, 64, 1, 1, 1));
    if peer.refuses(&shape).is_none() {
        let lengths = Lengths { paced: Duration::from_millis(100), ..Lengths::shortest() };
        let played = turn(&name, || play(peer, &shape, &lengths, Aim::Latency { rate: 1000.0 })).unwrap();
        let late = played.late.unwrap();
        assert_eq!(late.samples, played.jobs, "{name}: {late:?}");
        assert!(late.p50 > 100 && late.p50 < 10_000_000_000, "{name}: {late:?}");
    }
}

/// Whatever it costs, it ends, and nobody takes it for a run without a death.
fn a_death_is_seen(peer: &dyn Contender) {
    let (name, shape) = (peer.info().name, shape(Pattern::OneWay, 64, 1, 2, 1));
    if peer.refuses(&shape).is_none() {
        let fate = turn(&name, || kill(peer, &shape, Duration::from_millis(5), SHORT, &Killed::nobody()?)).unwrap();
        println!("{name}: a consumer is killed: {fate:?}");
        assert_ne!(fate, Fate::NoProcess, "{name}");
        if name == "ipc-channel" {
            assert!(matches!(fate, Fate::Breaks { .. }), "who sends to a consumer that is no more sees that: {fate:?}");
        }
    }
}

fn absent_python_is_a_reason() {
    for peer in peers::all() {
        let name = peer.info().name;
        if !(name.starts_with("python-") || name == "faster-fifo") {
            continue;
        }
        let opened = isolated(LIMIT, &|| false, || {
            // SAFETY: a turn's process has one thread.
            unsafe { std::env::set_var("PATH", "/nonexistent") };
            peer.open(&shape(Pattern::Calls, 64, 1, 1, 1), &Control::create(0)?).map(|_: Opened| ())
        });
        match opened.unwrap() {
            Ended::Failed(why) => assert_eq!(why, "python3 is not installed", "{name}"),
            _ => panic!("{name}: opened without Python"),
        }
    }
}

fn children() -> String {
    let me = std::process::id();
    std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What the peers would leave in memory that has names: of this process and its turns, as far as names tell.
fn regions() -> BTreeSet<String> {
    let ours =
        |name: &String| ["gristmill_rivals_", "iox2_", "sem.mp-", "pym-", "psm_"].iter().any(|start| name.starts_with(start));
    names(Path::new("/dev/shm")).into_iter().filter(ours).collect()
}
