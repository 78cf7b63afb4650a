//! Hostile bytes as a region: attach, open the channels, put, pop, run, collect, recover.
//!
//! The input is a list of changes to a region in which there is something of everything: where, and what is written there.

use super::Input;
use crate::left::{SIZE, left, write};
use crate::uses::{attach, use_region};
use gristmill::lock::RawLock;
use gristmill::ring::{Channel, Region};
use gristmill::sys::mapping::Mapping;
use std::sync::Arc;

struct Memory {
    mapping: Mapping,
    good: Vec<u8>,
}

impl Memory {
    fn new() -> Memory {
        Memory { mapping: Mapping::guarded(SIZE).unwrap(), good: left("fuzz").1 }
    }
}

/// Which bytes are changed most often: all of header, participants, channels, arenas; and what is in use of the rest.
fn place(input: &mut Input<'_>, good: &[u8]) -> usize {
    let heap = u64::from_le_bytes(good[80..88].try_into().unwrap()) as usize;
    match input.below(4) {
        0 | 1 => input.number(2) as usize % 4096,
        2 => (heap + input.number(2) as usize) % SIZE,
        _ => input.number(3) as usize % SIZE,
    }
}

pub fn run(data: &[u8]) {
    thread_local!(static MEMORY: Memory = Memory::new());
    MEMORY.with(|Memory { mapping, good }| {
        write(mapping, 0, good);
        let mut input = Input(data);
        while !input.over() {
            let at = place(&mut input, good);
            let count = 1 + usize::from(input.below(16));
            let new = input.bytes(count);
            write(mapping, at, &new[..new.len().min(SIZE - at)]);
        }
        if let Some((region, channels)) = attach(mapping.again().unwrap()) {
            unlock(&region, &channels);
            use_region(&region, &channels);
        }
    });
}

/// Opens all locks, since nobody would: a lock of nobody is waited for until the supervisor comes.
fn unlock(region: &Region, channels: &[Arc<Channel>]) {
    for which in [0, 1] {
        // SAFETY: nobody else uses the region.
        unsafe { region.arena(which).lock().unlock(region.me()) };
    }
    for channel in channels {
        for lock in [&channel.desc().job_lock, &channel.desc().result_lock] {
            lock.word.store(0, std::sync::atomic::Ordering::Relaxed);
        }
    }
}
