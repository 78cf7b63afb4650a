//! The process of a turn, when what it does goes wrong.

use gristmill::bench::isolate::{Ended, isolated};
use gristmill::bench::shared::Shared;
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
