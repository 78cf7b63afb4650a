//! Two workers, of whom one makes payloads and sends them, and the other one receives them and works on each.

use super::crew::{Crew, Members, Worker};
use super::laboratory::Lab;
use super::seat::Lane;
use super::tally::{Ended, Round};
use crate::bench::contender::{Opened, Pattern, Payloads, Queue, Result, Shape};
use crate::bench::contenders;
use crate::bench::control::Control;
use crate::bench::work::Work;
use std::time::Duration;

/// What is passed, and how.
pub struct Passing<'a> {
    /// The benchmark's name of the queue.
    pub queue: &'a str,
    /// Bytes of a payload; at least 16, a multiple of 8.
    pub payload: usize,
    /// Payloads in a call.
    pub batch: usize,
    /// Payloads that the queue has room for.
    pub capacity: usize,
    /// To make one.
    pub make: Work,
    /// On each that was received.
    pub job: Work,
}

/// What a payload says instead of when it was made, if it is of the last batch.
const LAST: u64 = u64::MAX;

impl Passing<'_> {
    /// Runs it for so long. What is done is what was received. The notes of the second worker are the sum of nanoseconds from the making
    /// of the first payload of a batch to its receipt, and how many these were.
    ///
    /// # Errors
    /// If there is no such queue, the system refuses, or one of them did not end well.
    pub fn run(&self, lab: &Lab<'_>, at: &str, time: Duration, members: Members) -> Result<Round> {
        let queue = self.open()?;
        let round = Crew { members, size: 2 }.work(lab, at, time, &queue, |worker, queue| {
            let done = if worker.number == 0 { self.send(worker, &**queue) } else { self.receive(worker, &**queue) };
            // Whoever panics has not ended well, which the round tells.
            done.expect("a queue that works");
        })?;
        if round.ended(Ended::Well) == 2 { Ok(round) } else { Err(format!("{at}: a worker did not end well").into()) }
    }

    fn open(&self) -> Result<Box<dyn Queue>> {
        let Passing { queue: name, payload, batch, capacity, .. } = *self;
        let shape = Shape { pattern: Pattern::OneWay, payload, producers: 1, consumers: 1, batch, capacity, work: 0 };
        let found = contenders::all().into_iter().find(|one| one.info().name == name);
        let found = found.ok_or_else(|| format!("there is no queue '{name}'"))?;
        if let Some(why) = found.refuses(&shape) {
            return Err(why.into());
        }
        match found.open(&shape, &Control::create(1)?)? {
            Opened::Processes(queue) | Opened::Threads(queue) => Ok(queue),
            _ => Err(format!("{name} has no ends that a crew could take").into()),
        }
    }

    fn send(&self, worker: &Worker<'_>, queue: &dyn Queue) -> Result<()> {
        let mut to = queue.sender(0)?;
        let mut bytes = vec![0; self.payload * self.batch];
        loop {
            let on = worker.on();
            for (n, item) in bytes.chunks_exact_mut(self.payload).enumerate() {
                self.make.run(n as u64);
                // Only the first of each batch is timed, but all are stamped: a stamp costs time too.
                let made = if on { worker.now() } else { LAST };
                item[..8].copy_from_slice(&made.to_le_bytes());
                item[8..16].copy_from_slice(&(n as u64).to_le_bytes());
            }
            worker.goes(Lane::Waiting);
            to.send(Payloads::new(&bytes, self.payload))?;
            worker.goes(Lane::Working);
            if !on {
                return Ok(());
            }
        }
    }

    fn receive(&self, worker: &Worker<'_>, queue: &dyn Queue) -> Result<()> {
        let mut from = queue.receiver(0)?;
        let (mut sum, mut firsts, mut last) = (0, 0, 0);
        // All of the last batch: a sender that still waits for room would not end.
        while last < self.batch {
            worker.goes(Lane::Waiting);
            from.receive(self.batch, &mut |item| {
                worker.goes(Lane::Working);
                let (made, place) = (word(item, 0), word(item, 8));
                if made == LAST {
                    last += 1;
                } else if place == 0 {
                    sum += worker.now().saturating_sub(made);
                    firsts += 1;
                }
                self.job.run(made);
                worker.did(1);
            })?;
        }
        worker.note(0, sum);
        worker.note(1, firsts);
        Ok(())
    }
}

fn word(item: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(item[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::laboratory::tests::lab;

    #[test]
    fn what_is_sent_is_received_and_the_first_of_each_batch_is_timed() {
        for queue in ["ring-futex", "pipe-each"] {
            let passing = Passing { queue, payload: 64, batch: 4, capacity: 16, make: Work::of(0), job: Work::of(0) };
            let round = passing.run(&lab(1), queue, Duration::from_millis(50), Members::Threads).unwrap();
            let [sum, firsts, ..] = round.tallies[1].notes;
            assert!(round.done() > 4 && sum > 0, "{round:?}");
            assert_eq!(4 * (firsts + 1), round.done(), "the last batch has no time: {round:?}");
        }
        let none = Passing { queue: "drum", payload: 64, batch: 1, capacity: 16, make: Work::of(0), job: Work::of(0) };
        let why = none.run(&lab(1), "nothing", Duration::from_millis(1), Members::Threads).unwrap_err();
        assert_eq!(why.to_string(), "there is no queue 'drum'");
    }
}
