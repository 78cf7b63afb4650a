//! Scenarios of queues whose items their takers say are done: puts that wait for a slot or for room, and `join`.

use crate::machine::{Body, Weakened};
use crate::scenarios::{Gate, Outcome, Views, end};
use gristmill::ring::channel::Popped;
use gristmill::ring::{Channel, Kind, NoRoom, event};
use gristmill::sys::atomic::{plain_read, plain_write};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering::*;

/// A JoinableQueue of one slot: one puts three items and joins, two take.
pub fn queue(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Joinable, 1, 24);
    let parent = views.parent.clone();
    let got = Rc::new(RefCell::new(vec![]));
    let all = got.clone();
    // What the jobs do to memory that no lock guards: whoever has joined sees it.
    let works: Rc<[Cell<u64>; 4]> = Rc::default();
    let done = works.clone();
    let main: Body = Box::new(move || {
        let d = parent.desc();
        (1..4).for_each(|item| put(&parent, &[item; 9]));
        loop {
            let seen = event::look(&d.done);
            if parent.pending() == 0 {
                break;
            }
            event::wait(parent.region(), &d.done, seen, None, || parent.help());
        }
        done.iter().for_each(|work| plain_read(work.as_ptr().cast(), 8));
        let mut got = all.borrow().clone();
        got.sort();
        assert_eq!(got, (1..4u8).map(|n| vec![n; 9]).collect::<Vec<_>>(), "join returned");
        end(&parent);
    });
    let worker = |n: usize| -> Body {
        let (channel, got, works) = (views.workers[n].clone(), got.clone(), works.clone());
        Box::new(move || {
            take_all(&channel, |item| {
                plain_write(works[usize::from(item[0])].as_ptr().cast(), 8);
                got.borrow_mut().push(item);
            });
        })
    };
    let bodies = vec![main, worker(0), worker(1)];
    views.run(seed, weakened, bodies)
}

/// Two threads of the parent put, who share what they have told the workers, and these come to sleep again and again.
pub fn two_put(seed: u64, weakened: Option<Weakened>) -> Outcome {
    let views = Views::new(Kind::Joinable, 4, 24);
    let (parent, other) = (views.parent.clone(), views.parent.clone());
    let gate = Gate::default();
    let opened = gate.clone();
    let main: Body = Box::new(move || {
        (0..3).for_each(|item| put(&parent, &[item; 9]));
        gate.pass();
        loop {
            let seen = event::look(&parent.desc().done);
            if parent.pending() == 0 {
                break;
            }
            event::wait(parent.region(), &parent.desc().done, seen, None, || parent.help());
        }
        end(&parent);
    });
    let second: Body = Box::new(move || {
        (3..6).for_each(|item| put(&other, &[item; 9]));
        opened.open();
    });
    let worker = |n: usize| -> Body {
        let channel = views.workers[n].clone();
        Box::new(move || take_all(&channel, |_| {}))
    };
    let bodies = vec![main, second, worker(0), worker(1)];
    views.run(seed, weakened, bodies)
}

/// Puts an item as `put` in queue/core.rs does: waits for a slot, then for room in the arena.
fn put(channel: &Channel, bytes: &[u8]) {
    let d = channel.desc();
    let filling = loop {
        let seen = event::look(&d.free);
        let mut filled = vec![];
        channel.take(1, |filling| filled.push(filling));
        if let [filling] = filled[..] {
            break filling;
        }
        event::wait(channel.region(), &d.free, seen, None, || channel.help());
    };
    while let Err(no) = channel.write_payload(filling, bytes) {
        let NoRoom::Now(seen) = no else { panic!("{no:?}") };
        let room = channel.region().arena(channel.payload_arena()).room();
        event::wait(channel.region(), room, seen, None, || channel.help());
    }
    channel.publish(&[filling]).unwrap();
}

/// Takes an item as `get` does, and says that it is done before it goes on to the next one.
fn take_all(channel: &Channel, mut run: impl FnMut(Vec<u8>)) {
    let (mut entries, mut finished) = (VecDeque::new(), vec![]);
    loop {
        match channel.pop(4, &mut entries, &finished) {
            Ok(Popped::Some(_)) => finished.clear(),
            Ok(Popped::Empty(seen)) => {
                finished.clear();
                if channel.check().is_err() {
                    return;
                }
                event::wait(channel.region(), &channel.desc().jobs, seen, None, || false);
                continue;
            }
            Err(_) => return,
        }
        while let Some(entry) = entries.pop_front() {
            let Some(running) = channel.start(entry) else { continue };
            let mut item = vec![];
            channel.payload(entry.slot).unwrap().append_to(&mut item);
            run(item);
            finished.push((entry.slot, channel.finish(entry.slot, running).unwrap()));
            if channel.somebody_waits() {
                if channel.deliver_free(&finished).is_err() {
                    return;
                }
                finished.clear();
            }
        }
    }
}

/// One item is done, and its worker runs the next one, which goes on until there has been room for a third: the first one's slot, or its block.
fn behind(seed: u64, weakened: Option<Weakened>, slots: u32, length: usize) -> Outcome {
    let views = Views::new(Kind::Joinable, slots, 24);
    let (parent, worker) = (views.parent.clone(), views.workers[0].clone());
    // The only one takes both at once: then the look for sleepers alone delivers the first one, not the next pop.
    parent.region().header().workers.store(1, Relaxed);
    let gate = Gate::default();
    let opened = gate.clone();
    let main: Body = Box::new(move || {
        (1..4).for_each(|item| put(&parent, &vec![item; length]));
        opened.open();
        end(&parent);
    });
    let work: Body = Box::new(move || {
        take_all(&worker, |item| {
            if item[0] == 2 {
                gate.pass();
            }
        });
    });
    views.run(seed, weakened, vec![main, work])
}

pub fn full_behind_a_long_job(seed: u64, weakened: Option<Weakened>) -> Outcome {
    behind(seed, weakened, 2, 9)
}

/// The arena has room for two items.
pub fn no_room_behind_a_long_job(seed: u64, weakened: Option<Weakened>) -> Outcome {
    behind(seed, weakened, 4, 2000)
}
