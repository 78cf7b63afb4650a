//! What the queues of one process share: the region, and in the parent the list of Queues whose items it may have to move out of the way.

use super::core::Core;
use super::error::JoinError;
use crate::ring::{Channel, Kind, Region, event};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock, RwLock, Weak};

/// What this process has attached as a worker: queues that arrive as arguments are opened in it.
static AS_WORKER: OnceLock<Arc<Attached>> = OnceLock::new();

/// A process's hold on a region.
pub(crate) struct Attached {
    region: Arc<Region>,
    parent: bool,
    /// What is open in this process, by channel. The supervisor never takes this lock.
    open: RwLock<BTreeMap<u32, Weak<Core>>>,
    /// Bytes held outside the region, and how many there may be.
    pub(super) held: AtomicUsize,
    pub(super) limit: usize,
}

/// A queue as the layers that make and pass queues see it.
pub(crate) trait Handle: Sized {
    /// What kind of channel it needs.
    const KIND: Kind;
    /// Bytes of payload that a slot should hold itself.
    const INLINE: usize;
    /// The hash of codec and payload type.
    fn hash() -> u64;
    /// Its private part.
    fn core(&self) -> &Arc<Core>;
    /// The queue over a channel whose kind and hash have been compared.
    fn over(core: Arc<Core>) -> Self;
}

impl Attached {
    /// For the parent, which holds up to `limit` bytes of results outside the region.
    pub fn parent(region: Arc<Region>, limit: usize) -> Arc<Self> {
        Arc::new(Attached { region, parent: true, open: RwLock::default(), held: AtomicUsize::new(0), limit })
    }

    /// For a worker, once in a process.
    pub fn worker(region: Arc<Region>) -> Arc<Self> {
        let new = || Arc::new(Attached { region, parent: false, open: RwLock::default(), held: AtomicUsize::new(0), limit: 0 });
        AS_WORKER.get_or_init(new).clone()
    }

    /// The region.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Whether this is the process that made the region.
    pub fn is_parent(&self) -> bool {
        self.parent
    }

    /// A handle over a channel; the handles of one channel in one process share what the process knows about it.
    pub fn open<H: Handle>(self: &Arc<Self>, channel: Arc<Channel>) -> H {
        let index = channel.index();
        let mut open = self.open.write().unwrap_or_else(|e| e.into_inner());
        if let Some(core) = open.get(&index).and_then(Weak::upgrade) {
            return H::over(core);
        }
        let core = Arc::new(Core::new(self.clone(), channel));
        open.insert(index, Arc::downgrade(&core));
        H::over(core)
    }

    /// Notes that bytes held outside the region have been taken.
    pub(super) fn release_held(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }

    /// In the parent: moves items out of Queues that are full, or half full, of results which only the parent takes (D8). `except` is the
    /// channel at which the caller itself waits to put. Whether anything was moved.
    ///
    /// # Errors
    /// [`JoinError::ResultsFull`] if somebody waits for it and the bound is reached.
    pub(super) fn relieve(&self, except: Option<u32>) -> Result<bool, JoinError> {
        if !self.parent {
            return Ok(false);
        }
        let arena_wanted = self.region.arena(crate::ring::slots::RESULTS).room().sleepers.load(SeqCst) > 0;
        let mut moved = false;
        let open = self.open.read().unwrap_or_else(|e| e.into_inner());
        for core in open.values().filter_map(Weak::upgrade) {
            let d = core.channel.desc();
            let ours = core.channel.kind() == Kind::Queue && Some(core.channel.index()) != except;
            if !ours || d.worker_gets.load(Relaxed) != 0 {
                continue;
            }
            let wanted = arena_wanted || d.free.sleepers.load(SeqCst) > 0;
            if !wanted && core.channel.pending() < u64::from(core.channel.capacity() / 2) {
                continue;
            }
            if self.held.load(Relaxed) >= self.limit {
                if wanted {
                    return Err(JoinError::ResultsFull { limit: self.limit });
                }
                continue;
            }
            moved |= core.absorb();
        }
        Ok(moved)
    }

    /// In a worker that is about to sleep because a Queue or the results' arena is full: the parent may sleep at any event of any
    /// channel, and must look. Rare, and a wake-up too many does no harm.
    pub(super) fn call_for_relief(&self) {
        if self.parent {
            return;
        }
        for index in 0..self.region.header().channels_used.load(Acquire) {
            let Some(d) = self.region.channel(index) else { break };
            for place in [&d.jobs, &d.done, &d.free] {
                // SeqCst ↔ the parent counts itself, then looks whether anybody waits.
                if place.sleepers.load(SeqCst) > 0 {
                    event::notify_all(place);
                }
            }
        }
    }
}

/// What stands for a queue among a worker's arguments.
#[derive(Serialize, Deserialize)]
struct Address {
    region: u64,
    channel: u32,
}

pub(super) fn serialize<H: Handle, S: Serializer>(queue: &H, to: S) -> Result<S::Ok, S::Error> {
    let core = queue.core();
    if !core.attached.is_parent() {
        return Err(S::Error::custom("a queue can be passed on by the process that made it only"));
    }
    Address { region: core.attached.region.id(), channel: core.channel.index() }.serialize(to)
}

pub(super) fn deserialize<'de, H: Handle, D: Deserializer<'de>>(from: D) -> Result<H, D::Error> {
    let address = Address::deserialize(from)?;
    let Some(attached) = AS_WORKER.get() else {
        return Err(D::Error::custom("a queue can be passed to a worker only"));
    };
    if attached.region.id() != address.region {
        return Err(D::Error::custom("the queue belongs to another Mill than the one that started this worker"));
    }
    let channel = Channel::open(&attached.region, address.channel)
        .ok_or_else(|| D::Error::custom(format!("channel {} cannot be opened", address.channel)))?;
    if channel.kind() != H::KIND || channel.desc().type_hash.load(Relaxed) != H::hash() {
        return Err(D::Error::custom("the queue's items are of another type, or it is another kind of queue"));
    }
    Ok(attached.open(Arc::new(channel)))
}
