//! The page, part by part.

use super::charts::charts;
use super::lines::lines;
use super::svg::class;
use super::text::{escape, section};
use super::{bars, tables};
use crate::bench::contender::{Family, Result};
use crate::bench::report::figures::{Figure, figures};
use crate::bench::report::losses::{Rivals, Standing, standing};
use crate::bench::report::words;
use crate::bench::results::{Axis, Results, Verdict};

/// Nothing is loaded and nothing is run, whatever is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The whole page.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn page(results: &Results) -> Result<String> {
    let figures = figures(results);
    let mut parts: Vec<(&str, &str, String)> = vec![("machine", "The machine", machine(results))];
    let mut part = |id, heading, body: String| {
        if !body.is_empty() {
            parts.push((id, heading, body));
        }
    };
    part("base", "The base figure", base(&figures)?);
    part("losses", "Where we lose", losses(results, &figures));
    part("axes", "What the rate depends on", axes(results, &figures)?);
    part("calls", "Jobs and their results", rates(&figures, Axis::Calls)?);
    part("commands", "At the command line", rates(&figures, Axis::Commands)?);
    part("latency", "Latency", latency(&figures)?);
    part("kills", "A worker is killed", kills(results));
    part("crossover", "Crossover", crossover(results, &figures));
    if !results.skipped.is_empty() {
        part("skipped", "Not measured", tables::skipped(results));
    }
    part("tables", "All numbers", numbers(results, &figures));
    part(
        "again",
        "Again",
        format!("<p>The command that repeats this run:</p>\n<pre><code>{}</code></pre>\n", escape(&results.command)),
    );
    let links: String = parts.iter().map(|(id, heading, _)| format!("<li><a href=\"#{id}\">{heading}</a></li>")).collect();
    let sections: String = parts.iter().map(|(id, heading, body)| section(id, heading, body)).collect();
    let e = &results.environment;
    let cpus = if e.cores == 1 { "CPU" } else { "CPUs" };
    let lead = format!("gristmill {}, {}, {} {cpus} of {}, commit {}", results.version, e.started, e.cores, e.cpu, e.commit);
    let (style, notes, lead) = (include_str!("style.css"), notes(results), escape(&lead));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>gristmill bench, {}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <header>\n<h1>gristmill bench: shared memory against pipes</h1>\n<p class=\"lead\">{lead}</p>\n\
         <nav aria-label=\"Parts of the page\"><ul>{links}</ul></nav>\n</header>\n<main>\n{notes}{sections}</main>\n</body>\n</html>\n",
        escape(&e.started)
    ))
}

/// What a reader must know before any number.
fn notes(results: &Results) -> String {
    let mut notes = String::new();
    let mut note = |class: &str, what: &str, says: &str| {
        notes += &format!("<p class=\"note{class}\"><strong>{what}:</strong> {}</p>\n", escape(says));
    };
    for test in results.self_tests.iter().filter(|test| test.verdict != Verdict::Holds) {
        let what = format!("Self-test {}", words::verdict(test.verdict));
        note(" failed", &what, &format!("{}. Found: {}", test.says, test.found));
    }
    if results.partial {
        note("", "Partial", "the run was stopped before its end; what was finished is shown");
    }
    for why in &results.noise {
        note("", "Noisy machine", why);
    }
    notes
}

fn machine(results: &Results) -> String {
    let mut body = String::from("<dl>\n");
    for (name, value) in words::card(&results.environment) {
        body += &format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value));
    }
    body += &format!("<dt>Seed</dt><dd>{}</dd>\n</dl>\n<h3>Self-tests</h3>\n<ul>\n", results.seed);
    for test in &results.self_tests {
        let (class, how) = (if test.verdict == Verdict::Holds { "good" } else { "bad" }, words::verdict(test.verdict));
        let (says, found) = (escape(&test.says), escape(&test.found));
        body += &format!("<li><strong class=\"{class}\">{how}</strong>: {says}. Found: {found}</li>\n");
    }
    body + "</ul>\n"
}

fn legend() -> String {
    let all = [Family::Engine, Family::Kernel, Family::Memory, Family::Threads, Family::Peer];
    let items = all.map(|of| format!("<li><span class=\"swatch {}\"></span>{}</li>", class(of), words::family(of)));
    format!("<ul class=\"legend\" aria-label=\"Colours\">{}</ul>\n", items.concat())
}

fn chart(svg: &str, label: &str, caption: &str) -> String {
    let label = escape(label);
    let scroll = format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n{svg}</div>");
    format!("<figure>\n{scroll}\n<figcaption>{}</figcaption>\n</figure>\n", escape(caption))
}

fn base(figures: &[Figure]) -> Result<String> {
    let Some(figure) = figures.iter().find(|figure| figure.axis == Axis::Base) else { return Ok(String::new()) };
    let title = figure.title();
    let best = figure.rows.first().map_or(String::new(), |row| {
        format!(" {} has the highest rate, {}.", row.entry.contender, row.summary.rate.median.round())
    });
    let svg =
        bars::rates("chart-base", &format!("Bar chart. {title}.{best} All numbers are in the table of this figure."), figure)?;
    let caption = format!(
        "{title}. Medians of all rounds; {}. Compare like wait policies: who spins pays with CPU. \
         Bars are not drawn to a logarithm, so that twice as long is twice as many.",
        words::intervals(figure.rounds())
    );
    Ok(legend() + &chart(&svg, "Payloads a second, by contender", &caption))
}

