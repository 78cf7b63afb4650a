//! What is in the page, without a browser.

use super::page::page;
use crate::bench::contender::{Family, Waits};
use crate::bench::report::sample::{self, Builder};
use std::sync::OnceLock;

/// Of a full run: made once, for it takes a while without optimization.
pub fn full() -> &'static str {
    static FULL: OnceLock<String> = OnceLock::new();
    FULL.get_or_init(|| page(&sample::full()).unwrap())
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = full();
    assert!(!page.contains("://"), "no address at all");
    for attribute in
        ["src=", "srcset=", "url(", "@import", "<script", "<iframe", "<img", "<object", "<use", " onload", " onclick"]
    {
        assert!(!page.contains(attribute), "{attribute}");
    }
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with('#') || link.starts_with("data:,\""), "{}", &link[..40]);
    }
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'"));
}

#[test]
fn a_full_run_has_all_parts_and_all_links_lead_to_them() {
    let page = full();
    for id in [
        "machine",
        "base",
        "losses",
        "axes",
        "calls",
        "commands",
        "latency",
        "kills",
        "crossover",
        "skipped",
        "tables",
        "again",
    ] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}");
    }
    // The base figure, five axes, calls and commands twice each, four rates of latency.
    assert_eq!(page.matches("<svg ").count(), 14);
    for axis in ["jobs a second", "numbers a second"] {
        assert!(page.contains(axis), "{axis}");
    }
    assert_eq!(page.matches("<svg ").count(), page.matches("<title id=").count());
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    for says in [
        "Self-test FAILED:",
        "Self-test UNDECIDED:",
        "Self-test NOT RUN:",
        "Partial:",
        "Noisy machine:",
        "fs.mqueue.msg_max",
        "gristmill bench --seed 7",
    ] {
        assert!(page.contains(says), "{says}");
    }
}

#[test]
fn room_that_is_not_what_was_asked_for_is_in_the_table() {
    let page = full().split("<section id=\"tables\"").nth(1).unwrap();
    let row = page.split("<tr>").find(|row| row.starts_with("<th scope=\"row\">mq-posix</th>")).unwrap();
    let cell = |text: &str, class: &str| format!("<td class=\"number{class}\">{text}</td>");
    assert!(row.contains(&cell("10", "")), "{row}");
    let row = page.split("<tr>").find(|row| row.starts_with("<th scope=\"row\">fifo</th>")).unwrap();
    assert!(row.contains(&cell("as asked", " dim")), "{row}");
}

#[test]
fn what_a_kill_does_is_a_column_of_the_base_figure() {
    let page = full();
    assert_eq!(page.matches("<th scope=\"col\" class=\"number\">if one is killed</th>").count(), 1);
    let row = page.split("<tr>").find(|row| row.starts_with("<th scope=\"row\" class=\"ours\">gristmill</th>")).unwrap();
    assert!(row.contains("<td class=\"number\">loses 1</td>"), "{row}");
}

#[test]
fn identifiers_are_unique_and_elements_are_closed() {
    let page = full();
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for tag in ["section", "figure", "div", "table", "tr", "td", "details", "svg", "ul", "dl", "p"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn whatever_names_and_reasons_are_they_are_text() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut builder = Builder::new();
    builder.contender("gristmill", Family::Engine, Waits::Adaptive, 1e6, 100.0);
    builder.contender(evil, Family::Kernel, Waits::Adaptive, 2e6, 50.0);
    let mut results = builder.base();
    results.command = format!("gristmill bench --only '{evil}'");
    results.environment.cpu = evil.into();
    results.noise = vec![evil.into()];
    results.entries[1].failures = vec![evil.into()];
    let page = page(&results).unwrap();
    assert!(!page.contains("<script") && !page.contains("alert(1)</"), "{page}");
    assert!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() > 6);
}

#[test]
fn a_run_that_was_stopped_at_once_still_makes_a_page() {
    let mut results = Builder::new().base();
    results.entries.clear();
    results.partial = true;
    let page = page(&results).unwrap();
    assert!(page.contains("Partial:") && page.contains("None of gristmill's own contenders took part"));
    assert!(!page.contains("<svg "));
}
