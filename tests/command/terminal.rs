//! What is seen in a terminal.

use super::deaths::Endless;
use super::run::{Folder, LIMIT, gristmill, lines, signal, start_to};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Both ends of a new terminal of so many columns.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the numbers are valid to write to, the size to read; name and settings are not asked for.
    let r = unsafe { libc::openpty(&mut master, &mut slave, std::ptr::null_mut(), std::ptr::null(), &size) };
    assert_eq!(r, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both descriptors are new and belong to nobody else.
    unsafe {
        libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(slave, libc::F_SETFD, libc::FD_CLOEXEC);
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// What the terminal is given, as it comes. It ends when nobody has the terminal open any more.
struct Screen(Receiver<Vec<u8>>, String);

impl Screen {
    fn of(mut master: File) -> Screen {
        let (parts, screen) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = master.read(&mut part) {
                let _ = parts.send(part[..n].to_vec());
            }
        });
        Screen(screen, String::new())
    }

    fn until(&mut self, wanted: &str) {
        self.until_one_of(&[wanted]);
    }

    fn until_one_of(&mut self, wanted: &[&str]) {
        let start = Instant::now();
        while !wanted.iter().any(|wanted| self.1.contains(wanted)) {
            let part = self.0.recv_timeout(LIMIT.saturating_sub(start.elapsed()));
            let part = part.unwrap_or_else(|_| panic!("no {wanted:?} on the terminal: {:?}", self.1));
            self.1 += &String::from_utf8_lossy(&part);
        }
    }

    fn all(mut self) -> String {
        self.0.iter().for_each(|part| self.1 += &String::from_utf8_lossy(&part));
        self.1
    }
}

/// The lines that are left when all was written: a carriage return goes back to the start, and `ESC [ 2 K` clears the line. The
/// bar has one line, so nothing else moves the cursor.
fn left(screen: &str, columns: usize) -> Vec<String> {
    let mut left = vec![];
    for line in screen.split('\n') {
        let last = line.rsplit("\x1b[2K").next().unwrap();
        assert!(!last.contains('\x1b'), "another movement: {last:?}");
        let last = last.trim_end_matches('\r').rsplit('\r').next().unwrap();
        let pictures = line.split("\r\x1b[2K").filter(|picture| !picture.starts_with("gristmill: "));
        assert!(!pictures.clone().any(|picture| picture.ends_with(' ')), "filled up: {line:?}");
        assert!(pictures.clone().all(|picture| picture.chars().count() + 3 <= columns), "with ^C this wraps: {line:?}");
        left.push(last.to_owned());
    }
    left
}

/// A bar moves while numbers are factored; what is wrong with one is said above it; at the end the bar is gone and the summary
/// stands there.
#[test]
fn a_bar_is_shown_while_jobs_run_and_is_gone_at_the_end() {
    for columns in [100, 30] {
        let (master, slave) = terminal(columns);
        let mut screen = Screen::of(master);
        let mut command = gristmill(&["run", "factor"]);
        command.stdin(Stdio::piped());
        let mut run = start_to(command, None, Some(slave.into()));
        let mut stdin = run.stdin();
        stdin.write_all(&lines(0..3000)).unwrap();
        screen.until("3,000 jobs");
        stdin.write_all(b"abc\n").unwrap();
        screen.until("3,001 jobs");
        drop(stdin);
        let ended = run.end();
        let screen = screen.all();
        let left = left(&screen, columns.into());
        assert_eq!(left[0], "gristmill: stdin:3001: 'abc' is not an integer from 0 to 18446744073709551615");
        assert!(left[1].starts_with("gristmill: 3,001 jobs in ") && left[1].ends_with("; 1 failed"), "{left:?}");
        assert_eq!((&left[2..], ended.code), (&[String::new()][..], 1));
    }
}

/// With the length of the input known, there is a share and the time that is left: of what is done, not of what has been read,
/// which is far ahead of the long job in the middle.
#[test]
fn the_bar_of_a_file_shows_the_share_that_is_done() {
    let endless = Endless::new("share");
    let folder = Folder::new("share-list");
    let others = format!("{}\n", endless.other()).repeat(3000);
    let list = folder.file("list", format!("{others}{}\n{others}", endless.path()));
    let (master, slave) = terminal(100);
    let mut screen = Screen::of(master);
    let run = start_to(gristmill(&["run", "sha256", "-j", "1", list.to_str().unwrap()]), None, Some(slave.into()));
    run.wait_for("worker at the job", |run| endless.worker(run));
    screen.until_one_of(&[" 49%  3,000 jobs, ", " 50%  3,000 jobs, "]);
    screen.until(" left");
    assert!(screen.1.contains("[==========>         ]") || screen.1.contains("[=========>          ]"), "{:?}", screen.1);
    (&endless.pipe).write_all(b"abc").unwrap();
    drop(endless.pipe);
    let ended = run.end();
    assert_eq!((ended.code, ended.out().lines().count()), (0, 6001));
    let left = left(&screen.all(), 100);
    assert!(left[0].starts_with("gristmill: 6,001 jobs in "), "{left:?}");
    assert_eq!(left[1..], [""]);
}

/// Ctrl-C in the terminal, which shows `^C` where the cursor is. While the job under way is waited for the terminal says so, and
/// what to do; after the second one the shell's prompt finds an empty line.
#[test]
fn after_ctrl_c_the_terminal_says_what_is_waited_for_and_how_to_stop_at_once() {
    let endless = Endless::new("terminal");
    for shown in [false, true] {
        let (master, slave) = terminal(100);
        let mut keyboard = master.try_clone().unwrap();
        let mut screen = Screen::of(master);
        let mut command = gristmill(&["run", "sha256"]);
        command.stdin(Stdio::piped()).process_group(0);
        // With results in the terminal there is no bar.
        let stdout = shown.then(|| Stdio::from(slave.try_clone().unwrap()));
        let mut run = start_to(command, stdout, Some(slave.into()));
        let mut stdin = run.stdin();
        writeln!(stdin, "{}", endless.path()).unwrap();
        run.wait_for("worker at the job", |run| endless.worker(run));
        if !shown {
            screen.until("0 jobs, 0/s");
        }
        // This terminal is not the controlling one of the run, so the signal comes from here and its echo from the keyboard.
        keyboard.write_all(b"\x03").unwrap();
        screen.until("^C");
        assert!(signal(-(run.pid() as i32), libc::SIGINT));
        screen.until("finishing 1 job; Ctrl-C again stops at once");
        // Faster than any hand it would be taken for an echo of the first.
        std::thread::sleep(Duration::from_millis(200));
        assert!(signal(-(run.pid() as i32), libc::SIGINT));
        let ended = run.end();
        assert_eq!(ended.code, 130);
        drop(keyboard);
        let screen = screen.all();
        if shown {
            assert_eq!(screen, "^Cgristmill: finishing 1 job; Ctrl-C again stops at once\r\n");
        } else {
            assert!(screen.ends_with("\r\x1b[K"), "{screen:?}");
            assert!(!screen.contains('\n'), "{screen:?}");
        }
        drop(stdin);
    }
}