/// How we stand against others, with what is lost.
fn losses(results: &Results, figures: &[Figure]) -> String {
    let against = |rivals| standing(figures, rivals, results.clock);
    let (processes, threads) = (against(Rivals::Processes), against(Rivals::Threads));
    if !results.contenders.iter().any(|info| info.family == Family::Engine) {
        return "<p>None of gristmill's own contenders took part.</p>\n".into();
    }
    let mut body = String::from(
        "<p>Every figure of this run in which one of gristmill's contenders is not the first, made from the data. The rate is compared with that of \
         all others, however they wait; CPU for each payload and latency, and in the base figure memory and idle CPU, with those that wait alike; \
         commands with all other commands. Only what was measured counts.</p>\n\
         <h3>Against all that cross a process boundary</h3>\n",
    );
    let caption = "Figures in which another one that crosses a process boundary is ahead, the most certain and the worst first";
    body += &told(&processes, caption);
    body += "<h3>Against threads, which need not cross one</h3>\n";
    body + &told(&threads, "Figures in which threads are ahead, the most certain and the worst first")
}

fn told(standing: &Standing, caption: &str) -> String {
    let certain = standing.losses.iter().filter(|loss| loss.certain()).count();
    let within = standing.losses.len() - certain;
    let all = standing.losses.len() + standing.first;
    let alone = standing.alone;
    if all == 0 {
        return format!("<p>Nothing to compare: there was no rival ({alone} comparisons left out).</p>\n");
    }
    let lone = if alone == 0 { String::new() } else { format!(" In {alone} more there is no rival that waits alike.") };
    let said = format!(
        "<p>Of {all} comparisons: first in {}, behind in {certain}, behind by no more than chance explains in {within}.{lone}</p>\n",
        standing.first
    );
    if standing.losses.is_empty() { said } else { said + &tables::losses(standing, caption) }
}

fn axes(results: &Results, figures: &[Figure]) -> Result<String> {
    let mut body = String::new();
    let intervals = words::intervals(figures.iter().map(Figure::rounds).max().unwrap_or(0));
    for (n, one) in charts(results, figures).into_iter().enumerate() {
        let svg = lines(&format!("chart-axis-{n}"), &format!("Line chart. {}.", one.heading), &one.ticks, &one.lines)?;
        let picked = one.lines.iter().all(|line| line.picked);
        let others = if picked {
            ""
        } else {
            " Picked out: gristmill's, and the best of each family. Grey: all others; the tables have them."
        };
        let ring = one.lines.iter().any(|line| line.picked && line.ring.is_some());
        let ring = if ring {
            " A ring marks the work from which on a contender has 95 % of the rate of the fastest process that waits alike."
        } else {
            ""
        };
        let caption = format!(
            "Medians; {intervals}. Circle and full line: adaptive; square and dashes: blocks; triangle and dots: spins.{ring}{others}"
        );
        body += &format!("<h3>{}</h3>\n{}", one.heading, chart(&svg, one.heading, &caption));
    }
    Ok(if body.is_empty() { body } else { legend() + &body })
}

/// Bars for each figure of a group that is not about a queue's rate.
fn rates(figures: &[Figure], axis: Axis) -> Result<String> {
    let mut body = String::new();
    for (n, figure) in figures.iter().filter(|figure| figure.axis == axis).enumerate() {
        let title = figure.title();
        let id = format!("chart-{axis:?}-{n}").to_lowercase();
        let svg = bars::rates(&id, &format!("Bar chart. {title}. All numbers are in the table of this figure."), figure)?;
        let caption = format!("Medians of all rounds; {}.", words::intervals(figure.rounds()));
        body += &format!("<h3>{}</h3>\n{}", escape(&title), chart(&svg, &title, &caption));
    }
    Ok(if body.is_empty() { body } else { legend() + &body })
}

fn latency(figures: &[Figure]) -> Result<String> {
    let mut body = String::new();
    for (n, figure) in figures.iter().filter(|figure| figure.axis == Axis::Latency).enumerate() {
        let title = figure.title();
        let label = format!("Chart of percentiles. {title}.");
        let svg = bars::latencies(&format!("chart-latency-{n}"), &label, figure)?;
        let caption = format!(
            "From the moment a payload was due to its end. Circle: p50; square: p99; triangle: p99.9. At the circle, {}.{}",
            words::intervals(figure.rounds()),
            words::too_few(figure)
                .map_or(String::new(), |_| " A mark is missing where a round had too few payloads for it.".into())
        );
        body += &format!("<h3>{}</h3>\n{}", escape(&title), chart(&svg, &title, &caption));
    }
    Ok(if body.is_empty() { body } else { legend() + &body })
}

fn kills(results: &Results) -> String {
    if results.kills.is_empty() {
        return String::new();
    }
    let told = "<p>A consumer is killed in the middle of the work. Do the others get what is sent afterwards, and how much is lost? Who \
                hangs in each of the first three tries is not tried again.</p>\n";
    told.to_owned() + &tables::kills(results)
}

fn crossover(results: &Results, figures: &[Figure]) -> String {
    if results.crossovers.is_empty() {
        return String::new();
    }
    let answers: String =
        results.crossovers.iter().map(|one| format!("<li>{}</li>\n", escape(&words::crossover(one)))).collect();
    let rounds = figures.iter().filter(|figure| figure.axis == Axis::Work).map(Figure::rounds).max().unwrap_or(0);
    let told = "<p>Up to which length of a job it matters who is chosen among those that cross a process boundary and wait alike.</p>\n";
    format!("{told}<ul>\n{answers}</ul>\n{}", tables::crossovers(results, rounds))
}

fn numbers(results: &Results, figures: &[Figure]) -> String {
    let all = tables::figures(results, figures);
    format!("{all}<details><summary>All contenders of this run</summary>\n{}</details>\n", tables::contenders(results))
}
