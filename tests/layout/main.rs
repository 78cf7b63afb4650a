//! `shm-layout.md` and the code say the same: offsets, numbers, bits, drawings, the bytes of a real region, and what a program in C
//! that was written after the document finds in a live one.
#![allow(missing_docs)] // A test has no reader but this file's.

#[path = "../common/mod.rs"]
mod common;
mod document;
mod drawing;
mod dump;
mod numbers;
mod program;
mod small;
mod ticket;

use document::{headings, name, number, section, table};
use gristmill::layout::{ALL, Described};

/// A row of a structure's table.
struct Row<'a> {
    offset: usize,
    size: usize,
    ty: &'a str,
    name: &'a str,
}

const HEAD: [&str; 8] = ["offset", "size", "type", "name", "writer", "guarded by", "ordering", "initial value"];

fn heading(structure: &Described) -> String {
    format!("{} ({} bytes)", structure.name, structure.size)
}

/// The table of a structure, as the document has it.
fn rows<'a>(text: &'a str, structure: &Described) -> Vec<Row<'a>> {
    let part = section(text, &heading(structure));
    assert_eq!(document::tables(part)[0][0], HEAD, "{}: the head of its table", structure.name);
    let row = |cells: Vec<&'a str>| {
        assert_eq!(cells.len(), HEAD.len(), "{}: {cells:?}", structure.name);
        assert!(cells.iter().all(|c| !c.is_empty()), "{}: an empty cell: {cells:?}", structure.name);
        Row { offset: number(cells[0]) as usize, size: number(cells[1]) as usize, ty: cells[2], name: name(cells[3]) }
    };
    table(part, "offset").into_iter().map(row).collect()
}

fn size_of_type(ty: &str) -> usize {
    let array = || ty.strip_prefix("[u8; ")?.strip_suffix(']')?.parse().ok();
    let structure = || ALL.iter().find(|s| s.name == ty).map(|s| s.size);
    match ty {
        "u8" => 1,
        "u16" => 2,
        "u32" => 4,
        "u64" => 8,
        _ => array().or_else(structure).unwrap_or_else(|| panic!("{ty:?} is no type of the layout")),
    }
}

#[test]
fn every_structure_is_described_and_nothing_else_is() {
    let text = document::read();
    let described = headings(section(&text, "Structures"), 3);
    let coded: Vec<String> = ALL.iter().map(heading).collect();
    assert_eq!(described, coded, "the headings under \"Structures\" and layout::ALL");
}

#[test]
fn every_field_stands_where_its_row_says() {
    let text = document::read();
    for structure in ALL {
        let described: Vec<_> = rows(&text, structure).iter().map(|r| (r.offset, r.size, r.name.to_string())).collect();
        let coded: Vec<_> = structure.fields.iter().map(|f| (f.offset, f.size, f.name.to_string())).collect();
        for row in &described {
            assert!(coded.contains(row), "{}: the document has {row:?}, the code has not: {coded:?}", structure.name);
        }
        for field in &coded {
            assert!(described.contains(field), "{}: the code has {field:?}, the document has not", structure.name);
        }
        assert_eq!(described, coded, "{}: the order of the rows", structure.name);
    }
}

#[test]
fn every_type_has_the_size_of_its_field() {
    let text = document::read();
    for structure in ALL {
        for row in rows(&text, structure) {
            assert_eq!(size_of_type(row.ty), row.size, "{}.{} is {}", structure.name, row.name, row.ty);
            let alignment = if row.ty.starts_with('[') { 1 } else { row.size.min(8) };
            let nested = ALL.iter().any(|s| s.name == row.ty);
            assert_eq!(row.offset % if nested { 4 } else { alignment }, 0, "{}.{}", structure.name, row.name);
        }
    }
}

#[test]
fn links_inside_the_document_lead_somewhere() {
    let text = document::read();
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    let known: Vec<String> = (1..=3).flat_map(|depth| headings(&text, depth)).map(anchor).collect();
    let links: Vec<&str> = text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 15, "{links:?}");
    for link in links {
        assert!(known.iter().any(|k| k == link), "#{link} leads nowhere; there are {known:?}");
    }
}
