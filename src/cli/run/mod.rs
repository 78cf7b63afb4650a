//! `gristmill run`: jobs from the input, through the workers, to the output.
//!
//! One thread drives all of it: it cuts the input into jobs, hands them to the engine, collects outcomes and writes them. It
//! never waits for the input while jobs are under way, and never longer than [`IDLE`] for anything but its own output.

mod bar_line;
mod engine;
mod factor;
mod input;
mod interrupt;
mod output;
pub mod processes;
mod report;
pub mod tasks;

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::args::{RunOptions, StatsFormat};
use super::exit::{Ending, Exit};
use super::text::{plain, say, shown, why};
use engine::{Engine, Failure, Outcome};
use input::{Input, MAX_JOB, Place, Step};
use interrupt::Interrupt;
use output::Output;
use report::{Progress, Report};

/// How often the progress is shown and output is pushed out, and the longest sleep while jobs are under way.
const TICK: Duration = Duration::from_millis(100);

/// While the input is silent and nothing is under way: a signal, or that no worker can go on, is heard so much later at most. Twice a second costs no
/// CPU time that could be measured, ten times did on a busy machine.
const IDLE: Duration = Duration::from_millis(500);

/// How long outcomes are awaited while the input has nothing: new input is seen after at most this time.
const GLANCE: Duration = Duration::from_millis(2);

/// Jobs that are submitted in a row before outcomes are collected.
const ROW: usize = 1024;

/// Runs the task over the input on the workers that `start` starts; reports on standard error.
pub fn run<E: Engine>(options: &RunOptions, start: impl FnOnce(&RunOptions) -> Result<E, Failure>) -> Exit {
    let fail = |exit, message: &str| {
        say(&plain(message));
        exit
    };
    let files = if options.files.is_empty() { vec![PathBuf::from("-")] } else { options.files.clone() };
    let typed_input = files.iter().any(|file| file == Path::new("-")) && std::io::stdin().is_terminal();
    let bar_is_seen = report::has_terminal(typed_input);
    let farewell = move || {
        if bar_is_seen {
            report::wipe_line()
        }
    };
    let interrupt = match Interrupt::listen(farewell) {
        Ok(interrupt) => interrupt,
        Err(error) => return fail(Exit::Engine, &format!("cannot start: signals cannot be heard: {error}")),
    };
    // Not `std::io::stdout()`: that one would look for newlines to flush at.
    let stdout = match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => File::from(stdout),
        Err(error) => return fail(Exit::Engine, &format!("cannot start: no descriptor for the output: {error}")),
    };
    let started = Instant::now();
    let progress = Progress::new(bar_is_seen, input::total_bytes(&files));
    let above_the_bar = progress.clone();
    let names = files.iter().map(|file| name(file)).collect();
    let tell = move |line: &str| above_the_bar.tell(line);
    let mut output = match Output::new(stdout, tell, names, options.unordered) {
        Ok(output) => output,
        Err(_) => return fail(Exit::Engine, "cannot start: no memory to put results in order; raise its limit (ulimit -v)"),
    };
    let mut engine = match start(options) {
        Ok(engine) => engine,
        Err(error) => return fail(Exit::Engine, &format!("cannot start the workers: {error}")),
    };
    // Last, so that nothing has been read of standard input if there are no workers.
    let mut input = match Input::open(files, options.task.split()) {
        Ok(input) => input,
        Err(error) => return fail(Exit::Engine, &format!("cannot start a thread that reads the input: {error}")),
    };

    let end = drive(&mut engine, &mut input, &mut output, &interrupt, &progress);
    progress.clear();
    let mut cut_short = interrupt.signal().is_some();
    match end {
        Ok(End::Complete) => cut_short = false,
        Ok(End::Interrupted) => {}
        // Whoever read the output has enough: a quiet end.
        Ok(End::OutputClosed) => return Exit::of(Ending { signal: None, failures: output.failed + output.unread > 0 }),
        Ok(End::OutputFailed(reason)) => return fail(Exit::Output, &format!("cannot write output: {reason}")),
        Err(error) => return fail(Exit::Engine, &format!("the run cannot go on: {error}")),
    }
    let elapsed = started.elapsed();
    let engine = match engine.finish() {
        Ok(stats) => stats,
        Err(error) => return fail(Exit::Engine, &format!("the workers did not end well: {error}")),
    };
    let Output { done, failed, unread, .. } = output;
    let report = Report { jobs: done, failed, unread, elapsed, cut_short, engine };
    // Nothing can be done if nobody reads standard error.
    let _ = match options.stats {
        Some(StatsFormat::Json) => writeln!(std::io::stderr(), "{}", report.json()),
        None => writeln!(std::io::stderr(), "{}", report.summary()),
    };
    let signal = if cut_short { interrupt.signal() } else { None };
    Exit::of(Ending { signal, failures: failed + unread > 0 })
}

