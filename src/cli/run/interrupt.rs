//! Ctrl-C (SIGINT) and SIGTERM: the first asks the run to stop reading, finish what it has begun and report; the second ends
//! this process at once, and with it the workers.
//!
//! A thread of its own waits for them, because the second one must be heard even while the driver is stuck in a write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gristmill::sys::thread::Thread;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

/// What follows the first signal so fast is its echo: `timeout` and some shells signal a command, and then its whole process
/// group, the command included. No hand is so fast, and a machine must be busy indeed to hear the echo later.
const ECHO: Duration = Duration::from_millis(50);

/// Whether a signal has asked the run to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes both signals from now on, for the whole process. `farewell` is done before the second one ends it.
    ///
    /// # Errors
    ///
    /// If the system gives no thread, no descriptors or no handlers.
    pub fn listen(farewell: impl Fn() + Send + 'static) -> io::Result<Interrupt> {
        let mut arriving = Signals::new([SIGINT, SIGTERM])?;
        let interrupt = Interrupt::default();
        let noted = Arc::clone(&interrupt.signal);
        let mut first: Option<Instant> = None;
        let listen = move || {
            for signal in arriving.forever() {
                match first {
                    None => {
                        first = Some(Instant::now());
                        noted.store(signal as usize, Relaxed);
                    }
                    Some(at) if at.elapsed() < ECHO => {}
                    Some(_) => {
                        farewell();
                        exit(128 + signal);
                    }
                }
            }
        };
        Thread::start(c"signals", listen)?;
        Ok(interrupt)
    }

    /// The signal that arrived, if one did.
    #[inline]
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }

    /// Does what an arriving signal does.
    #[cfg(test)]
    pub fn pretend(&self, signal: i32) {
        self.signal.store(signal as usize, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_noted_and_ends_nothing() {
        let interrupt = Interrupt::listen(|| ()).unwrap();
        assert_eq!(interrupt.signal(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let start = Instant::now();
        while interrupt.signal().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "the signal was not noted");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(interrupt.signal(), Some(SIGTERM));
    }
}
