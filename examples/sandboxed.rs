//! Workers that parse what strangers send: hardened, and unable to open any file for writing, whatever a job is talked into.
//!
//! The restriction is the initializer's: it runs in each worker before its first job, and holds for the worker's life. Here it is Linux' landlock; a
//! seccomp filter is installed at the same place.
//!
//! `cargo run --release --example sandboxed`

use gristmill::{ProcessPool, tasks};
use std::io;

/// Every way to change a file system that the first version of landlock knows: write, remove and make files and folders.
const CHANGES: u64 = 0x1FFE & !0b1100;

/// From now on this process cannot change any file system, nor can its children.
fn read_only(_: ()) -> Result<(), String> {
    let call = |what: &str, result: libc::c_long| match result {
        -1 => Err(format!("{what}: {}", io::Error::last_os_error())),
        fd => Ok(fd),
    };
    // SAFETY: the attribute is one 64-bit number, of which the size given is right; it lives through the call.
    let ruleset = call("landlock_create_ruleset", unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &CHANGES, size_of::<u64>(), 0)
    })?;
    // SAFETY: the call touches no memory. That workers gain no privileges, which it demands, is `hardened()`'s doing.
    call("landlock_restrict_self", unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) })?;
    // SAFETY: ours, and used no more.
    unsafe { libc::close(ruleset as i32) };
    Ok(())
}

/// A parser with a hole: some inputs make it write where it should not.
fn parse(_: &mut (), input: String) -> Result<usize, String> {
    if let Some(path) = input.strip_prefix("overwrite ") {
        std::fs::write(path, "pwned").map_err(|e| e.to_string())?;
    }
    Ok(input.len())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![parse; initializers: read_only]);

    // SAFETY: asks for the version; touches no memory.
    if unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) } < 1 {
        println!("this kernel has no landlock: {}", io::Error::last_os_error());
        return Ok(());
    }
    let target = std::env::temp_dir().join(format!("gristmill-sandboxed-{}", std::process::id()));
    let attack = format!("overwrite {}", target.display());

    let pool = ProcessPool::builder().workers(2).hardened().initializer(read_only, ()).build_fallible(parse)?;
    assert_eq!(pool.submit("a harmless one".into())?.result()?, 14);
    let error = pool.submit(attack)?.result().unwrap_err();
    println!("{error}");
    assert!(!target.exists(), "the file was written after all");
    Ok(())
}
