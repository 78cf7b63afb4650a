//! Cuts standard input and files, in turn, into jobs.
//!
//! A thread reads ahead, because the caller must never be stuck in a read: while a slow pipe gives nothing, results are still
//! collected and printed, and Ctrl-C is still heard. Blocks go round between the two, so memory does not grow.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::Duration;

use gristmill::sys::thread::Thread;

/// The most bytes that a job can have. It is the length of the longest path that Linux takes; and of numbers, what is
/// longer can only be leading zeros or an error.
pub const MAX_JOB: usize = 4096;

/// Bytes of one read: as much as a pipe holds.
const BLOCK: usize = 64 << 10;

/// Blocks that are read ahead.
const AHEAD: usize = 4;

/// How the input is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// At spaces, tabs and newlines, as coreutils' `factor` does.
    Words,
    /// At newlines only. Empty lines are skipped.
    Lines,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index in the list of input files.
    pub file: u32,
    /// Counted from 1.
    pub line: u64,
}

/// What comes next in the input.
#[derive(Debug)]
pub enum Step {
    /// A job, whose bytes [`Input::job`] gives.
    Job(Place),
    /// A job of more than [`MAX_JOB`] bytes. The bytes are dropped.
    TooLong(Place),
    /// This file could not be opened or read on; the next one follows.
    Unreadable(u32, io::Error),
    /// Nothing is there yet: do something else, or [`Input::wait`].
    NotYet,
    /// All files have been read.
    End,
}

enum Piece {
    Bytes(Vec<u8>),
    EndOfFile,
    Failed(io::Error),
}

enum Job {
    /// It lies whole in the block.
    InBlock(Range<usize>),
    /// It went on from one block into the next, and was put together in `carry`.
    InCarry,
}

/// The jobs of all input files.
pub struct Input {
    separators: [bool; 256],
    pieces: Receiver<Piece>,
    spent: Sender<Vec<u8>>,
    arrived: Option<Piece>,
    block: Vec<u8>,
    at: usize,
    /// The start of a job whose end has not been read, if `open`; or, else, the job last given.
    carry: Vec<u8>,
    open: bool,
    /// The open job has passed [`MAX_JOB`].
    overlong: bool,
    job: Job,
    place: Place,
    files: u32,
    consumed: u64,
}

impl Input {
    /// Starts to read `files` in turn; `-` is standard input.
    ///
    /// # Errors
    ///
    /// If there can be no thread that reads. A file that cannot be read is told in its turn by [`Input::next`].
    pub fn open(files: Vec<PathBuf>, split: Split) -> io::Result<Input> {
        let (full, pieces) = sync_channel(AHEAD);
        let (spent, empty) = channel();
        let count = u32::try_from(files.len()).expect("a command line has fewer than 2^32 files");
        Thread::start(c"input", move || read_files(&files, &full, &empty))?;
        let mut separators = [false; 256];
        separators[usize::from(b'\n')] = true;
        if split == Split::Words {
            separators[usize::from(b' ')] = true;
            separators[usize::from(b'\t')] = true;
        }
        Ok(Input {
            separators,
            pieces,
            spent,
            arrived: None,
            block: Vec::new(),
            at: 0,
            carry: Vec::new(),
            open: false,
            overlong: false,
            job: Job::InCarry,
            place: Place { file: 0, line: 1 },
            files: count,
            consumed: 0,
        })
    }

