//! A look into the region of this process's Mill from outside: its bytes, who sleeps where, what is left behind.

use gristmill::layout::{self, EventWords, State};
use gristmill::lock::{FutexLock, Holder};
use gristmill::ring::slots::RESULTS;
use gristmill::ring::{Channel, Kind, Region};
use gristmill::sys::mapping::Mapping;
use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// What a sleeping thread of the parent adds to a number of sleepers; a worker adds 1.
const PARENT: u32 = (1 << 16) + 1;

/// A lock of the region: of a queue's jobs, of a pool's results, of an arena.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    Jobs(usize),
    Results(usize),
    Arena(usize),
}

pub struct Look {
    region: Arc<Region>,
    channels: Vec<Channel>,
}

impl Look {
    /// At the one Mill that this process has, whose queues are all made.
    pub fn new() -> Look {
        let files = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
        let ours = files.filter(|path| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:gristmill")));
        let opened = ours.filter_map(|path| {
            let file = File::options().read(true).write(true).open(path).ok()?;
            Region::attach(Mapping::from_fd(file.into()).ok()?, Holder::new(2, 0)).ok()
        });
        let region = Arc::new({ opened }.next().expect("a Mill"));
        let queues = region.header().channels_used.load(Acquire);
        let channels = (0..queues).map(|k| Channel::open(&region, k).unwrap()).collect();
        Look { region, channels }
    }

    /// The queue that was made as number `k`, from 0.
    pub fn channel(&self, k: usize) -> &Channel {
        &self.channels[k]
    }

    pub fn lock(&self, which: Lock) -> &FutexLock {
        match which {
            Lock::Jobs(queue) => FutexLock::of(&self.channel(queue).desc().job_lock),
            Lock::Results(queue) => FutexLock::of(&self.channel(queue).desc().result_lock),
            Lock::Arena(which) => self.region.arena(which).lock(),
        }
    }

    /// Makes `copy` the region's bytes; whether it was something else before.
    pub fn changed(&self, copy: &mut Vec<u8>) -> bool {
        let mapping = self.region.mapping();
        let (base, size) = (mapping.base().cast::<libc::c_void>(), mapping.size());
        copy.resize(size, 0);
        // SAFETY:
        // - `size` bytes from `base` are mapped as long as `self` lives, and `copy` has as many;
        // - libc reads them as bytes of any value: a process that writes meanwhile makes old ones of them, and nothing worse.
        unsafe {
            let same = libc::memcmp(base, copy.as_ptr().cast(), size) == 0;
            if !same {
                libc::memcpy(copy.as_mut_ptr().cast(), base, size);
            }
            !same
        }
    }

    /// Lets the next search for a block of the results' arena begin at this unit, as if the last one had ended there.
    pub fn search_from(&self, unit: u32) {
        let at = self.region.header().arenas_offset.load(Relaxed) as usize + RESULTS * size_of::<layout::Arena>();
        assert!(at + size_of::<layout::Arena>() <= self.region.mapping().size());
        // SAFETY: it lies there as long as the region is mapped, which has been looked at when it was attached; its fields are atomics.
        let arena = unsafe { &*self.region.mapping().base().add(at).cast::<layout::Arena>() };
        arena.hint.store(unit, Relaxed);
    }

    /// The participant that a live process is.
    pub fn id_of(&self, pid: u32) -> Option<u16> {
        let here = |p: &gristmill::layout::Participant| p.pid.load(Relaxed) == pid && p.state.load(Relaxed) == 2;
        self.region.participants().find(|(_, p)| here(p)).map(|(id, _)| id)
    }

    fn events(&self) -> impl Iterator<Item = &EventWords> {
        let of_channels = self.channels.iter().flat_map(|channel| {
            let d = channel.desc();
            [&d.jobs, &d.done, &d.free, &d.assist]
        });
        of_channels.chain([0, 1].map(|which| self.region.arena(which).room()))
    }

    /// How many workers are counted as sleepers, place by place.
    pub fn sleepers(&self) -> Vec<u32> {
        let workers = |event: &EventWords| {
            let all = event.sleepers.load(SeqCst);
            all.wrapping_sub((all >> 16).wrapping_mul(PARENT))
        };
        self.events().map(workers).collect()
    }

    /// Where among these places the participant says that it sleeps.
    pub fn sleeps_on(&self, id: u16) -> Option<usize> {
        let offset = self.region.participant(id)?.sleeps_on.load(SeqCst);
        let base = self.region.mapping().base() as u64;
        self.events().position(|event| offset == event as *const EventWords as u64 - base)
    }

    /// Whether the participant says that it has taken more than it has begun.
    pub fn holds(&self, id: u16) -> bool {
        self.region.participant(id).is_some_and(|p| p.holding.load(SeqCst) != 0)
    }

    /// Slots of queue `k` in a state that the participant owns.
    pub fn owned(&self, k: usize, id: u16, state: State) -> Vec<u32> {
        let channel = &self.channels[k];
        let mine = |slot: &u32| channel.word(*slot).is(state) && channel.word(*slot).owner() == id;
        (0..channel.capacity()).filter(mine).collect()
    }

    /// Whether the participant owns a lock of a queue or of an arena.
    pub fn owns_a_lock(&self, id: u16) -> bool {
        let of_channels = self.channels.iter().flat_map(|channel| {
            let d = channel.desc();
            [&d.job_lock, &d.result_lock].map(FutexLock::of)
        });
        let mut all = of_channels.chain([0, 1].map(|which| self.region.arena(which).lock()));
        all.any(|lock| lock.owner() == Some(id))
    }

    /// Jobs of the first queue that are not over and do not count as pending: whoever joins would be told too early.
    pub fn uncounted(&self) -> Option<String> {
        let channel = self.channel(0);
        let lock = self.lock(Lock::Jobs(0));
        let over = |slot: &u32| [State::Free, State::Owned, State::Done].iter().any(|&state| channel.word(*slot).is(state));
        let items = |slot| if channel.kind() == Kind::Pool { 1 } else { u64::from(channel.items(slot)) };
        loop {
            let before = lock.observe();
            // The count falls after what it counts is over, so it is looked at first.
            let pending = channel.pending();
            let there: u64 = (0..channel.capacity()).filter(|slot| !over(slot)).map(items).sum();
            if pending >= there {
                return None;
            }
            // What the parent is just putting does not count yet.
            if lock.owner() != Some(1) && lock.observe() == before {
                return Some(format!("{pending} are pending, and {there} are not over"));
            }
            std::thread::yield_now();
        }
    }

    /// Bytes of an arena that are marked as in use.
    pub fn bytes_used(&self, which: usize) -> usize {
        let arena = self.region.arena(which);
        let unit = |block| arena.place(block, 1).expect("it has two units") as usize;
        arena.used() * (unit(2) - unit(1))
    }

    /// What is still there of jobs, blocks and locks, when nothing is under way: nothing, or what is wrong.
    pub fn left(&self) -> Option<String> {
        for (k, channel) in self.channels.iter().enumerate() {
            let d = channel.desc();
            if channel.pending() != 0 {
                return Some(format!("queue {k}: {} items are pending", channel.pending()));
            }
            let free = channel.in_state(State::Free);
            if free != channel.capacity() as usize {
                return Some(format!("queue {k}: only {free} of {} slots are free", channel.capacity()));
            }
            if d.job_tail.load(Relaxed) != d.job_head.load(Relaxed) && channel.kind() != Kind::Pool {
                return Some(format!("queue {k}: the ring is not empty"));
            }
            let locks = [&d.job_lock, &d.result_lock].map(|words| FutexLock::of(words).owner());
            if let Some(owner) = locks.into_iter().flatten().next() {
                return Some(format!("queue {k}: participant {owner} owns a lock"));
            }
        }
        for which in [0, 1] {
            let arena = self.region.arena(which);
            if arena.used() != 0 {
                return Some(format!("arena {which}: {} units are in use", arena.used()));
            }
            if let Some(owner) = arena.lock().owner() {
                return Some(format!("arena {which}: participant {owner} owns the lock"));
            }
        }
        let holding = self.region.participants().find(|(_, p)| p.holding.load(Relaxed) != 0);
        holding.map(|(id, p)| format!("participant {id} says that it holds {} entries", p.holding.load(Relaxed)))
    }
}
