//! What [`Participant::state`](super::Participant::state) holds: where a process is in its life.

/// Nobody has had this entry.
pub const UNUSED: u32 = 0;
/// A process is being started for it; written by the supervisor.
pub const STARTING: u32 = 1;
/// The process has attached, and come to its first use of a queue or has none; written by itself.
pub const ATTACHED: u32 = 2;
/// The process has ended and what it held has been repaired; written by the supervisor.
pub const ENDED: u32 = 3;
/// The process's function has returned: the end that follows is no death; written by itself.
pub const LEAVING: u32 = 4;
/// The process has done as much as one process is to do: another takes its place; written by itself.
pub const RETIRING: u32 = 5;