    /// Goes on to the next job, without waiting.
    pub fn next(&mut self) -> Step {
        loop {
            if self.at < self.block.len() {
                match self.next_in_block() {
                    Some(step) => return step,
                    None => continue,
                }
            }
            if self.place.file == self.files {
                return Step::End;
            }
            let piece = match self.arrived.take() {
                Some(piece) => piece,
                None => match self.pieces.try_recv() {
                    Ok(piece) => piece,
                    Err(TryRecvError::Empty) => return Step::NotYet,
                    // The thread sends an end for every file before it ends.
                    Err(TryRecvError::Disconnected) => return Step::End,
                },
            };
            match piece {
                Piece::Bytes(block) => {
                    self.consumed += block.len() as u64;
                    self.at = 0;
                    // If the thread is gone, nobody needs the block.
                    let _ = self.spent.send(std::mem::replace(&mut self.block, block));
                }
                end if self.open => {
                    // A last line without a newline counts; the end itself comes with the next call.
                    self.arrived = Some(end);
                    return self.close_carry();
                }
                end => {
                    let file = self.place.file;
                    self.place = Place { file: file + 1, line: 1 };
                    if let Piece::Failed(error) = end {
                        return Step::Unreadable(file, error);
                    }
                }
            }
        }
    }

    /// The bytes of the job that [`Input::next`] gave last.
    #[inline]
    pub fn job(&self) -> &[u8] {
        match &self.job {
            Job::InBlock(range) => &self.block[range.clone()],
            Job::InCarry => &self.carry,
        }
    }

    /// Waits, at most so long, until [`Input::next`] has more to give.
    pub fn wait(&mut self, most: Duration) {
        if self.arrived.is_none() {
            self.arrived = self.pieces.recv_timeout(most).ok();
        }
    }

    /// Bytes that have been cut into jobs.
    pub fn consumed(&self) -> u64 {
        self.consumed - (self.block.len() - self.at) as u64
    }

    /// The next job of the block. None: the block is used up, and what may be left of it is in `carry`.
    #[inline]
    fn next_in_block(&mut self) -> Option<Step> {
        let block = &self.block[..];
        let mut start = self.at;
        if !self.open {
            while start < block.len() && self.separators[usize::from(block[start])] {
                self.place.line += u64::from(block[start] == b'\n');
                start += 1;
            }
        }
        let length = block[start..].iter().position(|&c| self.separators[usize::from(c)]);
        let end = length.map_or(block.len(), |length| start + length);
        self.at = end;
        if length.is_some() && !self.open {
            if end - start > MAX_JOB {
                return Some(Step::TooLong(self.place));
            }
            self.job = Job::InBlock(start..end);
            return Some(Step::Job(self.place));
        }
        if !self.open {
            self.carry.clear();
            self.open = start < end;
        }
        self.overlong |= self.carry.len() + (end - start) > MAX_JOB;
        if !self.overlong {
            self.carry.extend_from_slice(&block[start..end]);
        }
        length.map(|_| self.close_carry())
    }

    fn close_carry(&mut self) -> Step {
        self.open = false;
        if std::mem::take(&mut self.overlong) {
            return Step::TooLong(self.place);
        }
        self.job = Job::InCarry;
        Step::Job(self.place)
    }
}

fn read_files(files: &[PathBuf], full: &SyncSender<Piece>, empty: &Receiver<Vec<u8>>) {
    for path in files {
        let mut file = match open(path) {
            Ok(file) => file,
            Err(error) => match full.send(Piece::Failed(error)) {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        loop {
            let mut block = empty.try_recv().unwrap_or_default();
            block.resize(BLOCK, 0);
            let piece = match file.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Piece::Failed(error),
                Ok(0) => Piece::EndOfFile,
                Ok(n) => {
                    block.truncate(n);
                    Piece::Bytes(block)
                }
            };
            let more = matches!(piece, Piece::Bytes(_));
            if full.send(piece).is_err() {
                return;
            }
            if !more {
                break;
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") { io::stdin().as_fd().try_clone_to_owned().map(File::from) } else { File::open(path) }
}

/// The bytes that all files have together; None if one of them is no regular file, so that nobody can tell.
pub fn total_bytes(files: &[PathBuf]) -> Option<u64> {
    files.iter().try_fold(0, |sum, path| {
        let about = metadata(path).ok()?;
        about.is_file().then(|| sum + about.len())
    })
}

/// A named pipe must not be opened just to ask for its size: that would wait for its writer.
fn metadata(path: &Path) -> io::Result<std::fs::Metadata> {
    if path == Path::new("-") { open(path)?.metadata() } else { std::fs::metadata(path) }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
