//! The process of a turn, when what it does goes wrong.

use gristmill::bench::contender::{Contender, Pattern, Shape};
use gristmill::bench::contenders;
use gristmill::bench::isolate::{Ended, isolated};
use gristmill::bench::plan::{Case, Plan};
use gristmill::bench::results::Axis;
use gristmill::bench::session::{self, Progress};
use gristmill::bench::shared::Shared;
use gristmill::bench::turn::Lengths;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

pub fn a_panic_is_the_turns_failure_and_goes_no_further() {
    let me = std::process::id();
    let ended = std::panic::catch_unwind(|| isolated::<()>(LIMIT, &|| false, || panic!("seven {}", 7)));
    assert_eq!(me, std::process::id(), "the turn's process runs what is the host's");
    match ended.unwrap().unwrap() {
        Ended::Failed(why) => assert_eq!(why, "it panicked: seven 7"),
        _ => panic!("a panic is a failure that is told"),
    }
}

pub fn who_is_ended_by_an_interruption_has_not_failed() {
    let interrupted = Shared::<AtomicU32>::new(|_| Ok(())).unwrap();
    let ended = isolated::<()>(LIMIT, &|| interrupted.load(Relaxed) == 1, || {
        // The host looks before, and is asleep then.
        std::thread::sleep(Duration::from_millis(20));
        interrupted.store(1, Relaxed);
        std::process::abort()
    });
    assert!(matches!(ended, Ok(Ended::Interrupted)));
}

struct Told(RefCell<Vec<(usize, usize)>>);

impl Progress for Told {
    fn at(&self, done: usize, of: usize, _: &str) {
        self.0.borrow_mut().push((done, of));
    }
}

/// Who fails is not tried to the end, threads have nobody to kill, and calls are not for all: the last turn is the last one all the same.
pub fn the_last_turn_of_a_run_is_told_as_the_last_one() {
    let shape = crate::families::shape(64, 1, 2, 1);
    let calls = Shape { pattern: Pattern::Calls, ..shape };
    let cases = [(Axis::Base, shape), (Axis::Calls, calls)].map(|(axis, shape)| Case { axis, shape }).to_vec();
    let plan = Plan { cases, rounds: 3, lengths: Lengths::shortest(), shares: vec![], common: 1e12, kills: 2 };
    let mut some: Vec<Box<dyn Contender>> = contenders::all();
    some.retain(|one| ["fifo", "threads-mutex", "gristmill-pool"].contains(&&*one.info().name));
    let told = Told(RefCell::default());
    let results = session::run(&some, &plan, None, 1, String::new(), &|| false, &told).unwrap();
    assert!(!results.partial && results.entries.len() == 6, "{:?}", results.skipped);
    let told = told.0.into_inner();
    let (last, of) = *told.last().unwrap();
    // And one at the end.
    assert_eq!((last, told.len()), (of, of + 1));
}
