//! Operations of the parent and two workers in any order, with deaths between them, compared with what a simple model expects: every job has one
//! outcome, the one that what happened to it allows; none runs twice at once, or after it was taken away; nothing is left behind.
//!
//! A worker's bundle lives on the stack: while it has one, the other worker and the parent act in calls inside of its own.

use super::Input;
use super::views::{self, ATTEMPTS, KILLED, NoRoom, SLOTS, Views};
use gristmill::layout::{OutcomeKind, State};
use gristmill::ring::bundle::{Bundle, Left};
use gristmill::ring::frame::{self, Record};
use gristmill::ring::outcomes::{CancelledWhere, Fill};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

/// What is known of a job.
#[derive(Default)]
struct Job {
    /// In the hands of this worker.
    runs: bool,
    /// An outcome of its worker counts.
    ended: Option<OutcomeKind>,
    deaths: u32,
    condemned: bool,
    cancelled: bool,
    /// Not to be begun any more: cancelled while it waited, or taken away.
    over: bool,
    given: bool,
    outcome: bool,
}

/// The use of a slot: jobs from number `first` on.
struct Use {
    first: usize,
    items: usize,
    array: bool,
    /// Outcomes taken, and bytes of them.
    taken: usize,
    at: u32,
}

struct World<'v> {
    views: &'v Views,
    jobs: Vec<Job>,
    slots: [Option<Use>; SLOTS as usize],
    busy: [bool; 2],
    doomed: [bool; 2],
}

/// So many jobs an input makes at most: their numbers have two bytes, and a long input shows nothing that a short one cannot.
const MOST: usize = 200;

pub fn run(data: &[u8]) {
    views::with(|views| {
        let mut input = Input(data);
        let flags = input.byte();
        views.parent.desc().timed.store(u32::from(flags & 1), Relaxed);
        views.parent.desc().job_nanos.store(if flags & 2 == 0 { 100 } else { 0 }, Relaxed);
        let slots = std::array::from_fn(|_| None);
        let mut world = World { views, jobs: vec![], slots, busy: [false; 2], doomed: [false; 2] };
        while !input.over() {
            world.act(&mut input);
        }
        world.drain();
    });
}

