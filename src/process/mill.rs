//! The [`Mill`]: one region, its queues and its processes.

use super::group::{Daemons, Group};
use super::handle::{Life, Process};
use super::launch::{self, JobsWork, Work};
use super::supervisor::{Command, Shared, Supervisor, lock};
use super::tasks::{Arguments, Target, name_of};
use super::{Error, Result};
use crate::queue::codec::{Codec, Pod};
use crate::queue::{Attached, Handle, JoinableQueue, PodJoinableQueue, PodQueue, Queue};
use crate::ring::channel::MAX_SLOTS;
use crate::ring::objects::{self, ObjectPlan};
use crate::ring::{Channel, ChannelPlan, Kind, Plan, Region, WaitPolicy};
use crate::sys;
use crate::sys::fork::Template;
use crate::sys::mapping::Mapping;
use crate::sys::poll::EventFd;
use crate::sys::thread::Thread;
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Serialize, de::DeserializeOwned};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// Where a region's memory comes from.
#[derive(Clone, Debug)]
enum Place {
    Anonymous,
    #[cfg(feature = "named")]
    Named(String),
    File(PathBuf),
}

/// How workers come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StartMethod {
    /// This program is executed again; `gristmill::init` makes it a worker. Works always.
    #[default]
    Spawn,
    /// This process is forked, so that workers have a copy of everything that it has in memory when the Mill or pool is built (and of
    /// its open descriptors). Only while it has one thread: with several, a child would wait for ever for locks whose owners it has not.
    /// Replacements are forked from the same moment.
    Fork,
}

/// Sizes and rules of a [`Mill`] to be made. All have defaults.
#[derive(Clone, Debug)]
pub struct MillBuilder {
    region_size: usize,
    arena_size: usize,
    result_memory: usize,
    max_processes: usize,
    max_queues: u32,
    retries: u32,
    wait: WaitPolicy,
    place: Place,
    start: StartMethod,
    hardened: bool,
    counters_from: u32,
}

impl Default for MillBuilder {
    fn default() -> Self {
        MillBuilder {
            region_size: 8 << 20,
            arena_size: 2 << 20,
            result_memory: usize::MAX,
            max_processes: 256,
            max_queues: 64,
            retries: 3,
            wait: WaitPolicy::Adaptive,
            place: Place::Anonymous,
            start: StartMethod::Spawn,
            hardened: false,
            counters_from: 0,
        }
    }
}

impl MillBuilder {
    /// Bytes of shared memory in all; reserved at once. Default: 8 MiB.
    pub fn region_size(mut self, bytes: usize) -> Self {
        self.region_size = bytes;
        self
    }

    /// Bytes for payloads that are too large for a slot, once for jobs and once more for results: the largest payload there can be.
    /// Part of the region. Default: 2 MiB each.
    pub fn arena_size(mut self, bytes: usize) -> Self {
        self.arena_size = bytes;
        self
    }

    /// Bytes of results that the parent may hold outside the region while it waits in `put` or `join`. Default: no bound.
    pub fn result_memory(mut self, bytes: usize) -> Self {
        self.result_memory = bytes;
        self
    }

    /// How many processes there may be at a time. Default: 256; at most 4094.
    pub fn max_processes(mut self, count: usize) -> Self {
        self.max_processes = count;
        self
    }

    /// How many queues there may be. Default: 64.
    pub fn max_queues(mut self, count: u32) -> Self {
        self.max_queues = count;
        self
    }

    /// How often a job is run again after its worker died. Default: 3; at most 65,534, and what is more counts as that.
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// How those who find nothing to do wait. Default: [`WaitPolicy::Adaptive`].
    pub fn wait_policy(mut self, policy: WaitPolicy) -> Self {
        self.wait = policy;
        self
    }

