//! The bytes of a small region, beside what they mean: the dump is made anew from a region with fixed contents and compared with the document's.

use super::document::{block, compare, read, section};
use super::rows;
use super::small::Small;
use gristmill::layout::{ALL, Described, OutcomeKind, Progress, SlotWord};
use gristmill::lock::RawLock;
use gristmill::ring::bundle::{BeforeWaiting, Bundle, Left};
use gristmill::ring::outcomes::Fill;
use gristmill::ring::{Channel, Kind, Payload, Stop, frame};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::Ordering::*;

/// Fields that differ from run to run.
const MASKED: [(&str, &str); 5] = [
    ("Header", "region_id"),
    ("Header", "parent_pid"),
    ("Participant", "pid"),
    ("Participant", "start_time"),
    ("Participant", "attached_at"),
];

/// Something that starts at an offset of the region.
enum Thing {
    Structure(&'static str),
    Entries,
    Bits,
    Bytes,
}

/// A region in which everything of the document happens at least once. What is done is told above the dump, in the document.
fn example() -> (Small, Vec<Channel>) {
    let small = Small::new();
    let jobs = small.channel(Kind::Joinable, 4, 0);
    let mut popped = VecDeque::new();
    let mut start = |channel: &Channel| {
        channel.pop(1, &mut popped, &[]).unwrap();
        let entry = popped.pop_front().expect("just published");
        (entry.slot, channel.start(entry).expect("nobody else is here"))
    };
    let fill = |channel: &Channel, payloads: &[(u16, &[u8])]| {
        let mut filled = vec![];
        channel.take(payloads.len() as u32, |f| filled.push(f));
        for (f, (items, bytes)) in filled.iter_mut().zip(payloads) {
            f.items = *items;
            channel.write_payload(*f, bytes).unwrap();
        }
        channel.publish(&filled).unwrap();
    };
    fill(&jobs, &[(1, b"the 1st")]);
    let (slot, running) = start(&jobs);
    let finished = jobs.finish(slot, running).unwrap();
    jobs.deliver_free(&[(slot, finished)]).unwrap();
    fill(&jobs, &[(1, b"job two "), (3, b"item a, item b, item c, "), (1, &[b'x'; 300])]);
    start(&jobs);

    let pool = small.channel(Kind::Pool, 2, 7);
    let bundles: [(u32, &[&[u8]]); 2] = [(0, &[b"2+2="]), (1, &[b"long", b"next"])];
    for (slot, of) in bundles {
        let mut records = vec![];
        of.iter().for_each(|job| frame::push(&mut records, OutcomeKind::Value, job));
        let fill = Fill { items: of.len() as u32, jobs: &records, room: 0, task: 3, fold: None, cancelled: 0 };
        pool.publish(&[pool.fill(slot, fill).unwrap()]).unwrap();
    }
    let (mut memory, mut budget, mut nobody) = (vec![], 9, Nobody);
    let (slot, running) = start(&pool);
    let mut bundle = Bundle::open(&pool, slot, running, &mut memory, &mut budget, &mut nobody).unwrap();
    assert_eq!(bundle.next_job(), Some(&b"2+2="[..]));
    bundle.finish(OutcomeKind::Value, b"4, I say");
    let Ok(Left::Finished(finished)) = bundle.leave(1500) else { panic!("all is done") };
    pool.deliver_done(&[(slot, finished)]).unwrap();
    let (slot, running) = start(&pool);
    pool.runs(Some(slot));
    let mut bundle = Bundle::open(&pool, slot, running, &mut memory, &mut budget, &mut nobody).unwrap();
    assert_eq!(bundle.next_job(), Some(&b"long"[..]));
    bundle.finish(OutcomeKind::Value, &[b'y'; 300]);
    assert_eq!(bundle.next_job(), Some(&b"next"[..]));
    (small, vec![jobs, pool])
}

/// There is room for everything.
struct Nobody;

impl BeforeWaiting for Nobody {
    fn before_waiting(&mut self) -> Result<(), Stop> {
        unreachable!("the arena is not full")
    }
}

fn described(name: &str) -> &'static Described {
    ALL.iter().find(|s| s.name == name).expect("a structure of the layout")
}

