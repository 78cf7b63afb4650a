//! The tasks against coreutils' own commands, where they are installed, and against known lines.

use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};

use super::*;
use rand::RngExt;

fn line(task: fn(&[u8], &mut Vec<u8>) -> Result<(), String>, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let result = task(input, &mut out);
    assert!(result.is_ok() || out.is_empty(), "a failed job printed something");
    result.map(|()| out)
}

/// What `program` prints for `input`; None if it is not installed.
fn coreutils(program: &str, args: &[&[u8]], input: Vec<u8>) -> Option<Vec<u8>> {
    let args = args.iter().map(|a| std::ffi::OsString::from_vec(a.to_vec()));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

#[test]
fn factor_prints_known_lines() {
    for (input, expected) in [
        ("0", "0:\n"),
        ("1", "1:\n"),
        ("2", "2: 2\n"),
        ("+7", "7: 7\n"),
        ("0007", "7: 7\n"),
        ("+0", "0:\n"),
        ("12", "12: 2 2 3\n"),
        ("18446744073709551615", "18446744073709551615: 3 5 17 257 641 65537 6700417\n"),
        ("18446744073709551557", "18446744073709551557: 18446744073709551557\n"),
    ] {
        assert_eq!(line(factor, input.as_bytes()).unwrap(), expected.as_bytes(), "{input}");
    }
}

#[test]
fn factor_refuses_what_is_no_integer_of_64_bits() {
    for input in
        ["abc", "-1", "", "+", "++1", "1.5", "0x10", "1e3", "12\r", "18446744073709551616", "99999999999999999999", "١"]
    {
        let error = line(factor, input.as_bytes()).unwrap_err();
        let expected = format!("'{}' is not an integer from 0 to 18446744073709551615", input.replace('\r', "\\r"));
        assert_eq!(error, expected);
    }
}

#[test]
fn factor_equals_coreutils_for_numbers_of_all_sizes() {
    let mut numbers: Vec<String> = ["0", "1", "+5", "000012", "18446744073709551615"].map(String::from).into();
    let mut rng = rand::rng();
    for bits in 1..=64 {
        numbers.extend((0..60).map(|_| (rng.random::<u64>() >> (64 - bits)).to_string()));
    }
    let prime_of = |bits: u32| loop {
        let n = (rand::rng().random::<u64>() >> (64 - bits)) | 1;
        if num_prime::nt_funcs::is_prime64(n) {
            break n;
        }
    };
    for bits in 2..=32 {
        numbers.extend((0..10).map(|_| (prime_of(bits) * prime_of(bits)).to_string()));
        numbers.extend((0..10).map(|_| prime_of(2 * bits).to_string()));
        numbers.push((prime_of(bits).pow(2)).to_string());
    }
    let Some(expected) = coreutils("factor", &[], numbers.join("\n").into_bytes()) else { return };
    let mut got = Vec::new();
    numbers.iter().for_each(|n| factor(n.as_bytes(), &mut got).unwrap());
    let (got, expected) = (String::from_utf8(got).unwrap(), String::from_utf8(expected).unwrap());
    got.lines().zip(expected.lines()).for_each(|(got, expected)| assert_eq!(got, expected));
    assert_eq!(got.len(), expected.len());
}

/// A folder of this test alone, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("gristmill-tasks-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut path = self.0.as_os_str().as_bytes().to_vec();
        path.push(b'/');
        path.extend_from_slice(name);
        std::fs::write(Path::new(std::ffi::OsStr::from_bytes(&path)), content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn sha256_prints_known_lines_and_escapes_names() {
    let folder = Folder::new("known");
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let at = folder.0.to_str().unwrap();
    let path = folder.file(b"plain", b"abc");
    assert_eq!(line(sha256, &path).unwrap(), format!("{abc}  {at}/plain\n").into_bytes());
    let path = folder.file(b"a\nb\\c\rd", b"abc");
    assert_eq!(line(sha256, &path).unwrap(), format!("\\{abc}  {at}/a\\nb\\\\c\\rd\n").into_bytes());
}

#[test]
fn sha256_equals_coreutils_for_all_sizes_and_names() {
    let folder = Folder::new("coreutils");
    let names: [&[u8]; 8] = [b"plain", b" two  words ", b"back\\slash", b"new\nline", b"return\r", b"\xff\xfe", b"*star", b"-"];
    let sizes = [0, 1, 63, 64, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17];
    let content: Vec<u8> = (0..4 * BLOCK).map(|_| rand::random()).collect();
    let paths: Vec<Vec<u8>> = names.iter().zip(sizes).map(|(name, size)| folder.file(name, &content[..size])).collect();
    let args: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
    let Some(expected) = coreutils("sha256sum", &args, Vec::new()) else { return };
    let mut got = Vec::new();
    paths.iter().for_each(|path| sha256(path, &mut got).unwrap());
    assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn sha256_says_which_file_it_cannot_read_and_why() {
    assert_eq!(line(sha256, b"/no\nsuch").unwrap_err(), "cannot read /no\\nsuch: No such file or directory");
    assert_eq!(line(sha256, b"/").unwrap_err(), "cannot read /: Is a directory");
    assert_eq!(line(sha256, &[b'a'; 4096]).unwrap_err().rsplit(": ").next(), Some("File name too long"));
    assert!(line(sha256, b"a\0b").unwrap_err().starts_with("cannot read a\\u{0}b: "));
}
