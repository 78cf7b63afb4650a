//! At the command line: lines of numbers through a program that factors them, beside `gristmill run factor`.
//!
//! The start of the program is part of every call, as it is for who types it. Numbers that are printed, and the products of their factors, are
//! compared with what was fed.

use crate::bench::contender::{Contender, Family, Info, Opened, Pattern, Pool, Result, Shape, Waits};
use crate::bench::control::Control;
use crate::bench::payload;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    [Line::Gristmill, Line::Xargs, Line::Parallel, Line::Factor].map(|line| Box::new(line) as Box<dyn Contender>).into()
}

/// What is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Gristmill,
    Xargs,
    Parallel,
    Factor,
}

impl Contender for Line {
    fn info(&self) -> Info {
        let (name, says, family) = match self {
            Line::Gristmill => ("cli-gristmill", "gristmill run factor", Family::Engine),
            Line::Xargs => ("cli-xargs", "xargs -P and factor, a process for some of the numbers", Family::Peer),
            Line::Parallel => ("cli-parallel", "GNU parallel and factor, a process for some of the numbers", Family::Peer),
            Line::Factor => ("cli-factor", "plain factor, one process for all", Family::Peer),
        };
        let waits = if *self == Line::Gristmill { Waits::Adaptive } else { Waits::Block };
        Info::new(name, says, family, waits)
    }

    fn is_about(&self, pattern: Pattern) -> bool {
        pattern == Pattern::Commands
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        (shape.pattern != Pattern::Commands).then(|| "it is a command".into())
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let mut pool = Typed { line: *self, program: self.program()?, shape: *shape };
        // Whether it does what is asked is seen here: otherwise it is skipped.
        pool.call(0..1)?;
        Ok(Opened::Pool(Box::new(pool)))
    }
}

impl Line {
    fn program(self) -> Result<PathBuf> {
        if self != Line::Gristmill {
            installed("factor")?;
        }
        match self {
            Line::Gristmill => gristmill(),
            Line::Xargs => installed("xargs"),
            Line::Factor => installed("factor"),
            Line::Parallel => {
                let program = installed("parallel")?;
                // Another program has the same name.
                let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output()?.stdout;
                if said.starts_with(b"GNU parallel") { Ok(program) } else { Err("parallel is not GNU parallel".into()) }
            }
        }
    }
}

/// Where a program is.
fn installed(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| format!("{name} is not installed").into())
}

/// This executable, or the one beside it.
fn gristmill() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let beside = here.with_file_name("gristmill");
    if beside.is_file() { Ok(beside) } else { Err("there is no executable gristmill beside this one".into()) }
}

struct Typed {
    line: Line,
    program: PathBuf,
    shape: Shape,
}

impl Typed {
    fn command(&self) -> Command {
        let (workers, numbers) = (self.shape.consumers.to_string(), self.shape.batch.to_string());
        let mut command = Command::new(&self.program);
        match self.line {
            Line::Gristmill => command.args(["run", "factor", "-j", &workers]),
            Line::Xargs => command.args(["-P", &workers, "-n", &numbers, "factor"]),
            Line::Parallel => command.args(["--will-cite", "-j", &workers, "-n", &numbers, "factor"]),
            Line::Factor => &mut command,
        };
        if self.line == Line::Parallel {
            // It would leave a folder at home, and take options from there.
            command.env("HOME", "/dev/null");
            for name in ["PARALLEL", "PARALLEL_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn compare(&self, child: &mut Child, jobs: &Range<u64>) -> Result<u64> {
        let mut output = BufReader::with_capacity(1 << 16, child.stdout.take().ok_or("there is no output")?);
        let (mut line, mut lines, mut printed) = (String::new(), 0, 0u64);
        while output.read_line(&mut line)? > 0 {
            let number = factored(&line).ok_or_else(|| format!("it printed {line:?}"))?;
            printed = printed.wrapping_add(payload::mix(number));
            lines += 1;
            line.clear();
        }
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("it ended: {status}").into());
        }
        let sum = |of: &dyn Fn(u64) -> u64| jobs.clone().fold(0u64, |sum, n| sum.wrapping_add(payload::mix(of(n))));
        if lines != jobs.end - jobs.start || printed != sum(&|n| number(&self.shape, n)) {
            return Err("a line is missing, doubled or wrong".into());
        }
        Ok(sum(&|n| n))
    }
}