/// What starts where, with a label.
fn places(small: &Small, channels: &[Channel]) -> BTreeMap<usize, (String, Thing)> {
    let header = small.region.header();
    let mut places = BTreeMap::new();
    let mut add = |at: u64, label: String, thing| {
        assert!(places.insert(at as usize, (label, thing)).is_none(), "two things at {at}");
    };
    add(0, "Header".into(), Thing::Structure("Header"));
    for k in 0..u64::from(header.participants.load(Relaxed)) {
        let at = header.participants_offset.load(Relaxed) + 128 * k;
        add(at, format!("Participant {k}"), Thing::Structure("Participant"));
    }
    for k in 0..2 {
        let d = small.arena_desc(k);
        add(header.arenas_offset.load(Relaxed) + 128 * k as u64, format!("Arena {k}"), Thing::Structure("Arena"));
        add(d.bits_offset.load(Relaxed), format!("bits of arena {k}"), Thing::Bits);
        for unit in 0..u64::from(d.units.load(Relaxed)) {
            add(d.table_offset.load(Relaxed) + 16 * unit, format!("Block {unit}"), Thing::Structure("Block"));
        }
        add(d.data_offset.load(Relaxed), format!("units of arena {k}"), Thing::Bytes);
    }
    for (k, channel) in channels.iter().enumerate() {
        let d = channel.desc();
        add(header.channels_offset.load(Relaxed) + 448 * k as u64, format!("Channel {k}"), Thing::Structure("Channel"));
        for slot in 0..u64::from(channel.capacity()) {
            let at = d.slots_offset.load(Relaxed) + slot * u64::from(d.slot_size.load(Relaxed));
            add(at, format!("slot {slot} of channel {k}"), Thing::Structure("SlotHead"));
            add(at + 40, "payload".into(), Thing::Bytes);
            if channel.kind() == Kind::Pool {
                let result = at + u64::from(d.result_offset.load(Relaxed));
                add(result, "result".into(), Thing::Structure("ResultHead"));
                add(result + 40, "outcomes".into(), Thing::Bytes);
            }
        }
        add(d.job_ring_offset.load(Relaxed), format!("job ring of channel {k}"), Thing::Entries);
        add(d.bits_offset.load(Relaxed), format!("free bits of channel {k}"), Thing::Bits);
        if channel.kind() == Kind::Pool {
            add(d.result_ring_offset.load(Relaxed), format!("result ring of channel {k}"), Thing::Entries);
        }
    }
    places
}

