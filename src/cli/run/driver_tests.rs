//! The driver over a fake engine, which runs jobs in this process and gives outcomes in a random order.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::PipeReader;
use std::os::fd::OwnedFd;

use super::engine::EngineStats;
use super::tasks::{Task, factor};
use super::*;
use rand::RngExt;

/// Ends the test program if what holds this takes a minute: a driver that hangs.
fn watchdog() -> std::sync::mpsc::Sender<()> {
    use std::sync::mpsc::RecvTimeoutError::Timeout;
    let (alive, watched) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if watched.recv_timeout(Duration::from_secs(60)) == Err(Timeout) {
            eprintln!("the driver hangs");
            std::process::abort();
        }
    });
    alive
}

/// Holds at most `room` jobs; `collect` hands out some of them, in any order.
struct Fake {
    room: usize,
    jobs: Vec<(u64, Vec<u8>)>,
    unflushed: usize,
    submitted: u64,
    /// Raise this signal when so many jobs have been submitted.
    signal: Option<(u64, Interrupt)>,
    broken_after: Option<u64>,
}

impl Fake {
    fn new(room: usize) -> Fake {
        Fake { room, jobs: Vec::new(), unflushed: 0, submitted: 0, signal: None, broken_after: None }
    }
}

impl Engine for Fake {
    fn submit(&mut self, id: u64, task_input: &[u8]) -> Result<bool, Failure> {
        if self.jobs.len() == self.room {
            return Ok(false);
        }
        self.jobs.push((id, task_input.to_vec()));
        self.unflushed += 1;
        self.submitted += 1;
        if let Some((when, interrupt)) = &self.signal
            && *when == self.submitted
        {
            interrupt.pretend(signal_hook::consts::SIGINT);
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.unflushed = 0;
        Ok(())
    }

    fn collect(&mut self, wait: Duration, each: &mut dyn FnMut(u64, Outcome<'_>)) -> Result<usize, Failure> {
        assert_eq!(self.unflushed, 0, "collected before the workers could see the jobs");
        assert!(wait <= TICK);
        if self.broken_after.is_some_and(|jobs| self.submitted >= jobs) {
            return Err("no worker can live".into());
        }
        let some = rand::rng().random_range(0..=self.jobs.len());
        for _ in 0..some {
            let (id, job) = self.jobs.swap_remove(rand::rng().random_range(0..self.jobs.len()));
            let mut out = Vec::new();
            match &job[..] {
                b"killer" => each(id, Outcome::Died { how: "signal 9 (SIGKILL)".to_owned(), attempts: 4 }),
                job => match factor(job, &mut out) {
                    Ok(()) => each(id, Outcome::Value(&out)),
                    Err(error) => each(id, Outcome::Failed(error)),
                },
            }
        }
        Ok(some)
    }

    fn pending(&self) -> usize {
        self.jobs.len()
    }

    fn finish(self) -> Result<EngineStats, Failure> {
        Ok(EngineStats::default())
    }
}

/// An input file of this test alone, removed at the end.
struct Source(PathBuf);

impl Source {
    fn new(content: &str) -> Source {
        let path = std::env::temp_dir().join(format!("gristmill-drive-{}-{}", std::process::id(), rand::random::<u64>()));
        std::fs::write(&path, content).unwrap();
        Source(path)
    }

    fn open(&self) -> Input {
        Input::open(vec![self.0.clone()], Task::Factor.split()).unwrap()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Driven {
    end: Result<End, String>,
    written: String,
    told: Vec<String>,
    done: u64,
    failed: u64,
    left: usize,
}

fn driven(fake: &mut Fake, mut input: Input, names: &[&str], interrupt: &Interrupt, unordered: bool) -> Driven {
    let _watchdog = watchdog();
    let told = RefCell::new(Vec::new());
    let mut written = Vec::new();
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let mut output = Output::new(&mut written, |line: &str| told.borrow_mut().push(line.to_owned()), names, unordered).unwrap();
    let end = drive(fake, &mut input, &mut output, interrupt, &Progress::hidden()).map_err(|error| error.to_string());
    let (done, failed) = (output.done, output.failed);
    drop(output);
    Driven { end, written: String::from_utf8(written).unwrap(), told: told.into_inner(), done, failed, left: fake.pending() }
}

fn expected(numbers: impl Iterator<Item = u64>) -> String {
    let mut out = Vec::new();
    numbers.for_each(|n| factor(n.to_string().as_bytes(), &mut out).unwrap());
    String::from_utf8(out).unwrap()
}

fn lines(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|n| format!("{n}\n")).collect()
}

#[test]
fn an_input_longer_than_the_window_comes_out_whole_and_in_order() {
    let source = Source::new(&lines(1_000_000..1_200_000));
    // Rooms smaller and larger than a row and than the window.
    for room in [1000, 100_000] {
        let got = driven(&mut Fake::new(room), source.open(), &["in"], &Interrupt::default(), false);
        assert_eq!((got.end, got.done, got.failed, got.left), (Ok(End::Complete), 200_000, 0, 0));
        assert!(got.written == expected(1_000_000..1_200_000), "lost, doubled or out of order with room for {room}");
    }
}

#[test]
fn without_order_every_line_comes_out_once() {
    let source = Source::new(&lines(0..100_000));
    let got = driven(&mut Fake::new(3000), source.open(), &["in"], &Interrupt::default(), true);
    assert_eq!((got.end, got.done), (Ok(End::Complete), 100_000));
    let text = expected(0..100_000);
    let (mut written, mut all): (Vec<&str>, Vec<&str>) = (got.written.lines().collect(), text.lines().collect());
    assert_ne!(written, all, "the fake shuffles, so this order is not to be expected");
    written.sort_unstable();
    all.sort_unstable();
    assert!(written == all);
}

#[test]
fn bad_jobs_and_files_are_told_in_order_with_their_place_and_the_rest_runs() {
    let zeros = "0".repeat(MAX_JOB);
    let source = Source::new(&format!("4 abc\nkiller\n\n0{zeros}\n{zeros}6 5"));
    let files = vec![PathBuf::from("/no such file"), source.0.clone()];
    let input = Input::open(files, Task::Factor.split()).unwrap();
    let got = driven(&mut Fake::new(2), input, &["/no such file", "in"], &Interrupt::default(), false);
    assert_eq!((got.end, got.written.as_str(), got.done, got.failed), (Ok(End::Complete), "4: 2 2\n5: 5\n", 6, 4));
    let expected = [
        "gristmill: cannot read /no such file: No such file or directory",
        "gristmill: in:1: 'abc' is not an integer from 0 to 18446744073709551615",
        "gristmill: in:2: killed each of the 4 workers that tried it; the last died: signal 9 (SIGKILL)",
        "gristmill: in:4: a job has at most 4096 bytes; this one has more",
        "gristmill: in:5: a job has at most 4096 bytes; this one has more",
    ];
    assert_eq!(got.told, expected);
}

#[test]
fn a_signal_stops_the_reading_and_everything_begun_is_written() {
    let source = Source::new(&lines(0..100_000));
    let interrupt = Interrupt::default();
    let mut fake = Fake::new(10_000);
    fake.signal = Some((5000, interrupt.clone()));
    let got = driven(&mut fake, source.open(), &["in"], &interrupt, false);
    assert_eq!((got.end, got.left), (Ok(End::Interrupted), 0));
    assert_eq!(got.done, fake.submitted);
    assert!((5000..5000 + ROW as u64).contains(&got.done), "{} jobs", got.done);
    assert!(got.written == expected(0..got.done));
}

#[test]
fn a_signal_after_the_last_job_cuts_nothing_short() {
    let source = Source::new(&lines(0..10));
    let interrupt = Interrupt::default();
    let mut fake = Fake::new(100);
    fake.signal = Some((10, interrupt.clone()));
    let got = driven(&mut fake, source.open(), &["in"], &interrupt, false);
    assert!(got.written == expected(0..10));
    assert!(got.end == Ok(End::Complete) || got.end == Ok(End::Interrupted), "the end of the file may not have been read");
}

#[test]
fn an_engine_that_breaks_ends_the_run_with_its_error() {
    let source = Source::new(&lines(0..100_000));
    let mut fake = Fake::new(1000);
    fake.broken_after = Some(3000);
    let got = driven(&mut fake, source.open(), &["in"], &Interrupt::default(), false);
    assert_eq!(got.end, Err("no worker can live".to_owned()));
}

fn driven_into(to: File) -> Result<End, String> {
    let _watchdog = watchdog();
    let source = Source::new(&lines(0..100_000));
    let mut output = Output::new(to, |_: &str| {}, vec!["in".to_owned()], false).unwrap();
    drive(&mut Fake::new(1000), &mut source.open(), &mut output, &Interrupt::default(), &Progress::hidden())
        .map_err(|error| error.to_string())
}

#[test]
fn a_full_disk_ends_the_run_with_the_reason() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(driven_into(full), Ok(End::OutputFailed("No space left on device".to_owned())));
}

#[test]
fn a_closed_output_ends_the_run_early() {
    let (reader, writer): (PipeReader, _) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(driven_into(File::from(OwnedFd::from(writer))), Ok(End::OutputClosed));
}

#[test]
fn results_come_out_while_the_input_is_silent() {
    use std::io::{BufRead, BufReader};
    let _watchdog = watchdog();
    let (input_reader, mut input_writer) = std::io::pipe().unwrap();
    let (output_reader, output_writer) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&input_reader)));
    let run = std::thread::spawn(move || {
        let mut input = Input::open(vec![path], Task::Factor.split()).unwrap();
        let to = File::from(OwnedFd::from(output_writer));
        let mut output = Output::new(to, |_: &str| {}, vec!["in".to_owned()], false).unwrap();
        drive(&mut Fake::new(10), &mut input, &mut output, &Interrupt::default(), &Progress::hidden()).is_ok()
    });
    let mut results = BufReader::new(output_reader).lines();
    // Each number is sent only after the result of the one before: a driver that waits for more input hangs here.
    for (n, expected) in [(6, "6: 2 3"), (7, "7: 7"), (8, "8: 2 2 2")] {
        input_writer.write_all(format!("{n}\n").as_bytes()).unwrap();
        assert_eq!(results.next().unwrap().unwrap(), expected);
    }
    drop(input_writer);
    assert!(run.join().unwrap());
    drop(input_reader);
}
