//! What the death of a consumer costs: it is killed in the middle, and the others are looked at.

use super::contender::{Contender, Opened, Result, Shape};
use super::control::Control;
use super::participants::Participants;
use super::turn::Host;
use crate::sys::clock;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Without a payload for so long, nothing moves any more.
const STILL: Duration = Duration::from_millis(1500);

/// Payloads that are sent afterwards, to see whether anything still moves.
const AFTER: u64 = 64;

/// What became of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They got all other payloads, and those that were sent afterwards.
    GoesOn {
        /// Payloads that nobody has worked on to the end.
        lost: u64,
        /// Payloads that were worked on again.
        again: u64,
    },
    /// They got nothing any more.
    Hangs {
        /// Payloads that were under way.
        missing: u64,
    },
    /// They, or those that send, gave up; or payloads were not whole any more.
    Breaks {
        /// How.
        how: String,
    },
    /// There is no process to kill.
    NoProcess,
}

/// Kills the first consumer `after` the start of the sending.
///
/// # Errors
/// If the contender does not get as far as that.
pub fn kill(contender: &dyn Contender, shape: &Shape, after: Duration) -> Result<Fate> {
    let control = Control::create(0)?;
    let opened = contender.open(shape, &control)?;
    if let Opened::Threads(_) | Opened::Pool(_) = opened {
        return Ok(Fate::NoProcess);
    }
    // Left as it is: they end with this process.
    let participants = Box::leak(Box::new(Participants::start(contender, opened, shape, control)?));
    participants.wait_until_ready(Duration::from_secs(30))?;
    let Some(pid) = participants.pid_of_consumer(0) else { return Ok(Fate::NoProcess) };
    let mut host = Host::new(participants, shape, 0);
    let rate = host.warm_up(Duration::from_millis(50))?;
    // So many that the kill is in the middle.
    let each = ((rate * 4.0 * after.as_secs_f64()) as u64 / shape.producers as u64).max(1000);
    host.order(each, None);
    std::thread::sleep(after);
    // SAFETY: sends a signal; the consumer is a child, or the engine's, and has not been waited for.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    let phase = host.phase();
    participants.expect_death(pid);
    if let Err(why) = until_still(participants) {
        return Ok(Fate::Breaks { how: why.to_string() });
    }
    let (sent, received) = (participants.sent(), participants.received());
    Host::new(participants, shape, phase).order(AFTER.div_ceil(shape.producers as u64), None);
    if let Err(why) = until_still(participants) {
        return Ok(Fate::Breaks { how: why.to_string() });
    }
    Ok(match participants.wrong() {
        0 if participants.received() == received => Fate::Hangs { missing: sent.saturating_sub(received) },
        0 => Fate::GoesOn { lost: sent.saturating_sub(received), again: received.saturating_sub(sent) },
        wrong => Fate::Breaks { how: format!("{wrong} payloads were not as they were sent") },
    })
}

/// Waits until nothing has been received for a while, or somebody has given up.
fn until_still(participants: &Participants) -> Result<()> {
    let (mut last, mut moved) = (participants.received(), clock::now());
    while clock::now() - moved < STILL.as_nanos() as u64 {
        std::thread::sleep(Duration::from_millis(5));
        participants.look_after()?;
        let received = participants.received();
        if received != last {
            (last, moved) = (received, clock::now());
        }
    }
    Ok(())
}
