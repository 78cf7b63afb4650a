//! The life of a participant: what a producer and a consumer do in every process, whatever the contender is.

use super::contender::{Payloads, Receiver, Result, Sender, Shape};
use super::control::{Control, Orders};
use super::payload::{self, Checker};
use crate::sys::clock;
use std::convert::Infallible;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// A producer's life: phase after phase, until its process is ended. Its seat is its number.
///
/// # Errors
/// If the queue breaks.
pub fn produce(control: &Control, producer: usize, shape: &Shape, sender: &mut dyn Sender) -> Result<Infallible> {
    let seat = control.seat(producer);
    let mut bytes = vec![0; shape.payload * shape.batch];
    bytes.chunks_exact_mut(shape.payload).for_each(|one| payload::prepare(one, producer));
    let (mut sent, mut digest, mut last) = (0, 0u64, 0);
    loop {
        seat.done.store(last + 1, Release); // ↔ `Participants::producers_are_done`, which sees the digest then.
        let orders = control.wait_for(last);
        let end = sent + orders.jobs;
        let first = sent;
        while sent < end {
            let count = shape.batch.min((end - sent) as usize);
            let due = wait_until_due(&orders, sent - first);
            for (one, n) in bytes.chunks_exact_mut(shape.payload).zip(sent..sent + count as u64) {
                let number = payload::number(producer, n);
                payload::stamp(one, number, due);
                digest = digest.wrapping_add(payload::mix(number));
            }
            sender.send(Payloads::new(&bytes[..count * shape.payload], shape.payload))?;
            sent += count as u64;
            seat.count.store(sent, Relaxed);
        }
        seat.digest.store(digest, Relaxed);
        last = orders.phase;
    }
}

/// When the next payload is due, once that is so. Nobody else's CPU is taken: far from it this sleeps, close to it it yields.
fn wait_until_due(orders: &Orders, n: u64) -> u64 {
    if orders.interval == 0 {
        return 0;
    }
    let due = orders.start + n * orders.interval;
    loop {
        match due.saturating_sub(clock::now()) {
            0 => return due,
            left if left > 200_000 => std::thread::sleep(std::time::Duration::from_nanos(left - 100_000)),
            _ => std::thread::yield_now(),
        }
    }
}

/// A consumer's life. Its seat comes after those of the producers. One that takes a dead one's place goes on from its counts.
///
/// # Errors
/// If the queue breaks.
pub fn consume(control: &Control, consumer: usize, shape: &Shape, receiver: &mut dyn Receiver) -> Result<Infallible> {
    let number = shape.producers + consumer;
    let seat = control.seat(number);
    let checker = Checker::new(shape.payload, shape.producers);
    let work = control.work(shape.work);
    let (mut count, mut digest) = (seat.count.load(Relaxed), seat.digest.load(Relaxed));
    seat.done.store(1, Relaxed);
    loop {
        receiver.receive(shape.batch, &mut |bytes| {
            match checker.check(bytes) {
                Some(seen) => {
                    control.note(number, || clock::now().saturating_sub(seen.due));
                    digest = digest.wrapping_add(payload::mix(seen.number));
                    work.run(seen.number);
                    control.tally(seen.number, shape.producers);
                }
                None => {
                    seat.wrong.fetch_add(1, Relaxed);
                }
            }
            count += 1;
        })?;
        seat.digest.store(digest, Relaxed);
        seat.count.store(count, Release); // ↔ `Participants::received`: whoever sees the count sees the digest that goes with it.
    }
}
