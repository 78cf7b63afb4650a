//! Memory orders, over the very lock, rings, slots, bundles and events: `RUSTFLAGS="--cfg gristmill_weak" cargo test --release -p gristmill-weak`.
//!
//! The `machine` runs small programs (`scenarios`) so that every load may give any value that the language allows. They hold. Then each access of the engine that is
//! stronger than relaxed is made relaxed, one at a time, and one of the scenarios must fail: an order that nothing depends on is named in
//! [`NOT_SEEN`] with the reason, or is too strong.
#![cfg(gristmill_weak)]
#![allow(missing_docs)] // A test has no reader but this file's.

mod machine;
mod queues;
mod scenarios;

use machine::Site;
use std::collections::BTreeMap;

/// A number from the environment, for longer runs.
fn amount(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn quiet<R>(body: impl FnOnce() -> R) -> R {
    std::panic::set_hook(Box::new(|_| {}));
    let result = body();
    let _ = std::panic::take_hook();
    result
}

/// Orders that no scenario needs: where, how the access begins in its line, and why it is there nevertheless.
const NOT_SEEN: [(&str, &str, &str); 23] = [
    (
        "ring/bundle.rs",
        "load(Acquire)); // A \u{2194} R of whoever ran it before",
        "the start of the slot, which comes before, has acquired it",
    ),
    ("ring/bundle.rs", "store(n as u16 + 1, Release)", "read after the end of the process, which orders it"),
    (
        "ring/bundle.rs",
        "compare_exchange(self.progress.0, begun.0, SeqCst, Acquire) {",
        "cuts change the same word; said as in `begin`",
    ),
    ("ring/channel.rs", "store(f.word.to(State::Ready, 0).0, Release)", "the job lock orders it for whoever pops the entry"),
    ("ring/channel.rs", "fetch_update(Release, Relaxed, |n| Some(change(n)))", "only goes up here: nobody waits for that"),
    (
        "ring/channel.rs",
        "compare_exchange(word.0, done.0, AcqRel, Relaxed)",
        "who helps has acquired FINISHED by its look, and the lock releases",
    ),
    ("ring/channel.rs", "fetch_sub(wins - early, Release)", "outcomes are taken under the result lock, which orders them"),
    (
        "ring/channel.rs",
        "compare_exchange(word.0, word.freed().0, AcqRel, Relaxed)",
        "who helps has acquired FINISHED, and the lock releases",
    ),
    (
        "ring/event.rs",
        "load(Acquire);",
        "of turns: no load of the machine gives what is stored only later, as S0 would have to; of `told`: a system call stands between",
    ),
    ("ring/event.rs", "fetch_add(1, Release); // T", "as the look at the turns"),
    ("ring/event.rs", "store(u64::from(turns)", "as the look at `told`"),
    ("ring/event.rs", "load(SeqCst) != 0 {", "the end moves each sequence after the condition: who reads the new one sees it"),
    ("ring/event.rs", "store(0, Release)", "read by recovery, after the end of the process"),
    ("ring/event.rs", "fetch_sub(one, SeqCst)", "a number too high for a moment costs a wake-up and nothing else"),
    ("ring/outcomes.rs", "store(word.freed().0, Release)", "the parent fills its own slots, so it orders them itself"),
    ("ring/outcomes.rs", "compare_exchange(now.0, to(now).0, SeqCst, Relaxed)", "one word: the CAS alone decides"),
    ("ring/outcomes.rs", "store(1, SeqCst)", "the number of sleepers says it as well, a little later"),
    ("ring/outcomes.rs", "load(Acquire) == self.index + 1", "a hint: the slot's word decides"),
    ("ring/outcomes.rs", "store(if slot.is_some() { self.index + 1 } else { 0 }, Release)", "a hint, as above"),
    ("ring/outcomes.rs", "load(SeqCst) != 0 {", "no scenario has an impatient collector when a rest is put back"),
    (
        "ring/region.rs",
        "compare_exchange(0, why as u32, SeqCst, Relaxed)",
        "as for the look at it: the sequences move afterwards",
    ),
    (
        "ring/slots.rs",
        "compare_exchange(free.0, owned.0, Acquire, Relaxed)",
        "the bit has been acquired; for a bit that is out of date",
    ),
    ("ring/slots.rs", "load(Acquire)) // A \u{2194} whichever", "the result lock orders it for the collector"),
];

/// The line of an access, from its column on.
fn text(site: &Site) -> String {
    let source = std::fs::read_to_string(format!("{}/../{}", env!("CARGO_MANIFEST_DIR"), site.0)).expect("the source");
    let line = source.lines().nth(site.1 as usize - 1).expect("the line");
    line.chars().skip(site.2 as usize - 1).collect()
}

fn excused(site: &Site) -> bool {
    let text = text(site);
    NOT_SEEN.iter().any(|(file, start, _)| site.0.ends_with(file) && text.starts_with(start))
}

fn run(name: &str, scenario: scenarios::Scenario) -> BTreeMap<Site, u64> {
    let (runs, seed) = (amount("GRISTMILL_RUNS", 1_000), amount("GRISTMILL_SEED", 1));
    let mut sites = BTreeMap::new();
    for n in seed..seed + runs {
        let (result, found) = quiet(|| scenario(n, None));
        assert_eq!(result, Ok(()), "{name}, GRISTMILL_SEED={n} GRISTMILL_RUNS=1 shows it again");
        found.into_iter().for_each(|(site, times)| *sites.entry(site).or_default() += times);
    }
    println!("{name} holds in {runs} runs");
    sites
}

#[test]
fn every_scenario_holds() {
    for (name, scenario) in scenarios::ALL {
        assert!(run(name, scenario).len() > 1, "{name} has nothing to weaken");
    }
}

/// Each order of the engine that is stronger than relaxed is made relaxed, one at a time: a scenario fails, or the order is in the list above.
/// Those in the list are not tried but with `GRISTMILL_ALL=1`.
#[test]
fn each_order_is_needed() {
    let (most, seed) = (amount("GRISTMILL_RUNS", 4_000), amount("GRISTMILL_SEED", 1));
    let mut sites: BTreeMap<Site, Vec<usize>> = BTreeMap::new();
    for (at, (_, scenario)) in scenarios::ALL.iter().enumerate() {
        for n in 0..20 {
            let found = quiet(|| scenario(seed + n, None)).1;
            found.keys().filter(|site| site.0.starts_with("src")).for_each(|site| sites.entry(*site).or_default().push(at));
        }
    }
    let (mut caught, mut wrong) = (0, vec![]);
    for (site, mut where_) in sites {
        if excused(&site) && amount("GRISTMILL_ALL", 0) == 0 {
            continue;
        }
        where_.dedup();
        // A few runs of each, then more of each: most are caught at once.
        let fails = |n| {
            where_.iter().find_map(|&at| {
                let (name, scenario) = scenarios::ALL[at];
                quiet(|| scenario(seed + n, Some(site)))
                    .0
                    .err()
                    .map(|why| format!("{name} in run {n}: {}", why.lines().next().unwrap_or("")))
            })
        };
        let place = format!("{}:{}:{}", site.0, site.1, site.2);
        match (0..most).find_map(fails) {
            Some(_) if excused(&site) => wrong.push(format!("{place} is needed after all")),
            Some(by) => {
                caught += 1;
                println!("{place} by {by}");
            }
            None if excused(&site) => {}
            None => wrong.push(format!("{place} is not needed by any scenario: {}", text(&site))),
        }
    }
    println!("{caught} caught, {} excused", NOT_SEEN.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(caught >= 20, "only {caught} were caught");
}
