//! A pool's worker: pop a batch of bundles, run one after the other, deliver them together.

use super::panics;
use crate::layout::SlotWord;
use crate::process::{Run, RunFold, RunJobs, Task, WorkerState};
use crate::ring::bundle::{BeforeWaiting, Bundle, Left};
use crate::ring::channel::MAX_BATCH;
use crate::ring::frame::{self, Kind, Record};
use crate::ring::{Channel, Entry, Popped, Region, Stop, WaitPolicy, event};
use crate::sys::clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// A batch is popped for about so long, so that long jobs are popped one by one.
const BATCH_NANOS: u64 = 200_000;

/// A new average of the jobs' time is taken once in so many batches: reading the clock costs as much as a small job.
const MEASURE_EVERY: u32 = 16;

/// A bundle of so many jobs is always measured.
const MEASURE_FROM: u16 = 32;

/// How often a worker that waits for its end looks whether it is still to come.
const CONDEMNED_LOOKS: Duration = Duration::from_secs(1);

/// A worker that is woken for nothing looks at the slots' words at most so often, in nanoseconds: there may be thousands.
const LOOK_EVERY: u64 = 500_000_000;

/// How often a worker that finds nothing looks again before it says so: for about a microsecond the parent may go on filling a bundle.
const LOOKS: u32 = 64;

/// How a worker's service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The region has ended.
    All,
    /// It has run as many jobs as it may, and is to be replaced.
    Enough,
}

/// Serves a pool's channel until the region ends or `budget` jobs have been run.
pub(crate) fn serve(
    region: &Arc<Region>,
    channel: u32,
    tasks: &[Task],
    state: WorkerState,
    budget: u64,
) -> Result<Served, String> {
    let channel = Channel::open(region, channel).filter(|c| c.kind() == crate::ring::Kind::Pool);
    let channel = channel.ok_or("the pool's channel cannot be opened")?;
    let mut worker = Worker {
        finished: Finished { channel: &channel, slots: vec![] },
        channel: &channel,
        tasks,
        state,
        budget,
        most: MAX_BATCH,
        batches: 0,
        looked: 0,
        jobs: vec![],
        out: vec![],
    };
    match worker.serve() {
        // The parent has ended the region: there is nothing to do, and nobody to tell.
        Ok(()) | Err(Stop::Shutdown | Stop::NoWorkers(_)) => Ok(if worker.budget == 0 { Served::Enough } else { Served::All }),
        Err(why) => Err(why.to_string()),
    }
}

/// Before initializers and jobs run.
pub(crate) fn prepare() {
    panics::note();
}

struct Worker<'a> {
    channel: &'a Channel,
    finished: Finished<'a>,
    tasks: &'a [Task],
    state: WorkerState,
    /// How many jobs may still be begun.
    budget: u64,
    /// How many bundles to pop at most.
    most: u32,
    batches: u32,
    /// When it last looked for slots that name it.
    looked: u64,
    jobs: Vec<u8>,
    out: Vec<u8>,
}

/// FINISHED, not delivered.
struct Finished<'a> {
    channel: &'a Channel,
    slots: Vec<(u32, SlotWord)>,
}

impl BeforeWaiting for Finished<'_> {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        if !self.slots.is_empty() {
            self.channel.deliver_done(&self.slots)?;
            self.slots.clear();
        }
        Ok(())
    }
}

