//! The parent's side of a pool, without types: jobs and outcomes are bytes.
//!
//! One mutex guards all that the parent knows. Single submissions are put together to bundles for as long as no worker is idle (rule 18).
//! Whoever waits collects outcomes for everyone; one thread at a time does, the *leader*, and the others follow.

use super::handle::run_callback;
use super::ledger::SlotLedger;
use super::record::{Bytes, Outcome, Place, Records, Waiting};
use crate::layout::{Progress, SlotWord, State as SlotState};
use crate::process::{Command, Daemons, Mill, Shared, lock};
use crate::ring::channel::MAX_BATCH;
use crate::ring::event::{self, Seen};
use crate::ring::frame::{self, Kind};
use crate::ring::outcomes::{CancelledWhere, Fill};
use crate::ring::slots::RESULTS;
use crate::ring::{Channel, Entry as RingEntry, NoRoom, Stop};
use crate::sys::clock::Deadline;
use crate::sys::futex::Wait;
use crate::sys::thread::Thread;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::*;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A bundle of single submissions holds at most about so much work, since all of it goes to one worker.
const BUNDLE_NANOS: u32 = 20_000;

/// What it takes to hand a bundle over, about. One that holds less work is kept back for a moment although a worker is idle: as long as the
/// caller goes on submitting, more comes of it than of jobs one by one. If it does not, an idle worker asks before it sleeps, and the assistant is
/// woken if one sleeps already.
const HAND_OVER_NANOS: u32 = 1_000;

/// So many jobs a bundle of single submissions holds at most: each has a bit by which it can be cancelled.
pub(super) const BUNDLE_JOBS: u32 = 64;

/// How long a leader waits for whole bundles before it asks for single outcomes and gives rests to idle workers: long for a
/// bundle of short jobs.
pub(super) const PATIENCE: Duration = Duration::from_micros(300);

/// How often who waits looks whether the slots still say what they must: something may have written over them.
const PATROL: Duration = Duration::from_secs(1);

/// No record.
const NONE: u32 = u32::MAX;

/// Which tasks run a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub task: u16,
    pub fold: Option<u16>,
}

/// What the pool was built with.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Unfinished jobs at a time.
    pub jobs: usize,
    pub timeout: Option<Duration>,
    pub memory: Option<u64>,
}

/// Why a job was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// No more jobs are taken.
    Closed,
    /// It takes so many bytes, and the most is so many.
    TooLarge { size: usize, limit: usize },
    /// There is no room now, and the caller does not wait.
    Full,
    /// The region has ended.
    Ended(Stop),
}

/// Why a pool that takes no more jobs does not.
fn refused(ended: Option<Stop>) -> Refused {
    match ended {
        None | Some(Stop::Shutdown) => Refused::Closed,
        Some(why) => Refused::Ended(why),
    }
}

/// The parent's side of a pool.
pub(crate) struct Engine {
    pub(super) channel: Arc<Channel>,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    ledger: Arc<SlotLedger>,
    state: Mutex<State>,
    follow: Condvar,
    /// Goes when the pool is shut down.
    own: Mutex<Option<Own>>,
    /// Whether all workers of the pool have been reaped, for ever.
    buried: Mutex<bool>,
    burial: Condvar,
    /// Picoseconds that an item of a shared vector takes, by task.
    pub(super) paces: Mutex<HashMap<u16, u64>>,
}

/// What ends with the pool.
pub(super) struct Own {
    pub mill: Arc<Mill>,
    pub daemons: Daemons,
    pub assistant: Option<Thread>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub submitted: u64,
    pub done: u64,
    pub failed: u64,
    pub bundles: u64,
}

/// All that the parent knows.
pub(super) struct State {
    pub records: Records,
    /// Free slots.
    free: Vec<u32>,
    /// Slots that are in use, in no order.
    used: Vec<u32>,
    /// By slot.
    entries: Vec<Entry>,
    open: Open,
    /// Jobs without outcome.
    pub unfinished: usize,
    leader: bool,
    followers: usize,
    /// Jobs without outcome that have wakers or callbacks.
    pub watched: usize,
    /// No more jobs are taken.
    pub closed: bool,
    /// The assistant is to end.
    pub quit: bool,
    /// The region has ended, and every job has an outcome.
    pub ended: Option<Stop>,
    /// The results' event as it was when their ring was last found empty.
    seen: Option<Seen>,
    /// Bundles of several jobs that are under way.
    several: usize,
    /// When the slots are looked at again, and what then was in nobody's hands: slot and generation.
    patrol: Deadline,
    idle: Vec<(u32, u32)>,
    /// Threads that wait and want to be told of single outcomes.
    impatient: usize,
    /// Whether somebody has been woken to publish what is kept back while workers sleep.
    pub nudged: bool,
    pub counts: Counts,
    /// Whom to tell, once the mutex is released.
    told: Vec<Waiting>,
    popped: Vec<RingEntry>,
    scratch: Vec<u8>,
    spare: Vec<Vec<u32>>,
}

/// The use of a slot.
#[derive(Default)]
struct Entry {
    word: SlotWord,
    /// By their numbers in the bundle; a chunk has one for all.
    jobs: Vec<u32>,
    chunk: Option<Vec<u8>>,
    items: u32,
    /// Its place in `State::used`.
    used_at: u32,
    /// Outcomes taken, and bytes of them.
    taken: u32,
    at: u32,
}

