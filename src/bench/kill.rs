//! What the death of a consumer costs: it is killed in the middle, and the others are looked at.

use super::attempt::Killed;
use super::contender::{Contender, Opened, Pool, Result, Shape};
use super::control::Control;
use super::participants::Participants;
use super::payload;
use super::turn::Host;
use crate::sys::clock;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How long is waited before a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a payload for so long nothing moves any more.
    pub still: Duration,
    /// And for so long once everything that was sent after the kill has arrived: what is worked on again comes by then.
    pub settled: Duration,
}

/// To quote.
pub const PATIENT: Patience = Patience { still: Duration::from_millis(1500), settled: Duration::from_millis(300) };

/// To look.
pub const SHORT: Patience = Patience { still: Duration::from_millis(300), settled: Duration::from_millis(100) };

/// Who hangs in each of so many first tries is not tried again: that takes the watchdog's time, and says nothing new.
const ENOUGH_HANGS: usize = 3;

/// Payloads that are looked at one by one, at most.
const TALLIES: usize = 4 << 20;

/// Payloads that are sent afterwards, to see whether anything still moves.
const AFTER: u64 = 64;

/// Who calls a pool sees no more than that a call does not return: what takes longer than this from the kill on hangs. The jobs are for less than a
/// second.
pub const CALL: Duration = Duration::from_secs(8);

/// The same, to look.
pub const SHORT_CALL: Duration = Duration::from_secs(3);

/// Jobs that take so many nanoseconds together show how fast a pool is.
const WARM: u64 = 5_000_000;

/// How often the jobs begin anew while nobody has been killed.
const TRIES: usize = 4;

/// What became of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They got all that was sent afterwards.
    GoesOn {
        /// Payloads that nobody has worked on to the end.
        lost: u64,
        /// Payloads that were worked on again.
        again: u64,
    },
    /// Of what was sent afterwards they got only a part: the dead one's share is sent to nobody.
    Drops {
        /// Payloads, from before and afterwards, that nobody has worked on to the end.
        lost: u64,
        /// Payloads that were worked on again.
        again: u64,
    },
    /// They got nothing any more, or who sends waits for ever.
    Hangs {
        /// Payloads that were sent and that nobody has worked on to the end, if that is known.
        missing: Option<u64>,
    },
    /// They, or those that send, gave up; or payloads were not whole any more.
    Breaks {
        /// How.
        how: String,
    },
    /// There is no process to kill.
    NoProcess,
    /// Nobody was killed, or nobody could look: this says nothing of the contender.
    Skipped {
        /// Why.
        why: String,
    },
}

/// Kills the first consumer, or a worker of a pool, `after` the start of the sending, and notes when that was.
///
/// # Errors
/// If the contender does not get as far as that.
pub fn kill(contender: &dyn Contender, shape: &Shape, after: Duration, patience: Patience, killed: &Killed) -> Result<Fate> {
    let control = Control::tallying(0, TALLIES)?;
    let opened = contender.open(shape, &control)?;
    let opened = match opened {
        Opened::Threads(_) => return Ok(Fate::NoProcess),
        Opened::Pool(pool) => return kill_worker(pool, shape, after, killed.clone()),
        opened => opened,
    };
    // Left as it is: they end with this process.
    let participants = Box::leak(Box::new(Participants::start(contender, opened, shape, control)?));
    participants.wait_until_ready(Duration::from_secs(30))?;
    let Some(pid) = participants.pid_of_consumer(0) else { return Ok(Fate::NoProcess) };
    let mut host = Host::new(participants, shape, 0);
    let rate = host.warm_up(Duration::from_millis(50))?;
    // So many that the kill is in the middle.
    let producers = shape.producers as u64;
    let most = TALLIES as u64 / producers - AFTER;
    let each = ((rate * 4.0 * after.as_secs_f64()) as u64 / producers).clamp(1000, most);
    // All have sent as many, and all of these are there.
    let from = participants.sent() / producers;
    participants.control().tally_from(from);
    host.order(each, None);
    std::thread::sleep(after);
    // SAFETY: sends a signal; the consumer is a child, or the engine's, and has not been waited for.
    if unsafe { libc::kill(pid as i32, libc::SIGKILL) } == -1 {
        return Ok(Fate::Skipped { why: format!("the consumer was not killed: {}", std::io::Error::last_os_error()) });
    }
    killed.note();
    let phase = host.phase();
    participants.expect_death(pid);
    // Once all is sent what comes afterwards can be sent; the rest of these may arrive with it.
    let sent = || participants.producers_are_done(phase);
    if let Err(why) = until_still(participants, patience.still, Duration::ZERO, sent) {
        return Ok(Fate::Breaks { how: why.to_string() });
    }
    // Who waits for ever with these never comes to others.
    let mut last = phase;
    if sent() {
        let mut host = Host::new(participants, shape, phase);
        host.order(AFTER.div_ceil(producers), None);
        last = host.phase();
        let all = || {
            participants.producers_are_done(last) && Found::of(participants, shape, from + each, from + each).later_lost == 0
        };
        if let Err(why) = until_still(participants, patience.still, patience.settled, all) {
            return Ok(Fate::Breaks { how: why.to_string() });
        }
    }
    let found = Found::of(participants, shape, from, from + each);
    Ok(match participants.wrong() {
        0 => found.fate(participants.producers_are_done(last)),
        wrong => Fate::Breaks { how: format!("{wrong} payloads were not as they were sent") },
    })
}

