//! The Python that is here, if there is one.

use std::process::Command;
use std::sync::OnceLock;

/// The interpreter that `python3` is or leads to: a version manager's script in front of it would count as Python's start. `None` without one.
pub fn interpreter() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !path.is_empty()).then_some(path)
    };
    FOUND.get_or_init(look).as_deref()
}