impl World<'_> {
    fn act(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let slot = u32::from(what >> 4) % SLOTS;
        match what % 10 {
            0 | 1 => self.publish(slot, input),
            2..=4 => drop(self.work(usize::from(what >> 4 & 1), input)),
            5 => self.cut(slot),
            6 => self.cancel(slot, input),
            7 => self.collect(),
            8 => self.take_part(slot),
            _ => drop(self.views.parent.help()),
        }
    }

    fn publish(&mut self, slot: u32, input: &mut Input<'_>) {
        if self.slots[slot as usize].is_some() || self.jobs.len() >= MOST {
            return;
        }
        let what = input.byte();
        let (items, array, room) = (1 + usize::from(what % 8), what & 8 != 0, what & 16 != 0);
        let first = self.jobs.len();
        let mut jobs = if array { frame::array(2, items as u16).to_vec() } else { vec![] };
        for number in first..first + items {
            let bytes = (number as u16).to_le_bytes();
            if array {
                jobs.extend(bytes);
            } else {
                frame::push(&mut jobs, OutcomeKind::Value, &bytes);
            }
        }
        let room = if room { 20 * items as u32 } else { 0 };
        let fill = Fill { items: items as u32, jobs: &jobs, room, task: 0, fold: None, cancelled: 0 };
        // No room is no fault: other uses have it.
        let Ok(filling) = self.views.parent.fill(slot, fill) else { return };
        self.views.deaths[slot as usize].clear();
        self.views.parent.publish(&[filling]).unwrap();
        self.jobs.extend((0..items).map(|_| Job::default()));
        self.slots[slot as usize] = Some(Use { first, items, array, taken: 0, at: 0 });
    }

    /// Worker `who` runs a bundle, if it has none and there is one.
    fn work(&mut self, who: usize, input: &mut Input<'_>) -> bool {
        if self.busy[who] {
            return false;
        }
        let views = self.views;
        let worker = &views.workers[who];
        let mut entries = VecDeque::new();
        worker.pop(1, &mut entries, &[]).unwrap();
        let Some(entry) = entries.pop_front() else { return false };
        let (slot, Some(word)) = (entry.slot, worker.start(entry)) else { return true };
        let what = input.byte();
        // Without input: all of it.
        let (mut budget, mut waiting, mut memory) = (if what % 16 == 1 { u64::from(what >> 4) } else { 99 }, NoRoom, vec![]);
        self.busy[who] = true;
        worker.runs(Some(slot));
        let mut bundle = Bundle::open(worker, slot, word, &mut memory, &mut budget, &mut waiting).unwrap();
        let alive = self.run_bundle(who, slot, &mut bundle, input);
        let left = if alive { bundle.leave(1).ok() } else { None };
        match left {
            Some(Left::Finished(finished)) => match if input.over() { 0 } else { input.below(3) } {
                0 => worker.deliver_done(&[(slot, finished)]).unwrap(),
                // It dies before it has delivered; or somebody helps.
                1 => self.dies(who, slot),
                _ => {}
            },
            Some(Left::Rest) => worker.put_rest_back(slot, word).unwrap(),
            Some(Left::Condemned) | None => self.dies(who, slot),
        }
        worker.runs(None);
        self.busy[who] = false;
        true
    }

    /// Whether the worker lives.
    fn run_bundle(&mut self, who: usize, slot: u32, bundle: &mut Bundle<'_>, input: &mut Input<'_>) -> bool {
        loop {
            while !input.over() && input.0[0] & 1 == 1 {
                match input.byte() >> 1 & 7 {
                    0 | 1 => return false,
                    _ => self.act(input),
                }
            }
            if self.doomed[who] {
                return false;
            }
            if input.byte() & 2 == 0 {
                match self.step(slot, bundle, input) {
                    Some(true) => continue,
                    Some(false) => return false,
                    None => {}
                }
            }
            let Some(number) = bundle.next_job().map(number_of) else { return true };
            self.begins(slot, number);
            while !input.over() && input.0[0] & 1 == 1 {
                match input.byte() >> 1 & 7 {
                    0 => return false,
                    _ => self.act(input),
                }
            }
            let how = input.byte() >> 1;
            let mut value = (number as u16).to_le_bytes().to_vec();
            let kind = match how % 8 {
                1 => OutcomeKind::Panicked,
                2 => {
                    value.resize(usize::from(input.byte()) * 8 + 2, 7);
                    OutcomeKind::Value
                }
                _ => OutcomeKind::Value,
            };
            bundle.finish(kind, &value);
            if !self.ends(slot, number, kind) {
                // Condemned, or no room.
                return false;
            }
        }
    }

    /// Takes a step through an array, if there is one: whether it has been taken to its end, or the worker has died in it.
    fn step(&mut self, slot: u32, bundle: &mut Bundle<'_>, input: &mut Input<'_>) -> Option<bool> {
        let stop = if input.over() { 99 } else { input.byte() };
        let (mut begun, mut ended) = (0, vec![]);
        let stepped = bundle.step(2, 2, |job, write| {
            let number = number_of(job);
            self.begins(slot, number);
            if begun == stop {
                return Err(());
            }
            begun += 1;
            write(job);
            ended.push(number);
            Ok(())
        });
        for number in ended {
            // Those that were written count, whatever happens now.
            (self.jobs[number].runs, self.jobs[number].ended) = (false, Some(OutcomeKind::Value));
        }
        match stepped {
            Ok(false) => None,
            Ok(true) => Some(true),
            Err(()) => Some(false),
        }
    }

    fn begins(&mut self, slot: u32, number: usize) {
        let used = self.slots[slot as usize].as_ref().expect("a bundle that runs is in use");
        assert!((used.first..used.first + used.items).contains(&number), "job {number} is not of slot {slot}");
        let job = &mut self.jobs[number];
        assert!(!job.runs, "job {number} runs twice at once");
        assert!(job.ended.is_none() && !job.over && !job.given && !job.outcome, "job {number} is over, and begins");
        assert!(job.deaths < ATTEMPTS, "job {number} begins again and again");
        job.runs = true;
    }

    /// Whether the outcome counts.
    fn ends(&mut self, slot: u32, number: usize, kind: OutcomeKind) -> bool {
        let used = self.slots[slot as usize].as_ref().expect("in use");
        let counts = self.views.parent.progress(slot).done() as usize > number - used.first;
        let job = &mut self.jobs[number];
        assert!(!(counts && job.condemned), "job {number} was condemned, and ends");
        if counts {
            (job.runs, job.ended) = (false, Some(kind));
        }
        counts
    }

    /// A worker's death, and what is expected of it.
    fn dies(&mut self, who: usize, slot: u32) {
        let (parent, before) = (&self.views.parent, self.views.parent.progress(slot));
        if parent.word(slot).is(State::Running)
            && let Some(used) = &self.slots[slot as usize]
        {
            let jobs = used.first..used.first + used.items;
            // Values that were written within a step count, though the progress does not say so yet.
            let done = jobs.start + before.done() as usize;
            let at = done + (done..jobs.end).filter(|&number| self.jobs[number].ended.is_some()).count();
            jobs.clone().for_each(|number| self.jobs[number].runs = false);
            if before.in_hand() && jobs.contains(&at) {
                // One that is over is begun once more, to write that down: a death then costs it nothing.
                let job = &mut self.jobs[at];
                job.deaths += u32::from(!before.condemned() && !job.condemned && job.deaths < ATTEMPTS);
            }
        }
        self.views.dies(who).unwrap();
        self.doomed[who] = false;
    }

    /// Jobs that have not been begun are taken away.
    fn cut(&mut self, slot: u32) {
        let Some(used) = &mut self.slots[slot as usize] else { return };
        let parent = &self.views.parent;
        let cut = if used.array { parent.cut(slot) } else { parent.cut_behind(slot) };
        if cut.is_empty() {
            return;
        }
        assert_eq!(cut.end as usize, used.items, "what is cut ends where the bundle does");
        for number in cut.clone() {
            let job = &mut self.jobs[used.first + number as usize];
            assert!(!job.runs && job.ended.is_none(), "job {number} of slot {slot} has been begun, and is taken away");
            job.given = true;
        }
        used.items = cut.start as usize;
    }

    /// One job is cancelled, or condemned for another reason.
    fn cancel(&mut self, slot: u32, input: &mut Input<'_>) {
        let Some(used) = self.slots[slot as usize].as_ref().filter(|used| !used.array && used.items > 0) else { return };
        let what = input.byte();
        let (index, parent) = (u32::from(what >> 2) % used.items as u32, &self.views.parent);
        let job = &mut self.jobs[used.first + index as usize];
        let condemned = match what % 4 {
            0 => parent.condemn(slot, index),
            how => {
                job.cancelled = true;
                match parent.cancel_one(slot, index, how > 1) {
                    CancelledWhere::Waiting => {
                        assert!(!job.runs && job.ended.is_none(), "job {index} of slot {slot} has been begun, and waits");
                        job.over = true;
                        false
                    }
                    CancelledWhere::Running => true,
                    CancelledWhere::Over => false,
                }
            }
        };
        if condemned {
            assert!(job.ended.is_none());
            job.condemned = true;
            let owner = parent.word(slot).owner();
            self.doomed[usize::from(owner) - 2] = true;
        }
    }

    /// Takes what has been delivered.
    fn collect(&mut self) {
        let parent = &self.views.parent;
        let mut done = vec![];
        parent.pop_results(8, &mut done).unwrap();
        for entry in done {
            let word = parent.word(entry.slot);
            if !word.is(State::Done) || word.generation() != entry.generation {
                continue;
            }
            self.take(entry.slot);
            let used = self.slots[entry.slot as usize].take().expect("delivered once");
            assert_eq!(used.taken, used.items, "slot {} is done", entry.slot);
            parent.free_slot(entry.slot, word);
        }
    }

    /// Takes what there is of a bundle that is not done.
    fn take_part(&mut self, slot: u32) {
        let word = self.views.parent.word(slot);
        if word.is(State::Running) || word.is(State::Ready) {
            self.take(slot);
        }
    }

    fn take(&mut self, slot: u32) {
        let parent = &self.views.parent;
        let (word, progress) = (parent.word(slot), parent.progress(slot));
        let Some(used) = &mut self.slots[slot as usize] else { return };
        let mut bytes = vec![];
        parent.copy_outcomes(slot, used.at, progress.length(), &mut bytes).unwrap();
        used.at = progress.length();
        let (mut at, mut there) = (0, vec![]);
        while at < bytes.len() {
            let (record, next) = frame::read(&bytes, at).expect("a record");
            at = next;
            let mut one = |kind, bytes: &[u8]| {
                take_one(&mut self.jobs[used.first + used.taken], used.first + used.taken, kind, bytes);
                used.taken += 1;
            };
            match record {
                Record::Here(kind, bytes) => one(kind, bytes),
                Record::Array(width, values) => values.chunks(width).for_each(|value| one(OutcomeKind::Value, value)),
                Record::In { block, length } => {
                    there.clear();
                    parent.take_block(slot, word, block, length, &mut there).unwrap();
                    let Some((Record::Here(kind, bytes), _)) = frame::read(&there, 0) else { panic!("no record in a block") };
                    one(kind, bytes);
                }
            }
        }
        assert_eq!(used.taken, progress.done() as usize);
    }

    /// Everything that is left is run and taken; then nothing is left.
    fn drain(&mut self) {
        let parent = &self.views.parent;
        for round in 0.. {
            parent.help();
            (0..SLOTS).for_each(|slot| self.take_part(slot));
            self.collect();
            if self.slots.iter().all(Option::is_none) {
                break;
            }
            let ran = self.work(0, &mut Input(&[]));
            assert!(
                ran || self.slots.iter().all(Option::is_none) || parent.in_state(State::Done) > 0,
                "a bundle is in no ring"
            );
            assert!(round < 1000, "it goes on for ever");
        }
        for (number, job) in self.jobs.iter().enumerate() {
            assert!(job.outcome != job.given, "job {number} has an outcome: {}; was taken away: {}", job.outcome, job.given);
        }
        let region = parent.region();
        let left = (parent.pending(), region.arena(0).used(), region.arena(1).used(), parent.in_state(State::Free));
        assert_eq!(left, (0, 0, 0, SLOTS as usize), "pending, blocks of jobs and outcomes, free slots");
    }
}

fn number_of(job: &[u8]) -> usize {
    usize::from(u16::from_le_bytes(job[..2].try_into().expect("a job's number")))
}

/// Compares an outcome with what has happened to its job.
fn take_one(job: &mut Job, number: usize, kind: OutcomeKind, bytes: &[u8]) {
    assert!(!job.outcome && !job.given, "job {number} has two outcomes");
    job.outcome = true;
    let right = match kind {
        OutcomeKind::Value | OutcomeKind::Panicked => job.ended == Some(kind) && number_of(bytes) == number,
        OutcomeKind::Died => job.deaths == ATTEMPTS && bytes == [KILLED, ATTEMPTS].map(u32::to_le_bytes).concat(),
        OutcomeKind::TimedOut => job.condemned && job.ended.is_none(),
        OutcomeKind::Cancelled => job.cancelled && job.ended.is_none(),
        _ => false,
    };
    let Job { deaths, condemned, cancelled, ended, .. } = job;
    assert!(right, "job {number}: {kind:?} {bytes:?}, after {deaths} deaths, {condemned}, {cancelled}, {ended:?}");
}
