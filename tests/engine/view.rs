//! A look into the region of this process's Mill from outside: lock words, slot words, who is who.
//!
//! The region is mapped a second time and attached like any other; nothing is written through it.

use gristmill::layout::{SlotWord, State};
use gristmill::lock::{FutexLock, Holder};
use gristmill::ring::slots::{JOBS, RESULTS};
use gristmill::ring::{Channel, Region};
use gristmill::sys::mapping::Mapping;
use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

pub struct View {
    pub region: Arc<Region>,
    channels: Vec<Channel>,
}

impl View {
    /// Of the one Mill that this process has, whose queues are all made.
    pub fn new() -> View {
        let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let is_region =
            |path: &std::path::PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:gristmill"));
        let path = entries.map(|e| e.path()).find(is_region).expect("a Mill");
        let file = File::options().read(true).write(true).open(path).unwrap();
        Self::over(Mapping::from_fd(file.into()).unwrap())
    }

    fn over(mapping: Mapping) -> View {
        let region = Arc::new(Region::attach(mapping, Holder::new(2, 0)).unwrap());
        let queues = region.header().channels_used.load(Acquire);
        let channels = (0..queues).map(|k| Channel::open(&region, k).unwrap()).collect();
        View { region, channels }
    }

    /// The queue that was made as number `k`, from 0.
    pub fn channel(&self, k: usize) -> &Channel {
        &self.channels[k]
    }

    /// The locks that queues use: those of two queues and of both arenas.
    pub fn locks(&self) -> [(&'static str, &FutexLock); 4] {
        let queue = |k: usize| FutexLock::of(&self.channels[k].desc().job_lock);
        [
            ("the lock of queue 0", queue(0)),
            ("the lock of queue 1", queue(1)),
            ("the lock of the jobs' arena", self.region.arena(JOBS).lock()),
            ("the lock of the results' arena", self.region.arena(RESULTS).lock()),
        ]
    }

    /// The participant that a live process is.
    pub fn id_of(&self, pid: u32) -> Option<u16> {
        self.region.participants().find(|(_, p)| p.pid.load(Relaxed) == pid && p.state.load(Relaxed) == 2).map(|(id, _)| id)
    }

    /// Slots of queue `k` in a state that the participant owns.
    pub fn owned(&self, k: usize, id: u16, state: State) -> Vec<(u32, SlotWord)> {
        let channel = &self.channels[k];
        let words = (0..channel.capacity()).map(|slot| (slot, channel.word(slot)));
        words.filter(|(_, word)| word.is(state) && word.owner() == id).collect()
    }
}