/// Whether so many have hung, and nothing else has happened, that no more need be tried.
pub fn hangs_for_good(fates: &[Fate]) -> bool {
    fates.len() >= ENOUGH_HANGS && fates.iter().all(|fate| matches!(fate, Fate::Hangs { .. }))
}

/// Payloads that were sent, each looked at by itself: as many lost as doubled are not none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    lost: u64,
    again: u64,
    /// Sent after the kill, and received.
    later: u64,
    later_lost: u64,
}

impl Found {
    /// Of those from the `from`-th of each producer on; from the `later`-th on they were sent after the kill.
    fn of(participants: &Participants, shape: &Shape, from: u64, later: u64) -> Found {
        let control = participants.control();
        let mut found = Found::default();
        for producer in 0..shape.producers {
            for n in from..control.seat(producer).count.load(Relaxed) {
                found.add(control.tallied(producer, n, shape.producers), n >= later);
            }
        }
        found
    }

    fn add(&mut self, times: u64, later: bool) {
        self.lost += u64::from(times == 0);
        self.again += times.saturating_sub(1);
        self.later += u64::from(later && times > 0);
        self.later_lost += u64::from(later && times == 0);
    }

    /// What it means; `done` if all that was to be sent was sent.
    fn fate(self, done: bool) -> Fate {
        let Found { lost, again, later, later_lost } = self;
        match later_lost {
            _ if !done || later == 0 => Fate::Hangs { missing: Some(lost) },
            0 => Fate::GoesOn { lost, again },
            _ => Fate::Drops { lost, again },
        }
    }
}