impl State {
    /// Notes what a slot that was free is used for.
    fn uses(&mut self, slot: u32, word: SlotWord, jobs: Vec<u32>, chunk: Option<Vec<u8>>, items: u32) {
        let free = self.free.pop();
        debug_assert_eq!(free, Some(slot), "the last of the free slots is the next");
        let used_at = self.used.len() as u32;
        self.used.push(slot);
        self.several += usize::from(items > 1);
        self.entries[slot as usize] = Entry { word, jobs, chunk, items, used_at, taken: 0, at: 0 };
    }

    /// Takes a slot back.
    fn unuse(&mut self, slot: u32) -> Entry {
        let entry = std::mem::take(&mut self.entries[slot as usize]);
        self.used.swap_remove(entry.used_at as usize);
        if let Some(&moved) = self.used.get(entry.used_at as usize) {
            self.entries[moved as usize].used_at = entry.used_at;
        }
        self.free.push(slot);
        entry
    }
}

impl Entry {
    /// Whether single outcomes of it may be waited for while others run.
    fn several(&self) -> bool {
        self.items > 1
    }
}

/// The bundle that is being put together.
#[derive(Default)]
struct Open {
    route: Option<Route>,
    bytes: Vec<u8>,
    jobs: Vec<u32>,
    cancelled: u64,
    /// Whether the region says that something is kept back.
    held: bool,
    /// How many jobs it takes at most, and from how many on it goes to a worker that is idle; by how long jobs take.
    most: u32,
    enough: u32,
}

impl State {
    /// Whether jobs are kept back.
    pub(super) fn keeps_back(&self) -> bool {
        !self.open.jobs.is_empty()
    }

    /// Whether the region has ended, and jobs have their outcomes by that.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }
}

impl Engine {
    pub(super) fn new(mill: &Mill, channel: Arc<Channel>, limits: Limits) -> Arc<Engine> {
        let slots = channel.capacity();
        let ledger = Arc::new(SlotLedger::new(channel.index(), slots));
        lock(&mill.shared.ledgers).push(ledger.clone());
        channel.desc().timed.store(u32::from(limits.timeout.is_some() || limits.memory.is_some()), Relaxed);
        let state = State {
            records: Records::default(),
            free: (0..slots).rev().collect(),
            used: vec![],
            entries: (0..slots).map(|_| Entry::default()).collect(),
            open: Open::default(),
            unfinished: 0,
            leader: false,
            followers: 0,
            watched: 0,
            closed: false,
            quit: false,
            ended: None,
            seen: None,
            several: 0,
            patrol: Deadline(0),
            idle: vec![],
            impatient: 0,
            nudged: false,
            counts: Counts::default(),
            told: vec![],
            popped: vec![],
            scratch: vec![],
            spare: vec![],
        };
        Arc::new(Engine {
            channel,
            shared: mill.shared.clone(),
            limits,
            ledger,
            state: Mutex::new(state),
            follow: Condvar::new(),
            own: Mutex::new(None),
            buried: Mutex::new(false),
            burial: Condvar::new(),
            paces: Mutex::default(),
        })
    }

    pub(super) fn owns(&self, own: Own) {
        *lock(&self.own) = Some(own);
    }

