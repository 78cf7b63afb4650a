//! How bytes, paths and system errors are shown in a message of one line.

use std::io::{self, Write};

/// Says it on standard error. Nothing can be done if nobody reads that: `eprintln` would panic.
pub fn say(message: &str) {
    let _ = writeln!(io::stderr(), "gristmill: {message}");
}

/// The bytes as text for a message of one line: control characters and bytes that are not UTF-8 are escaped.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_one_line(&mut text, chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

/// Like [`shown`], cut after 40 characters, so that one absurd token does not fill the screen.
pub fn shown_short(bytes: &[u8]) -> String {
    let text = shown(bytes);
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn push_one_line(text: &mut String, valid: &str) {
    for c in valid.chars() {
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
}

/// The system's reason without the number that Rust adds: `No such file or directory`.
pub fn why(error: &io::Error) -> String {
    plain(&error.to_string())
}

/// The text without the numbers that Rust adds to the system's reasons.
pub fn plain(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once(')').map_or(part, |(_number, rest)| rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_bytes_are_the_message_stays_one_line() {
        assert_eq!(shown("né \\ 7".as_bytes()), "né \\ 7");
        assert_eq!(shown(b"a\nb\r\x1b[1m\xff"), "a\\nb\\r\\u{1b}[1m\\xff");
    }

    #[test]
    fn long_tokens_are_cut_between_characters() {
        assert_eq!(shown_short("é".repeat(41).as_bytes()), format!("{}…", "é".repeat(40)));
        assert_eq!(shown_short(b"123"), "123");
    }

    #[test]
    fn reasons_have_no_error_number() {
        assert_eq!(why(&io::Error::from_raw_os_error(libc::ENOSPC)), "No space left on device");
        assert_eq!(why(&io::Error::other("own words")), "own words");
        assert_eq!(plain("cannot: Busy (os error 16); wait (or not)"), "cannot: Busy; wait (or not)");
    }
}
