//! The line of the terminal that the progress bar has.
//!
//! indicatif fills a line to the right edge of the terminal. When Ctrl-C is pressed the terminal shows `^C` at the cursor, there
//! on the next line, and the bar above can't be taken away any more. So here nothing is filled up, some columns are left free, and
//! what the terminal shows after the bar goes with it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use gristmill::sys::terminal;
use indicatif::TermLike;

/// Columns for `^C` and the cursor.
const FREE: u16 = 3;

/// Standard error as a place for a bar of one line.
#[derive(Debug, Default)]
pub struct BarLine {
    /// One write for each picture, so that none is seen half drawn.
    picture: Mutex<Vec<u8>>,
}

impl BarLine {
    fn add(&self, bytes: &[u8]) -> io::Result<()> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn step(&self, count: usize, direction: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.add(format!("\x1b[{count}{direction}").as_bytes()) }
    }
}

impl TermLike for BarLine {
    fn width(&self) -> u16 {
        terminal::columns(io::stderr().as_fd()).unwrap_or(80).saturating_sub(FREE).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.step(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.step(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.step(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.step(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.add(b"\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // What is all spaces is the filling.
        if text.trim_matches(' ').is_empty() { Ok(()) } else { self.add(text.as_bytes()) }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add(b"\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let picture = std::mem::take(&mut *self.picture.lock().unwrap_or_else(PoisonError::into_inner));
        io::stderr().write_all(&picture)
    }
}
