//! Threads of this process behind two bounded channels, one number a message.

use super::{Contender, square};
use crate::Result;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::ops::Range;
use std::thread::{self, JoinHandle};

/// Messages that a channel holds.
const CAPACITY: usize = 1024;

pub struct Crossbeam {
    /// Taken away to end the threads.
    jobs: Option<Sender<u64>>,
    results: Receiver<u64>,
    threads: Vec<JoinHandle<()>>,
}

impl Crossbeam {
    pub fn start(threads: usize) -> Result<Self> {
        let (jobs, to_do) = bounded::<u64>(CAPACITY);
        let (done, results) = bounded::<u64>(CAPACITY);
        let work = move || {
            let (to_do, done) = (to_do.clone(), done.clone());
            thread::spawn(move || {
                for job in to_do {
                    if done.send(square(job)).is_err() {
                        return;
                    }
                }
            })
        };
        let threads = (0..threads).map(|_| work()).collect();
        Ok(Crossbeam { jobs: Some(jobs), results, threads })
    }
}

impl Contender for Crossbeam {
    /// Sends while there is room, receives when there is none: one thread for both, since a third would have no core.
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        let sender = self.jobs.as_ref().ok_or("the threads have ended")?;
        let (mut sum, mut left) = (0u64, jobs.end - jobs.start);
        for job in jobs {
            while let Err(refused) = sender.try_send(job) {
                match refused {
                    TrySendError::Full(_) => sum = sum.wrapping_add(self.results.recv()?),
                    TrySendError::Disconnected(_) => return Err("the threads have ended".into()),
                }
                left -= 1;
            }
        }
        for _ in 0..left {
            sum = sum.wrapping_add(self.results.recv()?);
        }
        Ok(sum)
    }
}

impl Drop for Crossbeam {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("gristmill-rivals: a thread behind a channel panicked");
            }
        }
    }
}
