//! Numbers and bits of the document against those of the code.

use super::document::{name, number, read, section, table};
use super::small;
use gristmill::layout::{self, OutcomeKind, Progress, SlotWord, State};
use gristmill::lock::{FutexLock, Holder, RawLock};
use gristmill::ring::arena::{MAX_UNITS, MIN_UNIT, Tag};
use gristmill::ring::{Condition, Kind, WaitPolicy, channel, frame, recovery};
use std::sync::atomic::Ordering::*;

/// Names and values of a table of the document.
fn listed(text: &str, part: &str, first: &str) -> Vec<(String, u64)> {
    let row = |cells: Vec<&str>| (name(cells[0]).to_string(), number(cells[1]));
    table(section(text, part), first).into_iter().map(row).collect()
}

fn same(what: &str, described: Vec<(String, u64)>, coded: impl IntoIterator<Item = (String, u64)>) {
    assert_eq!(described, coded.into_iter().collect::<Vec<_>>(), "{what}: the document (left) and the code (right)");
}

#[test]
fn constants_have_the_values_that_the_document_gives() {
    let coded = [
        ("MAGIC", layout::MAGIC),
        ("VERSION", layout::VERSION.into()),
        ("READY_MARK", layout::READY_MARK.into()),
        ("LINE", layout::LINE as u64),
        ("MIN_REGION", layout::MIN_REGION as u64),
        ("MAX_PARTICIPANTS", layout::MAX_PARTICIPANTS.into()),
        ("MAX_CHANNELS", layout::MAX_CHANNELS.into()),
        ("MAX_SLOTS", channel::MAX_SLOTS.into()),
        ("MAX_BATCH", channel::MAX_BATCH.into()),
        ("MAX_ITEMS", layout::MAX_ITEMS.into()),
        ("MAX_HAND", layout::MAX_HAND.into()),
        ("MAX_LENGTH", layout::MAX_LENGTH.into()),
        ("MAX_UNITS", MAX_UNITS as u64),
        ("MIN_UNIT", MIN_UNIT as u64),
        ("WAITERS", gristmill::lock::WAITERS.into()),
        ("SHORT", frame::SHORT as u64),
        ("LONG", frame::LONG.into()),
        ("ARRAY", frame::ARRAY.into()),
        ("ARRAY_HEAD", frame::ARRAY_HEAD as u64),
        ("REFERENCE", frame::REFERENCE.into()),
        ("REFERENCE_BYTES", frame::REFERENCE_BYTES as u64),
        ("HOLD_BOUND", recovery::HOLD_BOUND.as_secs()),
    ];
    let text = read();
    same("constants", listed(&text, "Numbers", "name"), coded.map(|(n, v)| (n.to_string(), v)));
    assert!(text.starts_with(&format!("# The layout of a region, version {}\n", layout::VERSION)));
    assert_eq!(&layout::MAGIC.to_le_bytes(), b"GRISTMIL");
}

#[test]
fn kinds_conditions_and_policies_have_the_numbers_that_the_document_gives() {
    let text = read();
    // A new variant does not compile here until it is named; then it is missing in the document.
    let kinds = [Kind::Queue, Kind::Joinable, Kind::Pool].map(|k| match k {
        Kind::Queue | Kind::Joinable | Kind::Pool => (format!("{k:?}"), k as u64),
    });
    same("kinds", listed(&text, "Numbers", "kind"), kinds);
    let conditions = [Condition::Open, Condition::Shutdown, Condition::NoWorkers, Condition::Corrupt].map(|c| match c {
        Condition::Open | Condition::Shutdown | Condition::NoWorkers | Condition::Corrupt => (format!("{c:?}"), c as u64),
    });
    same("conditions", listed(&text, "Numbers", "condition"), conditions);
    let policies = [WaitPolicy::Adaptive, WaitPolicy::Spin, WaitPolicy::Block].map(|p| match p {
        WaitPolicy::Adaptive | WaitPolicy::Spin | WaitPolicy::Block => (format!("{p:?}"), p as u64),
    });
    same("policies", listed(&text, "Numbers", "policy"), policies);
}

/// The constants of a file that has nothing else.
fn constants(source: &str) -> Vec<(String, u64)> {
    let parse = |line: &str| {
        let (name, value) = line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": u32 = ")?;
        Some((name.to_string(), number(value)))
    };
    source.lines().filter_map(parse).collect()
}

#[test]
fn presences_and_outcomes_have_the_numbers_that_the_document_gives() {
    let text = read();
    let presences = constants(include_str!("../../src/layout/presence.rs"));
    assert!(presences.contains(&("RETIRING".into(), layout::presence::RETIRING.into())), "{presences:?}");
    let outcomes: Vec<_> = (0..256).filter_map(|n| Some((format!("{:?}", OutcomeKind::of(n)?), n.into()))).collect();
    assert!(outcomes.contains(&("TooLarge".into(), OutcomeKind::TooLarge as u64)), "{outcomes:?}");
    same("presences", listed(&text, "Numbers", "presence"), presences);
    same("outcomes", listed(&text, "Numbers", "outcome"), outcomes);
}

#[test]
fn states_have_the_numbers_that_the_document_gives() {
    let coded = (0..16).filter_map(|n| Some((format!("{:?}", SlotWord(n).state()?), n)));
    same("states", listed(&read(), "Slot word", "state"), coded);
}

