//! Order, bounds and errors of the output, with outcomes that arrive in any order.

use std::cell::RefCell;
use std::fs::OpenOptions;

use super::*;
use rand::seq::SliceRandom;

fn place(line: u64) -> Place {
    Place { file: 0, line }
}

/// An output into memory whose messages go into a list.
fn output(told: &RefCell<Vec<String>>, unordered: bool) -> Output<Vec<u8>, impl FnMut(&str)> {
    Output::new(Vec::new(), |line: &str| told.borrow_mut().push(line.to_owned()), vec!["in.txt".to_owned()], unordered).unwrap()
}

#[test]
fn outcomes_in_any_order_come_out_in_the_order_of_the_input() {
    let told = RefCell::default();
    let mut output = output(&told, false);
    let (mut expected, mut expected_told) = (String::new(), Vec::new());
    let mut line = 0;
    // More than one round of the ring.
    for _ in 0..5 {
        let mut ids = Vec::new();
        for _ in 0..WINDOW / 2 {
            line += 1;
            ids.push((output.take(place(line), 1), line));
            match line % 1000 {
                0 => expected_told.push(format!("gristmill: in.txt:{line}: bad\\nly")),
                _ => expected += &format!("{line}\n"),
            }
        }
        ids.shuffle(&mut rand::rng());
        for (id, line) in ids {
            match line % 1000 {
                0 => output.outcome(id, Outcome::Failed("bad\nly".to_owned())),
                _ => output.outcome(id, Outcome::Value(format!("{line}\n").as_bytes())),
            }
        }
        assert_eq!(output.held, 0);
    }
    output.flush();
    assert_eq!((output.done, output.failed), (line, line / 1000));
    assert!(output.to.get_ref() == expected.as_bytes());
    drop(output);
    assert_eq!(told.into_inner(), expected_told);
}

#[test]
fn without_order_each_outcome_is_written_at_once_and_one_long_job_holds_up_nobody() {
    let told = RefCell::default();
    let mut output = output(&told, true);
    let long = output.take(place(1), 1);
    for line in 2..3 * WINDOW as u64 {
        assert!(output.may_take());
        let id = output.take(place(line), 1);
        match line {
            7 => output.outcome(id, Outcome::Refused("no".to_owned())),
            _ => output.outcome(id, Outcome::Value(b"x")),
        }
    }
    output.outcome(long, Outcome::Value(b"long"));
    output.flush();
    assert_eq!(output.to.get_ref().len(), 3 * WINDOW - 3 + 4);
    assert!(output.to.get_ref().ends_with(b"xlong"));
    drop(output);
    assert_eq!(told.into_inner(), ["gristmill: in.txt:7: no"]);
}

#[test]
fn the_window_bounds_jobs_and_bytes_that_wait_for_the_oldest() {
    let told = RefCell::default();
    for unordered in [false, true] {
        let mut output = output(&told, unordered);
        for line in 0..WINDOW as u64 {
            assert!(output.may_take());
            output.take(place(line), 0);
        }
        assert!(!output.may_take());
        output.outcome(0, Outcome::Value(b""));
        assert!(output.may_take());
    }
    let mut output = output(&told, false);
    let oldest = output.take(place(1), 10);
    let value = vec![b'v'; MOST_HELD / 4];
    for _ in 0..4 {
        assert!(output.may_take());
        let id = output.take(place(2), 10);
        output.outcome(id, Outcome::Value(&value));
    }
    assert!(!output.may_take(), "held values are not counted");
    output.outcome(oldest, Outcome::Value(b""));
    assert!(output.may_take() && output.held == 0);
    output.take(place(3), MOST_HELD);
    assert!(!output.may_take(), "jobs under way are not counted");
    assert!(output.spare.is_empty(), "great buffers are kept");
}

#[test]
fn messages_say_what_became_of_the_job() {
    let told = RefCell::default();
    let mut output = output(&told, false);
    let how = || "signal 9 (SIGKILL)".to_owned();
    let outcomes = [
        Outcome::Panicked("index\nout".to_owned()),
        Outcome::Died { how: how(), attempts: 1 },
        Outcome::Died { how: how(), attempts: 4 },
    ];
    for outcome in outcomes {
        let id = output.take(place(5), 0);
        output.outcome(id, outcome);
    }
    output.unreadable(0, "No such file or directory");
    assert_eq!((output.done, output.failed, output.unread), (3, 3, 1));
    drop(output);
    let expected = [
        "gristmill: in.txt:5: the task panicked: index\\nout",
        "gristmill: in.txt:5: its worker died: signal 9 (SIGKILL)",
        "gristmill: in.txt:5: killed each of the 4 workers that tried it; the last died: signal 9 (SIGKILL)",
        "gristmill: cannot read in.txt: No such file or directory",
    ];
    assert_eq!(told.into_inner(), expected);
}

#[test]
fn a_full_disk_is_noted_once_and_nothing_more_is_written() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut output = Output::new(full, |_: &str| {}, vec![String::new()], false).unwrap();
    for line in 0..10_000 {
        let id = output.take(place(line), 0);
        output.outcome(id, Outcome::Value(b"0123456789"));
    }
    assert_eq!(output.write_error().and_then(io::Error::raw_os_error), Some(libc::ENOSPC));
}

#[test]
#[should_panic(expected = "no outcome is expected")]
fn a_second_outcome_of_one_job_is_a_bug() {
    let told = RefCell::default();
    let mut output = output(&told, true);
    let id = output.take(place(1), 0);
    output.outcome(id, Outcome::Value(b""));
    output.outcome(id, Outcome::Value(b""));
}