    /// How workers come to be. Default: [`StartMethod::Spawn`].
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.start = method;
        self
    }

    /// Closes this process and its workers to other processes of the same user, as far as Linux can: nobody but root can trace them, open their memory
    /// or descriptors through /proc, or get core dumps of them, and the region is in no core dump anyway; workers gain no rights by executing
    /// programs. This process stays like that when the Mill is gone. A worker is open for the moment between the start of its program and
    /// [`init`](crate::init); those of [`StartMethod::Fork`] never are. `THREAT-MODEL.md` says what this is good for.
    ///
    /// For what a worker need not do, let its function or initializer install a filter (seccomp, landlock): see `examples/sandboxed.rs`.
    ///
    /// Workers cannot open this process's descriptors either, so a hardened pool has no [`SharedVec`](crate::SharedVec), and why a worker could not
    /// start is told on standard error only. And the region has no name and is in no file, since other programs could open it there:
    /// [`build`](Self::build) refuses that.
    pub fn hardened(mut self) -> Self {
        self.hardened = true;
        self
    }

    /// A region with a name, so that unrelated programs of the same user can attach. The name must not be taken; it goes
    /// with the `Mill` and the last of its queues.
    ///
    /// If this process is killed, nothing removes the name, and the memory stays with it: no worker is left that could, and Linux has no names that
    /// go by themselves. A later [`build`](Self::build) does not take it over, since others may still use it, but says so. Whoever knows that
    /// nobody does removes it: `rm /dev/shm/NAME`. A region without a name leaves nothing.
    #[cfg(feature = "named")]
    pub fn name(mut self, name: &str) -> Self {
        self.place = Place::Named(name.into());
        self
    }

    /// A region in a new file of this path. The file stays, also when this process is killed; there must be none before.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::File(path.into());
        self
    }

    /// Where all counters of the region start, for tests of their wrap-around.
    #[doc(hidden)]
    pub fn counters_from(mut self, from: u32) -> Self {
        self.counters_from = from;
        self
    }

    /// Makes the region and starts the supervisor.
    ///
    /// # Errors
    /// If the sizes leave no room, the memory can't be had, the name is taken, a hardened region would have a name or be in a file, or this
    /// process is a worker.
    pub fn build(self) -> Result<Mill> {
        launch::may_be_parent()?;
        const MOST: usize = crate::layout::MAX_PARTICIPANTS as usize - 1;
        if self.max_processes == 0 || self.max_processes > MOST {
            return Err(Error::Processes { asked: self.max_processes, max: MOST });
        }
        if self.hardened && !matches!(self.place, Place::Anonymous) {
            return Err(Error::HardenedPlace);
        }
        if self.start == StartMethod::Fork {
            let threads = sys::fork::threads().map_err(|source| Error::System { what: "cannot count threads", source })?;
            if threads != 1 {
                return Err(Error::ForkWithThreads { threads });
            }
        }
        let system = |what| move |source| Error::System { what, source };
        if self.hardened {
            // Before there is anything to be found.
            sys::harden::not_dumpable().map_err(system("cannot close this process to others"))?;
        }
        let size = self.region_size.checked_next_multiple_of(sys::page_size()).unwrap_or(self.region_size);
        let plan = Plan {
            arena: self.arena_size,
            participants: self.max_processes as u32 + 2,
            channels: self.max_queues.clamp(1, 60_000),
            wait: self.wait,
        };
        Region::check(size, &plan)?;
        let mapping = match &self.place {
            Place::Anonymous => Mapping::anonymous(size),
            #[cfg(feature = "named")]
            Place::Named(name) => Mapping::named(name, size),
            Place::File(path) => Mapping::file(path, size),
        }
        .map_err(crate::ring::RegionError::from)?;
        let place = self.place.clone();
        let built = self.build_over(mapping, plan);
        // A file stays with a Mill that was there; nobody could make another at its path.
        if let (Err(_), Place::File(path)) = (&built, &place) {
            let _ = std::fs::remove_file(path);
        }
        built
    }

    fn build_over(self, mapping: Mapping, plan: Plan) -> Result<Mill> {
        let system = |what| move |source| Error::System { what, source };
        mapping.not_inherited_by_forks().map_err(system("cannot keep the region from forks"))?;
        if self.hardened {
            mapping.not_in_core_dumps().map_err(system("cannot keep the region out of core dumps"))?;
        }
        let mut region = Region::create(mapping, plan)?;
        let bell = EventFd::new().map_err(system("cannot make an eventfd"))?;
        region.set_bell(bell.another().map_err(system("cannot copy an eventfd"))?);
        region.count_from(self.counters_from);
        let region = Arc::new(region);
        let shared = Shared::new(region.clone(), bell, self.hardened);
        let template = match self.start {
            StartMethod::Spawn => None,
            StartMethod::Fork => {
                let (region, bell) = (region.mapping().fd(), &shared.bell);
                let worker = |request: &[u8]| launch::serve_forked(request, region, bell);
                Some(Template::start(worker).map_err(system("cannot fork the template of workers"))?)
            }
        };
        let supervisor = Supervisor::run(shared.clone(), template, self.counters_from);
        let supervisor = supervisor.map_err(system("cannot start the supervisor's thread"))?;
        let attached = Attached::parent(region, self.result_memory);
        let _ = shared.attached.set(Arc::downgrade(&attached));
        Ok(Mill { shared, attached, supervisor: Some(supervisor), built: self })
    }
}

