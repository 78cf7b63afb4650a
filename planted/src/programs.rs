//! The test programs with the switch on: built once, run with one bug or with none.

use crate::cases::{PROGRAMS, Test};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The programs by name, and a directory for what they say.
pub struct Programs {
    root: &'static Path,
    target: PathBuf,
    by_name: BTreeMap<&'static str, PathBuf>,
}

/// How a test ended.
pub enum Ended {
    Passed,
    /// What went wrong, in its own words.
    Failed(String),
    /// It had to be ended; what it had said by then of what went wrong.
    Hung(String),
}

impl Programs {
    /// Builds them, in a target directory of their own: nothing else is built with the switch.
    ///
    /// # Errors
    /// A line that says what did not go.
    pub fn build() -> Result<Programs, String> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("planted");
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(root).args([
            "test",
            "--release",
            "--locked",
            "--no-run",
            "--no-default-features",
            "--features",
            "named",
        ]);
        PROGRAMS.iter().for_each(|name| {
            cargo.args(["--test", name]);
        });
        cargo.env("RUSTFLAGS", format!("{flags} --cfg gristmill_planted")).env("CARGO_TARGET_DIR", &target);
        let mut built =
            cargo.env("CARGO_TERM_COLOR", "never").stderr(Stdio::piped()).spawn().map_err(|e| format!("cargo: {e}"))?;
        let mut by_name = BTreeMap::new();
        for line in BufReader::new(built.stderr.take().expect("piped")).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let executable = |name: &&str| line.contains(&format!("Executable tests/{name}/main.rs ("));
            if let Some(name) = PROGRAMS.into_iter().find(|name| executable(name))
                && let Some((_, path)) = line.split_once('(')
            {
                by_name.insert(name, root.join(path.trim_end_matches(')')));
            }
        }
        let ended = built.wait().map_err(|e| format!("cargo: {e}"))?;
        if !ended.success() || by_name.len() != PROGRAMS.len() {
            return Err(format!("cargo ended with {ended} and has built {:?}", by_name.keys()));
        }
        Ok(Programs { root, target, by_name })
    }

    /// Runs one test, with a bug of this name or with none, and ends it if it takes longer than `bound`.
    ///
    /// # Errors
    /// A line that says what did not go: it could not be run at all.
    pub fn run(&self, (program, test): Test, bug: Option<&str>, bound: Duration) -> Result<(Ended, Duration), String> {
        let said = self.target.join(format!("said-{}-{}", bug.unwrap_or("none"), test.replace("::", "-")));
        let to = fs::File::create(&said).map_err(|e| format!("{}: {e}", said.display()))?;
        let again = to.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(&self.by_name[program]);
        command.current_dir(self.root).args([test, "--exact", "--nocapture"]).stdin(Stdio::null()).stdout(to).stderr(again);
        // The same random choices each time, unless others are asked for, and as many kills as show what is wrong with them.
        for (variable, value) in [("GRISTMILL_SEED", "777040"), ("GRISTMILL_KILLS", "3000")] {
            if std::env::var_os(variable).is_none() {
                command.env(variable, value);
            }
        }
        match bug {
            Some(name) => command.env("GRISTMILL_PLANTED", name),
            None => command.env_remove("GRISTMILL_PLANTED"),
        };
        let begin = Instant::now();
        let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                break Some(status);
            }
            if begin.elapsed() > bound {
                // What it has started goes with it.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let took = begin.elapsed();
        let text = String::from_utf8_lossy(&fs::read(&said).map_err(|e| e.to_string())?).into_owned();
        if !text.contains("running 1 test") || text.contains("no such bug") {
            return Err(format!("{program} has no test {test}, or was not built with the switch; it said: {text}"));
        }
        let ended = match status {
            Some(status) if status.success() => Ended::Passed,
            Some(_) => Ended::Failed(wrong(&text)),
            None => Ended::Hung(wrong(&text)),
        };
        Ok((ended, took))
    }
}

/// The first thing that went wrong, in a line.
fn wrong(text: &str) -> String {
    let mut lines = text.lines();
    let panic = lines.by_ref().any(|line| line.contains("panicked at"));
    let said: Vec<&str> = if panic {
        let more = |line: &&str| line.trim_start().starts_with("left:") || line.trim_start().starts_with("right:");
        lines.by_ref().take(1).chain(text.lines().skip_while(|l| !l.contains("panicked at")).skip(2).take_while(more)).collect()
    } else {
        text.lines().filter(|line| line.contains("hangs") || line.contains("hung")).take(1).collect()
    };
    let said = said.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(" ");
    said.chars().take(140).collect()
}