/// The bits of `word`, as the document's table cuts it: names and values in order. Every bit belongs to a row.
fn cut(part: &str, bits: u32, word: u64) -> Vec<(String, u64)> {
    let text = read();
    let mut next = 0;
    let mut row = |cells: Vec<&str>| {
        let (low, high) = cells[0].split_once(" to ").unwrap_or((cells[0], cells[0]));
        let (low, high) = (number(low), number(high));
        assert_eq!(low, next, "{part}: a gap or an overlap before {cells:?}");
        next = high + 1;
        (name(cells[1]).to_string(), word >> low & (u64::MAX >> (63 - (high - low))))
    };
    let parts = table(section(&text, part), "bits").into_iter().map(&mut row).collect();
    assert_eq!(next, u64::from(bits), "{part}: bits");
    parts
}

fn parts<const N: usize>(of: [(&str, u64); N]) -> Vec<(String, u64)> {
    of.map(|(n, v)| (n.to_string(), v)).to_vec()
}

#[test]
fn the_slot_word_has_the_bits_that_the_document_gives() {
    let word = SlotWord::new(State::Finished, 0xABC, 0x1234, 0x5678_9ABC);
    let expected = parts([("state", 5), ("owner", 0xABC), ("attempt", 0x1234), ("generation", 0x5678_9ABC)]);
    assert_eq!(cut("Slot word", 64, word.0), expected);
}

#[test]
fn the_progress_word_has_the_bits_that_the_document_gives() {
    let word = Progress::new(0x3456).begin(0xA5).finish(0x123, 0xAB_CDEF, 0x5A).condemn();
    let expected = |hand, condemned| {
        let length = ("length", 0xAB_CDEF);
        parts([("done", 0x123), ("limit", 0x3456), ("hand", hand), ("condemned", condemned), ("reserved", 0), length])
    };
    assert_eq!(cut("Progress word", 64, word.0), expected(0x5A, 1));
    assert_eq!(cut("Progress word", 64, word.let_go().0), expected(0, 0));
}

/// The records of outcomes, as the document's table tells them from their first byte.
#[test]
fn records_start_with_the_bytes_that_the_document_gives() {
    let text = read();
    let rows = table(section(&text, "Records"), "first byte");
    let range = |cell: &str| {
        let (low, high) = cell.split_once(" to ").unwrap_or((cell, cell));
        number(low)..=number(high)
    };
    let [short, long, array, reference] =
        rows.iter().map(|r| range(r[0])).collect::<Vec<_>>().try_into().expect("four kinds of record");
    for first in 0..=255u8 {
        // Their first number is 2, so that all of this is one record and its rest.
        let mut bytes = vec![0; 300];
        bytes[0] = first;
        bytes[1] = 2;
        if array.contains(&u64::from(first)) {
            bytes[2] = 3;
        }
        let read = frame::read(&bytes, 0);
        let n = u64::from(first);
        let expected = match () {
            () if short.contains(&n) => {
                let value = &bytes[1..=usize::from(first)];
                Some((frame::Record::Here(OutcomeKind::Value, value), 1 + usize::from(first)))
            }
            () if long.contains(&n) => {
                let kind = OutcomeKind::of(u32::from(first - frame::LONG));
                kind.map(|kind| (frame::Record::Here(kind, &bytes[5..7]), 7))
            }
            () if array.contains(&n) => Some((frame::Record::Array(2, &[0; 6]), frame::ARRAY_HEAD + 6)),
            () if reference.contains(&n) => Some((frame::Record::In { block: 2, length: 0 }, frame::REFERENCE_BYTES)),
            () => None,
        };
        assert_eq!(read, expected, "{first}");
    }
}

#[test]
fn the_lock_word_has_the_bits_that_the_document_gives() {
    let lock = FutexLock::new();
    let me = Holder::new(0xABC, 0xFFF5_4321);
    lock.lock(me);
    let (word, acquisitions) = lock.observe();
    assert_eq!(acquisitions, 1);
    let expected = |waiters| parts([("owner", 0xABC), ("epoch", 0x5_4321), ("waiters", waiters)]);
    assert_eq!(cut("Lock word", 32, word.into()), expected(0));
    assert_eq!(cut("Lock word", 32, (word | gristmill::lock::WAITERS).into()), expected(1));
    // SAFETY: locked above, by this thread.
    unsafe { lock.unlock(me) };
    assert_eq!(lock.observe().0, 0);
}

#[test]
fn an_arena_tag_has_the_bits_that_the_document_gives() {
    let small = small::Small::new();
    let arena = small.region.arena(0);
    let first = arena.allocate(1, Tag::new(0x1234, 0x56_789A, 0xFFBC_DEF0), 0).expect("an empty arena");
    let table = small.arena_desc(0).table_offset.load(Relaxed) as usize;
    let tag = small.u64_at(table + 16 * (first as usize - 1));
    let expected = parts([("channel", 0x1235), ("slot", 0x56_789A), ("generation", 0xBC_DEF0)]);
    assert_eq!(cut("Arena tag", 64, tag), expected);
}

#[test]
fn a_ring_entry_has_the_bits_that_the_document_gives() {
    let small = small::Small::new();
    let channel = small.channel(Kind::Joinable, 8, 0xABCD_1234);
    let mut filled = vec![];
    channel.take(6, |f| filled.push(f));
    channel.publish(&filled[5..]).unwrap();
    let d = channel.desc();
    let position = d.job_head.load(Relaxed) as usize & (d.ring_size.load(Relaxed) as usize - 1);
    let entry = small.u64_at(d.job_ring_offset.load(Relaxed) as usize + 8 * position);
    assert_eq!(cut("Ring entry", 64, entry), parts([("slot", 5), ("generation", 0xABCD_1234)]));
}