/// One region of shared memory, its queues and its processes. Dropped, it ends its daemons and waits for its other processes.
pub struct Mill {
    pub(crate) shared: Arc<Shared>,
    pub(crate) attached: Arc<Attached>,
    supervisor: Option<Thread>,
    built: MillBuilder,
}

impl std::fmt::Debug for Mill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mill({} bytes, {:?})", self.shared.region.mapping().size(), self.stats())
    }
}

/// What has happened in a [`Mill`] so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MillStats {
    /// Processes alive now.
    pub processes: u32,
    /// Processes that ended otherwise than by returning from their function.
    pub deaths: u64,
    /// Jobs that were run again because their worker died.
    pub run_again: u64,
    /// Jobs that were given up because each worker that ran them died.
    pub given_up: u64,
    /// Repairs of the region.
    pub recoveries: u64,
    /// The longest of these, in nanoseconds, from the news of a death until everything went on.
    pub longest_recovery_nanos: u64,
    /// Nanoseconds that all processes together waited for locks of the region.
    pub lock_wait_nanos: u64,
}

impl Mill {
    /// Sizes and rules to choose from.
    pub fn builder() -> MillBuilder {
        MillBuilder::default()
    }

    fn channel(&self, kind: Kind, slots: usize, payload: usize, result: usize, type_hash: u64) -> Result<Arc<Channel>> {
        let count = u32::try_from(slots).ok().filter(|&n| (1..=MAX_SLOTS).contains(&n));
        let Some(count) = count else { return Err(Error::Capacity { slots, max: MAX_SLOTS }) };
        // Held while the channel is made: no lock of the region is waited for meanwhile.
        let mut channels = lock(&self.shared.channels);
        let index = channels.len() as u32;
        if self.shared.region.channel_limit() <= index {
            return Err(Error::TooManyQueues { max: self.shared.region.channel_limit() });
        }
        let plan = ChannelPlan {
            kind,
            slots: count,
            payload,
            result,
            // A slot word counts so far.
            attempts: self.built.retries.saturating_add(1).min(u16::MAX.into()),
            type_hash,
            counters_from: self.built.counters_from,
        };
        let channel = Channel::create(&self.shared.region, index, &plan).map_err(|(needed, left)| Error::NoSpace {
            slots,
            needed,
            left,
        })?;
        let channel = Arc::new(channel);
        channels.push(channel.clone());
        Ok(channel)
    }

    fn open<H: Handle>(&self, capacity: usize) -> Result<H> {
        // Room for a bundle in each slot, if that takes no more than a quarter of what is left; one item, up to a point, in any case:
        // what does not fit its slot goes to the arena.
        const BUNDLE: usize = 512;
        const ITEM: usize = 1024;
        let budget = self.shared.region.heap_left() / 4 / capacity.max(1);
        let inline = H::INLINE.min(ITEM).max((64 * H::INLINE).min(BUNDLE).min(budget.saturating_sub(64)));
        Ok(self.attached.open(self.channel(H::KIND, capacity, inline, 0, H::hash())?))
    }

    /// Makes a synchronization object.
    pub(crate) fn object(&self, what: &'static str, plan: &ObjectPlan) -> Result<Arc<objects::Core>> {
        // The heap is given out under this mutex.
        let _channels = lock(&self.shared.channels);
        objects::Core::create(&self.shared.region, plan).map_err(|(needed, left)| Error::NoRoomFor { what, needed, left })
    }

    pub(crate) fn pool_channel(&self, capacity: usize, payload: usize, result: usize) -> Result<Arc<Channel>> {
        self.channel(Kind::Pool, capacity, payload, result, 0)
    }