/// An input file as messages call it.
fn name(file: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    if file == Path::new("-") { "stdin".to_owned() } else { shown(file.as_os_str().as_bytes()) }
}

/// How the driver's work came to its end, the engine being well.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The whole input is done and written.
    Complete,
    /// A signal came; what had been submitted is done and written.
    Interrupted,
    /// The reader of the output closed it.
    OutputClosed,
    /// The output could not be written, for this reason.
    OutputFailed(String),
}

/// What stopped a row of submissions.
enum Row {
    /// Nothing: there may be more at once.
    Full,
    /// The engine or the output has no room until outcomes are collected.
    NoRoom,
    /// The input has nothing at the moment.
    Starved,
    /// The input is at its end.
    Ended,
}

/// Moves all jobs from `input` through `engine` to `output`, until the input ends or a signal arrives, then collects the rest.
fn drive<E: Engine, W: Write, M: FnMut(&str)>(
    engine: &mut E,
    input: &mut Input,
    output: &mut Output<W, M>,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<End, Failure> {
    let mut parked = None;
    let mut ticked = Instant::now();
    loop {
        let row = match interrupt.signal() {
            Some(_) => Row::Ended,
            None => submit_row(engine, input, output, &mut parked)?,
        };
        engine.flush()?;
        let wait = match row {
            Row::Full => Duration::ZERO,
            Row::NoRoom | Row::Ended => TICK,
            Row::Starved => GLANCE,
        };
        if engine.pending() > 0 {
            engine.collect(wait, &mut |id, outcome| output.outcome(id, outcome))?;
        } else if matches!(row, Row::Ended) {
            output.flush();
            return Ok(match (output_end(output), interrupt.signal()) {
                (Some(end), _) => end,
                // A signal that came when all was done cut nothing short.
                (None, Some(_)) if parked.is_some() || !matches!(input.next(), Step::End) => End::Interrupted,
                (None, _) => End::Complete,
            });
        } else if matches!(row, Row::Starved) {
            output.flush();
            progress.show(input.consumed(), output.done, 0, output.failed);
            // Nothing is pending, so this only hears whether the workers can go on: nobody wants to type for those that can't.
            engine.collect(Duration::ZERO, &mut |_, _| unreachable!("an outcome of no job"))?;
            input.wait(IDLE);
        }
        if ticked.elapsed() >= TICK {
            output.flush();
            match interrupt.signal() {
                None => progress.show(input.consumed(), output.done, engine.pending(), output.failed),
                Some(_) => progress.finishing(engine.pending()),
            }
            ticked = Instant::now();
        }
        if let Some(end) = output_end(output) {
            return Ok(end);
        }
    }
}

/// Submits some jobs. `parked` is a job that was taken from the input, whose bytes are still there, and found no room.
fn submit_row<E: Engine, W: Write, M: FnMut(&str)>(
    engine: &mut E,
    input: &mut Input,
    output: &mut Output<W, M>,
    parked: &mut Option<u64>,
) -> Result<Row, Failure> {
    if let Some(id) = *parked {
        if !engine.submit(id, input.job())? {
            return Ok(Row::NoRoom);
        }
        *parked = None;
    }
    for _ in 0..ROW {
        if !output.may_take() {
            return Ok(Row::NoRoom);
        }
        match input.next() {
            Step::Job(place) => {
                let id = output.take(place, input.job().len());
                if !engine.submit(id, input.job())? {
                    *parked = Some(id);
                    return Ok(Row::NoRoom);
                }
            }
            Step::TooLong(place) => too_long(output, place),
            Step::Unreadable(file, error) => output.unreadable(file, &why(&error)),
            Step::NotYet => return Ok(Row::Starved),
            Step::End => return Ok(Row::Ended),
        }
    }
    Ok(Row::Full)
}

fn too_long<W: Write, M: FnMut(&str)>(output: &mut Output<W, M>, place: Place) {
    let id = output.take(place, 0);
    output.outcome(id, Outcome::Refused(format!("a job has at most {MAX_JOB} bytes; this one has more")));
}

fn output_end<W: Write, M: FnMut(&str)>(output: &Output<W, M>) -> Option<End> {
    let error = output.write_error()?;
    Some(if error.kind() == ErrorKind::BrokenPipe { End::OutputClosed } else { End::OutputFailed(why(error)) })
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
