//! All numbers, as tables.

use super::text::{Cell, escape, table};
use crate::bench::contender::Family;
use crate::bench::kill::Fate;
use crate::bench::report::figures::{Figure, Row, killed};
use crate::bench::report::losses::{Loss, Standing};
use crate::bench::report::words;
use crate::bench::results::{Axis, Crossing, Kill, Results};
use crate::bench::value::Value;

/// A table for each figure, folded but for the first one.
pub fn figures(results: &Results, figures: &[Figure]) -> String {
    figures
        .iter()
        .enumerate()
        .map(|(n, figure)| {
            let open = if n == 0 { " open" } else { "" };
            let title = figure.title();
            format!("<details{open}><summary>{}</summary>\n{}</details>\n", escape(&title), one(figure, &title, &results.kills))
        })
        .collect()
}

fn name(row: &Row) -> Cell {
    Cell::marked(&*row.entry.contender, if row.info.family == Family::Engine { "ours" } else { "" })
}

fn one(figure: &Figure, title: &str, kills: &[Kill]) -> String {
    const RATE: [Value; 7] =
        [Value::Rate, Value::Cpu, Value::Switches, Value::Calls, Value::Idle, Value::Memory, Value::StartUp];
    const LATE: [Value; 4] = [Value::P50, Value::P99, Value::P999, Value::Cpu];
    // CPU without anything to do is measured once for each contender.
    let shown = |value: &&Value| **value != Value::Idle || figure.has(Value::Idle);
    let values: Vec<Value> =
        if figure.axis == Axis::Latency { &LATE[..] } else { &RATE }.iter().filter(shown).copied().collect();
    let (all, bounds) = (figure.rounds(), words::bounds(figure.rounds()));
    let mut heads = vec!["contender", "family", "waits"];
    for value in &values {
        heads.extend([value.name(), &bounds]);
    }
    // How much fits is the contender's own where the system, or its design, does not let it have what was asked for.
    let rooms = figure.rooms_differ();
    if rooms {
        heads.push("room");
    }
    let kills = if figure.axis == Axis::Base { kills } else { &[] };
    if !kills.is_empty() {
        heads.push("if one is killed");
    }
    heads.push("rounds");
    let rows = figure.rows.iter().map(|row| {
        let mut cells = vec![name(row), words::family(row.info.family).into(), words::waits(row.info.waits).into()];
        for value in &values {
            let interval = value.in_summary(row.summary);
            let show = |number| value.show(number);
            cells.push(interval.map_or("–".into(), |i| show(i.median)).into());
            let spread = interval.map_or("–".into(), |i| words::spread(i, show) + &words::fewer(row.rounds(), all));
            cells.push(Cell::marked(spread, "dim"));
        }
        if rooms {
            cells.push(match row.room() {
                Some(room) if room == figure.shape.capacity as u64 => Cell::marked("as asked", "dim"),
                Some(room) => room.to_string().into(),
                None => "–".into(),
            });
        }
        if !kills.is_empty() {
            cells.push(killed(kills, row).into());
        }
        cells.push(match row.entry.failures.first() {
            None => row.rounds().to_string().into(),
            Some(why) => Cell::marked(format!("{}; {} failed: {why}", row.rounds(), row.entry.failures.len()), "bad"),
        });
        cells
    });
    let legend = if figure.axis == Axis::Latency { words::too_few(figure) } else { None };
    let legend = legend.map_or(String::new(), |legend| format!("<p>{}</p>\n", escape(&legend)));
    table(title, &heads, 3, rows) + &legend
}

/// Those who are behind, the worst first.
pub fn losses(standing: &Standing, caption: &str) -> String {
    let all = standing.losses.iter().map(Loss::rounds).max().unwrap_or(0);
    let row = |loss: &Loss| {
        let show = |row: &Row| row.median(loss.value).map_or("–".into(), |median| loss.value.show(median));
        let by = loss.ratio.map_or("the other has none".into(), |r| words::ratio(r) + &words::fewer(loss.rounds(), all));
        let sure = if loss.certain() { Cell::marked("yes", "bad") } else { "no: covers 1".into() };
        vec![
            Cell::marked(format!("{} ({})", loss.ours.info.name, words::waits(loss.ours.info.waits)), "ours"),
            loss.value.noun().into(),
            Cell::marked(loss.figure.title(), "long"),
            Cell::from(&*loss.rival.info.name),
            sure,
            by.into(),
            show(&loss.ours).into(),
            show(&loss.rival).into(),
        ]
    };
    let worse = format!("times worse ({})", words::bounds(all));
    let heads = ["ours", "what", "figure", "first", "certain", &worse, "ours", "first"];
    table(caption, &heads, 5, standing.losses.iter().map(row))
}

/// What a killed consumer costs.
pub fn kills(results: &Results) -> String {
    let row = |kill: &Kill| {
        let bad = kill.fates.iter().any(|fate| matches!(fate, Fate::Drops { .. } | Fate::Hangs { .. } | Fate::Breaks { .. }));
        let good = !bad && kill.fates.iter().all(|fate| matches!(fate, Fate::GoesOn { .. }));
        let class = if bad {
            "long bad"
        } else if good {
            "long good"
        } else {
            "long"
        };
        vec![kill.contender.as_str().into(), Cell::marked(words::fates(&kill.fates), class)]
    };
    table("What the others do after a consumer was killed", &["contender", "what happens"], 2, results.kills.iter().map(row))
}

/// From which length of a job on each contender is like the fastest one that waits alike.
pub fn crossovers(results: &Results, rounds: usize) -> String {
    let from = format!("from ({})", words::bounds(rounds));
    let rows = results.crossovers.iter().flat_map(|crossover| {
        let mut all: Vec<_> = crossover.contenders.iter().collect();
        all.sort_by(|a, b| words::reach(a).total_cmp(&words::reach(b)));
        let row = |one: &Crossing| {
            let length = words::length(one.length, crossover.longest);
            vec![one.contender.as_str().into(), words::waits(crossover.waits).into(), length.into()]
        };
        all.into_iter().map(row).collect::<Vec<_>>()
    });
    let caption = "The length of a job from which on a contender has 95 % of the rate of the fastest one that waits alike";
    table(caption, &["contender", "waits", &from], 2, rows)
}

/// Who did not take part, and why.
pub fn skipped(results: &Results) -> String {
    let rows = results.skipped.iter().map(|skipped| {
        let shape = skipped.shape.map_or("all".into(), |shape| shape.to_string());
        vec![skipped.contender.as_str().into(), shape.into(), Cell::marked(&*skipped.why, "long")]
    });
    table("Contenders that were not measured", &["contender", "in", "why"], 3, rows)
}

/// Who takes part.
pub fn contenders(results: &Results) -> String {
    let rows = results.contenders.iter().map(|info| {
        let class = if info.family == Family::Engine { "ours" } else { "" };
        let batches = if info.batches { "yes" } else { "no" };
        vec![
            Cell::marked(&*info.name, class),
            Cell::marked(&*info.says, "long"),
            words::family(info.family).into(),
            words::waits(info.waits).into(),
            batches.into(),
        ]
    });
    table("All contenders of this run", &["contender", "what it is", "family", "waits", "batches"], 5, rows)
}