    pub(super) fn with_own<R>(&self, f: impl FnOnce(&Own) -> R) -> Option<R> {
        lock(&self.own).as_ref().map(f)
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Releases the mutex and tells whoever is to be told of outcomes. A callback that panics is reported, and the others run.
    pub(super) fn release(&self, mut state: MutexGuard<'_, State>) {
        if state.told.is_empty() {
            return;
        }
        let told = std::mem::take(&mut state.told);
        drop(state);
        for waiting in told {
            waiting.wakers.into_iter().for_each(|w| w.wake());
            waiting.callbacks.into_iter().for_each(run_callback);
        }
    }

    /// Takes one job; waits for room if there is none and `wait` says so. `handles` is how many handles the record starts with.
    #[inline]
    pub(super) fn submit(&self, route: Route, job: &[u8], handles: u32, wait: bool) -> Result<(u32, u64), Refused> {
        let size = frame::size(job.len());
        let limit = self.channel.payload_limit();
        if size > limit {
            return Err(Refused::TooLarge { size, limit });
        }
        let mut state = self.lock();
        if state.unfinished >= self.limits.jobs || !self.fits(&mut state, route, size) {
            state = self.make_room(state, route, size, wait)?;
        }
        if state.closed || state.ended.is_some() {
            return Err(refused(state.ended));
        }
        let number = state.open.jobs.len() as u32;
        let index = state.counts.submitted;
        let record = state.records.insert(index, Place::Open(number), handles);
        state.counts.submitted += 1;
        state.unfinished += 1;
        state.open.route = Some(route);
        frame::push(&mut state.open.bytes, Kind::Value, job);
        state.open.jobs.push(record);
        if number == 0 {
            // Unknown: as if they were long, or one worker would get them all.
            let nanos = Some(self.channel.desc().job_nanos.load(Relaxed)).filter(|n| *n > 0).unwrap_or(BUNDLE_NANOS);
            state.open.most = (BUNDLE_NANOS / nanos).clamp(1, BUNDLE_JOBS);
            state.open.enough = HAND_OVER_NANOS.div_ceil(nanos);
        }
        let mut unseen = false;
        if number + 1 >= state.open.most {
            self.flush(&mut state);
        } else {
            if !state.open.held {
                state.open.held = true;
                // SeqCst: before the look whether a worker is idle ↔ `ask_for_jobs` (rule 18).
                self.channel.desc().held.store(1, SeqCst);
            }
            // One that is alone is not the start of many.
            if (number + 1 >= state.open.enough || state.unfinished == 1) && self.somebody_idle() {
                self.flush(&mut state);
            } else if number == 0 && !state.nudged && self.channel.desc().jobs.sleepers.load(SeqCst) != 0 {
                // A worker that sleeps does not ask any more, and those that are awake may be at it for long.
                state.nudged = true;
                unseen = true;
            }
        }
        if state.unfinished == 1 && self.channel.desc().timed.load(Relaxed) != 0 {
            // The assistant's clock starts to run.
            event::notify_all(&self.channel.desc().assist);
        }
        self.release(state);
        if unseen {
            self.channel.call_parent();
        }
        Ok((record, index))
    }

    /// Whether the open bundle takes a job of `size` bytes for `route`; publishes it first if not.
    #[inline]
    fn fits(&self, state: &mut State, route: Route, size: usize) -> bool {
        let open = &state.open;
        if open.jobs.is_empty() {
            return true;
        }
        let fits = open.route == Some(route)
            && open.bytes.len() + size <= self.channel.inline_jobs()
            && open.jobs.len() < BUNDLE_JOBS.min(self.channel.most_items()) as usize;
        fits || self.flush(state)
    }

    #[cold]
    fn make_room<'e>(
        &'e self,
        state: MutexGuard<'e, State>,
        route: Route,
        size: usize,
        wait: bool,
    ) -> Result<MutexGuard<'e, State>, Refused> {
        let ready = |state: &mut State| {
            let over = state.closed || state.ended.is_some();
            (over || state.unfinished < self.limits.jobs && self.fits(state, route, size)).then_some(())
        };
        let deadline = if wait { None } else { Some(Deadline(0)) };
        let (state, got) = self.wait_until(state, deadline, ready);
        match got {
            Some(()) => Ok(state),
            None => {
                self.release(state);
                Err(Refused::Full)
            }
        }
    }

    #[inline]
    fn somebody_idle(&self) -> bool {
        let d = self.channel.desc();
        d.wanted.load(SeqCst) != 0 || d.jobs.sleepers.load(SeqCst) != 0
    }

    /// Publishes what is kept back. `false` if there is no room for it.
    #[inline]
    pub(super) fn flush(&self, state: &mut State) -> bool {
        if state.open.jobs.is_empty() {
            return true;
        }
        let Some(&slot) = state.free.last() else { return false };
        let route = state.open.route.expect("set with the first job");
        let items = state.open.jobs.len() as u32;
        let (jobs, cancelled) = (&state.open.bytes[..], state.open.cancelled);
        let fill = Fill { items, jobs, room: 0, task: route.task, fold: route.fold, cancelled };
        let filling = match self.channel.fill(slot, fill) {
            Ok(filling) => filling,
            Err(NoRoom::Now(_)) => return false,
            Err(NoRoom::Stopped(why)) => {
                self.end(state, why);
                return true;
            }
            Err(NoRoom::Ever(_)) => unreachable!("sizes were compared at submission, and bundles fit their slot"),
        };
        let next = state.spare.pop().unwrap_or_default();
        let jobs = std::mem::replace(&mut state.open.jobs, next);
        for (number, &job) in jobs.iter().enumerate() {
            if job != NONE {
                state.records[job].place = Place::Slot(slot, number as u32);
            }
        }
        state.uses(slot, filling.word, jobs, None, items);
        state.open.bytes.clear();
        state.open.cancelled = 0;
        state.open.held = false;
        self.channel.desc().held.store(0, Relaxed);
        self.publish(state, filling);
        true
    }

    fn publish(&self, state: &mut State, filling: crate::ring::Filling) {
        state.counts.bundles += 1;
        let wanted = &self.channel.desc().wanted;
        if wanted.load(Relaxed) != 0 {
            wanted.store(0, Relaxed);
        }
        self.ledger.note(filling.slot, filling.word.generation());
        if let Err(why) = self.channel.publish(&[filling]) {
            self.end(state, why);
        }
    }

    /// Waits until a slot is free, or nothing is taken any more; `false` at the deadline.
    pub(super) fn slot_until(&self, deadline: Option<Deadline>) -> bool {
        let ready = |state: &mut State| (state.closed || state.ended.is_some() || !state.free.is_empty()).then_some(());
        let mut state = self.lock();
        if ready(&mut state).is_some() {
            return true;
        }
        let (state, got) = self.wait_until(state, deadline, ready);
        self.release(state);
        got.is_some()
    }

    /// Takes `items` jobs that are to have one outcome, all of their records. If these need more than a slot has, `room` is their bytes. Waits
    /// for room; [`Refused::Full`] at the deadline.
    pub(super) fn submit_chunk(
        &self,
        route: Route,
        jobs: &[u8],
        items: u32,
        room: u32,
        deadline: Option<Deadline>,
    ) -> Result<u32, Refused> {
        let limit = self.channel.payload_limit();
        if jobs.len() + room as usize > limit {
            return Err(Refused::TooLarge { size: jobs.len(), limit });
        }
        let mut filled = None;
        let fill = |state: &mut State| {
            if state.closed || state.ended.is_some() {
                return Some(());
            }
            let slot = *state.free.last()?;
            let fill = Fill { items, jobs, room, task: route.task, fold: route.fold, cancelled: 0 };
            match self.channel.fill(slot, fill) {
                Ok(filling) => filled = Some(filling),
                Err(NoRoom::Now(_)) => return None,
                Err(NoRoom::Stopped(why)) => self.end(state, why),
                Err(NoRoom::Ever(_)) => unreachable!("compared above"),
            }
            Some(())
        };
        let (mut state, in_time) = self.wait_until(self.lock(), deadline, fill);
        let Some(filling) = filled else {
            let why = if in_time.is_some() { refused(state.ended) } else { Refused::Full };
            self.release(state);
            return Err(why);
        };
        let index = state.counts.submitted;
        let record = state.records.insert(index, Place::Slot(filling.slot, 0), 1);
        state.counts.submitted += u64::from(items);
        state.unfinished += 1;
        let mut one = state.spare.pop().unwrap_or_default();
        one.push(record);
        let chunk = Some(Vec::with_capacity(jobs.len() + jobs.len() / 16));
        state.uses(filling.slot, filling.word, one, chunk, items);
        self.publish(&mut state, filling);
        if state.unfinished == 1 && self.channel.desc().timed.load(Relaxed) != 0 {
            event::notify_all(&self.channel.desc().assist);
        }
        self.release(state);
        Ok(record)
    }

    /// Waits until `ready` gives something, or the deadline passes; collects outcomes meanwhile.
    pub(super) fn wait_until<'e, T>(
        &'e self,
        mut state: MutexGuard<'e, State>,
        deadline: Option<Deadline>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> (MutexGuard<'e, State>, Option<T>) {
        let mut impatient = false;
        let mut used = vec![];
        let result = loop {
            if let Some(got) = ready(&mut state) {
                break Some(got);
            }
            if !state.told.is_empty() {
                self.release(state);
                state = self.lock();
                continue;
            }
            let late = deadline.is_some_and(Deadline::passed);
            if state.leader {
                if late {
                    break None;
                }
                state = self.follow(state, deadline);
                continue;
            }
            self.flush(&mut state);
            let seen = match self.collect(&mut state) {
                Ok(None) => continue,
                Ok(Some(seen)) => seen,
                Err(_) if late => break None,
                Err(why) => {
                    self.end(&mut state, why);
                    continue;
                }
            };
            if impatient || self.room_wanted() {
                self.rebalance(&mut state, |_, _| true);
            }
            if (impatient || late || self.room_wanted()) && self.take_parts(&mut state) {
                continue;
            }
            if late {
                // A last look at what is finished behind a job that runs long; not for those who ask without waiting.
                if deadline != Some(Deadline(0)) && self.channel.help() {
                    continue;
                }
                break None;
            }
            let several = state.several > 0;
            let until = match (several && !impatient, deadline) {
                (true, d) => Some(Deadline::after(PATIENCE).min(d.unwrap_or(Deadline(u64::MAX)))),
                (false, d) => d,
            };
            state.leader = true;
            state.nudged = false;
            used.clone_from(&state.used);
            let (bound, patrol) = (until, state.patrol);
            drop(state);
            // If it has passed: this wait is the first one for long.
            let patrol = if patrol.passed() { Deadline::after(PATROL) } else { patrol };
            let waited = self.sleep(seen, Some(bound.map_or(patrol, |d| d.min(patrol))), &used);
            state = self.lock();
            state.leader = false;
            state.patrol = patrol;
            if patrol.passed() {
                self.patrol(&mut state);
                if bound.is_none_or(|d| !d.passed()) {
                    continue;
                }
            }
            if waited == Wait::TimedOut && several && !impatient {
                impatient = true;
                state.impatient += 1;
                // SeqCst: before the look at the bundles' progress ↔ `Bundle::advance` (rule 13).
                self.channel.desc().impatient.store(1, SeqCst);
            }
        };
        if impatient {
            state.impatient -= 1;
            // Another one may wait for single outcomes while this one ran callbacks.
            if state.impatient == 0 {
                self.channel.desc().impatient.store(0, Relaxed);
            }
        }
        // Whoever follows becomes the leader, or sees what has been collected.
        if state.followers > 0 {
            self.follow.notify_all();
        }
        if state.watched > 0 && !state.leader {
            event::notify_all(&self.channel.desc().assist);
        }
        (state, result)
    }

    /// Looks whether the slots that are in use say what they must. Nobody else looks at a word that has been written over, a lost entry of a ring
    /// or a lost wake-up, and who waits would wait for ever: a contradiction ends the region, and what nobody is about to begin is
    /// offered again.
    #[cold]
    fn patrol(&self, state: &mut State) {
        if state.ended.is_some() {
            return;
        }
        let before = std::mem::take(&mut state.idle);
        let (mut busy, mut waits) = (std::collections::HashSet::new(), false);
        for &slot in &state.used {
            let word = self.channel.word(slot);
            let generation = state.entries[slot as usize].word.generation();
            let known = word.generation() == generation && !word.is(SlotState::Free) && !word.is(SlotState::Owned);
            let Some(now) = word.state().filter(|_| known) else {
                let why = self.channel.corrupted();
                return self.end(state, why);
            };
            if matches!(now, SlotState::Running | SlotState::Finished) {
                busy.insert(word.owner());
                // A worker that is to be ended waits for it, whoever said so.
                if self.channel.progress(slot).condemned() {
                    self.shared.command(Command::Condemned { channel: self.channel.clone(), slot, generation });
                }
            } else {
                waits |= before.contains(&(slot, generation));
                state.idle.push((slot, generation));
            }
        }
        // Who has nothing to do looks for itself: a word may name one that does not run that slot, and nobody else can tell.
        event::notify_all(&self.channel.desc().jobs);
        let workers = self.with_own(|own| own.daemons.pids().len()).unwrap_or(0);
        // All outcomes have been taken: who still waits for room for another one waits for blocks that belong to nobody.
        let scan = waits && busy.len() < workers || self.room_wanted();
        if scan || !busy.is_empty() {
            self.shared.command(Command::Patrol { channel: self.channel.clone(), scan });
        }
    }

    /// Sleeps until something is delivered; delivers what the workers have finished of the `used` slots (rule 13).
    fn sleep(&self, seen: Seen, until: Option<Deadline>, used: &[u32]) -> Wait {
        let d = self.channel.desc();
        let look = || self.channel.help_with(used.iter().copied()) || self.room_wanted();
        event::wait(self.channel.region(), &d.done, seen, until, look)
    }

    fn follow<'e>(&'e self, mut state: MutexGuard<'e, State>, deadline: Option<Deadline>) -> MutexGuard<'e, State> {
        // What is kept back must not wait for the leader.
        self.flush(&mut state);
        state.followers += 1;
        let mut state = match deadline {
            None => self.follow.wait(state).unwrap_or_else(|e| e.into_inner()),
            Some(d) => {
                let left = Duration::from_nanos(d.0.saturating_sub(crate::sys::clock::now()));
                self.follow.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0
            }
        };
        state.followers -= 1;
        state
    }

    /// Whether a worker waits for room for a result.
    pub(super) fn room_wanted(&self) -> bool {
        self.channel.region().arena(RESULTS).room().sleepers.load(SeqCst) != 0
    }

    /// Takes all outcomes that have been delivered; `Some`: there were none, and the event was like that.
    pub(super) fn collect(&self, state: &mut State) -> Result<Option<Seen>, Stop> {
        // Then every job has its outcome, and what workers deliver in their last moments is not looked at.
        if let Some(why) = state.ended {
            return Err(why);
        }
        self.channel.check()?;
        // What is delivered moves the sequence: if it stands where the ring was last found empty, nothing is there.
        if let Some(seen) = state.seen
            && event::look(&self.channel.desc().done) == seen
        {
            return Ok(Some(seen));
        }
        let mut popped = std::mem::take(&mut state.popped);
        let mut any = false;
        let result = loop {
            popped.clear();
            let (n, seen) = match self.channel.pop_results(MAX_BATCH, &mut popped) {
                Ok(got) => got,
                Err(why) => break Err(why),
            };
            any |= n > 0;
            if let Err(why) = popped.iter().try_for_each(|&entry| self.take_done(state, entry)) {
                break Err(why);
            }
            if seen.is_some() {
                state.seen = seen;
                break Ok(if any { None } else { seen });
            }
        };
        state.popped = popped;
        if any && state.followers > 0 {
            self.follow.notify_all();
        }
        result
    }

    /// Takes the outcomes of a bundle that is DONE, and its slot.
    fn take_done(&self, state: &mut State, popped: RingEntry) -> Result<(), Stop> {
        let slot = popped.slot;
        if slot >= self.channel.capacity() {
            return Err(self.channel.corrupted());
        }
        let word = self.channel.word(slot); // A4 ↔ R4 in `deliver_done`
        if !word.is(SlotState::Done) || word.generation() != popped.generation || !self.ledger.holds(slot, word.generation()) {
            return Ok(());
        }
        let progress = self.channel.progress(slot);
        if progress.done() != state.entries[slot as usize].items {
            return Err(self.channel.corrupted());
        }
        self.take(state, slot, word, progress)?;
        let nanos = self.channel.nanos(slot);
        self.ledger.claim(slot, word.generation());
        self.channel.free_slot(slot, word);
        let mut entry = state.unuse(slot);
        state.several -= usize::from(entry.several());
        if let Some(bytes) = entry.chunk {
            self.complete(state, entry.jobs[0], Outcome::Chunk(Arc::new(bytes), nanos));
        }
        if state.spare.len() < 64 {
            entry.jobs.clear();
            state.spare.push(entry.jobs);
        }
        Ok(())
    }

    /// Takes outcomes of bundles that are not finished; whether there were any. Those that workers say they run come first; if they have none,
    /// all that we have given them: some wait for their next worker, because one has died or may not run more, and a worker that does not say
    /// what it runs may wait for room for a result, which nobody else makes.
    fn take_parts(&self, state: &mut State) -> bool {
        let before = state.unfinished;
        let running: Vec<u32> = self.channel.running_bundles().collect();
        running.into_iter().for_each(|slot| self.take_part(state, slot, SlotState::Running));
        if state.unfinished == before {
            let several = |(slot, entry): (u32, &Entry)| (entry.items > 1).then_some(slot);
            let others: Vec<u32> = (0..).zip(&state.entries).filter_map(several).collect();
            for slot in others {
                self.take_part(state, slot, SlotState::Running);
                self.take_part(state, slot, SlotState::Ready);
            }
        }
        state.unfinished != before
    }

    fn take_part(&self, state: &mut State, slot: u32, if_in: SlotState) {
        let word = self.channel.word(slot);
        if state.ended.is_none()
            && word.is(if_in)
            && self.ledger.holds(slot, word.generation())
            && let Err(why) = self.take(state, slot, word, self.channel.progress(slot))
        {
            self.end(state, why);
        }
    }

    /// Takes every outcome that there is, without waiting. What is kept back stays so.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        self.channel.help();
        match self.collect(&mut state) {
            Ok(_) => drop(self.take_parts(&mut state)),
            Err(why) => self.end(&mut state, why),
        }
        self.release(state);
    }

    /// Takes a job's outcome if it is there and has not been delivered because its worker runs another job by now.
    pub(super) fn fetch(&self, state: &mut State, job: u32) {
        let Place::Slot(slot, number) = state.records[job].place else { return };
        let word = self.channel.word(slot);
        if !self.ledger.holds(slot, word.generation()) {
            return;
        }
        let progress = self.channel.progress(slot);
        let result = match word.state() {
            Some(SlotState::Finished) => {
                self.channel.deliver_done(&[(slot, word)]).and_then(|()| self.collect(state).map(drop))
            }
            Some(SlotState::Done) => self.collect(state).map(drop),
            Some(SlotState::Running | SlotState::Ready) if progress.done() > number => self.take(state, slot, word, progress),
            _ => Ok(()),
        };
        if let Err(why) = result {
            self.end(state, why);
        }
    }

    /// Takes what is new of a bundle's outcomes.
    fn take(&self, state: &mut State, slot: u32, word: SlotWord, progress: Progress) -> Result<(), Stop> {
        let entry = &mut state.entries[slot as usize];
        let (from, at) = (entry.taken, entry.at);
        if progress.done() < from || progress.done() > entry.items {
            return Err(self.channel.corrupted());
        }
        (entry.taken, entry.at) = (progress.done(), progress.length());
        let new = from..progress.done();
        if let Some(mut chunk) = entry.chunk.take() {
            let start = chunk.len();
            self.channel.copy_outcomes(slot, at, progress.length(), &mut chunk)?;
            self.check_chunk(slot, word, new, &mut chunk, start)?;
            state.entries[slot as usize].chunk = Some(chunk);
            return Ok(());
        }
        let mut scratch = std::mem::take(&mut state.scratch);
        scratch.clear();
        self.channel.copy_outcomes(slot, at, progress.length(), &mut scratch)?;
        let before = state.unfinished;
        let result = self.take_singles(state, slot, word, new, &scratch);
        state.scratch = scratch;
        // Whoever follows may wait for one of these, while the leader waits for another.
        if state.unfinished != before && state.followers > 0 {
            self.follow.notify_all();
        }
        result
    }

    /// Compares a chunk's records from `at` on with the numbers of the jobs that they are of, and replaces references by what they refer to.
    fn check_chunk(
        &self,
        slot: u32,
        word: SlotWord,
        jobs: std::ops::Range<u32>,
        chunk: &mut Vec<u8>,
        mut at: usize,
    ) -> Result<(), Stop> {
        let corrupt = || self.channel.corrupted();
        let mut number = jobs.start;
        // Only if there is a reference: everything anew, from the first one on. Put in between, each would move all that follows.
        let mut whole: Option<Vec<u8>> = None;
        let mut room = self.room();
        while number < jobs.end {
            let (record, next) = frame::read(chunk, at).ok_or_else(corrupt)?;
            let (count, here) = match record {
                frame::Record::Here(..) => (1, true),
                frame::Record::Array(width, values) => ((values.len() / width) as u32, true),
                frame::Record::In { block, length } => {
                    room = room.checked_sub(length as usize).ok_or_else(corrupt)?;
                    let to = whole.get_or_insert_with(|| chunk[..at].to_vec());
                    let start = to.len();
                    self.channel.take_block(slot, word, block, length, to)?;
                    if !matches!(frame::read(to, start), Some((frame::Record::Here(..), end)) if end == to.len()) {
                        return Err(corrupt());
                    }
                    (1, false)
                }
            };
            if let Some(whole) = whole.as_mut().filter(|_| here) {
                whole.extend_from_slice(&chunk[at..next]);
            }
            (at, number) = (next, number + count);
        }
        if number != jobs.end || at != chunk.len() {
            return Err(corrupt());
        }
        if let Some(whole) = whole {
            *chunk = whole;
        }
        Ok(())
    }

    /// So many bytes the blocks can have to which the outcomes of one slot refer at one moment. What refers to more refers to the same bytes
    /// again and again, and taking it all would take any amount of memory.
    fn room(&self) -> usize {
        self.channel.region().arena(RESULTS).capacity()
    }

    /// Gives single jobs their outcomes: one record for each.
    fn take_singles(
        &self,
        state: &mut State,
        slot: u32,
        word: SlotWord,
        jobs: std::ops::Range<u32>,
        records: &[u8],
    ) -> Result<(), Stop> {
        let corrupt = || self.channel.corrupted();
        let mut there = vec![];
        let mut at = 0;
        let mut room = self.room();
        for number in jobs {
            if let Some(bytes) = frame::short(records, at) {
                self.complete_one(state, slot, number, Kind::Value, bytes);
                at += 1 + bytes.len();
                continue;
            }
            let (record, next) = frame::read(records, at).ok_or_else(corrupt)?;
            match record {
                frame::Record::Here(kind, bytes) => self.complete_one(state, slot, number, kind, bytes),
                frame::Record::In { block, length } => {
                    there.clear();
                    room = room.checked_sub(length as usize).ok_or_else(corrupt)?;
                    self.channel.take_block(slot, word, block, length, &mut there)?;
                    let Some((frame::Record::Here(kind, bytes), _)) = frame::read(&there, 0) else { return Err(corrupt()) };
                    self.complete_one(state, slot, number, kind, bytes);
                }
                // Single jobs are no arrays.
                frame::Record::Array(..) => return Err(corrupt()),
            }
            at = next;
        }
        if at == records.len() { Ok(()) } else { Err(corrupt()) }
    }

    #[inline]
    fn complete_one(&self, state: &mut State, slot: u32, number: u32, kind: Kind, bytes: &[u8]) {
        let job = state.entries[slot as usize].jobs[number as usize];
        if job != NONE {
            self.complete(state, job, Outcome::Of(kind, Bytes::of(bytes)));
        }
    }

    /// Gives a job its outcome.
    #[inline(always)] // so that it is made where it is to stand: written in parts and then moved, it costs more than the rest
    fn complete(&self, state: &mut State, job: u32, outcome: Outcome) {
        let record = &mut state.records[job];
        if record.outcome.is_some() {
            return;
        }
        state.unfinished -= 1;
        state.counts.done += 1;
        if !matches!(outcome, Outcome::Of(Kind::Value, _) | Outcome::Chunk(..)) {
            state.counts.failed += 1;
        }
        record.place = Place::Done;
        record.outcome = Some(outcome);
        if let Some(mut waiting) = record.waiting.take() {
            for (watch, token) in waiting.watches.drain(..) {
                watch.push(token);
            }
            if !waiting.wakers.is_empty() || !waiting.callbacks.is_empty() {
                state.watched -= 1;
                state.told.push(*waiting);
            }
        }
        if state.records[job].handles == 0 {
            state.records.remove(job);
        }
    }

    /// The region has ended: every job that has no outcome gets this one.
    pub(super) fn end(&self, state: &mut State, why: Stop) {
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(why);
        state.open.jobs.clear();
        state.open.bytes.clear();
        let unfinished: Vec<u32> = state.records.unfinished().collect();
        for job in unfinished {
            self.complete(state, job, Outcome::Ended(why));
        }
        state.several = 0;
        self.follow.notify_all();
    }

    /// Cancels a job; whether it will not give a value.
    pub(super) fn cancel(&self, job: u32) -> bool {
        let mut state = self.lock();
        let cancelled = self.cancel_in(&mut state, job, true);
        self.release(state);
        cancelled
    }

    /// The same with the mutex held. `running`: jobs that are running too.
    pub(super) fn cancel_in(&self, state: &mut State, job: u32, running: bool) -> bool {
        match state.records[job].place {
            Place::Done => false,
            Place::Open(number) => {
                state.open.cancelled |= 1 << number;
                state.open.jobs[number as usize] = NONE;
                self.complete(state, job, Outcome::Of(Kind::Cancelled, Bytes::of(&[])));
                true
            }
            Place::Slot(slot, number) => {
                let entry = &mut state.entries[slot as usize];
                if entry.chunk.is_some() {
                    return self.cancel_chunk(state, slot);
                }
                if !running && self.channel.progress(slot).begun() > number {
                    return false;
                }
                if !self.channel.progress(slot).condemned() {
                    // Else another job of the bundle is being ended, for a reason of its own.
                    self.ledger.condemn(slot, Kind::Cancelled);
                }
                match self.channel.cancel_one(slot, number, running) {
                    CancelledWhere::Waiting => {
                        entry.jobs[number as usize] = NONE;
                        self.complete(state, job, Outcome::Of(Kind::Cancelled, Bytes::of(&[])));
                        true
                    }
                    CancelledWhere::Running => {
                        let generation = entry.word.generation();
                        self.shared.command(Command::Condemned { channel: self.channel.clone(), slot, generation });
                        true
                    }
                    CancelledWhere::Over => false,
                }
            }
        }
    }

    /// What has not been begun of a chunk is not run.
    fn cancel_chunk(&self, state: &mut State, slot: u32) -> bool {
        let cut = self.channel.cut(slot);
        let entry = &mut state.entries[slot as usize];
        if cut.end == entry.items && !cut.is_empty() {
            let before = entry.several();
            entry.items = cut.start;
            state.several -= usize::from(before && !entry.several());
        }
        !cut.is_empty()
    }

    /// Condemns jobs in hand that are over `overdue`'s bound: asked for each with the moment when it was begun.
    pub(super) fn condemn(&self, why: Kind, mut overdue: impl FnMut(u16, u64) -> bool) {
        let state = self.lock();
        let running: Vec<u32> = self.channel.running_bundles().collect();
        for slot in running {
            let word = self.channel.word(slot);
            if !word.is(SlotState::Running) || !self.ledger.holds(slot, word.generation()) {
                continue;
            }
            let Some((index, began)) = self.channel.in_hand_since(slot) else { continue };
            if overdue(word.owner(), began) {
                self.ledger.condemn(slot, why);
                if self.channel.condemn(slot, index) {
                    let generation = word.generation();
                    self.shared.command(Command::Condemned { channel: self.channel.clone(), slot, generation });
                }
            }
        }
        drop(state);
    }

    /// Bundles that run, of which jobs wait behind another one and can be moved; empty if no worker is idle.
    pub(super) fn behind(&self) -> Vec<(u32, SlotWord)> {
        if !self.somebody_idle() {
            return vec![];
        }
        let state = self.lock();
        if state.free.len() < 2 {
            return vec![];
        }
        let movable = |&slot: &u32| {
            let progress = self.channel.progress(slot);
            state.entries[slot as usize].chunk.is_none() && progress.done() + 1 < progress.limit()
        };
        let running = self.channel.running_bundles().filter(movable);
        running.map(|slot| (slot, self.channel.word(slot))).collect()
    }

    /// Gives jobs that have not been begun, of bundles that run and of which `which` approves, to workers that have nothing to do: one job a
    /// slot, as far as there are slots. Whether there were any.
    pub(super) fn rebalance(&self, state: &mut State, which: impl Fn(u32, SlotWord) -> bool) -> bool {
        // After the end every job has its outcome, and its record may be gone.
        if state.ended.is_some() || !self.somebody_idle() {
            return false;
        }
        let running: Vec<u32> = self.channel.running_bundles().collect();
        let mut gave = false;
        for slot in running {
            let word = self.channel.word(slot);
            let known = word.is(SlotState::Running) && self.ledger.holds(slot, word.generation());
            if !known || !which(slot, word) || state.free.len() < 2 || state.entries[slot as usize].chunk.is_some() {
                continue;
            }
            match self.give_rest(state, slot) {
                Ok(given) => gave |= given,
                Err(why) => {
                    self.end(state, why);
                    return false;
                }
            }
        }
        gave
    }

    fn give_rest(&self, state: &mut State, slot: u32) -> Result<bool, Stop> {
        let rest = self.channel.cut_behind(slot);
        let entry = &mut state.entries[slot as usize];
        if rest.is_empty() || rest.end != entry.items {
            return Ok(false);
        }
        let before = entry.several();
        entry.items = rest.start;
        let mut bytes = vec![];
        self.channel.payload(slot)?.append_to(&mut bytes);
        let (route, cancelled) = self.channel.bundle_of(slot);
        let mut jobs: VecDeque<u32> = entry.jobs.split_off(rest.start as usize).into();
        state.several -= usize::from(before && !entry.several());
        let mut at = 0;
        for _ in 0..rest.start {
            at = frame::read(&bytes, at).ok_or_else(|| self.channel.corrupted())?.1;
        }
        let mut number = rest.start;
        while !jobs.is_empty() {
            // One each, and what is left into the last slot.
            let items = if state.free.len() > 1 { 1 } else { jobs.len() as u32 };
            let from = at;
            for _ in 0..items {
                at = frame::read(&bytes, at).ok_or_else(|| self.channel.corrupted())?.1;
            }
            let bits = (cancelled >> number) & (u64::MAX >> (64 - items.min(64)));
            let fill = Fill { items, jobs: &bytes[from..at], room: 0, task: route.0, fold: route.1, cancelled: bits };
            let slot = *state.free.last().expect("two were free, and the last one takes all");
            let filling = match self.channel.fill(slot, fill) {
                Ok(filling) => filling,
                Err(NoRoom::Stopped(why)) => return Err(why),
                // Parts of what stood in a slot fit a slot.
                Err(NoRoom::Now(_) | NoRoom::Ever(_)) => return Err(self.channel.corrupted()),
            };
            let moved: Vec<u32> = jobs.drain(..items as usize).collect();
            for (k, &job) in (0..).zip(&moved) {
                if job != NONE {
                    state.records[job].place = Place::Slot(slot, k);
                }
            }
            state.uses(slot, filling.word, moved, None, items);
            self.publish(state, filling);
            number += items;
        }
        Ok(true)
    }

    /// One more handle.
    pub(super) fn share(&self, job: u32) {
        self.lock().records[job].handles += 1;
    }

    /// One handle less.
    pub(super) fn forget(&self, job: u32) {
        self.forget_in(&mut self.lock(), job);
    }

    /// The same with the mutex held.
    #[inline]
    pub(super) fn forget_in(&self, state: &mut State, job: u32) {
        let record = &mut state.records[job];
        record.handles -= 1;
        if record.handles == 0 && record.outcome.is_some() {
            state.records.remove(job);
        }
    }

    /// Ends everything: no more jobs, no workers; what has no outcome ends with the region. Whether this call did it.
    pub(super) fn close(&self) -> bool {
        self.lock().closed = true;
        let Some(own) = lock(&self.own).take() else { return false };
        let mut state = self.lock();
        // What has been delivered counts.
        let _ = self.collect(&mut state);
        state.quit = true;
        self.release(state);
        event::notify_all(&self.channel.desc().assist);
        event::notify_all(&self.channel.desc().done);
        self.follow.notify_all();
        let Own { mill, daemons, assistant } = own;
        // The supervisor kills and reaps all workers before it ends.
        drop(mill);
        drop(daemons);
        *lock(&self.buried) = true;
        self.burial.notify_all();
        if let Some(assistant) = assistant
            && !assistant.is_current()
        {
            // It never panics; if it did, there is nobody left to tell.
            assistant.join();
        }
        let mut state = self.lock();
        self.end(&mut state, Stop::Shutdown);
        self.release(state);
        true
    }

    /// Ends the pool, whose region has ended, and waits until no worker lives: what jobs were lent belongs to this process again.
    pub(super) fn wait_for_burial(&self) {
        self.close();
        let buried = lock(&self.buried);
        drop(self.burial.wait_while(buried, |buried| !*buried));
    }

    /// Sends a signal to all workers.
    pub(super) fn signal(&self, signal: i32) {
        if let Some(group) = self.with_own(|own| own.daemons.group.clone()) {
            self.shared.command(Command::Signal { group, signal });
        }
    }
}
