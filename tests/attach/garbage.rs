//! Regions in which one field, or a handful of bytes, is anything at all: each is refused or used, and neither crashes nor hangs.

use super::field;
use super::left::{SIZE, left, write};
use super::uses::{attach, use_region};
use gristmill::layout::{self, Described, Header, State};
use gristmill::lock::Holder;
use gristmill::ring::{Channel, Condition, Region};
use gristmill::sys::mapping::Mapping;
use std::sync::Arc;
use std::time::Duration;

fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    bytes[at..at + size].iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// Where the first three slots of the pool stand.
fn slots_of_the_pool(good: &[u8]) -> std::ops::Range<usize> {
    let of = |structure: &'static Described, base: usize, name: &str| {
        let place = field(structure, name);
        number(good, base + place.start, place.len())
    };
    let at = of(&Header::DESCRIBED, 0, "channels_offset") + 448 * 2;
    let slots = of(&layout::Channel::DESCRIBED, at, "slots_offset");
    slots..slots + 3 * of(&layout::Channel::DESCRIBED, at, "slot_size")
}

/// The places of all fields of the structures in the region but the locks': name, offset, size.
fn all_fields(good: &[u8]) -> Vec<(String, usize, usize)> {
    let of = |structure: &'static Described, base: usize, name: &str| {
        let place = field(structure, name);
        number(good, base + place.start, place.len())
    };
    let (header, arena, channel) = (&Header::DESCRIBED, &layout::Arena::DESCRIBED, &layout::Channel::DESCRIBED);
    let mut structures = vec![(header, 0)];
    structures.extend((1..3).map(|k| (&layout::Participant::DESCRIBED, of(header, 0, "participants_offset") + 128 * k)));
    for k in 0..2 {
        let at = of(header, 0, "arenas_offset") + 128 * k;
        structures.extend([(arena, at), (&layout::Block::DESCRIBED, of(arena, at, "table_offset"))]);
    }
    for k in 0..3 {
        let at = of(header, 0, "channels_offset") + 448 * k;
        let slots = of(channel, at, "slots_offset");
        let slot_size = of(channel, at, "slot_size");
        structures.push((channel, at));
        structures.extend((0..3).map(|s| (&layout::SlotHead::DESCRIBED, slots + s * slot_size)));
        if k == 2 {
            let result = of(channel, at, "result_offset");
            structures.extend((0..3).map(|s| (&layout::ResultHead::DESCRIBED, slots + s * slot_size + result)));
        }
    }
    let mut fields = vec![];
    for (structure, at) in structures {
        // A lock that names nobody who lives is waited for until the supervisor comes: that is another test's business.
        let known = structure.fields.iter().filter(|f| !f.name.ends_with("lock") && f.size <= 8);
        fields.extend(known.map(|f| (format!("{}.{} at {at}", structure.name, f.name), at + f.offset, f.size)));
    }
    fields
}

/// A place and the bytes to be written there.
type Change = (usize, Vec<u8>);

/// Uses the region once for each change of it; how many were attached and refused. A change that hangs ends the test.
fn sweep(what: &str, changes: impl FnOnce(&[u8]) -> Vec<(String, Vec<Change>)>) -> (usize, usize) {
    let (_path, good) = left(what);
    let changes = changes(&good);
    let (report, reports) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        let (mut attached, mut refused) = (0, 0);
        let memory = Mapping::guarded(SIZE).unwrap();
        for (name, changes) in changes {
            report.send(name).unwrap();
            write(&memory, 0, &good);
            changes.into_iter().for_each(|(at, to)| write(&memory, at, &to));
            match attach(memory.again().unwrap()) {
                Some((region, channels)) => {
                    use_region(&region, &channels);
                    attached += 1;
                }
                None => refused += 1,
            }
        }
        (attached, refused)
    });
    let mut last = String::new();
    loop {
        match reports.recv_timeout(Duration::from_secs(60)) {
            Ok(now) => last = now,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            // The thread cannot be ended, and would be waited for.
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("hangs with {last}");
                std::process::exit(101);
            }
        }
    }
    worker.join().unwrap_or_else(|_| panic!("with {last}"))
}