fn value(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// A field's value in words.
fn shown(structure: &str, field: &str, ty: &str, bytes: &[u8]) -> String {
    let n = value(bytes);
    match (structure, field, ty) {
        ("SlotHead", "word", _) => format!("{:?}", SlotWord(n)),
        ("ResultHead", "progress", _) => format!("progress: {:?}", Progress(n)),
        ("Block", "tag", _) => {
            format!("tag: channel {}, slot {}, generation {}", (n & 0xFFFF) - 1, n >> 16 & 0xFF_FFFF, n >> 40)
        }
        (_, _, "LockWords") => format!("{field} free, {} acquisitions", n >> 32),
        (_, _, "EventWords") => {
            format!("{field} moved {}, {} sleep, {} came", value(&bytes[..4]), value(&bytes[4..8]), value(&bytes[8..12]))
        }
        ("SlotHead", "done", _) => format!("done {n:b}"),
        (_, "magic" | "ready" | "type_hash" | "ticket", _) if n > 1 << 24 => format!("{field} {n:#X}"),
        _ => format!("{field} {n}"),
    }
}

/// The dump of a region: 16 bytes to a line, and what they are.
fn dump(small: &Small, channels: &[Channel]) -> String {
    let text = read();
    let bytes = small.bytes();
    let places = places(small, channels);
    let mut hidden = vec![false; bytes.len()];
    let mut notes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (&at, (label, thing)) in &places {
        let until = places.range(at + 1..).next().map_or(bytes.len(), |(&next, _)| next);
        let mut labelled = false;
        let mut note = |at: usize, what: String| {
            let line = notes.entry(at & !15).or_default();
            let first = !std::mem::replace(&mut labelled, true);
            line.push(if first { format!("{label}: {what}") } else { what });
        };
        match thing {
            Thing::Structure(name) => {
                for row in rows(&text, described(name)) {
                    let place = at + row.offset..at + row.offset + row.size;
                    if bytes[place.clone()].iter().all(|&b| b == 0) {
                        continue;
                    }
                    if MASKED.contains(&(name, row.name)) {
                        hidden[place.clone()].fill(true);
                        note(place.start, format!("{} ..", row.name));
                    } else {
                        note(place.start, shown(name, row.name, row.ty, &bytes[place.clone()]));
                    }
                }
            }
            Thing::Entries => {
                for place in (at..until).step_by(8).filter(|&p| bytes[p..p + 8] != [0; 8]) {
                    let n = value(&bytes[place..place + 8]);
                    note(place, format!("slot {}, generation {}", n & 0xFFFF_FFFF, n >> 32));
                }
            }
            Thing::Bits if value(&bytes[at..at + 8]) != 0 => note(at, format!("{:b}", value(&bytes[at..at + 8]))),
            Thing::Bytes if bytes[at] != 0 => {
                let text: Vec<u8> = bytes[at..until].iter().take(24).copied().take_while(|&b| b != 0).collect();
                note(at, format!("\"{}\"", text.escape_ascii()));
            }
            Thing::Bits | Thing::Bytes => {}
        }
    }
    let mut out = String::new();
    let mut skipped = false;
    for at in (0..bytes.len()).step_by(16) {
        let zero = (at..at + 16).all(|k| bytes[k] == 0 && !hidden[k]);
        if zero || (at > 0 && bytes[at..at + 16] == bytes[at - 16..at] && !notes.contains_key(&at)) {
            if !skipped {
                out += "*\n";
            }
            skipped = true;
            continue;
        }
        skipped = false;
        let hex: Vec<String> =
            (at..at + 16).map(|k| if hidden[k] { "..".into() } else { format!("{:02x}", bytes[k]) }).collect();
        let (left, right) = hex.split_at(8);
        let line = format!(
            "{at:05x}  {}  {}  {}",
            left.join(" "),
            right.join(" "),
            notes.get(&at).map_or(String::new(), |n| n.join("; "))
        );
        writeln!(out, "{}", line.trim_end()).unwrap();
    }
    out
}

#[test]
fn the_dump_shows_a_region_as_it_is() {
    let (small, channels) = example();
    // The dump says of every lock that it is free.
    for channel in &channels {
        assert_eq!(channel.desc().job_lock.word.load(Relaxed) | channel.desc().result_lock.word.load(Relaxed), 0);
    }
    let text = read();
    let title = "A small region, byte by byte";
    let written = block(section(&text, title), "text").to_string();
    compare([(title.to_string(), written, dump(&small, &channels))]);
}

/// What the dump's story says is what the region holds, read by the library.
#[test]
fn the_region_of_the_dump_is_one_that_the_library_understands() {
    let (small, channels) = example();
    let me = small.region.me();
    for which in 0..2 {
        assert!(small.region.arena(which).lock().try_lock(me).is_some());
        // SAFETY: locked in the line above, by this thread.
        unsafe { small.region.arena(which).lock().unlock(me) };
    }
    let bytes = |payload: Payload<'_>| {
        let mut bytes = vec![];
        payload.append_to(&mut bytes);
        bytes
    };
    let [jobs, pool] = channels.as_slice() else { panic!("two channels") };
    assert_eq!((jobs.pending(), jobs.items(1), jobs.waiting()), (5, 3, 4));
    assert_eq!(bytes(jobs.payload(0).unwrap()), b"job two ");
    assert_eq!(bytes(jobs.payload(2).unwrap()).len(), 300);
    let outcomes = |slot: u32, number: u32| {
        let (progress, mut outcomes) = (pool.progress(slot), vec![]);
        assert_eq!(progress.done(), number);
        pool.copy_outcomes(slot, 0, progress.length(), &mut outcomes).unwrap();
        outcomes
    };
    let first = outcomes(0, 1);
    assert_eq!(frame::read(&first, 0), Some((frame::Record::Here(OutcomeKind::Value, b"4, I say"), first.len())));
    let second = outcomes(1, 1);
    let Some((frame::Record::In { block, length }, 9)) = frame::read(&second, 0) else { panic!("{second:?}") };
    let mut record = vec![];
    pool.take_block(1, pool.word(1), block, length, &mut record).unwrap();
    assert_eq!(frame::read(&record, 0), Some((frame::Record::Here(OutcomeKind::Value, &[b'y'; 300]), 305)));
    assert_eq!((pool.pending(), small.region.arena(1).used()), (1, 0));
}
