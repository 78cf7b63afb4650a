//! One region and its pool as the parent and two workers see it, in one process; made once a thread, and written anew for each input.

use crate::left::write;
use crate::uses::Calm;
use gristmill::layout::MIN_REGION;
use gristmill::lock::Holder;
use gristmill::ring::bundle::BeforeWaiting;
use gristmill::ring::recovery::{self, Dead, Deaths, Report};
use gristmill::ring::{Channel, ChannelPlan, Kind, Plan, Region, Stop, WaitPolicy};
use gristmill::sys::mapping::Mapping;
use std::sync::Arc;

/// The pool's slots.
pub const SLOTS: u32 = 4;
/// Bytes of the arena, in 16 units.
pub const ARENA: usize = 4096;
/// Workers that a job may cost.
pub const ATTEMPTS: u32 = 2;
/// How the dead ended.
pub const KILLED: u32 = 0x1_0009;

pub struct Views {
    pub parent: Arc<Channel>,
    pub workers: [Channel; 2],
    /// For each slot.
    pub deaths: [Deaths; SLOTS as usize],
    memory: Mapping,
    image: Vec<u8>,
}

impl Views {
    fn new() -> Views {
        let memory = Mapping::guarded(MIN_REGION).unwrap();
        let plan = Plan { arena: ARENA, participants: 4, channels: 1, wait: WaitPolicy::Block };
        let region = Arc::new(Region::create(memory.again().unwrap(), plan).unwrap());
        let pool = ChannelPlan {
            kind: Kind::Pool,
            slots: SLOTS,
            payload: 128,
            result: 160,
            attempts: ATTEMPTS,
            type_hash: 0,
            counters_from: 0,
        };
        let parent = Arc::new(Channel::create(&region, 0, &pool).unwrap());
        let worker = |id| {
            let region = Arc::new(Region::attach(memory.again().unwrap(), Holder::new(id, 1)).unwrap());
            region.enter(std::process::id(), 1);
            Channel::open(&region, 0).unwrap()
        };
        let workers = [worker(2), worker(3)];
        let mut image = vec![0; MIN_REGION];
        // SAFETY: so many bytes are mapped, and no other thread has them.
        unsafe { std::ptr::copy_nonoverlapping(memory.base(), image.as_mut_ptr(), MIN_REGION) };
        Views { parent, workers, deaths: Default::default(), memory, image }
    }

    /// Writes into the region, as anybody can who has it mapped.
    pub fn scribble(&self, at: usize, bytes: &[u8]) {
        write(&self.memory, at, bytes);
    }

    /// What worker 0 or 1 held is repaired after its death.
    pub fn dies(&self, who: usize) -> Result<Report, Stop> {
        let dead = Dead { who: Holder::new(who as u16 + 2, 1), status: KILLED };
        recovery::recover(self.parent.region(), std::slice::from_ref(&self.parent), &mut vec![dead], &mut Calm(&self.deaths))
    }
}

/// Calls `f` with views of a region in which nothing has happened.
pub fn with(f: impl FnOnce(&Views)) {
    thread_local!(static VIEWS: Views = Views::new());
    VIEWS.with(|views| {
        views.scribble(0, &views.image);
        views.deaths.iter().for_each(Deaths::clear);
        f(views);
    });
}

/// Who has to wait for room in the arena gives up instead: there is nobody who could make any.
pub struct NoRoom;

impl BeforeWaiting for NoRoom {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        Err(Stop::Shutdown)
    }
}
