//! All that was measured, as JSON. `benches/schema.md` says what each field is.

use crate::bench::contender::Result;
use crate::bench::results::{Results, SCHEMA};
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
/// If there is none, or it has another schema; the file is named.
pub fn read(path: &Path) -> Result<Results> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|e| told(&e))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| told(&e))?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => Ok(serde_json::from_value(value).map_err(|e| told(&e))?),
        Some(schema) => Err(told(&format!("it has schema {schema}, this program reads {SCHEMA}")).into()),
        None => Err(told(&"it is no result of gristmill bench").into()),
    }
}
