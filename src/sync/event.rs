//! Something that happens, and that others wait for.

use super::{Stop, handle, make};
use crate::process::{Mill, Result};
use crate::ring::event::Patience;
use crate::ring::objects::{Core, Refused, event};
use std::sync::Arc;
use std::time::Duration;

/// A flag between processes that others wait for, after Python's `Event`. Not set at first.
///
/// Whatever was written before [`set`](Self::set) is seen by those whose wait it has ended. A waiter goes on if the event was set at any moment since it came, even
/// if it was cleared at once.
pub struct Event {
    core: Arc<Core>,
}

handle!(Event);

impl Event {
    /// Makes one in the region of `mill`.
    ///
    /// # Errors
    /// If the region has no room for it.
    pub fn new(mill: &Mill) -> Result<Self> {
        make(mill, &[], 0, 0)
    }

    /// Sets it and wakes all who wait.
    pub fn set(&self) {
        event::set(self.core.view());
    }

    /// Clears it: who comes now waits.
    pub fn clear(&self) {
        event::clear(self.core.view());
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        event::is_set(self.core.view())
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn wait(&self) -> Result<(), Stop> {
        self.wait_within(Patience::FOREVER).map(|_| ())
    }

    /// Waits until it is set, or until the timeout; whether it was set.
    ///
    /// # Errors
    /// If the region has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Stop> {
        self.wait_within(Patience::for_(timeout))
    }

    fn wait_within(&self, patience: Patience) -> Result<bool, Stop> {
        match event::wait(self.core.view(), patience) {
            Ok(()) => Ok(true),
            Err(Refused::Busy | Refused::TimedOut) => Ok(false),
            Err(Refused::Stopped(why)) => Err(why),
        }
    }
}
