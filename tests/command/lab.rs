//! `gristmill lab`, from outside: what it lists and refuses, the files that it writes, and that nothing is left when it is told to stop.

use super::deaths::gone;
use super::run::{Folder, gristmill, run, signal, start};
use std::os::unix::process::CommandExt;

/// In the order in which they are best seen.
const ALL: [&str; 14] = [
    "lost", "hold", "locks", "batch", "sharing", "nothing", "threads", "pipe", "waking", "fairness", "scale", "death",
    "ladder", "crime",
];

#[test]
fn the_list_has_each_experiment_with_its_knobs() {
    let ended = run(gristmill(&["lab", "list"]));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let names: Vec<&str> = ended.out().lines().filter_map(|line| line.split_once(": ")).map(|line| line.0).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.starts_with(' ')).collect();
    assert_eq!(names, ALL);
    assert!(ended.out().contains("\n    who=  who counts (processes, threads; usually processes)\n"), "{}", ended.out());
}

/// Too short to show anything: that is told, and is no failure of the run.
#[test]
fn a_run_shows_and_writes_what_it_has_found() {
    let folder = Folder::new("lab-files");
    let [json, csv] = ["a.json", "a.csv"].map(|name| folder.0.join(name));
    let mut command = gristmill(&["lab", "run", "hold", "job=20", "--seconds", "1", "--seed", "7", "--json"]);
    command.arg(&json).arg("--csv").arg(&csv);
    let ended = run(command);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for part in ["Predict: ", "a measured", "What you saw, and why", "The shape", "// the work before"] {
        assert!(ended.out().contains(part), "{part}: {}", ended.out());
    }
    assert!(!cfg!(debug_assertions) || ended.out().contains("noisy machine: this is a build without optimization"));
    assert!(
        ended.out().ends_with("Again: gristmill lab run hold workers=2 job=20 lock=spin --seconds 1 --seed 7\n"),
        "{}",
        ended.out()
    );
    assert!(ended.out().lines().all(|line| line.chars().count() <= 120), "{}", ended.out());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((&json["experiment"], &json["seed"], &json["schema"]), (&"hold".into(), &7.into(), &1.into()));
    let points = json["findings"]["charts"][0]["series"][0]["points"].as_array().unwrap().clone();
    assert!(points.len() == 6 && points.iter().all(|point| point["y"]["median"].as_f64().unwrap() > 0.0), "{points:?}");
    let csv = std::fs::read_to_string(&csv).unwrap();
    assert!(csv.starts_with("experiment,knobs,cores,chart,series,origin,x,name,median,low,high\n"), "{csv}");
    let measured = |line: &&str| line.starts_with("hold,workers=2 job=20 lock=spin,") && line.contains(",measured,measured,");
    assert_eq!(csv.lines().filter(measured).count(), 6, "{csv}");
}

#[test]
fn what_there_is_not_is_told_in_one_line_before_anything_runs() {
    for (args, says) in [
        (vec!["run", "holt"], "there is no experiment 'holt'; did you mean 'hold'?; there are lost, hold,"),
        (vec!["check", "holt"], "did you mean 'hold'?"),
        (vec!["run", "hold", "workers=1000000"], "workers is a number from 2 to 64, not '1000000'"),
        (vec!["run", "HOLD"], "did you mean 'hold'?"),
        (vec!["run", "hold", "workers=2", "workers=3"], "workers is set twice"),
        (vec!["run", "hold", "speed=1"], "there is no knob 'speed'; there are workers, job, lock"),
        (vec!["run", "hold", "--seconds", "0"], "0"),
    ] {
        let ended = run(gristmill(&[&["lab"], &args[..]].concat()));
        assert!(ended.code == 2 && ended.out().is_empty() && ended.err.contains(says), "{}: {}", ended.code, ended.err);
    }
    let folder = Folder::new("lab-outputs");
    let nowhere = folder.0.join("missing/one");
    let ended = run(gristmill(&["lab", "run", "hold", "--csv", nowhere.to_str().unwrap()]));
    assert!(ended.code == 4 && ended.only_line().contains("cannot be written: no such file or directory"), "{}", ended.err);
}

