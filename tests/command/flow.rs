//! Input and output at every pace.

use super::run::{assert_same, factor, feed, gristmill, lines, start};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

/// As one who types: the next number comes only when the result of the last one is there, though the input stays open.
#[test]
fn a_typed_line_is_answered_before_the_next_one_is_typed() {
    for args in [&[][..], &["--unordered"]] {
        let mut command = gristmill(&[&["run", "factor"], args].concat());
        command.stdin(Stdio::piped());
        let (reader, writer) = std::io::pipe().unwrap();
        let mut run = start(command, Some(writer.into()));
        let mut stdin = run.stdin();
        let mut results = BufReader::new(reader).lines();
        for n in 1_000_000..1_000_030 {
            writeln!(stdin, "{n}").unwrap();
            let (number, _) = run_line(results.next().unwrap().unwrap());
            assert_eq!(number, n);
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(stdin);
        let ended = run.end();
        assert_eq!((ended.code, results.count()), (0, 0), "{}", ended.err);
    }
}

fn run_line(line: String) -> (u64, String) {
    let (number, factors) = line.split_once(':').unwrap();
    (number.parse().unwrap(), factors.to_owned())
}

/// A producer that gives a byte or a few at a time, anywhere in a line.
#[test]
fn an_input_that_comes_in_crumbs_is_whole() {
    let input = lines(18_446_744_073_709_551_000..18_446_744_073_709_551_020);
    let mut command = gristmill(&["run", "factor"]);
    command.stdin(Stdio::piped());
    let mut run = start(command, None);
    let mut stdin = run.stdin();
    let mut at = 0;
    for size in (1..8).cycle() {
        let end = input.len().min(at + size);
        stdin.write_all(&input[at..end]).unwrap();
        at = end;
        if at == input.len() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(stdin);
    let ended = run.end();
    assert_same(&ended.out, &factor(&input));
    assert_eq!(ended.code, 0);
}

/// A consumer that sleeps, then takes a little, then sleeps again. Nothing is lost while results wait for it.
#[test]
fn an_output_that_is_read_slowly_is_whole() {
    let input = lines(0..60_000);
    let mut command = gristmill(&["run", "factor"]);
    command.stdin(Stdio::piped());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut run = start(command, Some(writer.into()));
    let feeder = feed(run.stdin(), input.clone());
    std::thread::sleep(Duration::from_millis(300));
    let (mut out, mut part) = (vec![], vec![0; 40_000]);
    loop {
        match reader.read(&mut part).unwrap() {
            0 => break,
            n => out.extend_from_slice(&part[..n]),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let ended = run.end();
    feeder.join().unwrap();
    assert_same(&out, &factor(&input));
    assert_eq!(ended.code, 0);
}
