//! Rings, slots, arena, events and recovery: the protocol, in shared memory. DESIGN.md's rules are named, by their numbers, where they are
//! kept.
//!
//! Used by [`queue`](crate::queue), [`process`](crate::process) and [`pool`](crate::pool); uses lock, layout and sys.

pub mod arena;
pub mod bundle;
pub mod channel;
pub mod event;
pub mod frame;
mod free;
mod index_ring;
pub mod objects;
pub mod outcomes;
pub mod recovery;
pub mod region;
pub mod shared_vec;
pub mod slots;

pub use channel::{Channel, ChannelPlan, Kind, Popped, Stop};
pub use index_ring::Entry;
pub use region::{Condition, Plan, Region, RegionError, WaitPolicy};
pub use slots::{Filling, NoRoom, Payload};
