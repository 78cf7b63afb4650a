//! How bytes, paths and system errors are shown in a message of one line.

use std::io;

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
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
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
    }
}
