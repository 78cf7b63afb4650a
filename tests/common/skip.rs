//! What cannot be tested on this machine.
#![allow(dead_code, missing_docs)] // Each test that includes this uses a part.

/// Says that something is not tested here, and why. With `GRISTMILL_NO_SKIP=1`, for machines that are known to have all that the tests need, that is
/// a failure.
#[track_caller]
pub fn skipped(why: impl std::fmt::Display) {
    assert!(std::env::var_os("GRISTMILL_NO_SKIP").is_none_or(|value| value != "1"), "skipped: {why}");
    eprintln!("skipped: {why}");
}
