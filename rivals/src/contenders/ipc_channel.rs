//! ipc-channel: a channel of jobs to each worker process, and one of results from all.

use super::{Contender, square};
use crate::{Result, watchdog};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::process::{Child, Command};
use std::thread;

/// Tells a worker the server that it is to connect to, and its parent.
const VARIABLE: &str = "GRISTMILL_RIVALS_IPC_CHANNEL";

/// What a worker gets.
#[derive(Serialize, Deserialize)]
struct Setup {
    jobs: IpcReceiver<u64>,
    results: IpcSender<u64>,
}

pub struct IpcChannel {
    jobs: Vec<IpcSender<u64>>,
    results: IpcReceiver<u64>,
    workers: Vec<Child>,
}

impl IpcChannel {
    pub fn start(workers: usize) -> Result<Self> {
        let (done, results) = ipc::channel()?;
        let mut pool = IpcChannel { jobs: vec![], results, workers: vec![] };
        for _ in 0..workers {
            let (server, name) = IpcOneShotServer::<IpcSender<Setup>>::new()?;
            let variable = format!("{} {name}", std::process::id());
            pool.workers.push(Command::new(std::env::current_exe()?).env(VARIABLE, variable).spawn()?);
            let (_, worker) = server.accept()?;
            let (jobs, to_do) = ipc::channel()?;
            worker.send(Setup { jobs: to_do, results: done.clone() })?;
            pool.jobs.push(jobs);
        }
        Ok(pool)
    }
}

impl Contender for IpcChannel {
    /// A thread sends to the workers in turn, since a channel holds few messages; this one receives.
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        let channels = self.jobs.clone();
        let count = jobs.end - jobs.start;
        thread::scope(|scope| {
            let feeder = scope.spawn(move || jobs.zip(channels.iter().cycle()).try_for_each(|(job, to)| to.send(job)));
            let mut sum = 0u64;
            for _ in 0..count {
                sum = sum.wrapping_add(self.results.recv()?);
            }
            feeder.join().map_err(|_| "the feeding thread panicked")??;
            Ok(sum)
        })
    }
}

impl Drop for IpcChannel {
    fn drop(&mut self) {
        self.jobs.clear();
        for worker in &mut self.workers {
            match worker.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => eprintln!("gristmill-rivals: a worker over ipc-channel ended with {status}"),
                Err(e) => eprintln!("gristmill-rivals: cannot wait for a worker over ipc-channel: {e}"),
            }
        }
    }
}

/// The whole life of a worker; returns at once in any other process.
pub fn worker() {
    let Ok(variable) = std::env::var(VARIABLE) else { return };
    let ended = work(&variable);
    if let Err(why) = &ended {
        eprintln!("gristmill-rivals: worker over ipc-channel: {why}");
    }
    std::process::exit(i32::from(ended.is_err()))
}

fn work(variable: &str) -> Result<()> {
    let (parent, server) = variable.split_once(' ').ok_or("its variable has no name of a server")?;
    watchdog::end_with(parent.parse()?);
    let (setup, come) = ipc::channel()?;
    IpcSender::connect(server.to_owned())?.send(setup)?;
    let Setup { jobs, results } = come.recv()?;
    // Ends when the parent drops its sender.
    while let Ok(job) = jobs.recv() {
        results.send(square(job))?;
    }
    Ok(())
}
