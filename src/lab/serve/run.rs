//! A run: processes one after the other, and what they tell, as the page hears it.

use super::stages::{Alone, Mode, Order};
use crate::bench::contender::Result;
use crate::lab::page::told;
use crate::lab::{record::Record, watch::Event};
use crate::sys::pidfd::Pidfd;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// Most bytes that a process may tell: more than ten minutes of the lanes of most workers.
const MOST: u64 = 64 << 20;

/// Most bytes of its complaint.
const WORDS: u64 = 4096;

/// A process that is told to end and has not by then is killed. Its workers die with it.
const GRACE: Duration = Duration::from_secs(4);

/// What a run has told.
pub struct Story {
    /// Whose it is.
    pub id: u64,
    events: Vec<Value>,
}

impl Story {
    /// From the n-th event on, as JSON.
    pub fn since(&self, n: u64) -> String {
        let from = usize::try_from(n).unwrap_or(usize::MAX).min(self.events.len());
        json!({ "events": self.events[from..], "next": self.events.len() }).to_string()
    }

    fn add(&mut self, event: Value) {
        self.events.push(event);
    }
}

/// A run that is under way.
pub struct Run {
    order: Order,
    stage: usize,
    process: Process,
    story: Story,
    /// It has shown what workers do.
    lanes: bool,
    /// When the page has last asked for it.
    asked: Instant,
    /// It was told to end then.
    stopped: Option<Instant>,
}

impl Run {
    /// Starts the first of its processes. The thread that calls it must outlive them.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start(id: u64, order: Order) -> Result<Run> {
        let process = Process::start(&order.arguments(0))?;
        Ok(Run {
            order,
            stage: 0,
            process,
            story: Story { id, events: vec![] },
            lanes: false,
            asked: Instant::now(),
            stopped: None,
        })
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.story.id
    }

    /// The page asks: it is still there.
    pub fn asked(&mut self) -> &Story {
        self.asked = Instant::now();
        &self.story
    }

    /// For how long the page has not asked.
    pub fn unasked_for(&self) -> Duration {
        self.asked.elapsed()
    }

    /// Tells it to end.
    pub fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(Instant::now());
            self.process.signal(libc::SIGTERM);
        }
    }

    /// Takes notice of what has happened. Whether all is over.
    pub fn look(&mut self, alone: &mut Alone) -> bool {
        if self.stopped.is_some_and(|at| at.elapsed() > GRACE) {
            self.process.signal(libc::SIGKILL);
        }
        while let Some(line) = self.process.line() {
            match serde_json::from_str(&line) {
                Ok(event) => self.hear(event, alone),
                Err(why) => {
                    self.story.add(json!({ "end": format!("what it told cannot be read: {why}") }));
                    self.stop();
                }
            }
        }
        let Some(status) = self.process.ended() else { return false };
        let why = self.process.words();
        if self.stopped.is_some() {
            self.story.add(json!({ "end": "stopped" }));
        } else if !status.success() {
            self.story.add(json!({ "end": if why.is_empty() { status.to_string() } else { why } }));
        } else if self.stage + 1 < self.order.stages() {
            self.stage += 1;
            match Process::start(&self.order.arguments(self.stage)) {
                Ok(process) => {
                    self.process = process;
                    return false;
                }
                Err(why) => self.story.add(json!({ "end": why.to_string() })),
            }
        } else {
            self.story.add(json!({ "end": null }));
        }
        true
    }

    fn hear(&mut self, event: Event, alone: &mut Alone) {
        match event {
            Event::Progress(done) => self.story.add(json!({ "progress": done, "stage": self.stage })),
            Event::Lanes(snapshot) => {
                self.lanes |= !snapshot.lanes.is_empty();
                self.story.add(json!({ "lanes": snapshot }));
            }
            Event::Found(record) => self.found(&record, alone),
        }
    }

    fn found(&mut self, record: &Record, alone: &mut Alone) {
        let watched = self.order.watches(self.stage);
        if !watched {
            alone.keep(record);
        }
        if self.stage == 0 {
            let found = told::found(&self.order.experiment.question(), record, self.order.prediction.as_ref());
            match found.and_then(|found| Ok(serde_json::to_value(&found)?)) {
                Ok(found) => self.story.add(json!({ "found": found })),
                Err(why) => self.story.add(json!({ "end": why.to_string() })),
            }
        }
        if watched {
            let none = match self.order.mode {
                _ if !self.lanes => "This experiment keeps no lanes, so nothing of the kind is in its figures.",
                Mode::Watch => {
                    "These figures were taken while lanes were kept. Measure with the same knobs to see what that costs."
                }
                Mode::Measure => "There is nothing in both runs that could be compared.",
            };
            self.story.add(
                json!({ "disturbance": alone.disturbance(record).filter(|_| self.lanes).unwrap_or_else(|| none.to_owned()) }),
            );
        }
    }

    /// Ends what is left of it, and waits for that: what it has told.
    pub fn end(mut self) -> Story {
        self.stop();
        let end = Instant::now() + GRACE;
        while self.process.ended().is_none() {
            if Instant::now() > end {
                self.process.signal(libc::SIGKILL);
            }
            // It must be able to say what it has to say.
            while self.process.line().is_some() {}
            std::thread::sleep(Duration::from_millis(5));
        }
        self.story
    }
}

/// A process that tells events. Dropped, it is killed.
struct Process {
    child: Child,
    pidfd: Pidfd,
    lines: Receiver<String>,
    words: Receiver<String>,
    /// All that it had to tell was heard.
    silent: bool,
}

impl Process {
    fn start(arguments: &[String]) -> Result<Process> {
        // This program, also if its file was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("gristmill").args(["lab", "run"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let pidfd = match Pidfd::open(child.id()) {
            Ok(pidfd) => pidfd,
            Err(why) => {
                child.kill()?;
                child.wait()?;
                return Err(why.into());
            }
        };
        let ((tell, lines), (complain, words)) = (channel(), channel());
        // Both end with the process.
        std::thread::spawn(move || {
            let out = out.into_iter().flat_map(|out| BufReader::new(out.take(MOST)).lines().map_while(std::result::Result::ok));
            out.map(|line| tell.send(line)).take_while(|sent| sent.is_ok()).for_each(drop);
        });
        std::thread::spawn(move || {
            let mut text = vec![];
            let _ = err.map(|err| err.take(WORDS).read_to_end(&mut text));
            // The page may have gone.
            let _ = complain.send(String::from_utf8_lossy(&text).trim().trim_start_matches("gristmill: ").to_owned());
        });
        Ok(Process { child, pidfd, lines, words, silent: false })
    }

    fn line(&mut self) -> Option<String> {
        match self.lines.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.silent = true;
                None
            }
        }
    }

    /// How it has ended, once all that it has told was heard.
    fn ended(&mut self) -> Option<ExitStatus> {
        if self.silent { self.child.try_wait().ok().flatten() } else { None }
    }

    /// What it has complained about.
    fn words(&self) -> String {
        self.words.recv_timeout(Duration::from_secs(1)).unwrap_or_default()
    }

    fn signal(&self, number: i32) {
        // It can only have ended.
        let _ = self.pidfd.kill(number);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing to a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
