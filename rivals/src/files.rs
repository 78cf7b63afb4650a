//! Files that iceoryx2 makes: its regions have names, and stay behind when a process is killed.

use iceoryx2::prelude::*;
use std::fs;
use std::path::PathBuf;

/// What their names begin with; the number of the process that they belong to follows.
const PREFIX: &str = "gristmill_rivals_";

/// A node whose files belong to process `owner`, apart from those of any other.
///
/// # Errors
/// If the system refuses.
pub fn node(owner: u32) -> gristmill::bench::contender::Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let root = std::env::temp_dir().join(format!("{PREFIX}{owner}"));
    let root = root.to_str().ok_or("the folder for temporary files has a name that is no text")?;
    config.global.set_root_path(&Path::new(root.as_bytes())?);
    config.global.prefix = FileName::new(format!("{PREFIX}{owner}_").as_bytes())?;
    // Signals are the business of who runs this.
    let mode = SignalHandlingMode::Disabled;
    Ok(NodeBuilder::new().signal_handling_mode(mode).config(&config).create::<ipc::Service>()?)
}

/// Removes what belongs to this process, or to one that is no more.
pub fn sweep() {
    for folder in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            let Some(pid) = rest.split('_').next().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
            if pid == std::process::id() || !PathBuf::from(format!("/proc/{pid}")).exists() {
                let _ = if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            }
        }
    }
}
