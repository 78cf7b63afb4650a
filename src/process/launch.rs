//! The worker's side: how a program that was executed again learns what it is, and becomes it.

use super::tasks::{Run, Task, WorkerState};
use super::{Error, Result};
use crate::lock::Holder;
use crate::pool::worker::Served;
use crate::queue::Attached;
use crate::ring::Region;
use crate::ring::region::Leaving;
use crate::sys::harden;
use crate::sys::mapping::Mapping;
use crate::sys::poll::EventFd;
use crate::sys::spawn;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
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
/// A pool's initializer has failed (EX_CONFIG).
pub(super) const INIT_FAILED: i32 = 78;

/// What a worker has to know; written by the supervisor to a file in memory.
#[derive(Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) parent: u32,
    pub(super) participant: u16,
    pub(super) epoch: u32,
    pub(super) task: String,
    pub(super) work: Work,
    /// The number under which the parent has the file for last words open.
    pub(super) words: RawFd,
    /// Whether the worker closes itself to others.
    pub(super) hardened: bool,
}

/// What a worker does.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Runs its function once.
    Process { arguments: Vec<u8> },
    /// Serves a pool's channel.
    Jobs(JobsWork),
}

/// How a pool's worker serves.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct JobsWork {
    pub(crate) channel: u32,
    /// The initializer and its encoded argument.
    pub(crate) init: Option<(String, Vec<u8>)>,
    /// How many jobs it runs before it is replaced.
    pub(crate) budget: u64,
    /// The CPUs on which it may run, in turn for each participant; empty: all.
    pub(crate) cpus: Vec<usize>,
    /// A hash of the names of all tasks: jobs name them by their place.
    pub(crate) tasks: u64,
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
                // Not eprintln, which panics when nobody reads standard error.
                let _ = writeln!(std::io::stderr(), "gristmill worker {}: {why}", std::process::id());
                code
            }
        };
        std::process::exit(code);
    }
}

pub(super) fn find(name: &str) -> Option<&'static Task> {
    REGISTRY.get()?.iter().find(|t| t.name == name)
}

/// A task's place in the list, by which jobs name it.
pub(crate) fn place_of(name: &'static str) -> Result<u16> {
    let tasks = REGISTRY.get().map_or(&[][..], |t| t);
    let at = tasks.iter().position(|t| t.name == name);
    at.and_then(|at| u16::try_from(at).ok()).ok_or(Error::NotRegistered { name })
}

/// A hash of all tasks' names in order (FNV-1a).
pub(crate) fn tasks_hash() -> u64 {
    let names = REGISTRY.get().into_iter().flatten().flat_map(|t| t.name.bytes().chain([0]));
    names.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
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
    let wrong = |why: &dyn std::fmt::Display| {
        let what = "its parent's launch record is missing or wrong";
        (WRONG_LAUNCH, format!("{what} ({why}): if you started this program yourself, unset {VARIABLE}"))
    };
    let cannot = |why: &dyn std::fmt::Display| (CANNOT_START, why.to_string());
    let _ = WORKER.set(());
    spawn::forget_variable(VARIABLE);
    // Taken in this order, so that a program that was merely given the variable closes nothing of its own.
    let launch = spawn::inherited(LAUNCH_FD).map_err(|e| wrong(&e))?;
    let mut bytes = vec![];
    File::from(launch).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    let launch: Launch = postcard::from_bytes(&bytes).map_err(|e| wrong(&e))?;
    with_last_words(&launch, || {
        harden(&launch).map_err(|e| cannot(&e))?;
        spawn::die_with_parent(launch.parent).map_err(|e| cannot(&e))?;
        spawn::ignore_interrupt().map_err(|e| cannot(&e))?;
        spawn::take_own_name();
        let region = spawn::inherited(REGION_FD).map_err(|e| wrong(&e))?;
        let bell = spawn::inherited(BELL_FD).map_err(|e| wrong(&e))?;
        become_worker(&launch, region, bell.into())
    })
}

/// A worker's life, of which the supervisor is told why it ended early.
fn with_last_words(launch: &Launch, live: impl FnOnce() -> Result<(), (i32, String)>) -> Result<(), (i32, String)> {
    live().inspect_err(|(_, why)| {
        // If they cannot be written, the exit code says enough.
        let _ = leave_words(launch.parent, launch.words, launch.participant, why);
    })
}

