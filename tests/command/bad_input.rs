//! Whatever is wrong is said in one line that names the place, and nothing else is lost. Exit codes are those of the help.

use super::run::{Folder, gristmill, run, run_with, start, start_to};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const NOT_A_NUMBER: &str = "is not an integer from 0 to 18446744073709551615";

/// Nothing is run, and nothing is read.
#[test]
fn a_wrong_command_line_is_told_in_one_line_and_ends_with_code_2() {
    for (args, expected) in [
        (&["run", "factor", "-j", "0"][..], "'0' for '--jobs <N>': a run has 1 to 4094 workers"),
        (&["run", "factor", "-j", "100000"], "'100000' for '--jobs <N>': a run has 1 to 4094 workers"),
        (&["run", "factor", "-j", "99999999999999999999999"], "a run has 1 to 4094 workers"),
        (&["run", "factor", "-j", "many"], "'many' for '--jobs <N>'"),
        (&["run", "factor", "-j"], "'--jobs <N>'"),
        (&["run", "factor", "--jobs=-1"], "'-1' for '--jobs <N>'"),
        (&["run", "factor", "--retries", "-1"], "'-1'"),
        (&["run", "factor", "--retries", "65535"], "65535 is not in 0..=65534"),
        (&["run", "factor", "--stats", "xml"], "'xml' for '--stats <FORMAT>' [possible values: json]"),
        (&["run", "factor", "--bogus"], "'--bogus'"),
        (&["run", "cube"], "'cube' for '<TASK>' [possible values: factor, sha256]"),
        (&["run", "cu\n\nbe\x1b[1m"], "<TASK>"),
        (&["run"], "<TASK>"),
        (&["walk"], "'walk'"),
    ] {
        let mut source = File::open("/proc/self/cmdline").unwrap();
        let mut command = gristmill(args);
        command.stdin(source.try_clone().unwrap());
        let ended = run(command);
        let line = ended.only_line();
        assert!(line.starts_with("gristmill: ") && line.contains(expected), "{args:?}: {line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        let help = if args[0] == "run" { "(see gristmill run --help)" } else { "(see gristmill --help)" };
        assert!(line.ends_with(help), "{line}");
        assert_eq!((ended.code, ended.out()), (2, ""), "{args:?}");
        let mut rest = vec![];
        source.read_to_end(&mut rest).unwrap();
        assert!(!rest.is_empty(), "{args:?}: the input was read");
    }
}

#[test]
fn the_help_names_every_exit_code_and_a_call_without_arguments_shows_it() {
    for (args, code) in [(&["--help"][..], 0), (&["run", "--help"], 0), (&["help", "run"], 0), (&[], 2)] {
        let ended = run(gristmill(args));
        let text = if code == 0 { ended.out() } else { &ended.err };
        for number in ["  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  130 ", "  143 "] {
            assert!(text.contains(&format!("\n{number}")), "{args:?} says nothing of exit code{number}");
        }
        assert_eq!(ended.code, code, "{args:?}");
    }
}

#[test]
fn what_is_no_number_is_told_with_its_line_and_the_rest_runs() {
    let input = "6 abc\n\n+7 -7\r\n18446744073709551615 18446744073709551616\n\u{1f33e} \u{7}\n1e3 0x10 1.5 + ++1\n8";
    let ended = run_with(gristmill(&["run", "factor"]), input);
    assert_eq!(ended.out(), "6: 2 3\n7: 7\n18446744073709551615: 3 5 17 257 641 65537 6700417\n8: 2 2 2\n");
    let told = [(1, "abc"), (3, "-7\\r"), (4, "18446744073709551616"), (5, "\u{1f33e}"), (5, "\\u{7}")];
    let told = told.into_iter().chain([(6, "1e3"), (6, "0x10"), (6, "1.5"), (6, "+"), (6, "++1")]);
    let mut expected: Vec<String> =
        told.map(|(line, word)| format!("gristmill: stdin:{line}: '{word}' {NOT_A_NUMBER}")).collect();
    let mut lines: Vec<&str> = ended.err.lines().collect();
    let summary = lines.pop().unwrap();
    assert!(summary.starts_with("gristmill: 14 jobs in ") && summary.ends_with("; 10 failed"), "{summary}");
    assert_eq!(lines, expected);
    assert_eq!(ended.code, 1);

    // Without order it is the same set.
    let ended = run_with(gristmill(&["run", "factor", "--unordered"]), input);
    let mut lines: Vec<&str> = ended.err.lines().filter(|line| line.contains("is not")).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn a_job_longer_than_any_path_is_told_with_its_line_and_takes_nothing_along() {
    let longest = format!("{}7", "0".repeat(4095));
    let input = format!("5\n{longest}\n0{longest}\n{}\n6", "1".repeat(3_000_000));
    let ended = run_with(gristmill(&["run", "factor"]), input);
    assert_eq!((ended.out(), ended.code), ("5: 5\n7: 7\n6: 2 3\n", 1));
    let told: Vec<&str> = ended.err.lines().take(2).collect();
    let expected = [3, 4].map(|line| format!("gristmill: stdin:{line}: a job has at most 4096 bytes; this one has more"));
    assert_eq!(told, expected);
}

#[test]
fn files_that_cannot_be_read_are_told_and_the_others_are_done() {
    let folder = Folder::new("files");
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    let (good, bad, late) = (folder.file("good", "4\n"), folder.file("bad\n name", "9\nx\n"), folder.file("late", "6"));
    let (good, bad, late) = (good.to_str().unwrap(), bad.to_str().unwrap(), late.to_str().unwrap());
    let (missing, own) = (path("missing"), path(""));
    let args = ["run", "factor", good, &missing, bad, &own, "-", "/proc/self/mem", late];
    let ended = run_with(gristmill(&args), "10 y");
    assert_eq!(ended.out(), "4: 2 2\n9: 3 3\n10: 2 5\n6: 2 3\n");
    let mut lines: Vec<&str> = ended.err.lines().collect();
    let summary = lines.pop().unwrap();
    assert!(summary.starts_with("gristmill: 6 jobs in ") && summary.ends_with("; 2 failed; 3 files not read"), "{summary}");
    let expected = [
        format!("gristmill: cannot read {missing}: No such file or directory"),
        format!("gristmill: {}:2: 'x' {NOT_A_NUMBER}", bad.replace('\n', "\\n")),
        format!("gristmill: cannot read {own}: Is a directory"),
        format!("gristmill: stdin:1: 'y' {NOT_A_NUMBER}"),
        "gristmill: cannot read /proc/self/mem: Input/output error".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert_eq!(ended.code, 1);
}

/// The disk fills up at once, or after some results. The run does not go on for nothing: its input never ends.
#[test]
fn a_full_disk_on_output_is_one_line_and_code_4() {
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut endless = Command::new("yes").arg("12").stdout(Stdio::piped()).spawn().unwrap();
    let mut command = gristmill(&["run", "factor"]);
    command.stdin(endless.stdout.take().unwrap());
    let ended = start(command, Some(full())).end();
    endless.kill().unwrap();
    endless.wait().unwrap();
    assert_eq!((ended.only_line(), ended.code), ("gristmill: cannot write output: No space left on device", 4));

    // So few results that the error comes with the last write of all.
    let folder = Folder::new("full");
    let mut command = gristmill(&["run", "factor"]);
    command.stdin(File::open(folder.file("one", "12")).unwrap());
    let ended = start(command, Some(full())).end();
    assert_eq!((ended.only_line(), ended.code), ("gristmill: cannot write output: No space left on device", 4));
}

/// `yes 12 | gristmill run factor | head -1`
#[test]
fn a_reader_that_closes_the_output_early_is_a_quiet_end() {
    let mut endless = Command::new("yes").arg("12").stdout(Stdio::piped()).spawn().unwrap();
    let mut command = gristmill(&["run", "factor"]);
    command.stdin(endless.stdout.take().unwrap());
    let (reader, writer) = std::io::pipe().unwrap();
    let run = start(command, Some(writer.into()));
    let mut head = BufReader::new(reader);
    let mut line = String::new();
    head.read_line(&mut line).unwrap();
    drop(head);
    let ended = run.end();
    endless.kill().unwrap();
    endless.wait().unwrap();
    assert_eq!((line.as_str(), ended.err.as_str(), ended.code), ("12: 2 2 3\n", "", 0));
}

/// Messages then have no place to go to; the results have.
#[test]
fn without_a_standard_error_the_results_and_the_exit_codes_are_the_same() {
    for (args, input, out, code) in [
        (&["run", "cube"][..], "", "", 2),
        (&["run", "factor", "-j", "0"], "", "", 2),
        (&["run"], "", "", 2),
        (&[], "", "", 2),
        (&["run", "factor"], "6 x 8", "6: 2 3\n8: 2 2 2\n", 1),
        (&["run", "factor"], "6", "6: 2 3\n", 0),
    ] {
        let folder = Folder::new("mute");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = gristmill(args);
        command.stdin(File::open(folder.file("in", input)).unwrap());
        let ended = start_to(command, None, Some(full.into())).end();
        assert_eq!((ended.out(), ended.code), (out, code), "{args:?}");
    }
}

#[test]
fn statistics_are_one_object_with_the_promised_fields_and_nothing_else_on_standard_error() {
    let ended = run_with(gristmill(&["run", "factor", "-j", "3", "--stats", "json"]), "1 2 3 4");
    let stats: serde_json::Value = serde_json::from_str(ended.only_line()).unwrap();
    let mut keys: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["jobs", "failed", "retried", "seconds", "jobs_per_second", "workers", "worker_deaths"].to_vec();
    expected.extend(["lock_wait_seconds", "user_seconds"]);
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((ended.stat("jobs"), ended.stat("workers"), ended.stat("worker_deaths")), (4.0, 3.0, 0.0));
    assert!(ended.stat("seconds") > 0.0 && ended.stat("user_seconds") > 0.0 && ended.stat("jobs_per_second") > 0.0);
}
