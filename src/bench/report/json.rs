//! All that was measured, as JSON. `benches/schema.md` says what each field is.

use crate::bench::contender::Result;
use crate::bench::results::{Results, SCHEMA};
use serde_json::error::Category;
use std::path::Path;

/// The whole run.
///
/// # Errors
/// If it cannot be encoded.
pub fn write(results: &Results, to: &mut dyn std::io::Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *to, results)?;
    Ok(to.write_all(b"\n")?)
}

/// A run from a file.
///
/// # Errors
/// If there is none, or it has another schema; in one line, with the file's name and what to do.
pub fn read(path: &Path) -> Result<Results> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    Ok(parse(&bytes).map_err(|why| format!("{}: {why}", path.display()))?)
}

fn parse(bytes: &[u8]) -> std::result::Result<Results, String> {
    let anew = "write one with 'gristmill bench --json FILE'";
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| match e.classify() {
        Category::Eof if bytes.iter().all(u8::is_ascii_whitespace) => format!("it is empty; {anew}"),
        Category::Eof => format!("it ends in the middle (line {}): the run that wrote it was cut short; {anew}", e.line()),
        _ => format!("it is not JSON ({e}); {anew}"),
    })?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {
            serde_json::from_value(value).map_err(|e| format!("it is not as schema {SCHEMA} has it ({e}); {anew}"))
        }
        Some(schema) => {
            let newer = if schema > u64::from(SCHEMA) { "compare with the newer gristmill that wrote it" } else { anew };
            Err(format!("it has schema {schema}, this program reads {SCHEMA}; {newer}"))
        }
        None => Err(format!("it is no result of gristmill bench; {anew}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = vec![];
        write(&sample::full(), &mut bytes).unwrap();
        let read = parse(&bytes).unwrap();
        let mut again = vec![];
        write(&read, &mut again).unwrap();
        assert!(bytes == again, "not the same");
    }

    #[test]
    fn bad_files_are_told_in_one_line_with_what_to_do() {
        let mut bytes = vec![];
        write(&sample::full(), &mut bytes).unwrap();
        let whole = String::from_utf8(bytes).unwrap();
        let says = |text: &str, word: &str| {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.contains(word) && why.contains("; ") && !why.contains('\n'), "{why}");
        };
        says("", "it is empty");
        says(&whole[..whole.len() / 2], "ends in the middle");
        says("contender,rate\n", "it is not JSON");
        says("[1, 2]", "no result of gristmill bench");
        says("{\"results\": []}", "no result of gristmill bench");
        says(
            &whole.replacen("\"schema\": 3", "\"schema\": 99", 1),
            "it has schema 99, this program reads 3; compare with the newer",
        );
        says(&whole.replacen("\"schema\": 3", "\"schema\": 1", 1), "it has schema 1, this program reads 3; write one");
        says(&whole.replacen("\"seed\"", "\"sead\"", 1), "missing field `seed`");
        let missing = read(Path::new("/nowhere/at/all.json")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/at/all.json: cannot be read: No such file"), "{missing}");
    }
}
