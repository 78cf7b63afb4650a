//! Byte for byte what coreutils print.

use super::run::{Folder, assert_same, gristmill, run_with};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const BLOCK: usize = 64 << 10;

/// Checksums of names and contents of every kind, and of what cannot be read: the output is that of `sha256sum` with the same
/// names as arguments, and what it says of the others is said with their place.
#[test]
fn sha256_prints_what_sha256sum_prints_for_every_name_and_content() {
    let folder = Folder::new("sha256");
    let content: Vec<u8> = (0..80 * BLOCK).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
    let names: [(&[u8], usize); 10] = [
        (b"empty", 0),
        (b"plain", 3),
        (b" spaces  within and around ", 55),
        (b"back\\slash\\n", 56),
        (b"carriage\rreturn", 64),
        (b"tab\tand \x1b[1m", 65),
        (b"\xff not \xc3\x28 UTF-8 \x80", BLOCK),
        ("gr\u{fc}n \u{1f33e}".as_bytes(), BLOCK + 1),
        (b"--help", 1000),
        (b"large", content.len()),
    ];
    let mut paths: Vec<Vec<u8>> = vec![];
    for (name, size) in names {
        paths.push(folder.file(OsStr::from_bytes(name), &content[..size]).as_os_str().as_bytes().to_vec());
    }
    let at = |name: &str| folder.0.join(name).as_os_str().as_bytes().to_vec();
    let readable = paths.len();
    fs::create_dir(folder.0.join("folder")).unwrap();
    paths.insert(1, at("missing"));
    paths.insert(4, at("folder"));
    paths.insert(7, b"/proc/self/mem".to_vec());
    let mut bad = vec![(2, at("missing"), "No such file or directory"), (5, at("folder"), "Is a directory")];
    bad.push((8, b"/proc/self/mem".to_vec(), "Input/output error"));
    // SAFETY: the call has no arguments and can't fail.
    if unsafe { libc::geteuid() } != 0 {
        // Nothing is unreadable to root.
        let path = folder.file("secret", "x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        paths.push(at("secret"));
        bad.push((paths.len(), at("secret"), "Permission denied"));
    }
    // Paths relative to the folder work too: a worker is where the command is.
    paths.extend([b"plain".to_vec(), b"./plain".to_vec(), b"--help".to_vec()]);

    let mut theirs = Command::new("sha256sum");
    theirs.current_dir(&folder.0).arg("--").args(paths.iter().map(|path| OsStr::from_bytes(path)));
    let theirs = theirs.output().unwrap();
    assert_eq!(theirs.stdout.iter().filter(|&&c| c == b'\n').count(), readable + 3, "the reference itself is wrong");

    for order in [&[][..], &["--unordered"]] {
        let mut ours = gristmill(&[&["run", "sha256", "-j", "2"], order].concat());
        ours.current_dir(&folder.0);
        let ours = run_with(ours, paths.join(&b'\n'));
        assert_eq!(ours.code, 1);
        let (mut got, mut expected) = (ours.out.clone(), theirs.stdout.clone());
        let mut told: Vec<String> = bad
            .iter()
            .map(|(line, path, why)| format!("gristmill: stdin:{line}: cannot read {}: {why}", str::from_utf8(path).unwrap()))
            .collect();
        let mut err: Vec<&str> = ours.err.lines().collect();
        let summary = err.pop().unwrap();
        assert!(summary.starts_with(&format!("gristmill: {} jobs in ", paths.len())), "{summary}");
        assert!(summary.ends_with(&format!("; {} failed", bad.len())), "{summary}");
        if !order.is_empty() {
            let sorted = |bytes: &[u8]| {
                let mut lines: Vec<&[u8]> = bytes.split(|&c| c == b'\n').collect();
                lines.sort_unstable();
                lines.join(&b'\n')
            };
            (got, expected) = (sorted(&got), sorted(&expected));
            err.sort_unstable();
            told.sort_unstable();
        }
        assert_same(&got, &expected);
        assert_eq!(err, told);
    }
}

/// Such files say that they are empty: `/proc` is full of them.
#[test]
fn sha256_of_files_without_a_size_is_of_what_they_give() {
    let ours = run_with(gristmill(&["run", "sha256"]), "/proc/version\n/proc/version");
    let theirs = Command::new("sha256sum").args(["/proc/version", "/proc/version"]).output().unwrap();
    assert_same(&ours.out, &theirs.stdout);
    assert_eq!(ours.code, 0);
}

#[test]
fn an_empty_input_is_no_job_and_no_fault() {
    for input in ["", "\n", "\n\n  \n\t\n"] {
        let ended = run_with(gristmill(&["run", "factor"]), input);
        assert_eq!((ended.code, ended.out()), (0, ""));
        assert!(ended.only_line().starts_with("gristmill: 0 jobs in "), "{}", ended.err);
    }
}