/// A worker that the template has forked: the same without executing the program again. Gives its exit code.
pub(super) fn serve_forked(request: &[u8], region: BorrowedFd<'_>, bell: &EventFd) -> i32 {
    let _ = WORKER.set(());
    let served = || {
        let cannot = |why: &dyn std::fmt::Display| (CANNOT_START, why.to_string());
        let launch: Launch = postcard::from_bytes(request).map_err(|e| cannot(&e))?;
        with_last_words(&launch, || {
            harden(&launch).map_err(|e| cannot(&e))?;
            spawn::die_with_parent(launch.parent).map_err(|e| cannot(&e))?;
            let region = region.try_clone_to_owned().map_err(|e| cannot(&e))?;
            become_worker(&launch, region, bell.another().map_err(|e| cannot(&e))?)
        })
    };
    match served() {
        Ok(()) => 0,
        Err((code, why)) => {
            let _ = writeln!(std::io::stderr(), "gristmill worker {}: {why}", std::process::id());
            code
        }
    }
}

fn harden(launch: &Launch) -> std::io::Result<()> {
    if launch.hardened {
        harden::not_dumpable()?;
        harden::no_new_privileges()?;
    }
    Ok(())
}

fn become_worker(launch: &Launch, region: OwnedFd, bell: EventFd) -> Result<(), (i32, String)> {
    let wrong = |why: &dyn std::fmt::Display| (WRONG_LAUNCH, format!("started without a parent's launch record: {why}"));
    let cannot = |why: &dyn std::fmt::Display| (CANNOT_START, why.to_string());
    let mut mapping = Mapping::from_fd(region).map_err(|e| cannot(&e))?;
    // A child that a job forks must not live on with the region.
    mapping.not_inherited_by_forks().map_err(|e| cannot(&e))?;
    if launch.hardened {
        mapping.not_in_core_dumps().map_err(|e| cannot(&e))?;
    }
    mapping.close_descriptor();
    if launch.participant == 0 || u32::from(launch.participant) > crate::layout::MAX_PARTICIPANTS {
        return Err(wrong(&"no such participant"));
    }
    let mut region = Region::attach(mapping, Holder::new(launch.participant, launch.epoch)).map_err(|e| cannot(&e))?;
    region.set_bell(bell);
    region.arrive(std::process::id(), launch.epoch);
    let region = Arc::new(region);
    let attached = Attached::worker(region.clone());
    match &launch.work {
        Work::Process { arguments } => {
            let names = || REGISTRY.get().into_iter().flatten().map(|t| t.name).collect::<Vec<_>>().join(", ");
            let task = find(&launch.task)
                .ok_or_else(|| cannot(&format!("the task {} is not registered here; registered: {}", launch.task, names())))?;
            let Run::Process(run) = &task.run else {
                return Err(cannot(&format!("the task {} is registered as another kind of function", launch.task)));
            };
            run(arguments).map_err(|e| cannot(&format!("the arguments of {}: {e}", launch.task)))?;
            region.leave(Leaving::Returned);
        }
        Work::Jobs(work) => {
            attached.at_work();
            let served = serve_jobs(&attached, launch.participant, work)?;
            region.leave(if served == Served::Enough { Leaving::Replace } else { Leaving::Returned });
        }
    }
    Ok(())
}

/// How many bytes of last words each participant can leave.
pub(super) const WORDS: usize = 1024;

/// Writes why this worker ends to where the parent looks for it.
fn leave_words(parent: u32, words: RawFd, participant: u16, why: &str) -> std::io::Result<()> {
    let file = File::options().write(true).open(format!("/proc/{parent}/fd/{words}"))?;
    let bytes = &why.as_bytes()[..why.len().min(WORDS - 1)];
    // With a 0 at the end: longer ones of an earlier worker may stand there.
    file.write_all_at(&[bytes, &[0]].concat(), (usize::from(participant) * WORDS) as u64)
}

/// A pool's worker, from its initializer to its end.
fn serve_jobs(attached: &Arc<Attached>, participant: u16, work: &JobsWork) -> Result<Served, (i32, String)> {
    let cannot = |why: String| (CANNOT_START, why);
    if work.tasks != tasks_hash() {
        return Err(cannot("the tasks registered here are not those of the parent".into()));
    }
    if !work.cpus.is_empty() {
        let cpu = work.cpus[usize::from(participant - 2) % work.cpus.len()];
        crate::sys::limits::pin(cpu).map_err(|e| cannot(format!("cannot run on CPU {cpu} alone: {e}")))?;
    }
    crate::pool::worker::prepare();
    let state = match &work.init {
        None => Box::new(()) as WorkerState,
        Some((name, argument)) => match find(name).map(|t| &t.run) {
            Some(Run::Init(init)) => {
                init(argument).map_err(|why| (INIT_FAILED, format!("the initializer {name} failed: {why}")))?
            }
            _ => return Err(cannot(format!("the initializer {name} is not registered here"))),
        },
    };
    let tasks = REGISTRY.get().map_or(&[][..], |t| t);
    crate::pool::worker::serve(attached.region(), work.channel, tasks, state, work.budget).map_err(cannot)
}
