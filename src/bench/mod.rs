//! The benchmark: ways to hand payloads from one process to another, all measured by one method.
//!
//! Each part uses only those below it: reports, the session (rounds in random order), the turn (one contender in a process of its own), its
//! participants, contenders, and what these stand on: the page that all share, payloads, work, counters.

mod allowed;
pub mod attempt;
mod cgroup;
pub mod command;
pub mod contender;
pub mod contenders;
pub mod control;
mod crossover;
pub(crate) mod environment;
pub mod isolate;
pub mod kill;
pub mod left;
mod measure;
pub(crate) mod noise;
pub mod options;
pub(crate) mod output;
pub mod participant;
pub mod participants;
pub mod payload;
pub mod plan;
pub(crate) mod report;
pub mod results;
mod self_tests;
pub mod session;
pub mod shared;
pub(crate) mod statistics;
pub mod turn;
pub mod typed;
mod value;
pub mod work;
