//! What the queues of one process share: the region, and in the parent the list of Queues whose items it may have to move out of the way.

use super::core::Core;
use super::error::JoinError;
use crate::layout::{self, EventWords, presence};
use crate::ring::slots::{JOBS, RESULTS};
use crate::ring::{Channel, Kind, Region, event};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

/// What this process has attached as a worker: queues that arrive as arguments are opened in it.
static AS_WORKER: OnceLock<Arc<Attached>> = OnceLock::new();

/// A process's hold on a region.
pub(crate) struct Attached {
    region: Arc<Region>,
    parent: bool,
    /// A worker that has not used any queue so far.
    starting: AtomicBool,
    /// What is open in this process, by channel. The supervisor never takes this lock.
    open: RwLock<BTreeMap<u32, Weak<Core>>>,
    /// Held while items are put back.
    putting: Mutex<()>,
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
        Arc::new(Attached {
            region,
            parent: true,
            starting: AtomicBool::new(false),
            open: RwLock::default(),
            putting: Mutex::default(),
            held: AtomicUsize::new(0),
            limit,
        })
    }

    /// For a worker, once in a process.
    pub fn worker(region: Arc<Region>) -> Arc<Self> {
        let new = || {
            Arc::new(Attached {
                region,
                parent: false,
                starting: AtomicBool::new(true),
                open: RwLock::default(),
                putting: Mutex::default(),
                held: AtomicUsize::new(0),
                limit: 0,
            })
        };
        AS_WORKER.get_or_init(new).clone()
    }

    /// In a worker: its arguments are there. If there is no queue among them, it will not use any.
    pub fn arguments_taken() {
        if let Some(attached) = AS_WORKER.get().filter(|a| a.open.read().unwrap_or_else(|e| e.into_inner()).is_empty()) {
            attached.at_work();
        }
    }

    /// Before any use of a queue. The first one in a worker tells the parent that may have waited for it, to see whether it takes, before it
    /// moves items of a Queue out of the way.
    #[inline]
    pub fn at_work(&self) {
        if self.starting.load(Relaxed) {
            self.started();
        }
    }

    #[cold]
    fn started(&self) {
        self.starting.store(false, Relaxed);
        self.region.at_work();
        self.call_for_relief(None);
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

    /// In the parent, on a thread of its own: puts back what was moved out of Queues from which, as it turned out, workers take.
    pub(crate) fn hand_back(&self) {
        let _one_at_a_time = self.putting.lock();
        // No lock that others take is kept while this waits for slots.
        let open: Vec<Arc<Core>> =
            self.open.read().unwrap_or_else(|e| e.into_inner()).values().filter_map(Weak::upgrade).collect();
        for core in open {
            if core.channel.kind() == Kind::Queue && core.channel.workers_take() && core.channel.outside() {
                core.hand_back();
            }
        }
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
        let arena_wanted = self.region.arena(RESULTS).room().sleepers.load(SeqCst) > 0;
        let starting = || self.region.participants().any(|(_, p)| p.state.load(SeqCst) == presence::STARTING);
        let mut moved = false;
        let open = self.open.read().unwrap_or_else(|e| e.into_inner());
        for core in open.values().filter_map(Weak::upgrade) {
            let d = core.channel.desc();
            let ours = core.channel.kind() == Kind::Queue && Some(core.channel.index()) != except;
            if !ours || core.channel.workers_take() || core.parent_puts.load(Relaxed) {
                continue;
            }
            let wanted = arena_wanted || d.free.sleepers.load(SeqCst) > 0;
            // The first time only if need be, and if nobody is about to start who may take from it.
            if !core.absorbs.load(Relaxed) && (!wanted || starting()) {
                continue;
            }
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

    /// In a worker that is about to sleep because a Queue or the results' arena is full: if there is anything that the parent could move, the
    /// parent must look, wherever it sleeps. Only the parent: others would look in vain, and go on doing so. `slots`: where the caller itself
    /// sleeps, if it waits for a slot; a parent that sleeps there waits for a slot of the same Queue, and leaves that Queue alone.
    pub(crate) fn call_for_relief(&self, slots: Option<&EventWords>) {
        if self.parent {
            return;
        }
        // What we have just written, our state among it, comes before the look at who sleeps ↔ S1 of the parent, which then looks at it.
        fence(SeqCst);
        let used = self.region.header().channels_used.load(Acquire);
        let channels = || (0..used).map_while(|index| self.region.channel(index));
        // SeqCst ↔ `relief_wanted` of one who publishes.
        let movable = |d: &layout::Channel| {
            d.kind.load(Relaxed) == Kind::Queue as u32 && d.worker_gets.load(Relaxed) & 1 == 0 && d.pending.load(SeqCst) > 0
        };
        if !channels().any(movable) {
            return;
        }
        let places =
            channels().flat_map(|d| [&d.jobs, &d.done, &d.free]).filter(|&p| slots.is_none_or(|s| !std::ptr::eq(p, s)));
        let rooms = [JOBS, RESULTS].map(|which| self.region.arena(which).room());
        for place in places.chain(rooms) {
            if event::parent_sleeps(place) {
                event::notify_all(place);
            }
        }
    }

    /// In a worker that has just put an item into a Queue: whether somebody waits for room that the parent could make by moving it. That one may
    /// have looked for something to move before the item was there.
    #[inline]
    pub(super) fn relief_wanted(&self, channel: &Channel) -> bool {
        let waits = |event: &EventWords| event.sleepers.load(SeqCst) != 0;
        !self.parent
            && channel.kind() == Kind::Queue
            && (waits(&channel.desc().free) || waits(self.region.arena(RESULTS).room()))
    }

    /// Delivers what anybody has finished and not delivered in channels whose payloads lie in an arena, for one who waits for room there;
    /// whether there was any.
    pub(super) fn help_all(&self, arena: usize) -> bool {
        let used = self.region.header().channels_used.load(Acquire);
        let channels = (0..used).filter_map(|index| Channel::open(&self.region, index));
        // All of them, not the first that helps.
        channels.filter(|c| c.payload_arena() == arena && c.pending() > 0 && c.help()).count() > 0
    }
}

/// What stands for something of the region among a worker's arguments: a queue's number, or the place of a synchronization object.
#[derive(Serialize, Deserialize)]
struct Address {
    region: u64,
    place: u64,
}

/// Writes the address of `what` for a worker to be started.
pub(crate) fn pass<S: Serializer>(what: &str, region: &Region, place: u64, to: S) -> Result<S::Ok, S::Error> {
    if region.me().id() != 1 {
        return Err(S::Error::custom(format!("a {what} can be passed on by the process that made it only")));
    }
    Address { region: region.id(), place }.serialize(to)
}

/// Reads an address, in the worker: what this process has attached, and the place in it.
pub(crate) fn arrive<'de, D: Deserializer<'de>>(what: &str, from: D) -> Result<(&'static Arc<Attached>, u64), D::Error> {
    let address = Address::deserialize(from)?;
    let Some(attached) = AS_WORKER.get() else {
        return Err(D::Error::custom(format!("a {what} can be passed to a worker only")));
    };
    if attached.region.id() != address.region {
        return Err(D::Error::custom(format!("the {what} belongs to another Mill than the one that started this worker")));
    }
    Ok((attached, address.place))
}

pub(super) fn serialize<H: Handle, S: Serializer>(queue: &H, to: S) -> Result<S::Ok, S::Error> {
    let core = queue.core();
    pass("queue", &core.attached.region, u64::from(core.channel.index()), to)
}

pub(super) fn deserialize<'de, H: Handle, D: Deserializer<'de>>(from: D) -> Result<H, D::Error> {
    let (attached, place) = arrive("queue", from)?;
    let channel = u32::try_from(place)
        .ok()
        .and_then(|index| Channel::open(&attached.region, index))
        .ok_or_else(|| D::Error::custom(format!("channel {place} cannot be opened")))?;
    if channel.kind() != H::KIND || channel.desc().type_hash.load(Relaxed) != H::hash() {
        return Err(D::Error::custom("the queue's items are of another type, or it is another kind of queue"));
    }
    Ok(attached.open(Arc::new(channel)))
}
