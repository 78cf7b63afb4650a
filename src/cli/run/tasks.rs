//! The tasks of `gristmill run`: plain functions from the bytes of a job to the bytes to print. They run in the workers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ValueEnum;
use sha2::{Digest, Sha256};

use super::factor::prime_factors;
use super::input::Split;
use crate::cli::text::{shown, shown_short, why};

/// What each job is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Prime factors of integers from 0 to 2^64-1, printed as coreutils' `factor` prints them
    Factor,
    /// Checksum of the file that each line names, printed as `sha256sum` prints it
    Sha256,
}

impl Task {
    /// How the input is cut into jobs.
    pub fn split(self) -> Split {
        match self {
            Task::Factor => Split::Words,
            Task::Sha256 => Split::Lines,
        }
    }
}

/// Appends the line that coreutils' `factor` prints for the decimal integer `input`: `12: 2 2 3` and a newline.
///
/// One `+` and zeros may stand before the digits, as there.
///
/// # Errors
///
/// A message that shows `input`, if it is not an integer from 0 to 2^64-1. Nothing is appended then.
pub fn factor(input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let Some(n) = decimal(input) else {
        return Err(format!("'{}' is not an integer from 0 to {}", shown_short(input), u64::MAX));
    };
    // A number below 2^64 has at most 63 prime factors.
    let mut factors = Vec::with_capacity(64);
    prime_factors(n, &mut factors);
    push_number(out, n);
    out.push(b':');
    for factor in factors {
        out.push(b' ');
        push_number(out, factor);
    }
    out.push(b'\n');
    Ok(())
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &c| {
        let digit = if c.is_ascii_digit() { c - b'0' } else { return None };
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn push_number(out: &mut Vec<u8>, n: u64) {
    write!(out, "{n}").expect("a vector takes every write");
}

/// As much of a file is read at once.
const BLOCK: usize = 64 << 10;

/// Appends the line that GNU `sha256sum` prints for the file named `path`, and a newline. A name with a backslash, a
/// newline or a carriage return is escaped and its line starts with a backslash. `-` is a file of that name.
///
/// The file is read in blocks of 64 KiB, so its size does not matter.
///
/// # Errors
///
/// A message with the path and the system's reason, if it cannot be read. Nothing is appended then.
pub fn sha256(path: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let digest = digest_of(path).map_err(|error| format!("cannot read {}: {}", shown(path), why(&error)))?;
    let escaped = path.iter().any(|c| b"\\\n\r".contains(c));
    if escaped {
        out.push(b'\\');
    }
    for byte in digest {
        write!(out, "{byte:02x}").expect("a vector takes every write");
    }
    out.extend_from_slice(b"  ");
    for &c in path {
        match c {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            c => out.push(c),
        }
    }
    out.push(b'\n');
    Ok(())
}

fn digest_of(path: &[u8]) -> io::Result<[u8; 32]> {
    let mut file = File::open(Path::new(std::ffi::OsStr::from_bytes(path)))?;
    let mut hash = Sha256::new();
    let mut block = [0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(n) => hash.update(&block[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
