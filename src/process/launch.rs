//! The worker's side: how a program that was executed again learns what it is, and becomes it.

use super::tasks::{Run, Task};
use super::{Error, Result};
use crate::lock::Holder;
use crate::queue::Attached;
use crate::ring::Region;
use crate::sys::mapping::Mapping;
use crate::sys::spawn;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};

/// The variable that tells a program that it is a worker.
pub(super) const VARIABLE: &str = "GRISTMILL_WORKER";
/// Descriptors in a worker: the region, the launch record, the supervisor's bell.
pub(super) const REGION_FD: RawFd = 3;
pub(super) const LAUNCH_FD: RawFd = 4;
pub(super) const BELL_FD: RawFd = 5;

/// Exit codes of workers that could not become one: EX_SOFTWARE and EX_PROTOCOL of sysexits.h.
const CANNOT_START: i32 = 70;
const WRONG_LAUNCH: i32 = 76;

/// What a worker has to know; written by the supervisor to a file in memory.
#[derive(Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) parent: u32,
    pub(super) participant: u16,
    pub(super) epoch: u32,
    pub(super) task: String,
    pub(super) work: Work,
}

/// What a worker does.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Work {
    /// Runs its function once.
    Process { arguments: Vec<u8> },
    /// Serves a pool's channel.
    Jobs { channel: u32 },
}

static REGISTRY: OnceLock<Vec<Task>> = OnceLock::new();
static WORKER: OnceLock<()> = OnceLock::new();

/// Makes `tasks` known. In a worker, it serves and never returns: call it first in `main`, before threads are started.
///
/// A second call is ignored. See [`tasks!`](crate::tasks).
///
/// # Panics
/// If two tasks have the same name.
pub fn init(tasks: Vec<Task>) {
    if let Some(twice) = tasks.iter().enumerate().find(|(k, t)| tasks[..*k].iter().any(|o| o.name == t.name)) {
        panic!("{}", Error::RegisteredTwice { name: twice.1.name });
    }
    let _ = REGISTRY.set(tasks);
    if std::env::var_os(VARIABLE).is_some() {
        let code = match serve() {
            Ok(()) => 0,
            Err((code, why)) => {
                eprintln!("gristmill worker {}: {why}", std::process::id());
                code
            }
        };
        std::process::exit(code);
    }
}

pub(super) fn find(name: &str) -> Option<&'static Task> {
    REGISTRY.get()?.iter().find(|t| t.name == name)
}

/// Whether this process may have workers.
pub(super) fn may_be_parent() -> Result<()> {
    if WORKER.get().is_some() {
        return Err(Error::InsideWorker);
    }
    if std::env::var_os(VARIABLE).is_some() {
        return Err(Error::InitMissing);
    }
    Ok(())
}

fn serve() -> Result<(), (i32, String)> {
    let wrong = |why: &dyn std::fmt::Display| (WRONG_LAUNCH, format!("started without a parent's launch record: {why}"));
    let cannot = |why: &dyn std::fmt::Display| (CANNOT_START, why.to_string());
    let _ = WORKER.set(());
    spawn::forget_variable(VARIABLE);
    // Taken in this order, so that a program that was merely given the variable closes nothing of its own.
    let launch = spawn::inherited(LAUNCH_FD).map_err(|e| wrong(&e))?;
    let mut bytes = vec![];
    std::fs::File::from(launch).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    let launch: Launch = postcard::from_bytes(&bytes).map_err(|e| wrong(&e))?;
    spawn::die_with_parent(launch.parent).map_err(|e| cannot(&e))?;
    spawn::ignore_interrupt().map_err(|e| cannot(&e))?;
    let region = spawn::inherited(REGION_FD).map_err(|e| wrong(&e))?;
    let bell = spawn::inherited(BELL_FD).map_err(|e| wrong(&e))?;
    let mapping = Mapping::from_fd(region).map_err(|e| cannot(&e))?;
    // A child that a job forks must not live on with the region.
    mapping.not_inherited_by_forks().map_err(|e| cannot(&e))?;
    if launch.participant == 0 || launch.participant > 4095 {
        return Err(wrong(&"no such participant"));
    }
    let mut region = Region::attach(mapping, Holder::new(launch.participant, launch.epoch)).map_err(|e| cannot(&e))?;
    region.set_bell(bell.into());
    region.enter(std::process::id(), launch.epoch);
    let region = Arc::new(region);
    let task = find(&launch.task).ok_or_else(|| {
        let names: Vec<_> = REGISTRY.get().into_iter().flatten().map(|t| t.name).collect();
        cannot(&format!("the task {} is not registered here; registered: {}", launch.task, names.join(", ")))
    })?;
    let attached = Attached::worker(region.clone());
    let done = match (&task.run, launch.work) {
        (Run::Process(run), Work::Process { arguments }) => {
            run(&arguments).map_err(|e| cannot(&format!("the arguments of {}: {e}", launch.task)))
        }
        (Run::Jobs(run), Work::Jobs { channel }) => crate::pool::worker::serve(&attached, channel, run).map_err(|e| cannot(&e)),
        _ => Err(cannot(&format!("the task {} is registered as another kind of function", launch.task))),
    };
    region.leave();
    done
}
