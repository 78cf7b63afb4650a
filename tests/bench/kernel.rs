//! Pipes, sockets and message queues.

use gristmill::bench::attempt::{Limits, attempt};
use gristmill::bench::contender::{Contender, Family, Pattern, Shape};
use gristmill::bench::contenders;
use gristmill::bench::isolate::{Ended, isolated};
use gristmill::bench::kill::{Fate, SHORT};
use gristmill::bench::left;
use gristmill::bench::shared::Shared;
use gristmill::bench::turn::{Aim, Lengths, play};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn contenders() -> Vec<Box<dyn Contender>> {
    contenders::all().into_iter().filter(|contender| contender.info().family == Family::Kernel).collect()
}

fn named(name: &str) -> Box<dyn Contender> {
    contenders().into_iter().find(|contender| contender.info().name == name).unwrap()
}

fn shape(payload: usize, producers: usize, consumers: usize, batch: usize) -> Shape {
    // So little that everybody waits for room.
    Shape { pattern: Pattern::OneWay, payload, producers, consumers, batch, capacity: 8, work: 0 }
}

fn shapes() -> Vec<Shape> {
    let mut shapes =
        vec![Shape { pattern: Pattern::Calls, ..shape(64, 1, 2, 1) }, Shape { capacity: 1024, ..shape(64, 1, 2, 64) }];
    for payload in [64, 4096, 64 << 10] {
        for (producers, consumers) in [(1, 2), (2, 1), (2, 2)] {
            for batch in [1, 16] {
                shapes.push(shape(payload, producers, consumers, batch));
            }
        }
    }
    // No whole pages, so that pipes are full in the middle of payloads.
    shapes.extend([1, 2].map(|consumers| shape(40_000, 2, consumers, 4)));
    shapes
}

/// What a contender may be refused in a shape: what its reason says.
fn may_be_refused(name: &str, shape: &Shape) -> Option<&'static str> {
    match name {
        "pipe-atomic" | "fifo" if shape.payload > 4096 => Some("PIPE_BUF"),
        "socketpair-dgram" | "socketpair-seqpacket" if shape.payload > 4096 => Some("wmem_max"),
        "posix-mq" if shape.payload > 4096 => Some("raise the limit"),
        "posix-mq" => Some("this kernel has none"),
        "sysv-mq" if shape.payload > 4096 => Some("sysctl kernel.msgmax="),
        "sysv-mq" => Some("this kernel has no"),
        _ => None,
    }
}

pub fn all_payloads_arrive_in_every_shape_or_the_reason_is_told() {
    assert_eq!(contenders().len(), 11);
    for contender in contenders() {
        let name = contender.info().name;
        let mut played = 0;
        for shape in shapes() {
            let why = match contender.refuses(&shape) {
                Some(why) => why,
                None => match isolated(LIMIT, &|| false, || play(&*contender, &shape, &Lengths::shortest(), Aim::Throughput)) {
                    Ok(Ended::Value(turn)) => {
                        assert!(turn.jobs > 0 && turn.wall > 0, "{name}, {shape}: {turn:?}");
                        played += 1;
                        continue;
                    }
                    Ok(Ended::Failed(why)) => why,
                    Ok(Ended::Died(how)) => panic!("{name}, {shape}: {how}"),
                    _ => panic!("{name}, {shape}: hangs"),
                },
            };
            let allowed = may_be_refused(&name, &shape);
            assert!(allowed.is_some_and(|allowed| why.contains(allowed)), "{name}, {shape}: {why}");
        }
        assert!(played > 2 || name.ends_with("-mq"), "{name} was refused in nearly all shapes");
    }
}

/// Whether there is a queue of this number.
fn exists(queue: i32) -> bool {
    // SAFETY: integers only, for which zeroes are valid.
    let mut status: libc::msqid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the status is valid to write to.
    unsafe { libc::msgctl(queue, libc::IPC_STAT, &mut status) == 0 }
}

pub fn a_system_v_queue_does_not_outlive_a_turn_that_is_killed_and_those_of_others_do() {
    // Somebody's, with a key that names a process which there cannot be.
    // SAFETY: takes integers and touches no memory.
    let other = unsafe { libc::msgget(0x6740_0001, libc::IPC_CREAT | 0o600) };
    if other == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        return;
    }
    // Zero is a valid value.
    let made = Shared::<AtomicI32>::new(|_| Ok(())).unwrap();
    // The turn is killed as soon as it has its queue; 0 may be a queue's number.
    let has_queue = || made.load(Relaxed) != 0;
    let hang = || {
        made.store(left::queue()? + 1, Relaxed);
        std::thread::sleep(LIMIT * 2);
        Ok(())
    };
    let killed = isolated(LIMIT, &has_queue, hang).unwrap();
    assert!(matches!(killed, Ended::Interrupted), "it should have been killed");
    assert!(!exists(made.load(Relaxed) - 1), "the queue is left");
    assert!(exists(other), "a queue of somebody else was removed");
    // SAFETY: removes this test's own queue, and touches no memory.
    unsafe { libc::msgctl(other, libc::IPC_RMID, std::ptr::null_mut()) };
}

pub fn a_producer_goes_on_when_one_of_its_consumers_dies() {
    let contender = named("unix-socket");
    let shape = Shape { capacity: 64, ..shape(64, 2, 2, 1) };
    let limits = Limits { ready: LIMIT, over: LIMIT };
    let fate = attempt(&*contender, &shape, Duration::from_millis(5), SHORT, limits, &|| false).unwrap();
    assert!(matches!(fate, Some(Fate::GoesOn { again: 0, .. })), "{fate:?}");
}