/// Words that say how far a bundle is, right and wrong ones.
fn progresses() -> Vec<u64> {
    let lengths = [0, 5, 9, 27, 64, 1 << 23];
    let counts = [0, 1, 2, 3, 4, 16_383];
    let mut words = vec![];
    for (done, limit) in counts.iter().flat_map(|&d| counts.iter().map(move |&l| (d, l))) {
        // Nothing, one, several and the most in hand; condemned and not.
        let hands = [0, 1, 2, 255].iter().flat_map(|hand| [*hand, hand | 1 << 8]);
        for (flags, length) in hands.flat_map(|f| lengths.iter().map(move |&l| (f, l))) {
            words.push(done | limit << 14 | flags << 28 | length << 40);
        }
    }
    words
}

#[test]
fn no_value_of_any_field_crashes_or_hangs_who_attaches() {
    let size = SIZE as u64;
    let small = [0, 1, 2, 3, 5, 6, 7, 8, 63, 64, 65, 256, 640, 1000, 4096, 8192, 16_384, 20_480, 65_535, 65_536];
    let large = [size - 64, size - 1, size, size + 64, 1 << 24, 1 << 28, 1 << 31, u32::MAX.into(), 1 << 32, 1 << 46, 1 << 63];
    let largest = [u64::MAX - 4095, u64::MAX - 63, u64::MAX - 1, u64::MAX];
    let values: Vec<u64> = small.into_iter().chain(large).chain(largest).collect();
    let (attached, refused) = sweep("absurd", |good| {
        let fields = all_fields(good);
        assert!(fields.len() > 200, "{}", fields.len());
        let one = |(name, at, length): (String, usize, usize)| {
            let more = if name.starts_with("ResultHead.progress") { progresses() } else { vec![] };
            let values: Vec<u64> = values.iter().copied().chain(more).collect();
            values.into_iter().map(move |v| (format!("{name} = {v:#x}"), vec![(at, v.to_le_bytes()[..length].to_vec())]))
        };
        fields.into_iter().flat_map(one).collect()
    });
    assert!(attached > 1000 && refused > 300, "{attached} attached, {refused} refused");
}

#[test]
fn no_bytes_in_the_slots_of_a_pool_crash_or_hang_who_uses_them() {
    let mut seed = 1u64;
    let mut random = move |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    let (attached, _) = sweep("bytes", |good| {
        let slots = slots_of_the_pool(good);
        let mut change = |n: usize| {
            let mut changes: Vec<Change> = vec![];
            for _ in 0..1 + random(6) {
                let at = slots.start + random(slots.len() - 4);
                // Mostly small numbers: large ones are refused at the first look.
                let byte = |_| if random(4) == 0 { random(256) as u8 } else { random(6) as u8 };
                changes.push((at, (0..3).map(byte).collect()));
            }
            (format!("{n}: {changes:?}"), changes)
        };
        (0..3000).map(&mut change).collect()
    });
    assert_eq!(attached, 3000);
}

/// Without a change the same steps come to their ends: else the sweeps above would show nothing.
#[test]
fn what_is_done_with_a_ruined_region_works_in_a_whole_one() {
    let (path, _) = left("whole-use");
    let (region, channels) = attach(Mapping::open_file(&path.0).unwrap()).unwrap();
    use_region(&region, &channels);
    let region = Arc::new(Region::attach(Mapping::open_file(&path.0).unwrap(), Holder::new(1, 1)).unwrap());
    assert_eq!(region.condition(), Condition::Open);
    let pool = Channel::open(&region, 2).unwrap();
    for slot in 0..7 {
        let (word, progress) = (pool.word(slot), pool.progress(slot));
        assert!(word.is(State::Free) && word.generation() > 0, "slot {slot}: {word:?}");
        assert!(progress.done() > 0 && progress.done() == progress.limit(), "slot {slot}: {progress:?}");
    }
    assert_eq!((pool.pending(), region.arena(0).used(), region.arena(1).used()), (0, 0, 0));
}
