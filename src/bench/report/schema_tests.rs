//! `benches/schema.md` names what is written, all of it and nothing else.

use super::{csv, json, sample};
use crate::bench::results::{Results, SCHEMA};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn document() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/schema.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The cells of the rows under a heading, without the head of the table.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let start = document.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = document[start + 1..].split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    lines.map(|line| line.replacen('`', "", 1).split(" | ").map(str::to_owned).collect()).collect()
}

fn sample() -> Results {
    let mut results = sample::full();
    results.entries[0].failures = vec!["why".into()];
    results
}

/// The path of each leaf, and the words that stand there.
fn walk(value: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                walk(field, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| walk(one, &format!("{path}[]"), found)),
        Value::Null => {}
        Value::String(word) => {
            found.entry(path.into()).or_default().insert(word.clone());
        }
        _ => {
            found.entry(path.into()).or_default();
        }
    }
}

fn found() -> BTreeMap<String, BTreeSet<String>> {
    let mut bytes = vec![];
    json::write(&sample(), &mut bytes).unwrap();
    let mut found = BTreeMap::new();
    walk(&serde_json::from_slice(&bytes).unwrap(), "", &mut found);
    found
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    let written: BTreeSet<String> = found().into_keys().collect();
    let documented: BTreeSet<String> = rows(&document(), "JSON").into_iter().map(|row| row[0].clone()).collect();
    let missing: Vec<_> = written.difference(&documented).collect();
    assert!(missing.is_empty(), "benches/schema.md does not name {missing:?}");
    let gone: Vec<_> = documented.difference(&written).collect();
    assert!(gone.is_empty(), "benches/schema.md names what is not written: {gone:?}");
}

#[test]
fn every_field_has_a_unit_and_a_meaning_and_every_word_is_listed() {
    let (document, found) = (document(), found());
    let rows = rows(&document, "JSON");
    for row in &rows {
        assert!(row.len() == 3 && row.iter().all(|cell| !cell.trim().is_empty()), "{row:?}");
    }
    let words = [
        "self_tests[].verdict",
        "crossovers[].waits",
        "contenders[].family",
        "contenders[].waits",
        "entries[].axis",
        "entries[].shape.pattern",
    ];
    for path in words.into_iter().chain(["entries[].aim"]) {
        let row = rows.iter().find(|row| row[0] == path).unwrap_or_else(|| panic!("{path}"));
        for word in &found[path] {
            assert!(row[2].contains(&format!("`{word}`")), "{path} can be {word}");
        }
        assert!(!found[path].is_empty(), "{path}");
    }
}

#[test]
fn the_document_is_of_this_version() {
    assert!(document().contains(&format!("\nThis is schema {SCHEMA}.")), "benches/schema.md is not about schema {SCHEMA}");
}

#[test]
fn the_csv_has_the_documented_columns_and_a_line_for_each_round() {
    let documented: Vec<String> = rows(&document(), "CSV").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, csv::COLUMNS);
    let results = sample();
    let mut bytes = vec![];
    csv::write(&results, &mut bytes).unwrap();
    let mut reader = ::csv::Reader::from_reader(&*bytes);
    assert_eq!(reader.headers().unwrap(), csv::COLUMNS.as_slice());
    let records: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), results.entries.iter().map(|entry| entry.rounds.len()).sum::<usize>());
    let at =
        |record: &::csv::StringRecord, name: &str| record[csv::COLUMNS.iter().position(|c| *c == name).unwrap()].to_owned();
    let (entry, of) = (&results.entries[0], |name| records.iter().filter(|r| at(r, "contender") == name).collect::<Vec<_>>());
    let first = of(entry.contender.as_str())[0];
    let played = &entry.rounds[0];
    for (name, value) in [
        ("family", "engine".to_owned()),
        ("waits", "adaptive".into()),
        ("axis", "base".into()),
        ("pattern", "one-way".into()),
        ("payload_bytes", entry.shape.payload.to_string()),
        ("capacity", entry.shape.capacity.to_string()),
        ("pace_share", String::new()),
        ("round", "1".into()),
        ("jobs", played.jobs.to_string()),
        ("wall_ns", played.wall.to_string()),
        ("cpu_ns", played.used.cpu.to_string()),
        ("involuntary_switches", played.used.involuntary.to_string()),
        ("system_calls", played.calls.unwrap().to_string()),
        ("memory_bytes", played.memory.to_string()),
        ("start_up_ns", played.start_up.to_string()),
        ("p50_ns", String::new()),
    ] {
        assert_eq!(at(first, name), value, "{name}");
    }
    let late = of("fifo").into_iter().find(|record| at(record, "pace_share") == "0.5").unwrap();
    assert!(!at(late, "p50_ns").is_empty() && !at(late, "max_ns").is_empty());
}