/// In a pool, a job whose worker dies is worked on again, or else a call fails, or hangs.
fn kill_worker(mut pool: Box<dyn Pool>, shape: &Shape, after: Duration, noted: Killed) -> Result<Fate> {
    if pool.generations() == 0 {
        return Ok(Fate::NoProcess);
    }
    let batch = shape.batch as u64;
    // A few jobs take as long as the way to them: of how many there are in a second that says nothing.
    let mut few = 4 * batch;
    let rate = loop {
        let start = clock::now();
        pool.call(0..few)?;
        let took = clock::now() - start;
        if took >= WARM {
            break few as f64 * 1e9 / took as f64;
        }
        few *= 4;
    };
    // So many that the kill is in the middle, also if the first ones took longer than others will.
    let jobs = ((rate * 20.0 * after.as_secs_f64()) as u64).max(20 * batch);
    let (generations, program, over) = (pool.generations(), pool.program(), Arc::new(AtomicBool::new(false)));
    let killer = {
        let over = over.clone();
        std::thread::spawn(move || {
            std::thread::sleep(after);
            // A program may be about to start its workers.
            while !over.load(Relaxed) {
                let is_worker = |pid: &u32| program.is_none_or(|program| name(*pid) == program);
                if let Some(worker) = descendants(std::process::id(), generations).into_iter().rfind(is_worker) {
                    // SAFETY: sends a signal; at worst the process has ended meanwhile, and its parent has yet to wait for it.
                    let killed = unsafe { libc::kill(worker as i32, libc::SIGKILL) } == 0;
                    if killed {
                        noted.note();
                    }
                    return killed;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            false
        })
    };
    let expected = |numbers: Range<u64>| numbers.fold(0u64, |sum, n| sum.wrapping_add(payload::mix(n)));
    let mut call = |numbers: Range<u64>| match pool.call(numbers.clone()) {
        Ok(sum) if sum == expected(numbers) => Fate::GoesOn { lost: 0, again: 0 },
        Ok(_) => Fate::Breaks { how: "a result is missing, doubled or wrong".into() },
        Err(why) => Fate::Breaks { how: why.to_string() },
    };
    // Again, if the first jobs were so slow on a busy machine that these were done before the kill.
    let mut tries = 0;
    let mut fate = loop {
        let fate = call(0..jobs);
        tries += 1;
        if fate != (Fate::GoesOn { lost: 0, again: 0 }) || killer.is_finished() || tries >= TRIES {
            break fate;
        }
    };
    if fate == (Fate::GoesOn { lost: 0, again: 0 }) {
        fate = call(0..AFTER);
    }
    over.store(true, Relaxed);
    let killed = killer.join().map_err(|_| "the thread that kills panicked")?;
    let nobody = || Fate::Skipped { why: "there was no worker to kill while the jobs lasted".into() };
    Ok(if killed { fate } else { nobody() })
}

/// The name of the program that a process executes.
fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Processes that are so many steps below one.
fn descendants(pid: u32, generations: usize) -> Vec<u32> {
    if generations == 0 {
        return vec![pid];
    }
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children = texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>());
    children.flat_map(|child| descendants(child, generations - 1)).collect()
}

/// Waits until nothing has been received for `still`, or, once there is nothing more to come, for `settled`; or somebody has given up.
fn until_still(participants: &Participants, still: Duration, settled: Duration, all: impl Fn() -> bool) -> Result<()> {
    let (mut last, mut moved) = (participants.received(), clock::now());
    loop {
        let quiet = Duration::from_nanos(clock::now() - moved);
        if quiet >= still || (quiet >= settled && all()) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
        participants.look_after()?;
        let received = participants.received();
        if received != last {
            (last, moved) = (received, clock::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(times: &[(u64, bool)], done: bool) -> Fate {
        let mut found = Found::default();
        times.iter().for_each(|(times, later)| found.add(*times, *later));
        found.fate(done)
    }

    #[test]
    fn as_many_lost_as_doubled_are_not_none() {
        let times = [(0, false), (2, false), (1, false), (1, true)];
        assert_eq!(fate(&times, true), Fate::GoesOn { lost: 1, again: 1 });
    }

    #[test]
    fn who_goes_on_gets_all_that_is_sent_afterwards() {
        assert_eq!(fate(&[(1, false), (1, true), (0, true)], true), Fate::Drops { lost: 1, again: 0 });
        assert_eq!(fate(&[(0, false), (0, true)], true), Fate::Hangs { missing: Some(2) }, "nothing moves");
        assert_eq!(fate(&[(1, false), (1, true)], false), Fate::Hangs { missing: Some(0) }, "who sends waits for ever");
        assert_eq!(fate(&[(1, false)], true), Fate::Hangs { missing: Some(0) });
    }

    #[test]
    fn only_who_always_hangs_is_not_tried_again() {
        let hangs = || Fate::Hangs { missing: None };
        let fates = [hangs(), hangs(), hangs()];
        assert!(hangs_for_good(&fates) && !hangs_for_good(&fates[1..]));
        assert!(!hangs_for_good(&[hangs(), Fate::GoesOn { lost: 1, again: 0 }, hangs(), hangs()]));
    }

    #[test]
    fn workers_are_found_where_they_are_said_to_be() {
        // A shell that waits for another one, which waits for input.
        let mut command = std::process::Command::new("sh");
        let mut shell = command.args(["-c", "sh -c 'read line; :'; :"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let below = loop {
            match &descendants(shell.id(), 1)[..] {
                [] => std::thread::yield_now(),
                [one] => break *one,
                more => panic!("{more:?}"),
            }
        };
        assert!(descendants(std::process::id(), 1).contains(&shell.id()));
        assert!(descendants(std::process::id(), 2).contains(&below));
        assert_eq!(name(shell.id()), "sh");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