impl Pool for Typed {
    fn call(&mut self, numbers: Range<u64>) -> Result<u64> {
        let mut child = self.command().spawn().map_err(|e| format!("{}: {e}", self.program.display()))?;
        let mut input = BufWriter::with_capacity(1 << 16, child.stdin.take().ok_or("there is no input")?);
        let (jobs, shape) = (numbers.clone(), self.shape);
        thread::scope(|scope| {
            let feeder = scope.spawn(move || {
                jobs.into_iter().try_for_each(|n| writeln!(input, "{}", number(&shape, n)))?;
                input.flush()
            });
            let sum = self.compare(&mut child, &numbers);
            let fed = feeder.join().map_err(|_| "the feeding thread panicked")?;
            let sum = sum?;
            fed?;
            Ok(sum)
        })
    }

    /// They come and go with each call.
    fn pids(&self) -> Vec<u32> {
        vec![]
    }

    fn generations(&self) -> usize {
        if self.line == Line::Factor { 1 } else { 2 }
    }

    fn program(&self) -> Option<&'static str> {
        (self.line != Line::Gristmill).then_some("factor")
    }
}

/// The `n`-th number: as many digits as fit, with the end of the line, in the payload, but 19 at most, since programs do not agree on more.
fn number(shape: &Shape, n: u64) -> u64 {
    let digits = (shape.payload - 1).min(19) as u32;
    let first = 10u64.pow(digits - 1);
    // Steps by a prime, so that neighbours have nothing in common; below twice the first, so that they have as many digits.
    first + (n.wrapping_mul(6_700_417).wrapping_add(2_097_593)) % first
}

/// The number of a line `number: factor factor …`, if it is their product.
fn factored(line: &str) -> Option<u64> {
    let (number, factors) = line.trim_end().split_once(':')?;
    let number: u64 = number.parse().ok()?;
    let product = factors.split_whitespace().try_fold(1u64, |product, factor| product.checked_mul(factor.parse().ok()?));
    (product? == number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(payload: usize) -> Shape {
        Shape { pattern: Pattern::Commands, payload, producers: 1, consumers: 2, batch: 7, capacity: 1024, work: 0 }
    }

    #[test]
    fn numbers_have_the_digits_that_fit() {
        for (payload, digits) in [(8, 7), (16, 15), (24, 19), (64, 19)] {
            for n in [0, 1, 77, 1 << 40] {
                assert_eq!(number(&shape(payload), n).to_string().len(), digits);
            }
        }
    }

    #[test]
    fn a_line_counts_if_its_factors_give_the_number() {
        assert_eq!(factored("12: 2 2 3\n"), Some(12));
        assert_eq!(factored("12: 2 3\n"), None);
        assert_eq!(factored("12 2 2 3\n"), None);
        assert_eq!(factored("4: 2 9223372036854775809 2\n"), None);
    }

    #[test]
    fn each_program_that_is_here_factors_all_numbers() {
        let control = Control::create(0).unwrap();
        let mut ran = 0;
        for payload in [8, 24] {
            for line in [Line::Xargs, Line::Parallel, Line::Factor] {
                match line.open(&shape(payload), &control) {
                    Ok(Opened::Pool(mut pool)) => {
                        let expected = (5..105u64).fold(0u64, |sum, n| sum.wrapping_add(payload::mix(n)));
                        assert_eq!(pool.call(5..105).unwrap(), expected);
                        ran += 1;
                    }
                    Ok(_) => panic!("it is called"),
                    Err(why) => assert!(why.to_string().ends_with("not installed"), "{why}"),
                }
            }
        }
        assert!(ran > 0 || installed("factor").is_err());
    }

    #[test]
    fn an_answer_that_is_wrong_or_missing_is_seen() {
        let typed = |program: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", program]).stdin(Stdio::null()).stdout(Stdio::piped());
            let pool = Typed { line: Line::Factor, program: "sh".into(), shape: shape(8) };
            pool.compare(&mut command.spawn().unwrap(), &(0..1)).map_err(|e| e.to_string())
        };
        let right = format!("echo {0}: {0}", number(&shape(8), 0));
        assert_eq!(typed(&right), Ok(payload::mix(0)));
        assert!(typed(&format!("{right}; {right}")).unwrap_err().contains("doubled"));
        assert!(typed("true").unwrap_err().contains("missing"));
        assert!(typed(&format!("{right}; exit 3")).unwrap_err().contains("exit status: 3"));
        assert!(typed("echo 9: 3 2").unwrap_err().contains("printed"));
    }
}
