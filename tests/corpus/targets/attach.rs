//! Hostile bytes as a region: attach, open the channels, put, pop, run, collect, recover.
//!
//! The input is a list of changes to a region in which there is something of everything: where, and what is written there.

use super::Input;
use crate::left::{SIZE, left};
use crate::uses::use_region;
use gristmill::lock::{Holder, RawLock};
use gristmill::ring::{Channel, Region};
use gristmill::sys::mapping::Mapping;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

struct Memory {
    file: File,
    good: Vec<u8>,
}

impl Memory {
    fn new() -> Memory {
        let (_path, good) = left("fuzz");
        let mapping = Mapping::anonymous(SIZE).unwrap();
        Memory { file: File::from(mapping.fd().try_clone_to_owned().unwrap()), good }
    }

    fn map(&self) -> Mapping {
        Mapping::from_fd(self.file.try_clone().unwrap().into()).unwrap()
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
    MEMORY.with(|memory| {
        let mut bytes = memory.good.clone();
        let mut input = Input(data);
        while !input.over() {
            let at = place(&mut input, &memory.good);
            let count = 1 + usize::from(input.below(16));
            let new = input.bytes(count);
            let end = (at + new.len()).min(SIZE);
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
        memory.file.write_all_at(&bytes, 0).unwrap();
        if unlock(memory.map()) {
            use_region(memory.map());
        }
    });
}

/// Opens all locks, since nobody would: a lock of nobody is waited for until the supervisor comes. Whether there is a region at all.
fn unlock(mapping: Mapping) -> bool {
    let me = Holder::new(3, 1);
    let Ok(region) = Region::attach(mapping, me) else { return false };
    let region = Arc::new(region);
    for which in [0, 1] {
        // SAFETY: nobody else uses the region.
        unsafe { region.arena(which).lock().unlock(me) };
    }
    for channel in (0..region.channel_limit().min(4)).filter_map(|k| Channel::open(&region, k)) {
        for lock in [&channel.desc().job_lock, &channel.desc().result_lock] {
            lock.word.store(0, std::sync::atomic::Ordering::Relaxed);
        }
    }
    true
}