impl Worker<'_> {
    fn serve(&mut self) -> Result<(), Stop> {
        let mut popped = VecDeque::new();
        let mut in_vain = false;
        while self.budget > 0 {
            let batch = match self.channel.pop(self.most, &mut popped, &[])? {
                Popped::Some(n) => n,
                Popped::Empty(seen) => {
                    if in_vain {
                        self.look()?;
                    }
                    self.wait(seen)?;
                    in_vain = true;
                    continue;
                }
            };
            in_vain = false;
            let measured = self.batches.is_multiple_of(MEASURE_EVERY) || self.most == 1;
            self.batches = self.batches.wrapping_add(1);
            let start = if measured { clock::now() } else { 0 };
            let mut jobs = 0;
            while let Some(entry) = popped.pop_front().filter(|_| self.budget > 0) {
                if let Some(next) = popped.front() {
                    self.channel.prefetch(next.slot, 24);
                }
                jobs += self.run(entry)?;
            }
            if measured {
                let took = clock::now() - start;
                self.most = (BATCH_NANOS / (took / u64::from(batch) + 1)).clamp(1, u64::from(MAX_BATCH)) as u32;
                self.note(took, jobs);
            }
            self.finished.before_waiting()?;
            self.channel.batch_used(batch);
        }
        Ok(())
    }

    /// It runs nothing, so no slot names it: one that does has been written over, and its jobs would be waited for for ever. The parent wakes
    /// who is idle now and then while it waits.
    fn look(&mut self) -> Result<(), Stop> {
        let now = clock::now();
        if now.saturating_sub(self.looked) < LOOK_EVERY {
            return Ok(());
        }
        self.looked = now;
        if self.channel.names_me() { Err(self.channel.corrupted()) } else { Ok(()) }
    }

    /// Waits for jobs.
    fn wait(&mut self, seen: event::Seen) -> Result<(), Stop> {
        self.channel.check()?;
        let d = self.channel.desc();
        let region = self.channel.region();
        if region.wait_policy() != WaitPolicy::Block {
            for _ in 0..LOOKS {
                if d.jobs.sequence.load(Relaxed) != seen.0 {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
        }
        if d.wanted.load(Relaxed) == 0 {
            d.wanted.store(1, SeqCst);
        }
        if self.channel.offer_again()? > 0 {
            return Ok(());
        }
        let start = clock::now();
        event::wait(region, &d.jobs, seen, None, || {
            self.channel.ask_for_jobs();
            false
        });
        let idle = &region.own_entry().idle;
        idle.store(idle.load(Relaxed).wrapping_add(clock::now() - start), Relaxed);
        Ok(())
    }

    /// A new average of what a job takes. What another worker stores at the same moment is as good.
    fn note(&self, took: u64, jobs: u64) {
        let Some(each) = took.checked_div(jobs) else { return };
        let average = &self.channel.desc().job_nanos;
        let new = each.clamp(1, u64::from(u32::MAX));
        let old = u64::from(average.load(Relaxed));
        average.store(if old == 0 { new } else { (3 * old + new).div_ceil(4) } as u32, Relaxed);
    }

    /// Runs what is left of one bundle; tells how many jobs it holds.
    fn run(&mut self, entry: Entry) -> Result<u64, Stop> {
        let Some(word) = self.channel.start(entry) else { return Ok(0) };
        let slot = entry.slot;
        let items = self.channel.bundle_items(slot);
        let shown = items > 1 || self.channel.desc().timed.load(Relaxed) != 0;
        if shown {
            self.channel.runs(Some(slot));
        }
        let folded = self.channel.bundle_of(slot).0.1.is_some();
        // A job that is folded of many is as good as many.
        let measured = items >= MEASURE_FROM || folded;
        let start = if measured { clock::now() } else { 0 };
        let budget = self.budget;
        let mut bundle = Bundle::open(self.channel, slot, word, &mut self.jobs, &mut self.budget, &mut self.finished)?;
        let (task, fold) = bundle.tasks();
        match (self.tasks.get(usize::from(task)).map(|t| &t.run), fold.and_then(|f| self.tasks.get(usize::from(f)))) {
            (Some(Run::Jobs(jobs)), None) => jobs.all(&mut self.state, &mut bundle, &mut self.out),
            (Some(Run::Jobs(jobs)), Some(Task { run: Run::Fold(fold), .. })) => {
                run_folded(&**jobs, fold, &mut self.state, &mut bundle, &mut self.out);
            }
            // The parent looks tasks up before it names them.
            _ => return Err(self.channel.corrupted()),
        }
        let nanos = if measured { clock::now() - start } else { 0 };
        let left = bundle.leave(nanos)?;
        if shown {
            self.channel.runs(None);
        }
        let ran = (budget - self.budget).max(1);
        let count = &self.channel.region().own_entry().jobs;
        count.store(count.load(Relaxed).wrapping_add(ran), Relaxed);
        match left {
            Left::Finished(word) => {
                self.finished.slots.push((slot, word));
                // FINISHED, then the look whether somebody waits: rule 13.
                if self.finished.slots.len() >= MAX_BATCH as usize || self.channel.somebody_waits() {
                    self.finished.before_waiting()?;
                }
            }
            Left::Rest => self.channel.put_rest_back(slot, word)?,
            Left::Condemned => {
                self.finished.before_waiting()?;
                // Until it is killed. A word that does not say so any more has been written over, and nobody would come.
                while self.channel.progress(slot).condemned() {
                    std::thread::park_timeout(CONDEMNED_LOOKS);
                }
                return Err(self.channel.corrupted());
            }
        }
        Ok(ran)
    }
}

/// Runs the parts of which each job consists, and folds their results into one.
fn run_folded(task: &dyn RunJobs, fold: &RunFold, state: &mut WorkerState, bundle: &mut Bundle<'_>, out: &mut Vec<u8>) {
    let mut parts = vec![];
    let mut folded = vec![];
    while let Some(job) = bundle.next_job() {
        parts.clear();
        parts.extend_from_slice(job);
        let mut at = 0;
        let mut kind = Kind::Undecodable;
        folded.clear();
        while let Some((Record::Here(Kind::Value, part), next)) = frame::read(&parts, at) {
            let first = at == 0;
            at = next;
            kind = task.one(state, part, out);
            if kind != Kind::Value {
                break;
            }
            if first {
                std::mem::swap(&mut folded, out);
                continue;
            }
            match panics::catch(|| fold(&mut folded, out)) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    kind = Kind::Undecodable;
                    *out = why.into_bytes();
                    break;
                }
                Err(why) => {
                    kind = Kind::Panicked;
                    *out = why.into_bytes();
                    break;
                }
            }
        }
        bundle.finish(kind, if kind == Kind::Value { &folded } else { out });
    }
}
