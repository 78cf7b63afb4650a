//! `gristmill bench` at the command line: programs that factor lines of numbers, this one among them.

use super::run::{Folder, gristmill, run_with};
use serde_json::Value;
use std::fs;

#[test]
fn programs_that_are_here_factor_all_lines_and_others_are_named_with_the_reason() {
    let folder = Folder::new("bench-commands");
    let file = folder.0.join("all.json");
    let arguments = ["bench", "--only", "cli", "--payload", "8", "--rounds", "1", "--seed", "7", "--json"];
    let mut command = gristmill(&arguments);
    command.arg(&file);
    let ended = run_with(command, "");
    assert_eq!(ended.code, 0, "{ended:?}");
    let results: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let texts = |list: &str, field: &str| -> Vec<String> {
        results[list].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let ran = texts("entries", "contender");
    assert!(ran.contains(&"cli-gristmill".into()), "{ran:?}");
    assert!(results["entries"].as_array().unwrap().iter().all(|entry| entry["axis"] == "commands"));
    assert!(texts("skipped", "why").iter().all(|why| why.ends_with("is not installed")), "{results:#}");
    let both: Vec<String> = [ran, texts("skipped", "contender")].concat();
    for name in ["cli-gristmill", "cli-xargs", "cli-parallel", "cli-factor"] {
        assert!(both.contains(&name.into()), "{name}: {both:?}");
    }
    // A worker that is killed is replaced, and what it had is done again.
    let kills = results["kills"].as_array().unwrap();
    let ours = kills.iter().find(|kill| kill["contender"] == "cli-gristmill").unwrap();
    assert!(ours["fates"][0]["goes-on"]["lost"] == 0, "{ours}");
}
