//! A region that its maker has left behind in a file, with something in every channel.

use super::common::Scratch;
use super::uses::{Calm, Waiting};
use gristmill::layout::OutcomeKind;
use gristmill::lock::Holder;
use gristmill::ring::bundle::Bundle;
use gristmill::ring::outcomes::Fill;
use gristmill::ring::recovery::{self, Dead};
use gristmill::ring::{Channel, ChannelPlan, Kind, Plan, Region, WaitPolicy, frame};
use gristmill::sys::mapping::Mapping;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of the region.
pub const SIZE: usize = 128 << 10;

/// Records of jobs of these lengths.
pub fn records(lengths: &[usize]) -> Vec<u8> {
    let mut records = vec![];
    lengths.iter().for_each(|&n| frame::push(&mut records, OutcomeKind::Value, &vec![7; n]));
    records
}

/// Writes into a region that nobody uses at the moment.
pub fn write(memory: &Mapping, at: usize, bytes: &[u8]) {
    assert!(at + bytes.len() <= memory.size());
    // SAFETY: the bytes are inside, as just checked; no other thread has them, and nobody makes references to what may change.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.base().add(at), bytes.len()) };
}

/// A region in a file, with one channel of each kind and something in each, left behind by its maker; and its bytes.
///
/// In the pool's slot 0 a worker has died in the second job of three; slot 1 holds a bundle with a job that is over without having been run, and
/// an outcome in a block; slot 2 has one large job.
pub fn left(what: &str) -> (Scratch, Vec<u8>) {
    let path = Scratch::new(what);
    let plan = Plan { arena: 4096, participants: 4, channels: 4, wait: WaitPolicy::Adaptive };
    let region = Arc::new(Region::create(Mapping::file(&path.0, SIZE).unwrap(), plan).unwrap());
    for (index, kind) in [Kind::Queue, Kind::Joinable, Kind::Pool].into_iter().enumerate() {
        let plan = ChannelPlan { kind, slots: 8, payload: 64, result: 32, attempts: 3, type_hash: 0, counters_from: 0 };
        let channel = Channel::create(&region, index as u32, &plan).unwrap();
        if kind == Kind::Pool {
            fill_pool(&path.0, &region, &channel);
            continue;
        }
        let mut filled = vec![];
        channel.take(3, |f| filled.push(f));
        filled[1].items = 2;
        for (f, length) in filled.iter().zip([10, 20, 500]) {
            channel.write_payload(*f, &vec![7; length]).unwrap();
        }
        channel.publish(&filled).unwrap();
    }
    drop(region);
    let bytes = fs::read(&path.0).unwrap();
    (path, bytes)
}

fn fill_pool(path: &Path, region: &Arc<Region>, channel: &Channel) {
    let bundles: [&[usize]; 3] = [&[3, 0, 9], &[2, 2], &[500]];
    for (slot, lengths) in (0..).zip(bundles) {
        let fill = Fill { items: lengths.len() as u32, jobs: &records(lengths), room: 0, task: 0, fold: Some(1), cancelled: 0 };
        channel.publish(&[channel.fill(slot, fill).unwrap()]).unwrap();
    }
    channel.desc().timed.store(1, Relaxed);
    // Whoever dies as participant 2 leaves one bundle in hand, and one that its next worker finds over.
    let other = Arc::new(Region::attach(Mapping::open_file(path).unwrap(), Holder::new(2, 1)).unwrap());
    other.enter(std::process::id(), 1);
    let worker = Channel::open(&other, 2).unwrap();
    let mut entries = VecDeque::new();
    while entries.len() < 3 {
        worker.pop(8, &mut entries, &[]).unwrap();
    }
    // It has finished a job of bundle 1, and is condemned in the next one.
    let (mut memory, mut budget, mut waiting) = (vec![], 10, Waiting);
    let word = worker.start(entries[1]).unwrap();
    let mut bundle = Bundle::open(&worker, 1, word, &mut memory, &mut budget, &mut waiting).unwrap();
    bundle.next_job().unwrap();
    bundle.finish(OutcomeKind::Value, &[6; 200]);
    bundle.next_job().unwrap();
    assert!(channel.condemn(1, 1));
    let dead = Dead { who: Holder::new(2, 1), status: 0x1_0009 };
    recovery::recover(region, &[Arc::new(Channel::open(region, 2).unwrap())], &mut vec![dead], &mut Calm(&[])).unwrap();
    let word = worker.start(entries[0]).unwrap();
    worker.runs(Some(0));
    let mut bundle = Bundle::open(&worker, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    bundle.next_job().unwrap();
    bundle.finish(OutcomeKind::Value, b"ok");
    bundle.next_job().unwrap();
}
