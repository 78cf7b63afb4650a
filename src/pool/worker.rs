//! A pool's worker: pop a batch, start one job after the other, write each outcome, deliver them together.

use crate::layout::SlotWord;
use crate::queue::Attached;
use crate::ring::channel::MAX_BATCH;
use crate::ring::slots::RESULTS;
use crate::ring::{Channel, Kind, NoRoom, Popped, Stop, event};
use crate::sys::clock;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A batch is popped for about so long, so that long jobs are popped one by one.
const BATCH_NANOS: u64 = 200_000;

/// The kinds of outcome, as `layout::ResultHead` numbers them.
pub(super) const VALUE: u32 = 1;
pub(super) const FAILED: u32 = 2;
pub(super) const PANICKED: u32 = 3;
pub(super) const DIED: u32 = 4;
pub(super) const REFUSED: u32 = 7;

type Run = dyn Fn(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + Sync;

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Serves a pool's channel until the region ends.
pub(crate) fn serve(attached: &Arc<Attached>, channel: u32, run: &Run) -> Result<(), String> {
    let channel = Channel::open(attached.region(), channel).filter(|c| c.kind() == Kind::Pool);
    let channel = channel.ok_or("the pool's channel cannot be opened")?;
    // A panic is the job's outcome: it is reported by whoever asked for the job.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("a panic without a message");
        PANIC.with(|p| *p.borrow_mut() = Some(format!("{message}{place}")));
    }));
    let mut worker = Worker { channel, finished: vec![], most: MAX_BATCH };
    match worker.serve(run) {
        // The parent has ended the region: there is nothing to do, and nobody to tell.
        Ok(()) | Err(Stop::Shutdown | Stop::NoWorkers) => Ok(()),
        Err(why) => Err(why.to_string()),
    }
}

struct Worker {
    channel: Channel,
    /// FINISHED, not delivered.
    finished: Vec<(u32, SlotWord)>,
    /// How many to pop at most.
    most: u32,
}

impl Worker {
    fn serve(&mut self, run: &Run) -> Result<(), Stop> {
        let mut popped = VecDeque::new();
        let (mut job, mut out) = (vec![], vec![]);
        loop {
            let batch = match self.channel.pop(self.most, &mut popped, &[])? {
                Popped::Some(n) => n,
                Popped::Empty(seen) => {
                    self.channel.check()?;
                    if self.channel.offer_again()? == 0 {
                        event::wait(self.channel.region(), &self.channel.desc().jobs, seen, None, || false);
                    }
                    continue;
                }
            };
            let start = clock::now();
            while let Some(entry) = popped.pop_front() {
                let Some(running) = self.channel.start(entry) else { continue };
                job.clear();
                self.channel.payload(entry.slot)?.append_to(&mut job);
                out.clear();
                let kind = match catch_unwind(AssertUnwindSafe(|| run(&job, &mut out))) {
                    Ok(Ok(())) => VALUE,
                    Ok(Err(why)) => {
                        out = why.into_bytes();
                        FAILED
                    }
                    Err(_) => {
                        out = PANIC.with(|p| p.borrow_mut().take()).unwrap_or_default().into_bytes();
                        PANICKED
                    }
                };
                self.write(entry.slot, running, kind, &out)?;
                // `None`: condemned meanwhile. Whoever did that kills this process; nothing more is to be done here.
                let Some(word) = self.channel.finish(entry.slot, running) else { return self.wait_for_the_end() };
                self.finished.push((entry.slot, word));
                // FINISHED, then the look whether somebody waits: rule 13.
                if self.finished.len() >= MAX_BATCH as usize || self.channel.somebody_waits() {
                    self.deliver()?;
                }
            }
            self.deliver()?;
            self.channel.batch_used(batch);
            let each = (clock::now() - start) / u64::from(batch) + 1;
            self.most = (BATCH_NANOS / each).clamp(1, u64::from(MAX_BATCH)) as u32;
        }
    }

    fn deliver(&mut self) -> Result<(), Stop> {
        if !self.finished.is_empty() {
            self.channel.deliver_done(&self.finished)?;
            self.finished.clear();
        }
        Ok(())
    }

    /// Writes an outcome, waiting for room in the arena if it needs a block.
    fn write(&mut self, slot: u32, running: SlotWord, kind: u32, bytes: &[u8]) -> Result<(), Stop> {
        loop {
            let seen = match self.channel.write_result(slot, running, kind, 0, bytes) {
                Ok(()) => return Ok(()),
                Err(NoRoom::Stopped(why)) => return Err(why),
                Err(NoRoom::Ever(limit)) => {
                    let why = format!("the result takes {} bytes, the most that can be carried is {limit}", bytes.len());
                    // Fits: the smallest place for a result is larger than this, or an arena is.
                    let _ = self.channel.write_result(slot, running, REFUSED, 0, why.as_bytes());
                    return Ok(());
                }
                Err(NoRoom::Now(seen)) => seen,
            };
            // What has been delivered is what the parent can take, to make room.
            self.deliver()?;
            self.channel.check()?;
            event::wait(self.channel.region(), self.channel.region().arena(RESULTS).room(), seen, None, || false);
        }
    }

    fn wait_for_the_end(&mut self) -> Result<(), Stop> {
        self.deliver()?;
        loop {
            std::thread::park();
        }
    }
}
