//! Notes for the benchmark's card of its machine: which compiler has built this, and of which commit.

use std::path::Path;
use std::process::Command;

/// What the program is made of.
const SOURCES: [&str; 3] = ["src", "Cargo.toml", "Cargo.lock"];

fn main() {
    // Also where there is no commit: cargo takes what `cargo package` has built for what is built of the checkout in the same folder.
    ["build.rs"].iter().chain(&SOURCES).for_each(|source| println!("cargo::rerun-if-changed={source}"));
    // Without the command there is no benchmark, and nobody reads them.
    if std::env::var_os("CARGO_FEATURE_CLI").is_none() {
        return;
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    set("GRISTMILL_COMPILER", said_by(Command::new(rustc).arg("--version")));
    set("GRISTMILL_COMMIT", commit());
}

fn set(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo::rustc-env={name}={value}");
    }
}

fn said_by(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// The commit of this checkout, and whether the sources that are built are those of it. A crate out of a registry may lie in somebody else's: it has
/// none.
fn commit() -> Option<String> {
    let here = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    // To look at a checkout must not get in the way of who works in it.
    let git = |arguments: &[&str]| said_by(Command::new("git").args(["--no-optional-locks", "-C", &here]).args(arguments));
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    // Figures are of builds with optimization. Others would all be built anew for a new commit of the same sources: they keep what was so when one of
    // these changed last.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    for watched in ["HEAD", "logs/HEAD"].into_iter().filter(|_| release) {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", watched])?;
        // A path that is not there would have this run each time.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changes = git(&[&["status", "--porcelain", "--untracked-files=no", "--"], &SOURCES[..]].concat())?;
    Some(if changes.is_empty() { commit } else { format!("{commit} with changes") })
}
