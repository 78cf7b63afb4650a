//! The CSVs of a class as one: for each point how many machines have measured it, and what they found together.

use super::record::COLUMNS;
use crate::bench::contender::Result;
use crate::bench::statistics::median;
use csv::{ErrorKind, Reader, StringRecord, Writer};
use std::collections::{HashMap, HashSet};
use std::io::Read;

/// Of [`COLUMNS`], what says which point it is; the rest is what was found there, and on how many CPUs.
const KEY: [usize; 7] = [0, 1, 3, 4, 5, 6, 7];
const CORES: usize = 2;
const X: usize = 6;
const MEDIAN: usize = 8;
const BOUNDS: [usize; 2] = [9, 10];

/// A point of several machines.
struct Point {
    key: Vec<String>,
    cores: Vec<u64>,
    medians: Vec<f64>,
}

/// Merges files, each with its name, into a line for each point, in the order in which they first occur.
///
/// # Errors
/// In one line, with the file and the line in it: what is no CSV of a run, or is the same as another file.
pub fn merge<R: Read>(files: impl IntoIterator<Item = (String, R)>) -> Result<String> {
    let mut points: Vec<Point> = vec![];
    let mut places = HashMap::new();
    let mut texts = HashMap::new();
    for (name, mut file) in files {
        let mut text = vec![];
        file.read_to_end(&mut text).map_err(|why| format!("{name}: {why}"))?;
        // No two machines measure the same to the last digit: it would count as two.
        if let Some(other) = texts.insert(text.clone(), name.clone()) {
            return Err(format!("{name}: it is the same as {other}").into());
        }
        let mut seen = HashSet::new();
        read(&name, text.as_slice(), |record, cores, median| {
            let key: Vec<String> = KEY.iter().map(|&column| record[column].to_owned()).collect();
            // It would count as two machines.
            if !seen.insert(key.clone()) {
                return Err("the same point again".to_owned());
            }
            let place = *places.entry(key.clone()).or_insert(points.len());
            if place == points.len() {
                points.push(Point { key, cores: vec![], medians: vec![] });
            }
            points[place].cores.push(cores);
            points[place].medians.push(median);
            Ok(())
        })?;
    }
    let mut csv = Writer::from_writer(vec![]);
    let columns = KEY.map(|column| COLUMNS[column]);
    csv.write_record(columns.iter().chain(&["machines", "least_cores", "most_cores", "median", "low", "high"]))?;
    for Point { key, cores, medians } in &points {
        let machines = medians.len().to_string();
        let [least, most] = [cores.iter().min(), cores.iter().max()].map(|n| n.map_or(String::new(), u64::to_string));
        let bound = |pick: fn(f64, f64) -> f64| medians.iter().copied().reduce(pick).map_or(String::new(), |y| y.to_string());
        let middle = median(medians).map_or(String::new(), |y| y.to_string());
        csv.write_record(key.iter().chain(&[machines, least, most, middle, bound(f64::min), bound(f64::max)]))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// Gives each line's fields, CPUs and median.
fn read(
    name: &str,
    file: impl Read,
    mut give: impl FnMut(&StringRecord, u64, f64) -> std::result::Result<(), String>,
) -> Result<()> {
    let at = |line: u64, why: &str| format!("{name}:{line}: {why}");
    let mut csv = Reader::from_reader(file);
    let foreign = |why: &csv::Error| {
        let line = why.position().map_or(1, csv::Position::line);
        match why.kind() {
            ErrorKind::UnequalLengths { expected_len, len, .. } => at(line, &format!("{len} fields instead of {expected_len}")),
            ErrorKind::Utf8 { .. } => at(line, "it is no UTF-8"),
            _ => at(line, &why.to_string()),
        }
    };
    if csv.headers().map_err(|why| foreign(&why))? != COLUMNS.as_slice() {
        return Err(at(1, "it does not begin like what `gristmill lab run --csv` writes").into());
    }
    for record in csv.records() {
        let record = record.map_err(|why| foreign(&why))?;
        let line = record.position().map_or(1, csv::Position::line);
        let number = |column: usize| -> std::result::Result<f64, String> {
            let told = || at(line, &format!("{} is no number: '{}'", COLUMNS[column], &record[column]));
            record[column].parse().ok().filter(|value: &f64| !value.is_nan()).ok_or_else(told)
        };
        number(X)?;
        for column in BOUNDS {
            number(column)?;
        }
        let cores = record[CORES].parse().map_err(|_| at(line, &format!("cores is no number: '{}'", &record[CORES])))?;
        give(&record, cores, number(MEDIAN)?).map_err(|why| at(line, &why))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "experiment,knobs,cores,chart,series,origin,x,name,median,low,high\n";

    fn merged(files: &[String]) -> Result<String> {
        merge(files.iter().enumerate().map(|(n, text)| (format!("{n}.csv"), text.as_bytes())))
    }

    fn refused(second: &str) -> String {
        merged(&[format!("{HEAD}hold,,2,c,s,measured,0,,1,1,1\n"), second.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn points_of_several_machines_become_one_with_their_median_and_range() {
        let of = |cores, y| format!("{HEAD}hold,workers=2,{cores},\"a, b\",s,measured,20,,{y},0,9\n");
        let other = format!("{}hold,workers=4,8,c,s,measured,20,,7,7,7\n", of(8, 3.0));
        let merged = merged(&[of(2, 1.0), other, of(4, 1.5)]).unwrap();
        assert_eq!(
            merged,
            "experiment,knobs,chart,series,origin,x,name,machines,least_cores,most_cores,median,low,high\n\
             hold,workers=2,\"a, b\",s,measured,20,,3,2,8,1.5,1,3\n\
             hold,workers=4,c,s,measured,20,,1,8,8,7,7,7\n"
        );
    }

    #[test]
    fn what_is_no_csv_of_a_run_is_told_in_one_line_with_file_and_line() {
        assert_eq!(refused("a,b\n1,2\n"), "1.csv:1: it does not begin like what `gristmill lab run --csv` writes");
        assert!(refused("").starts_with("1.csv:1: "));
        assert_eq!(refused(&format!("{HEAD}hold,,2\n")), "1.csv:2: 3 fields instead of 11");
        let good = "hold,,2,c,s,measured,0,,1,1,1\n";
        let says = |line: &str| refused(&format!("{HEAD}{good}{line}\n"));
        assert_eq!(says("hold,,two,c,s,measured,0,,1,1,1"), "1.csv:3: cores is no number: 'two'");
        assert_eq!(says("hold,,2,c,s,measured,0,,NaN,1,1"), "1.csv:3: median is no number: 'NaN'");
        assert_eq!(says("hold,,2,c,s,measured,0,,1,1,high"), "1.csv:3: high is no number: 'high'");
        assert_eq!(says(good.trim_end()), "1.csv:3: the same point again");
        let bytes = [HEAD.as_bytes(), b"\xff,,2,c,s,measured,0,,1,1,1\n"].concat();
        let why = merge([("x.csv".to_owned(), &*bytes)]).unwrap_err();
        assert_eq!(why.to_string(), "x.csv:2: it is no UTF-8");
    }
}
