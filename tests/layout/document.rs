//! `shm-layout.md` as a test reads it: sections, tables, blocks.

use std::path::Path;

/// The document's text.
pub fn read() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shm-layout.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn level(line: &str) -> usize {
    line.bytes().take_while(|&b| b == b'#').count()
}

/// What stands under a heading, up to the next one that is not below it.
pub fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let mut inside = None;
    let mut fenced = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        let depth = if fenced { 0 } else { level(line) };
        match inside {
            None if depth > 0 && line[depth..].trim() == heading => inside = Some((depth, at + line.len())),
            Some((own, start)) if (1..=own).contains(&depth) => return &text[start..at],
            _ => {}
        }
        at += line.len();
    }
    let (_, start) = inside.unwrap_or_else(|| panic!("shm-layout.md has no section {heading:?}"));
    &text[start..]
}

/// The headings of the level below a section's, in order.
pub fn headings(section: &str, depth: usize) -> Vec<&str> {
    let mut fenced = false;
    let wanted = section.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && level(line) == depth
    });
    wanted.map(|line| line[depth..].trim()).collect()
}

/// The first fenced block of a language in a section.
pub fn block<'a>(section: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let start = section.find(&fence).unwrap_or_else(|| panic!("no block of {language}")) + fence.len();
    let length = section[start..].find("```").expect("a fence that is not closed");
    &section[start..start + length]
}

/// The tables of a section: their rows, of which the first is the head; each a list of cells.
pub fn tables(section: &str) -> Vec<Vec<Vec<&str>>> {
    let mut tables = vec![];
    let mut rows: Vec<Vec<&str>> = vec![];
    for line in section.lines().chain([""]) {
        match line.strip_prefix('|').and_then(|l| l.trim_end().strip_suffix('|')) {
            Some(cells) => {
                let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
                if !cells.iter().all(|c| c.starts_with("---")) {
                    rows.push(cells);
                }
            }
            None if !rows.is_empty() => tables.push(std::mem::take(&mut rows)),
            None => {}
        }
    }
    tables
}

/// The table whose first column has this head, without its head.
pub fn table<'a>(section: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let found = tables(section).into_iter().find(|t| t[0][0] == first);
    found.unwrap_or_else(|| panic!("no table with a first column {first:?}")).split_off(1)
}

/// A name without the marks of code.
pub fn name(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|c| c.strip_suffix('`')).unwrap_or_else(|| panic!("{cell:?} is not marked as code"))
}

/// A number, decimal or hexadecimal.
pub fn number(cell: &str) -> u64 {
    let plain = cell.trim_matches('`');
    let value = match plain.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => plain.parse(),
    };
    value.unwrap_or_else(|e| panic!("{cell:?} is no number: {e}"))
}

/// Whether blocks of the document, each with its name, are what the code says they should be; if not, shows what to paste.
pub fn compare(blocks: impl IntoIterator<Item = (String, String, String)>) {
    let wrong = blocks.into_iter().filter(|(_, written, generated)| written != generated);
    let paste: Vec<String> = wrong.map(|(what, _, generated)| format!("{what}:\n\n{generated}")).collect();
    assert!(paste.is_empty(), "shm-layout.md differs from the code; paste over the block of\n\n{}", paste.join("\n"));
}
