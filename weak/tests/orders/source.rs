//! Every access in the engine's source that is stronger than relaxed, found by reading it: so that one which no scenario makes is not forgotten.

use crate::machine::Site;
use std::path::{Path, PathBuf};

const ORDERS: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

const ACCESSES: [&str; 4] = ["load", "store", "swap", "compare_exchange"];

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file, comments blanked, without its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let blank = |line: &str| match line.find("//") {
        Some(at) => line[..at].to_string(),
        None => line.to_string(),
    };
    text.lines().map(blank).collect::<Vec<_>>().join("\n")
}

/// Where the name of the method begins in whose arguments position `at` lies.
fn method(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    let open = code[..at].char_indices().rev().find(|&(_, c)| {
        depth += i32::from(c == ')') - i32::from(c == '(');
        depth < 0
    })?;
    let name = code[..open.0].rfind(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    let called = &code[name..open.0];
    (ACCESSES.iter().any(|access| called.starts_with(access)) || called.starts_with("fetch_")).then_some(name)
}

fn line_and_column(code: &str, at: usize) -> (u32, u32) {
    let line = code[..at].matches('\n').count() + 1;
    let start = code[..at].rfind('\n').map_or(0, |end| end + 1);
    (line as u32, (code[start..at].chars().count() + 1) as u32)
}

/// All of them in these folders of `src`.
pub fn all(folders: &[&str]) -> Vec<Site> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut paths = vec![];
    folders.iter().for_each(|folder| files(&root.join("src").join(folder), &mut paths));
    let mut sites = vec![];
    for path in paths {
        let text = code(&std::fs::read_to_string(&path).expect("the source"));
        let name: &'static str = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned().leak();
        let words = text.match_indices(char::is_alphabetic).map(|(at, _)| at);
        let starts = words.filter(|&at| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let orders = starts.filter(|&at| ORDERS.iter().any(|order| text[at..].starts_with(order)));
        let mut found: Vec<Site> = orders
            .filter_map(|at| method(&text, at))
            .map(|at| line_and_column(&text, at))
            .map(|(line, column)| (name, line, column))
            .collect();
        found.dedup();
        sites.append(&mut found);
    }
    sites
}
