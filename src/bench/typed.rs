//! What was typed, and the signals that ask to stop: the same for every program that runs the benchmark.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The signal that has asked to stop, if one has.
#[derive(Clone)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Listens from now on, without a thread: turns are forked from this process.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen() -> io::Result<Stop> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
        }
        Ok(Stop(signal))
    }

    /// Its number.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Relaxed) as i32).filter(|&number| number != 0)
    }
}

/// The command that repeats this one: how the program is called, and its arguments as a shell takes them.
pub fn command(program: &str) -> String {
    [program.to_owned()].into_iter().chain(std::env::args_os().skip(1).map(quoted)).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: OsString) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,/".contains(c);
    let argument = match argument.into_string() {
        Ok(argument) => argument,
        // Reports are text: what is none is written as the shells have it that know more than POSIX asks for.
        Err(bytes) => {
            let byte = |&b: &u8| if plain(b.into()) { char::from(b).into() } else { format!("\\x{b:02x}") };
            return format!("$'{}'", bytes.into_vec().iter().map(byte).collect::<String>());
        }
    };
    match argument.chars().all(plain) && !argument.is_empty() {
        true => argument,
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_an_argument_as_it_was() {
        assert_eq!(quoted("--json=a/b.json".into()), "--json=a/b.json");
        assert_eq!(quoted("it's".into()), "'it'\\''s'");
        assert_eq!(quoted("".into()), "''");
        assert_eq!(quoted(OsString::from_vec(b"a'\xffb".into())), "$'a\\x27\\xffb'");
    }
}