    /// A queue of `capacity` items.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn queue<T: Serialize + DeserializeOwned + 'static>(&self, capacity: usize) -> Result<Queue<T>> {
        self.open(capacity)
    }

    /// A queue of `capacity` items of plain data.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn pod_queue<T: NoUninit + AnyBitPattern>(&self, capacity: usize) -> Result<PodQueue<T>>
    where
        Pod: Codec<T>,
    {
        self.open(capacity)
    }

    /// A queue of `capacity` jobs.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn joinable_queue<T: Serialize + DeserializeOwned + 'static>(&self, capacity: usize) -> Result<JoinableQueue<T>> {
        self.open(capacity)
    }

    /// A queue of `capacity` jobs of plain data.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn pod_joinable_queue<T: NoUninit + AnyBitPattern>(&self, capacity: usize) -> Result<PodJoinableQueue<T>> {
        self.open(capacity)
    }

    fn life<F, R>(&self, _target: F, arguments: &R, group: Option<Arc<Group>>) -> Result<Arc<Life>>
    where
        R: Arguments,
        F: Target<R::Owned>,
    {
        let name = name_of::<F>();
        launch::find(name).ok_or(Error::NotRegistered { name })?;
        let arguments = arguments.encode().map_err(|why| Error::Arguments { why })?;
        Ok(Life::new(name, Work::Process { arguments }, group))
    }

    /// Starts `count` workers that run `target` with these arguments, a tuple of references. A worker that dies is replaced; one that
    /// returns is not.
    ///
    /// # Errors
    /// If `target` is not registered, the arguments cannot be encoded, or a process cannot be started; those already started are killed.
    pub fn spawn_daemons<F, R>(&self, count: usize, target: F, arguments: R) -> Result<Daemons>
    where
        R: Arguments,
        F: Target<R::Owned>,
    {
        if count == 0 || count > self.built.max_processes {
            return Err(Error::Processes { asked: count, max: self.built.max_processes });
        }
        let group = Arc::new(Group::default());
        let lives = (0..count).map(|_| self.life(target, &arguments, Some(group.clone()))).collect::<Result<Vec<_>>>()?;
        self.start_all(lives, group)
    }

    pub(crate) fn spawn_pool(&self, count: usize, task: &'static str, work: JobsWork) -> Result<Daemons> {
        if count == 0 || count > self.built.max_processes {
            return Err(Error::Processes { asked: count, max: self.built.max_processes });
        }
        let group = Arc::new(Group::default());
        let lives = (0..count).map(|_| Life::new(task, Work::Jobs(work.clone()), Some(group.clone()))).collect();
        self.start_all(lives, group)
    }

    fn start_all(&self, lives: Vec<Arc<Life>>, group: Arc<Group>) -> Result<Daemons> {
        for life in &lives {
            let process = Process { shared: self.shared.clone(), life: life.clone() };
            if let Err(e) = process.start() {
                group.dismiss();
                for started in &lives {
                    let _ = Process { shared: self.shared.clone(), life: started.clone() }.kill();
                }
                return Err(match e {
                    super::ProcessError::Start(e) => e,
                    other => Error::Arguments { why: other.to_string() },
                });
            }
        }
        Ok(Daemons { lives, group })
    }

    /// A process that will run `target` once with these arguments, a tuple of references.
    ///
    /// # Errors
    /// If `target` is not registered, or the arguments cannot be encoded.
    pub fn process<F, R>(&self, target: F, arguments: R) -> Result<Process>
    where
        R: Arguments,
        F: Target<R::Owned>,
    {
        Ok(Process { shared: self.shared.clone(), life: self.life(target, &arguments, None)? })
    }

    /// What has happened so far. If a death is being dealt with, this waits until it is.
    pub fn stats(&self) -> MillStats {
        let _counted = lock(&self.shared.recovering);
        let counts = &self.shared.counts;
        let region = &self.shared.region;
        MillStats {
            processes: region.header().workers.load(Relaxed),
            deaths: counts.deaths.load(Relaxed),
            run_again: counts.run_again.load(Relaxed),
            given_up: counts.given_up.load(Relaxed),
            recoveries: counts.recoveries.load(Relaxed),
            longest_recovery_nanos: counts.longest_recovery.load(Relaxed),
            lock_wait_nanos: region.participants().fold(0, |sum, (_, p)| sum.saturating_add(p.lock_wait.load(Relaxed))),
        }
    }
}

impl Drop for Mill {
    fn drop(&mut self) {
        for life in lock(&self.shared.others).drain(..).filter_map(|l| l.upgrade()) {
            if !life.daemon.load(Relaxed) {
                life.wait(None);
            }
        }
        self.shared.command(Command::Quit);
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.join();
        }
    }
}
