//! What participants do with channels, as far as they get: nothing that stands in the region may crash or hang them.

use super::left::{SIZE, records};
use gristmill::layout::{self, OutcomeKind, State};
use gristmill::lock::Holder;
use gristmill::ring::bundle::{BeforeWaiting, Bundle, Left};
use gristmill::ring::outcomes::Fill;
use gristmill::ring::recovery::{self, Dead, Deaths, Watch};
use gristmill::ring::region::Leaving;
use gristmill::ring::slots::all_of;
use gristmill::ring::{Channel, Kind, Popped, Region, Stop, frame};
use gristmill::sys::mapping::Mapping;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Everybody lives, every job is known, and overdue if it is condemned. Of these slots deaths are counted; in others each is the first.
pub struct Calm<'d>(pub &'d [Deaths]);

impl Watch for Calm<'_> {
    fn dead(&mut self, _: u16) -> Option<Dead> {
        None
    }
    fn stuck(&mut self, _: u16) -> bool {
        false
    }
    fn knows(&mut self, _: u32, _: u32, _: u32) -> bool {
        true
    }
    fn death(&mut self, _: u32, slot: u32, done: u32, in_hand: bool) -> Option<u32> {
        self.0.get(slot as usize).map_or(Some(1), |deaths| deaths.count(done, in_hand))
    }
    fn condemned(&mut self, _: u32, _: u32) -> OutcomeKind {
        OutcomeKind::TimedOut
    }
}

/// Who has to wait for room in the arena ends instead: there is nobody who could make any.
pub struct Waiting;

impl BeforeWaiting for Waiting {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        Err(Stop::Shutdown)
    }
}

/// What a worker does with a pool's bundles, as far as it gets: of each it may begin so many jobs. Tells what it has finished.
fn work(channel: &Channel, budget: u64) -> Vec<(u32, layout::SlotWord)> {
    let (mut entries, mut finished) = (VecDeque::new(), vec![]);
    let popped = channel.pop(8, &mut entries, &[]);
    let mut memory = vec![];
    for entry in entries {
        let Some(running) = channel.start(entry) else { continue };
        channel.runs(Some(entry.slot));
        let (mut budget, mut waiting) = (budget, Waiting);
        let Ok(mut bundle) = Bundle::open(channel, entry.slot, running, &mut memory, &mut budget, &mut waiting) else {
            continue;
        };
        let _ = bundle.tasks();
        let mut number = 0;
        // Arrays of numbers, as far as there are any.
        while let Ok(true) = bundle.step(2, 8, |job, write| {
            assert_eq!(job.len(), 2);
            look(channel, entry.slot, running);
            number += 1;
            if number == 3 {
                return Err(());
            }
            write(&[1; 8]);
            Ok(())
        }) {}
        if bundle.has_in_hand() {
            bundle.finish(OutcomeKind::Panicked, b"at here");
        }
        number = 0;
        while let Some(job) = bundle.next_job().map(<[u8]>::len) {
            assert!(job < SIZE);
            // The parent looks into it meanwhile.
            look(channel, entry.slot, running);
            match number % 5 {
                0 => bundle.finish(OutcomeKind::Value, &[1; 200]),
                1 => bundle.finish(OutcomeKind::Panicked, b"at here"),
                2 => assert!(channel.cut_behind(entry.slot).end <= layout::MAX_ITEMS),
                _ => bundle.finish(OutcomeKind::Value, b""),
            }
            if number % 5 == 2 {
                bundle.finish(OutcomeKind::Value, &[1; 9000]);
            }
            number += 1;
            // More than there can be: a word that goes round would be a hang.
            assert!(number <= layout::MAX_ITEMS);
        }
        match bundle.leave(5) {
            Ok(Left::Finished(word)) => finished.push((entry.slot, word)),
            Ok(Left::Rest) => drop(channel.put_rest_back(entry.slot, running)),
            Ok(Left::Condemned) | Err(_) => {}
        }
        channel.runs(None);
    }
    if let Ok(Popped::Some(n)) = popped {
        channel.batch_used(n);
    }
    channel.ask_for_jobs();
    finished
}

/// What the parent does with a bundle that may be running.
fn look(channel: &Channel, slot: u32, word: layout::SlotWord) {
    let progress = channel.progress(slot);
    let _ = (channel.bundle_of(slot), channel.bundle_items(slot), channel.nanos(slot), channel.in_hand_since(slot));
    let mut outcomes = vec![];
    if channel.copy_outcomes(slot, 0, progress.length(), &mut outcomes).is_err() {
        return;
    }
    let mut at = 0;
    for _ in 0..progress.done() {
        let Some((record, next)) = frame::read(&outcomes, at) else { return };
        if let frame::Record::Array(width, values) = record {
            assert!(width > 0 && values.len() >= width);
        }
        if let frame::Record::In { block, length } = record {
            let _ = channel.take_block(slot, word, block, length, &mut vec![]);
        }
        at = next;
    }
}

