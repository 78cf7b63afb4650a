//! A bundle of a pool's jobs in the hands of the worker that runs it: the next job, its outcome, the next one.
//!
//! Every step is one CAS of the bundle's [`Progress`]: the outcome's bytes are written before it, so a death at any moment leaves so many
//! whole outcomes and at most one job in hand. The parent may lower the limit at any time (it gives the rest to others) or
//! condemn the job in hand; then the CAS fails, and the new word decides.
//!
//! Of an array of numbers a step takes many, so that it costs nothing beside the shortest job. How far this process is within the
//! step stands in `ran` of the slot's [`ResultHead`](crate::layout::ResultHead), a plain store after each value: recovery makes what was done count, and
//! charges the very number that was in hand.

use super::channel::{Channel, Stop};
use super::event;
use super::frame::{self, Kind, REFERENCE_BYTES, Record};
use super::slots::{NoRoom, RESULTS};
use crate::layout::{MAX_HAND, Progress, SlotWord};
use crate::sys::atomic::plain_write;
use crate::sys::clock::{self, Deadline};
use crate::sys::planted::{Bug, planted};
use std::sync::atomic::{Ordering::*, compiler_fence};
use std::time::Duration;

/// So many nanoseconds of work one step begins, of an array, by what the step before has taken: as long as it takes, nobody can take those
/// jobs back.
const STEP_NANOS: u64 = 1_000;

/// So many jobs the first step begins; each of the next ones at most twice as many as the one before.
const FIRST_STEP: u32 = 4;

/// How long a worker waits for room before it asks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the worker has to do before it waits for room: deliver what it has finished.
pub trait BeforeWaiting {
    /// Does it.
    ///
    /// # Errors
    /// If the region has ended.
    fn before_waiting(&mut self) -> Result<(), Stop>;
}

/// A bundle that this process runs.
pub struct Bundle<'w> {
    channel: &'w Channel,
    slot: u32,
    word: SlotWord,
    /// A private copy of all jobs, and where the next one starts.
    jobs: &'w mut Vec<u8>,
    at: usize,
    /// If the next one stands in an array: how many of it are left, and the bytes of each.
    array: (usize, usize),
    /// Where the outcomes go, and how many bytes there are.
    outcomes: *mut u8,
    room: usize,
    /// Of the step that is being taken through an array: the bytes of a value; and how many values have been written.
    step: Option<usize>,
    ran: u32,
    /// When the last step was begun, and of how many jobs.
    pace: Option<(u64, u32)>,
    /// Whether the runner takes steps: then a job is not begun together with the end of the one before.
    steps: bool,
    progress: Progress,
    /// How many jobs this process may still begin.
    budget: &'w mut u64,
    timed: bool,
    /// Why nothing more is to be done.
    ended: Option<Ended>,
    waiting: &'w mut dyn BeforeWaiting,
}

/// Why a bundle has ended before its last job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Its job in hand was condemned: this process is about to be killed.
    Condemned,
    /// The region has ended.
    Stopped(Stop),
}

/// How a bundle was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Everything that was to be run here has its outcome: the slot is FINISHED, with this word.
    Finished(SlotWord),
    /// This process may not run more; the rest goes back to the ring.
    Rest,
    /// This process is about to be killed, and must not do anything any more.
    Condemned,
}

