//! Invariant 8: the channel's next ticket is ahead of the ticket of every job that can be seen.
//!
//! The story: a publisher stores READY for the first of three slots and is killed. The scan finds that job and puts the ring in the
//! order of tickets, counted back from the channel's next one. If that had not been moved yet, the job would look like the oldest of all, and the next
//! job to be put would get the same ticket. So the next ticket moves before the first READY, and whoever looks, at any moment, sees it so.

use super::small::Small;
use gristmill::layout::{SlotHead, SlotWord, State};
use gristmill::ring::{Channel, Kind};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};

fn head(small: &Small, channel: &Channel, slot: u32) -> *const SlotHead {
    let d = channel.desc();
    let at = d.slots_offset.load(Relaxed) as usize + slot as usize * d.slot_size.load(Relaxed) as usize;
    assert!(slot < channel.capacity() && at + size_of::<SlotHead>() <= small.region.mapping().size());
    small.region.mapping().base().wrapping_add(at).cast()
}

/// Publishes three slots at a time, and ends them, until told to stop.
fn publish_and_end(channel: &Channel, stop: &AtomicBool) {
    let mut entries = std::collections::VecDeque::new();
    while !stop.load(Relaxed) {
        let mut filled = vec![];
        channel.take(3, |f| filled.push(f));
        channel.publish(&filled).unwrap();
        let mut finished = vec![];
        while finished.len() < filled.len() {
            channel.pop(64, &mut entries, &[]).unwrap();
            let started = entries.drain(..).filter_map(|e| Some((e.slot, channel.start(e)?)));
            finished.extend(started.filter_map(|(slot, running)| Some((slot, channel.finish(slot, running)?))));
        }
        channel.deliver_free(&finished).unwrap();
    }
}

#[test]
fn no_job_that_can_be_seen_has_a_ticket_that_will_be_given_out_again() {
    let small = Small::new();
    let channel = small.channel(Kind::Joinable, 4, u32::MAX - 100);
    let stop = AtomicBool::new(false);
    let mut seen = 0u64;
    std::thread::scope(|scope| {
        scope.spawn(|| publish_and_end(&channel, &stop));
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) || seen == 0 {
            for slot in 0..channel.capacity() {
                // SAFETY: `head` has checked that it lies in the mapping, which `small` keeps; all atomics.
                let head = unsafe { &*head(&small, &channel, slot) };
                let word = head.word.load(Acquire);
                if !SlotWord(word).is(State::Ready) {
                    continue;
                }
                let ticket = head.ticket.load(Acquire);
                let next = channel.desc().ticket.load(Acquire);
                // The next ticket only grows, so it is late enough if the slot is still what it was.
                if head.word.load(Acquire) == word {
                    let ahead = next.wrapping_sub(ticket);
                    if ahead == 0 || ahead > 1 << 63 {
                        stop.store(true, Relaxed);
                        panic!("slot {slot} is READY with ticket {ticket:#x}, the next one is {next:#x}");
                    }
                    seen += 1;
                }
            }
        }
        stop.store(true, Relaxed);
    });
    assert!(seen > 0);
}
