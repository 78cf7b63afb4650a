//! A second worker of the same work: it stands still while the first one goes its way, which is the same each time then, and goes on when
//! that one is dead. So it competes with the recovery, and with the worker that comes in place of the dead one.

use super::drive::until;
use crate::system::signal;

pub struct Second(u32);

impl Second {
    /// The last one of two.
    pub fn new(pids: impl Fn() -> Vec<u32>) -> Second {
        until(|| pids().len() == 2);
        Second(pids()[1])
    }

    pub fn pid(&self) -> u32 {
        self.0
    }

    pub fn stop(&self) {
        assert!(signal(self.0, libc::SIGSTOP));
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        until(|| stat().rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')));
    }

    pub fn go_on(&self) {
        assert!(signal(self.0, libc::SIGCONT));
    }
}
