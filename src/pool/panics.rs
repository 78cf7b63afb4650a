//! Panics of jobs: they are the job's outcome, with message and place, and are not printed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on, panics of this process are noted for [`catch`] instead of printed. For workers.
pub(super) fn note() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}:{}", l.file(), l.line(), l.column())).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("a panic without a message");
        PANIC.with(|p| *p.borrow_mut() = Some(format!("{place}\n{message}")));
    }));
}

/// Runs `f`; if it panics, the place, a newline and the message.
#[inline]
pub(super) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    // What a panic may leave half-done is the task's own state, of which it is told to take care.
    catch_unwind(AssertUnwindSafe(f)).map_err(|_| taken())
}

#[cold]
fn taken() -> String {
    PANIC.with(|p| p.borrow_mut().take()).unwrap_or_else(|| "\na panic without a message".into())
}

/// The two parts of what [`catch`] returned.
pub(super) fn parts(text: &str) -> (String, String) {
    let (place, message) = text.split_once('\n').unwrap_or(("", text));
    (message.into(), place.into())
}
