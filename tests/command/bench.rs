//! `gristmill bench`, from outside: its files, what it says when one cannot be written, and the comparison of two runs.

use super::run::{Folder, gristmill, run, start};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_run_writes_its_files_and_can_be_compared_with_itself_and_with_a_slower_one() {
    let folder = Folder::new("bench-files");
    let [json, csv, html] = ["a.json", "a.csv", "a.html"].map(|name| folder.0.join(name));
    let files = ["--json", shown(&json), "--csv", shown(&csv), "--html", shown(&html)];
    let ended = run(gristmill(&[&["bench", "--only", "gristmill-block", "--seed", "7", "--rounds", "6"], &files[..]].concat()));
    assert_eq!(ended.code, 0, "{}", ended.out());
    assert!(ended.out().ends_with(&format!("Charts and all numbers: {}\n", html.display())), "{}", ended.out());
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(
        read(&csv).starts_with("contender,family,waits,axis,") && read(&csv).contains("\ngristmill-block,engine,block,base,")
    );
    assert!(read(&html).starts_with("<!DOCTYPE html>") && read(&html).contains("<svg "));
    let same = run(gristmill(&["bench", "compare", shown(&json), shown(&json)]));
    assert!(same.code == 0 && same.out().contains("nothing slower by more than 5 %"), "{}", same.out());
    let mut slower: serde_json::Value = serde_json::from_str(&read(&json)).unwrap();
    for round in slower["entries"].as_array_mut().unwrap().iter_mut().flat_map(|e| e["rounds"].as_array_mut().unwrap()) {
        round["wall"] = (round["wall"].as_u64().unwrap() * 100).into();
    }
    let slow = folder.file("slow.json", slower.to_string());
    let worse = run(gristmill(&["bench", "compare", shown(&json), shown(&slow)]));
    assert!(worse.code == 1 && worse.out().contains("Slower or dearer"), "{}: {}", worse.code, worse.out());
    let full = Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let lost = start(gristmill(&["bench", "compare", shown(&json), shown(&slow)]), Some(full)).end();
    assert_eq!((lost.only_line(), lost.code), ("gristmill: cannot write output: No space left on device", 4));
    let better = run(gristmill(&["bench", "compare", shown(&slow), shown(&json)]));
    assert!(better.code == 0 && better.out().contains("Faster or cheaper"), "{}: {}", better.code, better.out());
}

#[test]
fn a_file_whose_name_is_no_text_is_written_and_named_in_the_command_that_repeats_the_run() {
    let folder = Folder::new("bench-bytes");
    let file = folder.0.join(OsStr::from_bytes(b"a\xff.json"));
    let mut command = gristmill(&["bench", "--only", "pipe-atomic", "--rounds", "1", "--payload", "64", "--json"]);
    command.arg(&file);
    let ended = run(command);
    assert!(ended.code == 0 && ended.out().contains("a\\xff.json' --seed "), "{}: {}", ended.code, ended.out());
    assert!(std::fs::read(&file).unwrap().starts_with(b"{"));
}

#[test]
fn files_that_cannot_be_compared_are_named_in_one_line() {
    let folder = Folder::new("bench-compare");
    let cut = folder.file("cut.json", "{\"schema\": 1, \"version\": ");
    let other = folder.file("other.json", "{\"schema\": 99}");
    let missing = folder.0.join("missing.json");
    for (path, says) in [
        (&cut, "it ends in the middle"),
        (&other, "it has schema 99, this program reads 3"),
        (&missing, "cannot be read: No such file or directory"),
    ] {
        let ended = run(gristmill(&["bench", "compare", shown(path), shown(path)]));
        let line = ended.only_line();
        assert!(line.starts_with(&format!("gristmill: {}: ", path.display())) && line.contains(says), "{line}");
        assert_eq!((ended.code, ended.out()), (2, ""));
    }
    let ended = run(gristmill(&["bench", "compare", shown(&cut)]));
    assert!(ended.code == 2 && ended.only_line().contains("<NEW>"));
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_anything_is_measured() {
    let folder = Folder::new("bench-outputs");
    let one = folder.0.join("one");
    let nowhere = folder.0.join("missing/one");
    for (args, says) in [
        (["--json", shown(&one), "--html", shown(&folder.0)], "cannot be written: is a directory"),
        (["--json", shown(&one), "--csv", shown(&nowhere)], "cannot be written: no such file or directory"),
        (["--csv", shown(&one), "--html", shown(&one)], "cannot be written: two reports would be written to it"),
    ] {
        let ended = run(gristmill(&[&["bench"], &args[..]].concat()));
        assert!(ended.only_line().contains(says), "{}", ended.only_line());
        assert_eq!((ended.code, ended.out()), (4, ""));
        assert!(!one.exists(), "what was made is taken back");
    }
}
