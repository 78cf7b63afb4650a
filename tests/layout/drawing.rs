//! The drawings of the structures, 8 bytes to a line.

use super::document::{block, compare, read, section};
use super::heading;
use gristmill::layout::{ALL, Described};

/// Characters for a byte, without the bar between two fields.
const BYTE: usize = 11;

/// One line for each 8 bytes in which a field starts; a longer field says so.
fn drawing(structure: &Described) -> String {
    let rule = format!("      +{}+\n", "-".repeat(8 * BYTE + 7));
    let mut text = rule.clone();
    let mut line = String::new();
    for field in structure.fields {
        let column = field.offset % 8;
        if column == 0 {
            line = format!("{:>5} |", field.offset);
        }
        let bytes = field.size.min(8 - column);
        let label = if field.size > 8 { format!("{} ({} bytes)", field.name, field.size) } else { field.name.to_string() };
        line += &format!("{label:^width$}|", width = bytes * BYTE + bytes - 1);
        if column + bytes == 8 {
            text += &line;
            text.push('\n');
        }
    }
    text + &rule
}

#[test]
fn the_drawings_show_the_structures_as_they_are() {
    let text = read();
    compare(ALL.iter().map(|structure| {
        let title = heading(structure);
        let written = block(section(&text, &title), "text").to_string();
        (title, written, drawing(structure))
    }));
}
