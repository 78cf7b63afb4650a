//! Outcomes that a worker has forged: as records, and as the parent takes them out of a slot, while the worker runs, after it has delivered, and
//! after it has died.

use super::Input;
use super::views::{self, ARENA, NoRoom, Views};
use gristmill::layout::{OutcomeKind, ResultHead, SlotHead, SlotWord, State};
use gristmill::ring::bundle::Bundle;
use gristmill::ring::frame::{self, Record};
use gristmill::ring::outcomes::Fill;
use gristmill::ring::{Entry, Stop};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

pub fn run(data: &[u8]) {
    records(data);
    views::with(|views| slot(views, &mut Input(data)));
}

/// What is read is inside, goes forward, and would be written as it was read.
fn records(bytes: &[u8]) {
    let (mut at, mut again) = (0, Vec::with_capacity(bytes.len()));
    while let Some((record, next)) = frame::read(bytes, at) {
        assert!(at < next && next <= bytes.len());
        match record {
            Record::Here(kind, value) => {
                again.clear();
                frame::push(&mut again, kind, value);
                assert_eq!(frame::read(&again, 0), Some((record, again.len())));
                if let Some(short) = frame::short(bytes, at) {
                    assert!(kind == OutcomeKind::Value && short == value);
                }
            }
            Record::Array(width, values) => {
                let count = values.len() / width;
                assert!(width > 0 && count > 0 && values.len() % width == 0);
                assert_eq!(bytes[at..at + frame::ARRAY_HEAD], frame::array(width as u8, count as u16));
            }
            Record::In { block, length } => assert_eq!(bytes[at..next], frame::reference(block, length)),
        }
        at = next;
    }
}

fn slot(views: &Views, input: &mut Input<'_>) {
    let (parent, [first, second]) = (&views.parent, &views.workers);
    let items = 1 + u32::from(input.below(8));
    let flags = input.byte();
    let mut jobs = Vec::with_capacity(64);
    if flags & 1 == 0 {
        (0..items).for_each(|n| frame::push(&mut jobs, OutcomeKind::Value, &[n as u8, 0]));
    } else {
        jobs.extend(frame::array(2, items as u16));
        jobs.extend([7; 16].iter().take(2 * items as usize));
    }
    let room = if flags & 2 == 0 { 0 } else { 500 };
    let filling = parent.fill(0, Fill { items, jobs: &jobs, room, task: 0, fold: None, cancelled: 0 }).unwrap();
    parent.publish(&[filling]).unwrap();
    let entry = Entry { slot: 0, generation: filling.word.generation() };
    let word = first.start(entry).expect("it has just been published");
    if flags & 4 != 0 {
        // Some outcomes of its own first, so that blocks are in use.
        let (mut memory, mut budget, mut waiting) = (vec![], 2, NoRoom);
        let mut bundle = Bundle::open(first, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
        while bundle.next_job().is_some() {
            bundle.finish(OutcomeKind::Value, &[5; 200]);
        }
        assert!(bundle.leave(0).is_ok());
    }
    forge(views, input);
    if flags & 8 != 0 {
        let _ = take(views, word);
    }
    if flags & 16 != 0 {
        let _ = views.dies(0);
        let again = parent.word(0);
        if again.is(State::Ready) {
            let mut entries = VecDeque::new();
            let _ = second.pop(1, &mut entries, &[]);
            if let Some(word) = entries.pop_front().and_then(|entry| second.start(entry)) {
                finish(views, word);
            }
        }
    } else if let Some(finished) = first.finish(0, word) {
        let _ = first.deliver_done(&[(0, finished)]);
    }
    let mut done = vec![];
    let _ = parent.pop_results(8, &mut done);
    for entry in done.into_iter().filter(|entry| entry.slot < parent.capacity()) {
        let word = parent.word(entry.slot);
        if word.is(State::Done) && entry.slot == 0 {
            let _ = take(views, word);
            parent.free_slot(0, word);
        }
    }
}

/// Writes over what the worker of slot 0 writes: the head of its results, the outcomes, the blocks and what is known of them.
fn forge(views: &Views, input: &mut Input<'_>) {
    let desc = views.parent.desc();
    let slot = desc.slots_offset.load(Relaxed) as usize;
    let result = slot + desc.result_offset.load(Relaxed) as usize;
    let arenas = views.parent.region().header().arenas_offset.load(Relaxed) as usize;
    while !input.over() {
        let what = input.byte();
        let most = 1 + usize::from(what >> 3);
        let (from, bytes) = match what % 8 {
            0 | 1 => (result, size_of::<ResultHead>()),
            2..=4 => (result + size_of::<ResultHead>(), 160),
            5 => (slot, size_of::<SlotHead>() + 128),
            // Behind the descriptors: both arenas, each with a page of bits and blocks before its units.
            6 => (arenas + 256, 4 * ARENA),
            _ => (slot + 8, 40),
        };
        let at = input.number(if what % 8 == 6 { 2 } else { 1 }) as usize;
        let new = input.bytes(most);
        let at = from + at % bytes;
        let room = from + bytes - at;
        views.scribble(at, &new[..new.len().min(room)]);
    }
}

/// What the parent does with outcomes: copies them, then looks at each.
fn take(views: &Views, word: SlotWord) -> Result<(), Stop> {
    let parent = &views.parent;
    let progress = parent.progress(0);
    let mut outcomes = vec![];
    parent.copy_outcomes(0, 0, progress.length(), &mut outcomes)?;
    assert_eq!(outcomes.len(), progress.length() as usize);
    let (mut at, mut number) = (0, 0);
    while number < progress.done() {
        let Some((record, next)) = frame::read(&outcomes, at) else { return Err(parent.corrupted()) };
        number += match record {
            Record::Here(..) => 1,
            Record::Array(width, values) => (values.len() / width) as u32,
            Record::In { block, length } => {
                let mut there = vec![];
                parent.take_block(0, word, block, length, &mut there)?;
                assert!(there.len() == length as usize && there.len() <= ARENA);
                records(&there);
                1
            }
        };
        at = next;
    }
    Ok(())
}

/// What the next worker does with a bundle that was left to it.
fn finish(views: &Views, word: SlotWord) {
    let worker = &views.workers[1];
    let (mut memory, mut budget, mut waiting) = (vec![], 20, NoRoom);
    let Ok(mut bundle) = Bundle::open(worker, 0, word, &mut memory, &mut budget, &mut waiting) else { return };
    while let Ok(true) = bundle.step(2, 4, |_, write| {
        write(&[1; 4]);
        Ok::<(), ()>(())
    }) {}
    while bundle.next_job().is_some() {
        bundle.finish(OutcomeKind::Value, &[9; 4]);
    }
    if let Ok(gristmill::ring::bundle::Left::Finished(word)) = bundle.leave(0) {
        let _ = worker.deliver_done(&[(0, word)]);
    }
}