#[test]
fn a_check_names_what_it_has_found_and_its_code_says_whether_all_is_as_expected() {
    let ended = run(gristmill(&["lab", "check", "sharing", "--seconds", "1"]));
    // As one line: it breaks where the width ends.
    let out = ended.out().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.starts_with("sharing (seed ") && out.contains(": far apart a count is"), "{out}");
    let last = out.rsplit("(seed ").next().unwrap();
    let unexpected = last.contains("NOT as expected: ");
    assert_eq!(ended.code, i32::from(unexpected), "{out}");
    assert_eq!(unexpected, last.contains("the cause may be: "), "{out}");
    let (holds, fails) = if unexpected { (0, 1) } else { (1, 0) };
    assert!(out.ends_with(&format!("{holds} as expected, 0 not to be seen here, {fails} not as expected, 0 wrong")), "{out}");
    // What is missing is looked for again, twice.
    assert_eq!(out.matches("sharing, again (seed ").count(), out.matches("NOT as expected: ").count().min(2), "{out}");
}

#[test]
fn a_full_disk_is_told() {
    for args in [&["list"][..], &["worksheet"], &["run", "hold", "--seconds", "1"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = gristmill(&[&["lab"], args].concat());
        let ended = command.stdout(full).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(
            ended.status.code() == Some(4) && told.contains("cannot write output: "),
            "{args:?}: {:?}: {told}",
            ended.status
        );
    }
}

/// The terminal sends Ctrl-C to the whole group.
#[test]
fn ctrl_c_leaves_nothing_behind() {
    let folder = Folder::new("lab-interrupt");
    let json = folder.0.join("a.json");
    let mut command = gristmill(&["lab", "run", "locks", "--seconds", "60", "--json"]);
    command.arg(&json).process_group(0);
    let running = start(command, None);
    let workers = running.wait_for("worker", |run| Some(run.workers()).filter(|workers| workers.len() >= 2));
    assert!(signal(-(running.pid() as i32), libc::SIGINT));
    let ended = running.end();
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(!ended.out().contains("What you saw") && !json.exists());
    gone(&workers);
}

/// The watchdog ends it, within the time that the run takes anyway.
#[test]
fn two_locks_in_two_orders_are_told_as_a_deadlock() {
    let ended = run(gristmill(&["lab", "run", "crime", "program=e", "--seconds", "4"]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out().contains("e, takes two locks in two orders: DEADLOCK after "), "{}", ended.out());
    assert!(ended.out().contains("e, repaired: ") && !ended.out().contains("repaired: DEADLOCK"), "{}", ended.out());
}

/// Its workers are the command, executed again.
#[test]
fn the_ladder_has_the_same_result_on_all_rungs() {
    let ended = run(gristmill(&["lab", "run", "ladder", "jobs=1000", "steps=10", "--seconds", "1"]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out().contains("as expected: all forms give the same result: 36 runs"), "{}", ended.out());
}

#[test]
fn a_file_of_no_run_is_refused_with_its_name_and_line_and_one_of_a_run_is_merged() {
    let folder = Folder::new("lab-merge");
    let [good, bad] = ["good.csv", "bad.csv"].map(|name| folder.0.join(name));
    let head = "experiment,knobs,cores,chart,series,origin,x,name,median,low,high\n";
    std::fs::write(&good, format!("{head}hold,workers=2,2,c,s,measured,0,,1.5,1,2\n")).unwrap();
    std::fs::write(&bad, format!("{head}hold,workers=2,2,c,s,measured,0,,fast,1,2\n")).unwrap();
    let merge = |file| {
        let mut command = gristmill(&["lab", "merge"]);
        command.arg(&good).arg(file);
        run(command)
    };
    let ended = merge(&bad);
    assert!(ended.code == 2 && ended.out().is_empty(), "{}: {}", ended.code, ended.out());
    assert!(ended.only_line().ends_with("bad.csv:2: median is no number: 'fast'"), "{}", ended.err);
    let ended = merge(&good);
    assert!(
        ended.code == 2 && ended.only_line().contains("good.csv: it is the same as "),
        "one machine is not two: {}",
        ended.err
    );
    let other = folder.0.join("other.csv");
    std::fs::write(&other, format!("{head}hold,workers=2,4,c,s,measured,0,,2.5,2,3\n")).unwrap();
    let ended = merge(&other);
    assert!(ended.code == 0 && ended.out().ends_with("hold,workers=2,c,s,measured,0,,2,2,4,2,1.5,2.5\n"), "{}", ended.out());
}
