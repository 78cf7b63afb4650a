//! Keeping the parent and a worker each on a CPU of its own.

use crate::Result;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The first two CPUs that this process may use.
pub fn first_two() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    match (cpus.next(), cpus.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err("there are not two CPUs to pin to".into()),
    }
}

/// Keeps the calling thread on one CPU until dropped. Threads and processes that it starts meanwhile stay there as well.
pub struct Pinned {
    before: CpuSet,
}

impl Pinned {
    pub fn to(cpu: usize) -> Result<Self> {
        let before = sched_getaffinity(None)?;
        sched_setaffinity(None, &only(cpu))?;
        Ok(Pinned { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(e) = sched_setaffinity(None, &self.before) {
            eprintln!("gristmill-rivals: cannot unpin the parent: {e}");
        }
    }
}

/// Keeps the first thread of another process on one CPU.
pub fn pin_process(pid: u32, cpu: usize) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("0 is no process")?;
    Ok(sched_setaffinity(Some(pid), &only(cpu))?)
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}
