//! The same pieces as one page that needs no server: no script, nothing that is loaded.

use super::changes::Mark;
use super::files::STYLE;
use super::told::{found, steps};
use crate::bench::contender::Result;
use crate::bench::environment::Environment;
use crate::bench::report::html::text::{Cell, escape, section, table};
use crate::bench::report::numbers::count;
use crate::lab::experiment::{About, Experiment, Question};
use crate::lab::findings::{Chart, Findings, Origin, Verdict};
use crate::lab::plot::{named, number};
use crate::lab::record::Record;

/// Nothing is loaded and nothing is run, whatever is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The page of these runs.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn page(runs: &[(&dyn Experiment, Record)]) -> Result<String> {
    let (mut links, mut parts) = (String::new(), String::new());
    for (experiment, record) in runs {
        let about = experiment.about();
        links += &format!("<li><a href=\"#{}\">{}</a></li>", about.name, escape(about.title));
        parts += &section(about.name, &escape(about.title), &part(*experiment, record)?);
    }
    let machine = Environment::now();
    let cpus = if machine.cores == 1 { "CPU" } else { "CPUs" };
    let real = if machine.virtual_machine { ", a virtual machine" } else { "" };
    let lead = format!(
        "gristmill {} (commit {}), measured until {} UTC: {}, {} {cpus}{real}; {}.",
        env!("CARGO_PKG_VERSION"),
        machine.commit,
        machine.started,
        machine.cpu,
        machine.cores,
        machine.kernel
    );
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>gristmill lab: what a lock costs</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>gristmill lab: what a lock costs</h1>\n\
         <p class=\"lead\">{}</p>\n\
         <nav aria-label=\"Experiments\"><ul>{links}</ul></nav>\n</header>\n<main>\n{parts}</main>\n</body>\n</html>\n",
        escape(&lead)
    ))
}

fn part(experiment: &dyn Experiment, record: &Record) -> Result<String> {
    let (about, question, findings) = (experiment.about(), experiment.question(), &record.findings);
    let found = found(&question, record, None)?;
    let mut body = String::new();
    for why in &record.noise {
        body += &format!("<p class=\"note\"><strong>Noisy machine:</strong> {}</p>\n", escape(why));
    }
    let (hypothesis, metric) = (escape(about.hypothesis), escape(about.metric));
    body += &format!("<p>{hypothesis}</p>\n<p class=\"dim\">Measured: {metric}.</p>\n{}", asked(&question, found.answer));
    for (chart, svg) in findings.charts.iter().zip(&found.charts) {
        let title = escape(&chart.title);
        body += &format!(
            "<figure>\n<figcaption>{title}</figcaption>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\n{svg}</div>\n\
             <details><summary>The values</summary>\n{}</details>\n</figure>\n",
            values(chart)
        );
    }
    let trace = &findings.trace;
    if !trace.lines.is_empty() {
        body += &format!("<h3>{}</h3>\n<pre>{}</pre>\n", escape(&trace.title), escape(&trace.lines.join("\n")));
    }
    let doubt = findings.doubt().map_or(String::new(), |doubt| format!("<p class=\"note\">{}</p>\n", escape(&doubt)));
    body += &format!("<h3>What you saw, and why</h3>\n{doubt}<p>{}</p>\n{}", escape(&findings.saw), numbers(findings));
    body += &shape(about, findings);
    body += "<h3>The code, step by step</h3>\n";
    for step in steps(experiment) {
        let lines = step.lines.iter().map(|line| {
            let (class, sign) = match line.mark {
                Mark::Same => ("same", " "),
                Mark::Gone => ("gone", "−"),
                Mark::New => ("new", "+"),
            };
            format!("<span class=\"line {class}\">{sign} {}\n</span>", escape(line.text))
        });
        body += &format!("<p>{}</p>\n<pre class=\"code\">{}</pre>\n", escape(step.says), lines.collect::<String>());
    }
    body += &format!("<h3>Again</h3>\n<pre>{}</pre>\n", escape(&record.command()));
    Ok(body)
}

fn asked(question: &Question, answer: Option<&str>) -> String {
    let (says, rest) = match *question {
        Question::Draw { says, series, .. } => {
            (says, format!("<p>The first chart has the answer of this machine: <strong>{}</strong></p>\n", escape(series)))
        }
        Question::Choose { says, of } => {
            let choices: String = of.iter().map(|choice| format!("<li>{}</li>", escape(choice))).collect();
            let right = answer.map(|answer| format!("<p>Measured here: <strong>{}</strong></p>\n", escape(answer)));
            (says, format!("<ul>{choices}</ul>\n{}", right.unwrap_or_default()))
        }
    };
    format!("<h3>The question</h3>\n<p>{}</p>\n{rest}", escape(says))
}

