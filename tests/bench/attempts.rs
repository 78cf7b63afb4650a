//! How long is waited for who is to be killed, and for what comes of it.

use gristmill::bench::attempt::{Limits, attempt};
use gristmill::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use gristmill::bench::control::Control;
use gristmill::bench::kill::{Fate, SHORT};
use gristmill::bench::payload;
use std::ops::Range;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// A pool of one process that does nothing, and is missed for ever when it has ended; after a start that takes so long.
struct Sleeper(Duration);

impl Contender for Sleeper {
    fn info(&self) -> Info {
        Info::new("sleeper", "a process that sleeps", Family::Peer, Waits::Block)
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, _: &Shape, _: &Control) -> Result<Opened> {
        sleep(self.0);
        Ok(Opened::Pool(Box::new(Missed(Command::new("sleep").arg("1000").spawn()?))))
    }
}

struct Missed(Child);

impl Pool for Missed {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        let mut sum = 0u64;
        for number in numbers {
            while self.0.try_wait()?.is_some() {
                sleep(LONG);
            }
            sleep(Duration::from_micros(500));
            sum = sum.wrapping_add(payload::mix(number));
        }
        Ok(sum)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.0.id()]
    }
}

fn fate(slow: Duration, limits: Limits) -> Fate {
    let shape = Shape { pattern: Pattern::Calls, payload: 8, producers: 1, consumers: 1, batch: 1, capacity: 8, work: 0 };
    attempt(&Sleeper(slow), &shape, Duration::from_millis(5), SHORT, limits, &|| false).unwrap().unwrap()
}

pub fn a_slow_start_is_no_hang_and_who_hangs_has_been_killed() {
    let short = Duration::from_millis(100);
    // Longer than what is waited from the kill on: that says nothing of what comes after it.
    let hangs = fate(3 * short, Limits { ready: LONG, over: short });
    assert_eq!(hangs, Fate::Hangs { missing: None });
    match fate(LONG, Limits { ready: short, over: LONG }) {
        Fate::Skipped { why } => assert_eq!(why, "nobody was there to be killed after 100ms"),
        fate => panic!("{fate:?}"),
    }
}
