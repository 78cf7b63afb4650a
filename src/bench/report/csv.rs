//! A line for each round of each figure. `benches/schema.md` says what each column is.

use super::figures::figures;
use crate::bench::contender::Result;
use crate::bench::results::{Pace, Results};
use crate::bench::turn::Played;
use crate::bench::value::Value;
use std::io::Write;

/// The columns, in order.
pub const COLUMNS: [&str; 31] = [
    "contender",
    "family",
    "waits",
    "axis",
    "pattern",
    "payload_bytes",
    "producers",
    "consumers",
    "batch",
    "capacity",
    "work_ns",
    "pace_share",
    "pace_per_second",
    "round",
    "room",
    "jobs",
    "wall_ns",
    "rate_per_second",
    "cpu_ns",
    "voluntary_switches",
    "involuntary_switches",
    "system_calls",
    "memory_bytes",
    "idle_share",
    "start_up_ns",
    "samples",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "p999_ns",
    "max_ns",
];

/// All rounds. What was not measured is an empty cell.
///
/// # Errors
/// If it cannot be written.
pub fn write(results: &Results, to: &mut dyn Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(COLUMNS)?;
    for figure in figures(results) {
        let shape = figure.shape;
        for row in &figure.rows {
            let (share, common) = match figure.pace {
                Some(Pace::Share(share)) => (Some(share), None),
                Some(Pace::Common(rate)) => (None, Some(rate)),
                None => (None, None),
            };
            let who = (&row.entry.contender, row.info.family, row.info.waits, figure.axis, shape.pattern);
            let what =
                (shape.payload, shape.producers, shape.consumers, shape.batch, shape.capacity, shape.work, share, common);
            for (round, played) in row.entry.rounds.iter().enumerate() {
                let Played { start_up, room, jobs, wall, used, calls, memory, idle, late } = played;
                let found = (jobs, wall, Value::Rate.of(played, 0.0), used.cpu, used.voluntary, used.involuntary);
                let more = (calls, memory, idle, start_up);
                let late = late.as_ref().map(|l| [l.samples, l.p50, l.p90, l.p99, l.p999, l.max]);
                let late: [Option<u64>; 6] = late.map_or([None; 6], |late| late.map(Some));
                csv.serialize((who, what, round + 1, room, found, more, late))?;
            }
        }
    }
    Ok(csv.flush()?)
}
