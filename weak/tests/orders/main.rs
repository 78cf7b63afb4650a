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
mod source;

use machine::Site;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{self, AcqRel, Relaxed, SeqCst};

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

/// Where, how the access begins in its line, and why.
type Excuse = (&'static str, &'static str, &'static str);

/// Accesses that are sequentially consistent, and no scenario needs more than acquiring and releasing.
const NOT_APART: [Excuse; 2] = [
    (
        "ring/event.rs",
        "fetch_add(1, SeqCst); // W1",
        "the machine has no stores that take effect after a load that follows them",
    ),
    ("ring/bundle.rs", "compare_exchange(self.progress.0, next.0, SeqCst, Acquire)", "as in `advance`, which is caught"),
];

/// By file: how many accesses no scenario makes, and why.
const NOT_MADE: [(&str, usize, &str); 23] = [
    ("src/lock/futex.rs", 3, "`observe` and `take_over` need a supervisor and a death; `try_lock` is as `lock`"),
    ("src/lock/spin.rs", 2, "to compare with; lock_conformance"),
    ("src/lock/ticket.rs", 4, "to compare with; lock_conformance"),
    (
        "src/pool/engine.rs",
        6,
        "kept back and impatience, in the scenarios' own words; models held and leader have the order of steps",
    ),
    ("src/pool/ledger.rs", 5, "in the parent alone"),
    ("src/pool/stats.rs", 1, "for statistics"),
    ("src/pool/worker.rs", 1, "as `ask_for_jobs`, before a sleep"),
    ("src/process/supervisor.rs", 2, "needs processes"),
    ("src/queue/attached.rs", 7, "items that the parent moves out of the way"),
    ("src/queue/core.rs", 2, "to close a queue; the model has it"),
    ("src/ring/channel.rs", 11, "to make and find a channel; items outside the region; bundles that are given back"),
    ("src/ring/event.rs", 1, "whether the parent sleeps"),
    ("src/ring/free.rs", 1, "the bits of two words at once"),
    ("src/ring/objects/barrier.rs", 8, "objects: the tests of sync step and kill them"),
    ("src/ring/objects/event.rs", 5, "objects"),
    ("src/ring/objects/mod.rs", 2, "objects"),
    ("src/ring/objects/mutex.rs", 2, "objects"),
    ("src/ring/objects/repair.rs", 2, "objects, after a death"),
    ("src/ring/outcomes.rs", 2, "to condemn a running job, which ends with its worker"),
    ("src/ring/recovery.rs", 11, "after a death, which orders all that the dead one did"),
    ("src/ring/region.rs", 5, "to make a region and to come to it and leave it"),
    ("src/ring/slots.rs", 2, "slots and bundles that are given back"),
    ("src/sync/counter.rs", 4, "objects"),
];

/// Orders that no scenario needs: where, how the access begins in its line, and why it is there nevertheless.
const NOT_SEEN: [Excuse; 24] = [
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
    ("ring/event.rs", "fetch_add(1, Release); // R", "the region's end, at which who goes to sleep looks once more"),
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

fn excused(site: &Site, excuses: &[Excuse]) -> bool {
    let text = text(site);
    excuses.iter().any(|(file, start, _)| site.0.ends_with(file) && text.starts_with(start))
}

fn run(name: &str, scenario: scenarios::Scenario) -> BTreeMap<Site, Ordering> {
    let (runs, seed) = (amount("GRISTMILL_RUNS", 1_000), amount("GRISTMILL_SEED", 1));
    let mut sites = BTreeMap::new();
    for n in seed..seed + runs {
        let (result, found) = quiet(|| scenario(n, None));
        assert_eq!(result, Ok(()), "{name}, GRISTMILL_SEED={n} GRISTMILL_RUNS=1 shows it again");
        sites.extend(found);
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

/// The accesses that scenarios make, and which of them make it.
fn made() -> BTreeMap<Site, (Ordering, Vec<usize>)> {
    let seed = amount("GRISTMILL_SEED", 1);
    let mut sites: BTreeMap<Site, (Ordering, Vec<usize>)> = BTreeMap::new();
    for (at, (_, scenario)) in scenarios::ALL.iter().enumerate() {
        for n in 0..20 {
            let found = quiet(|| scenario(seed + n, None)).1;
            for (site, order) in found.into_iter().filter(|(site, _)| site.0.starts_with("src")) {
                sites.entry(site).or_insert((order, vec![])).1.push(at);
            }
        }
    }
    sites.values_mut().for_each(|(_, where_)| where_.dedup());
    sites
}

/// Each order of the engine that is stronger than relaxed is weakened, one at a time: a scenario fails, or the order is in a list above. Those in
/// the lists are not tried but with `GRISTMILL_ALL=1`.
#[test]
fn each_order_is_needed() {
    let (most, seed) = (amount("GRISTMILL_RUNS", 4_000), amount("GRISTMILL_SEED", 1));
    let (mut caught, mut apart, mut wrong) = (0, 0, vec![]);
    for (site, (order, where_)) in made() {
        let place = format!("{}:{}:{}", site.0, site.1, site.2);
        // A few runs of each, then more of each: most are caught at once.
        let fails = |to| {
            (0..most).find_map(|n| {
                where_.iter().find_map(|&at| {
                    let (name, scenario) = scenarios::ALL[at];
                    let why = quiet(|| scenario(seed + n, Some((site, to)))).0.err()?;
                    Some(format!("{name} in run {n}: {}", why.lines().next().unwrap_or("")))
                })
            })
        };
        let mut needed = |to: Ordering, excuses: &[Excuse], what: &str| {
            let excused = excused(&site, excuses);
            if excused && amount("GRISTMILL_ALL", 0) == 0 {
                return false;
            }
            match fails(to) {
                Some(_) if excused => wrong.push(format!("{place} {what} is caught after all")),
                Some(by) => println!("{place} {what} by {by}"),
                None if excused => return false,
                None => wrong.push(format!("{place} {what} is not caught by any scenario: {}", text(&site))),
            }
            true
        };
        let relaxed = needed(Relaxed, &NOT_SEEN, "relaxed");
        caught += u32::from(relaxed);
        if relaxed && order == SeqCst {
            apart += u32::from(needed(AcqRel, &NOT_APART, "acquiring and releasing"));
        }
    }
    println!(
        "{caught} caught as relaxed, {} excused; {apart} as acquiring and releasing, {} excused",
        NOT_SEEN.len(),
        NOT_APART.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(caught >= 20 && apart >= 5, "only {caught} and {apart} were caught");
}

/// What no scenario makes is listed: an order that is new, or a list that is out of date, fails here.
#[test]
fn what_no_scenario_makes_is_listed() {
    let made = made();
    let mut rest: BTreeMap<&str, usize> = BTreeMap::new();
    for site in source::all(&["lock", "ring", "sync", "queue", "pool", "process", "layout"]) {
        if !made.contains_key(&site) {
            println!("{}:{}:{} is made by no scenario", site.0, site.1, site.2);
            *rest.entry(site.0).or_default() += 1;
        }
    }
    let listed: BTreeMap<&str, usize> = NOT_MADE.iter().map(|&(file, count, _)| (file, count)).collect();
    assert_eq!(rest, listed);
}