impl<'w> Bundle<'w> {
    /// The bundle in a slot that is RUNNING and ours. `jobs` is memory to use.
    ///
    /// # Errors
    /// If what stands in the slot cannot be right.
    pub fn open(
        channel: &'w Channel,
        slot: u32,
        word: SlotWord,
        jobs: &'w mut Vec<u8>,
        budget: &'w mut u64,
        waiting: &'w mut dyn BeforeWaiting,
    ) -> Result<Bundle<'w>, Stop> {
        jobs.clear();
        channel.payload(slot)?.append_to(jobs);
        let head = channel.result_head(slot);
        let progress = Progress(head.progress.load(Acquire)); // A ↔ R of whoever ran it before, in `advance`
        // Each job that is left finds room for a reference; nothing is in hand before somebody has started it.
        let left = progress.limit().saturating_sub(progress.done()) as usize;
        let needed = progress.length() as usize + left * REFERENCE_BYTES;
        let (outcomes, room) = channel.outcomes_at(slot)?;
        if progress.done() > progress.limit() || needed > room || progress.in_hand() || progress.condemned() {
            return Err(channel.corrupted());
        }
        let timed = channel.desc().timed.load(Relaxed) != 0;
        head.ran.store(0, Relaxed);
        let mut bundle = Bundle {
            channel,
            slot,
            word,
            jobs,
            at: 0,
            array: (0, 0),
            outcomes,
            room,
            step: None,
            ran: 0,
            pace: None,
            steps: false,
            progress,
            budget,
            timed,
            ended: None,
            waiting,
        };
        for _ in 0..progress.done() {
            bundle.pass_over().ok_or_else(|| channel.corrupted())?;
        }
        // A job whose worker died may be over without a word from that worker.
        if let Some(kind) = Kind::of(head.ends.load(Relaxed)).filter(|_| head.charged.load(Relaxed) == progress.done()) {
            let mut death = [0; 8];
            death[..4].copy_from_slice(&head.status.load(Relaxed).to_le_bytes());
            death[4..].copy_from_slice(&u32::from(word.attempt()).to_le_bytes());
            if bundle.begin() {
                let _ = bundle.pass_over();
                bundle.finish(kind, if kind == Kind::Died { &death } else { &[] });
            }
        }
        Ok(bundle)
    }

    /// Which task runs the jobs, and which folds their results, by their places in the program's list of tasks.
    pub fn tasks(&self) -> (u16, Option<u16>) {
        let head = self.channel.head(self.slot);
        (head.task.load(Relaxed), head.fold.load(Relaxed).checked_sub(1))
    }

    /// The next job's bytes; `None` if there is none to be run here. It has to be finished before the next one.
    #[inline]
    pub fn next_job(&mut self) -> Option<&[u8]> {
        loop {
            if !self.begin() {
                return None;
            }
            // SeqCst ↔ the parent sets the bit, then looks whether the job has been begun: see `Channel::cancel_one`.
            let index = self.progress.done();
            let cancelled = self.channel.head(self.slot).done.load(SeqCst);
            let range = self.pass_over()?;
            if cancelled != 0 && index < 64 && cancelled >> index & 1 == 1 {
                self.finish(Kind::Cancelled, &[]);
                continue;
            }
            return Some(&self.jobs[range]);
        }
    }

    /// Moves on to the next job's bytes and gives this one's.
    #[inline]
    fn pass_over(&mut self) -> Option<std::ops::Range<usize>> {
        if self.array.0 == 0 && !self.enter_array() {
            match frame::read(self.jobs, self.at) {
                Some((Record::Here(Kind::Value, bytes), next)) => {
                    self.at = next;
                    return Some(next - bytes.len()..next);
                }
                _ => {
                    self.ended = Some(Ended::Stopped(self.channel.corrupted()));
                    return None;
                }
            }
        }
        let from = self.at;
        self.at += self.array.1;
        self.array.0 -= 1;
        Some(from..self.at)
    }

    /// Whether what stands next is an array, which is entered then.
    #[inline]
    fn enter_array(&mut self) -> bool {
        if self.jobs.get(self.at) != Some(&frame::ARRAY) {
            return false;
        }
        let Some((Record::Array(width, values), next)) = frame::read(self.jobs, self.at) else { return false };
        self.array = (values.len() / width, width);
        self.at = next - values.len();
        true
    }

    /// Takes a step through an array of numbers of `width` bytes, as many as are begun at once, if the next jobs are some and their results,
    /// of `result` bytes each, fit; whether it has. `run` makes a value of a job's bytes and hands its bytes to the function that it is given.
    ///
    /// # Errors
    /// What `run` says: the job that it was about is in hand.
    #[inline(always)] // so that both numbers are known where it is used
    pub fn step<E>(
        &mut self,
        width: usize,
        result: usize,
        mut run: impl FnMut(&[u8], &mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(many) = self.begin_step(width, result) else { return Ok(false) };
        let jobs = &self.jobs[self.at..self.at + many as usize * width];
        let first = self.progress.length() as usize + frame::ARRAY_HEAD;
        assert!(first + many as usize * result <= self.room);
        let ran = &self.channel.result_head(self.slot).ran;
        let (so_far, outcomes) = (&mut self.ran, self.outcomes);
        for (n, job) in jobs.chunks_exact(width).enumerate() {
            run(job, &mut |value| {
                assert!(value.len() == result);
                plain_write(outcomes.wrapping_add(first + n * result), result);
                // SAFETY:
                // - the slot is RUNNING and ours, and nobody reads outcomes beyond what its progress counts;
                // - `many` values lie in the place for outcomes, as checked above.
                unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), outcomes.add(first + n * result), result) };
            })?;
            *so_far = n as u32 + 1;
            // R: the value ↔ recovery, which the end of this process orders.
            ran.store(n as u16 + 1, Release);
            // What the next job does must not be moved before: a death in it is charged to whom `ran` names.
            compiler_fence(SeqCst);
        }
        self.count_step(0);
        Ok(true)
    }

    #[inline]
    fn begin_step(&mut self, width: usize, result: usize) -> Option<u32> {
        self.steps = !self.timed && (self.array.0 > 0 || self.enter_array()) && self.array.1 == width;
        if !self.steps || self.ended.is_some() || self.progress.in_hand() {
            return None;
        }
        let head = self.channel.result_head(self.slot);
        let now = clock::now();
        let wanted = self.pace.take().map_or(FIRST_STEP, |(began, many)| {
            let each = now.saturating_sub(began) / u64::from(many);
            (STEP_NANOS / each.max(1)).min(u64::from(2 * many).min(MAX_HAND.into())) as u32
        });
        loop {
            let left = self.progress.limit().saturating_sub(self.progress.done());
            let many = wanted.min(left).min(self.array.0 as u32).min((*self.budget).min(u64::from(u32::MAX)) as u32);
            // A panic or a death may end the step after any of its values, and the jobs behind that one find room for a reference each: the
            // most bytes are needed after the first or after the last.
            let needed = |ran: u32| ran as usize * result + left.saturating_sub(ran) as usize * REFERENCE_BYTES;
            let needed = self.progress.length() as usize + frame::ARRAY_HEAD + needed(1).max(needed(many));
            if many < 2 || needed > self.room {
                return None;
            }
            // `ran` is 0 whenever nothing is in hand and the slot is ours.
            head.width.store(result as u16, Relaxed);
            let begun = self.progress.begin(many);
            // SeqCst and A as in `begin`; R ↔ A in `after_death`: the width is this step's.
            match head.progress.compare_exchange(self.progress.0, begun.0, SeqCst, Acquire) {
                Ok(_) => {
                    self.progress = begun;
                    *self.budget -= u64::from(many);
                    (self.step, self.ran, self.pace) = (Some(result), 0, Some((now, many)));
                    return Some(many);
                }
                Err(word) if self.became(Progress(word)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Makes the values of a step count, as far as they have been written: `in_hand` of the other jobs stay in hand.
    fn count_step(&mut self, in_hand: u32) {
        let Some(width) = self.step.take() else { return };
        let ran = self.ran;
        let left = self.progress.hand() - ran;
        // One that is in hand is in somebody's hand.
        let passed = (ran + in_hand) as usize;
        (self.at, self.array.0) = (self.at + passed * self.array.1, self.array.0 - passed);
        *self.budget += u64::from(left - in_hand);
        let bytes = if ran > 0 {
            // Less than begun if a job has panicked.
            let at = self.progress.length() as usize;
            self.write_outcome(at, &frame::array(width as u8, ran as u16));
            frame::ARRAY_HEAD + ran as usize * width
        } else {
            0
        };
        let head = self.channel.result_head(self.slot);
        loop {
            let next = self.progress.finish(ran, bytes as u32, in_hand);
            // R and SeqCst as in `advance`.
            match head.progress.compare_exchange(self.progress.0, next.0, SeqCst, Acquire) {
                Ok(_) => break self.progress = next,
                Err(now) if self.became(Progress(now)) => {}
                Err(_) => return,
            }
        }
        head.ran.store(0, Relaxed);
    }

    /// Begins a job unless one is in hand; `false` if none is to be begun.
    #[inline]
    fn begin(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        if self.progress.in_hand() {
            return true;
        }
        let head = self.channel.result_head(self.slot);
        loop {
            if self.progress.done() >= self.progress.limit() || *self.budget == 0 {
                return false;
            }
            if self.timed {
                head.began.store(clock::now(), Relaxed);
            }
            let begun = self.progress.begin(1);
            // R ↔ A in `Channel::overdue`: `began` is this job's.
            match head.progress.compare_exchange(self.progress.0, begun.0, SeqCst, Acquire) {
                Ok(_) => {
                    self.progress = begun;
                    *self.budget -= 1;
                    return true;
                }
                Err(now) if self.became(Progress(now)) => {}
                Err(_) => return false,
            }
        }
    }

    /// Whether a job has been begun and not finished.
    pub fn has_in_hand(&self) -> bool {
        self.ended.is_none() && self.progress.in_hand()
    }

    /// The word as somebody else has changed it: only its limit can be lower, and the job in hand condemned. `false`: this is the end.
    #[cold]
    fn became(&mut self, now: Progress) -> bool {
        let ours = |p: Progress| (p.done(), p.hand(), p.length());
        let alone = now.condemned() && now.hand() != 1;
        if ours(now) != ours(self.progress) || now.limit() > self.progress.limit() || alone {
            self.ended = Some(Ended::Stopped(self.channel.corrupted()));
        } else if now.condemned() {
            self.ended = Some(Ended::Condemned);
        }
        self.progress = now;
        self.ended.is_none()
    }

    /// The outcome of the job in hand. If it does not fit the slot, waits for room in the arena.
    #[inline(always)] // so that the copies of a number are of a length that the compiler knows: calls would cost more than the rest
    pub fn finish(&mut self, kind: Kind, bytes: &[u8]) {
        if self.step.is_some() {
            // A job of an array has panicked: the others that were begun with it are not begun any more.
            self.count_step(1);
        }
        if self.ended.is_some() {
            return;
        }
        let (first, n) = frame::head(kind, bytes.len());
        let at = self.progress.length() as usize;
        // Each job that follows finds room for a reference.
        let after = self.progress.limit().saturating_sub(self.progress.done() + 1) as usize * REFERENCE_BYTES;
        if at + n + bytes.len() + after <= self.room {
            if planted(Bug::OutcomeCountsEarly) {
                self.advance((n + bytes.len()) as u32);
            }
            self.write_outcome(at, &first[..n]);
            self.write_outcome(at + n, bytes);
            if !planted(Bug::OutcomeCountsEarly) {
                self.advance((n + bytes.len()) as u32);
            }
        } else {
            self.finish_elsewhere(kind, bytes);
        }
    }

    /// Writes bytes of outcomes behind those that count.
    #[inline(always)] // see `finish`
    fn write_outcome(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.room);
        plain_write(self.outcomes.wrapping_add(at), bytes.len());
        // SAFETY:
        // - the slot is RUNNING and ours, and nobody reads outcomes beyond what its progress counts;
        // - so many bytes lie in the place for outcomes, as just checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.outcomes.add(at), bytes.len()) };
    }

    #[cold]
    fn finish_elsewhere(&mut self, kind: Kind, bytes: &[u8]) {
        let mut record = Vec::with_capacity(bytes.len() + 5);
        frame::push(&mut record, kind, bytes);
        let block = loop {
            match self.channel.outcome_block(self.slot, self.word, self.progress.done(), &record) {
                Ok(block) => break block,
                Err(NoRoom::Stopped(why)) => return self.ended = Some(Ended::Stopped(why)),
                Err(NoRoom::Ever(limit)) => {
                    let sizes = [bytes.len() as u64, limit as u64].map(u64::to_le_bytes).concat();
                    record.clear();
                    frame::push(&mut record, Kind::TooLarge, &sizes);
                }
                Err(NoRoom::Now(seen)) => {
                    if let Err(why) = self.wait_for_room(seen) {
                        return self.ended = Some(Ended::Stopped(why));
                    }
                }
            }
        };
        let reference = frame::reference(block, record.len() as u32);
        // `open` has seen to it that each job finds room for a reference.
        self.write_outcome(self.progress.length() as usize, &reference);
        self.advance(REFERENCE_BYTES as u32);
    }

    /// What has been delivered, and what is done of other bundles, is what the parent can take to make room; it must know that
    /// somebody waits.
    fn wait_for_room(&mut self, seen: event::Seen) -> Result<(), Stop> {
        self.waiting.before_waiting()?;
        self.channel.check()?;
        let room = self.channel.region().arena(RESULTS).room();
        let channel = self.channel;
        // Looked at again although nobody said so: should the number of sleepers be written over, nobody would.
        let again = Deadline::after(LOOK_AGAIN);
        event::wait(channel.region(), room, seen, Some(again), || {
            channel.call_parent();
            false
        });
        Ok(())
    }

    /// The outcome in hand is written: one step makes it count and begins the next job, if there is one.
    #[inline]
    fn advance(&mut self, bytes: u32) {
        let head = self.channel.result_head(self.slot);
        loop {
            let more = self.progress.done() + 1 < self.progress.limit() && *self.budget > 0 && !self.steps;
            if more && self.timed {
                head.began.store(clock::now(), Relaxed);
            }
            let next = self.progress.finish(1, bytes, more.into());
            // R: the outcome's bytes ↔ A in `Channel::progress`. SeqCst: before the look whether somebody is impatient (rule 13).
            match head.progress.compare_exchange(self.progress.0, next.0, SeqCst, Acquire) {
                Ok(_) => {
                    self.progress = next;
                    *self.budget -= u64::from(more);
                    break;
                }
                Err(now) if self.became(Progress(now)) => {}
                Err(_) => return,
            }
        }
        if self.progress.in_hand() && self.channel.desc().impatient.load(SeqCst) != 0 {
            event::notify_all(&self.channel.desc().done);
        }
    }

    /// Ends this process's work on the bundle, which took it so many nanoseconds.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn leave(self, nanos: u64) -> Result<Left, Stop> {
        match self.ended {
            Some(Ended::Condemned) => return Ok(Left::Condemned),
            Some(Ended::Stopped(why)) => return Err(why),
            None => {}
        }
        let head = self.channel.result_head(self.slot);
        if self.progress.done() < Progress(head.progress.load(Relaxed)).limit() {
            return Ok(Left::Rest);
        }
        head.nanos.store(nanos, Relaxed);
        match self.channel.finish(self.slot, self.word) {
            Some(finished) => Ok(Left::Finished(finished)),
            // Nobody else changes the word of a slot that we run.
            None => Err(self.channel.corrupted()),
        }
    }
}