/// What the parent does with a pool, as far as it gets.
fn collect(channel: &Channel) {
    let running: Vec<u32> = channel.running_bundles().collect();
    let mut done = vec![];
    let _ = channel.pop_results(8, &mut done);
    for slot in done.iter().map(|e| e.slot).chain(running).filter(|&s| s < channel.capacity()) {
        let word = channel.word(slot);
        look(channel, slot, word);
        if word.is(State::Done) {
            channel.free_slot(slot, word);
        }
    }
    for slot in 0..channel.capacity() {
        if let Ok(payload) = channel.payload(slot) {
            payload.append_to(&mut vec![]);
        }
    }
}

fn use_pool(channel: &Channel) {
    let capacity = channel.capacity();
    for (slot, lengths) in [&[1usize, 2, 3, 4][..], &[300], &[0; 3]].into_iter().enumerate() {
        let slot = 3 + slot as u32;
        let items = (lengths.len() as u32).min(channel.most_items());
        if slot >= capacity || items == 0 || !channel.word(slot).is(State::Free) {
            continue;
        }
        let jobs = records(&lengths[..items as usize]);
        let Ok(filling) = channel.fill(slot, Fill { items, jobs: &jobs, room: 0, task: 1, fold: None, cancelled: 2 }) else {
            continue;
        };
        if channel.publish(&[filling]).is_err() {
            channel.free_slot(slot, filling.word);
        }
    }
    // Numbers, with room for their results behind them.
    if capacity > 6 && channel.word(6).is(State::Free) {
        let mut jobs = frame::array(2, 20).to_vec();
        jobs.extend([7; 40]);
        let fill = Fill { items: 20, jobs: &jobs, room: 20 * 10, task: 1, fold: None, cancelled: 0 };
        if let Ok(filling) = channel.fill(6, fill)
            && channel.publish(&[filling]).is_err()
        {
            channel.free_slot(6, filling.word);
        }
    }
    for slot in 0..capacity.min(3) {
        let _ = (channel.cancel_one(slot, slot, true), channel.condemn(slot, 1), channel.condemn(slot, 0));
    }
    for budget in [1, 100] {
        if budget > 1 {
            // Then numbers are begun many at once.
            channel.desc().timed.store(0, Relaxed);
        }
        let finished = work(channel, budget);
        let _ = channel.deliver_done(&finished);
        collect(channel);
    }
    for slot in 0..capacity.min(3) {
        let cut = channel.cut(slot);
        assert!(cut.end <= layout::MAX_ITEMS && cut.start <= layout::MAX_ITEMS);
    }
    channel.call_parent();
}

/// What a participant does with a queue, as far as it gets.
fn use_queue(channel: &Channel) {
    let (mut filled, mut entries, mut bytes) = (vec![], VecDeque::new(), vec![]);
    channel.take(3, |f| filled.push(f));
    filled.retain(|f| [9, 300].iter().all(|&n| channel.write_payload(*f, &vec![5; n]).is_ok()));
    let _ = channel.publish(&filled);
    let popped = channel.pop(8, &mut entries, &[]);
    let mut finished = vec![];
    for entry in entries {
        let Some(running) = channel.start(entry) else { continue };
        bytes.clear();
        if let Ok(payload) = channel.payload(entry.slot) {
            payload.append_to(&mut bytes);
        }
        channel.begin_items(entry.slot, 1);
        channel.done_items(entry.slot, all_of(1));
        finished.extend(channel.finish(entry.slot, running).map(|word| (entry.slot, word)));
    }
    let _ = channel.deliver_free(&finished);
    if let Ok(Popped::Some(n)) = popped {
        channel.batch_used(n);
    }
}

/// What a participant does with a channel, as far as it gets.
fn use_channel(channel: &Channel) {
    if channel.kind() == Kind::Pool {
        use_pool(channel)
    } else {
        use_queue(channel)
    }
    let _ = channel.offer_again();
    channel.help();
    let _ = (channel.pending(), channel.waiting(), channel.somebody_waits());
}

/// A region and its channels, as far as they can be attached.
pub fn attach(mapping: Mapping) -> Option<(Arc<Region>, Vec<Arc<Channel>>)> {
    let region = Arc::new(Region::attach(mapping, Holder::new(3, 1)).ok()?);
    region.enter(std::process::id(), 1);
    let open = (0..region.channel_limit().min(4)).filter_map(|k| Channel::open(&region, k));
    let channels = open.map(Arc::new).collect();
    Some((region, channels))
}

/// All that can be done with a region by who has attached it.
pub fn use_region(region: &Region, channels: &[Arc<Channel>]) {
    channels.iter().for_each(|c| use_channel(c));
    let _ = recovery::recover(region, channels, &mut vec![], &mut Calm(&[]));
    let dead = Dead { who: Holder::new(2, 1), status: 0x1_0009 };
    let _ = recovery::recover(region, channels, &mut vec![dead], &mut Calm(&[]));
    channels.iter().for_each(|c| use_channel(c));
    region.leave(Leaving::Returned);
}