/// A row for each place, a column for each series that was measured.
fn values(chart: &Chart) -> String {
    let measured: Vec<_> = chart.series.iter().filter(|series| series.origin == Origin::Measured).collect();
    let mut places: Vec<f64> = measured.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let names: Vec<String> = [chart.x.title.clone()].into_iter().chain(measured.iter().map(|series| named(series))).collect();
    let heads: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = places.iter().map(|&place| {
        let name = chart.names.get(place as usize).cloned().unwrap_or_else(|| number(place));
        let cells = measured.iter().map(|series| {
            let point = series.points.iter().find(|point| (point.x - place).abs() < 1e-9);
            point.map_or("–".to_owned(), |point| match point.y.low < point.y.high {
                true => format!("{} ({} – {})", count(point.y.median), count(point.y.low), count(point.y.high)),
                false => count(point.y.median),
            })
        });
        [name].into_iter().chain(cells).map(Cell::from).collect()
    });
    let caption = format!("{}; medians, with their 95 % intervals, or ranges where rounds are few", chart.y.title);
    table(&caption, &heads, 1, rows)
}

fn numbers(findings: &Findings) -> String {
    let rows = findings.numbers.iter().map(|number| {
        let value = format!("{} {}", count(number.value), number.unit);
        format!("<dt>{}</dt><dd>{}</dd>\n", escape(&number.name), escape(value.trim_end()))
    });
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

fn shape(about: &About, findings: &Findings) -> String {
    let checks = findings.checks.iter().map(|check| {
        let (class, verdict, cause) = match check.verdict {
            Verdict::Holds => ("good", "As expected", String::new()),
            Verdict::Fails => ("bad", "Not as expected", format!(" The cause may be: {}.", check.cause)),
            Verdict::Wrong => ("bad", "Wrong", format!(" The cause may be: {}.", check.cause)),
            Verdict::NotHere => ("dim", "Not to be seen here", format!(" Because {}.", check.cause)),
        };
        let (says, found, cause) = (escape(&check.says), escape(&check.found), escape(&cause));
        format!("<li><strong class=\"{class}\">{verdict}</strong>: {says}. Found: {found}.{cause}</li>\n")
    });
    format!(
        "<h3>The shape</h3>\n<p>Expected: {}. Source: {}.</p>\n<ul>\n{}</ul>\n",
        escape(about.shape),
        escape(about.source),
        checks.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::experiments;
    use crate::lab::findings::{Axis, Check, Number, Series, Trace};

    #[test]
    fn every_part_of_a_run_is_in_the_page_and_nothing_means_anything_but_itself() {
        let evil = "<script>alert(1)</script>";
        let series = Series::measured(evil, [(0.0, vec![1.0, 2.0, 4.0])]);
        let (x, y) = (Axis::linear(evil), Axis::linear(evil));
        let chart = Chart { title: evil.into(), x, y, series: vec![series], names: vec![evil.into()] };
        let findings = Findings {
            charts: vec![chart],
            numbers: vec![Number::new(evil, 12.0, evil)],
            saw: format!("That. {evil}"),
            checks: vec![Check::new(evil, false, evil.into(), evil)],
            answer: Some(0),
            trace: Trace { title: evil.into(), lines: vec![evil.into()] },
        };
        let record = Record {
            schema: 1,
            experiment: "hold".into(),
            knobs: vec!["workers=2".into()],
            seconds: 3,
            seed: 7,
            cores: 2,
            noise: vec![evil.into()],
            findings,
        };
        let runs: Vec<(&dyn Experiment, Record)> = experiments::all().iter().map(|one| (*one, record.clone())).collect();
        let page = page(&runs).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        for part in [
            "Noisy machine",
            "What you saw, and why",
            "Not as expected",
            "class=\"line new\">+ ",
            "2.00 (1.00 – 4.00)",
            "or ranges where rounds are few",
            "--seed 7",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let parts: Vec<&str> = page.split("<section ").skip(1).collect();
        assert_eq!(parts.len(), experiments::all().len());
        for (experiment, part) in experiments::all().iter().zip(parts) {
            let (Question::Draw { says, .. } | Question::Choose { says, .. }) = experiment.question();
            assert!(part.contains(&format!("<p>{}</p>", escape(says))), "{says}");
            assert!(part.contains(&format!("Measured: {}.", escape(experiment.about().metric))), "{says}");
        }
        assert!(!page.contains("src=") && !page.contains("http://") && !page.contains("https://"));
    }
}
