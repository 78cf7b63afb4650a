//! What outlives the processes that use it: System V message queues, which the kernel keeps until somebody removes them.
//!
//! Each has a key that names the process of the turn that made it. After a turn, whoever has started it removes all that are marked so and whose
//! process is gone, however that ended; and so what an earlier run has left that was killed itself.

use libc::key_t;
use std::path::Path;

/// The upper bits of all keys.
const MARK: key_t = 0x67 << (PID_BITS + MORE_BITS);

/// Linux gives no higher numbers to processes than fit into so many bits.
const PID_BITS: u32 = 22;

/// Of a process there are a few keys.
const MORE_BITS: u32 = 2;

/// The keys of this process.
pub fn keys() -> impl Iterator<Item = key_t> {
    let pid = std::process::id() as key_t;
    (0..1 << MORE_BITS).map(move |n| MARK | n << PID_BITS | pid)
}

/// The process that a key names, if it is one of ours.
pub fn owner(key: key_t) -> Option<key_t> {
    (key >> (PID_BITS + MORE_BITS) == MARK >> (PID_BITS + MORE_BITS)).then_some(key & ((1 << PID_BITS) - 1))
}

/// Removes what belongs to no process any more.
pub fn sweep() {
    // Without the file the kernel has no such queues.
    let queues = std::fs::read_to_string("/proc/sysvipc/msg").unwrap_or_default();
    for line in queues.lines() {
        let mut words = line.split_whitespace();
        let (Some(Ok(key)), Some(Ok(id))) = (words.next().map(str::parse), words.next().map(str::parse)) else { continue };
        if owner(key).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // SAFETY: removes a queue of the kernel's, and touches no memory.
            unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_process_that_made_it_and_other_keys_name_none() {
        let keys: Vec<key_t> = keys().collect();
        assert!(keys.len() > 1 && keys.windows(2).all(|two| two[0] != two[1]));
        assert!(keys.iter().all(|key| owner(*key) == Some(std::process::id() as key_t)));
        assert_eq!([0, 1, -1, key_t::MAX, key_t::MIN, MARK ^ 1 << 30].map(owner), [None; 6]);
    }
}
