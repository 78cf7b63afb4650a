//! What came of the programs, and what that shows.

use super::{COUNTER, CRIMES, NAMES, ORDER, PRINT, WAIT, WAKE};
use crate::bench::statistics::Interval;
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series, Trace};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which, and in which state.
    pub crime: usize,
    pub repaired: bool,
    /// Turns a second.
    pub rate: f64,
    /// Nanoseconds for which a turn has held the lock, if that was measured.
    pub held: f64,
    pub done: u64,
    /// So many workers were killed by the watchdog.
    pub hung: usize,
}

/// What all runs of a program in one state have in common: medians.
struct Medians<'a>(&'a [Outcome]);

impl Medians<'_> {
    fn of(&self, crime: usize, repaired: bool, value: fn(&Outcome) -> f64) -> f64 {
        let runs = self.0.iter().filter(|one| one.crime == crime && one.repaired == repaired);
        Interval::of(&runs.map(value).collect::<Vec<f64>>()).map_or(f64::NAN, |interval| interval.median)
    }

    fn rate(&self, crime: usize, repaired: bool) -> f64 {
        self.of(crime, repaired, |one| one.rate)
    }

    /// Microseconds.
    fn held(&self, crime: usize, repaired: bool) -> f64 {
        self.of(crime, repaired, |one| one.held) / 1000.0
    }

    fn hung(&self, crime: usize, repaired: bool) -> f64 {
        self.of(crime, repaired, |one| one.hung as f64)
    }

    fn done(&self, crime: usize, repaired: bool) -> f64 {
        self.of(crime, repaired, |one| one.done as f64)
    }

    /// Per cent of the repaired program's turns that the criminal one does.
    fn share(&self, crime: usize) -> f64 {
        100.0 * self.rate(crime, false) / self.rate(crime, true)
    }

    /// What became of it, in a line.
    fn line(&self, crime: usize, repaired: bool) -> String {
        let (name, which) = (NAMES[crime], if repaired { "repaired" } else { CRIMES[crime] });
        let (done, held, hung) = (self.done(crime, repaired), self.held(crime, repaired), self.hung(crime, repaired));
        if hung > 0.0 {
            return format!(
                "{name}, {which}: DEADLOCK after {done:.0} turns: one has A and waits for B, one has B and waits for A; the watchdog killed {hung:.0}"
            );
        }
        let held = if held > 0.0 { format!(", each holds the lock for {held:.2} µs") } else { String::new() };
        format!("{name}, {which}: {:.0} turns a second{held}", self.rate(crime, repaired))
    }

    /// Which one stopped, if it was one.
    fn stopped(&self) -> Option<usize> {
        let stopped: Vec<usize> = (0..NAMES.len()).filter(|crime| self.hung(*crime, false) > 0.0).collect();
        if let [one] = stopped[..] { Some(one) } else { None }
    }
}

/// What the chosen programs have shown, in these states.
pub fn findings(chosen: &[usize], states: &[bool], outcomes: &[Outcome], cores: usize) -> Findings {
    let medians = Medians(outcomes);
    let lines = chosen.iter().flat_map(|crime| states.iter().map(|repaired| medians.line(*crime, *repaired)));
    let title = "What became of each (medians of the rounds)".to_owned();
    let trace = Trace { title, lines: lines.collect() };
    let names = chosen.iter().map(|crime| NAMES[*crime].to_owned()).collect();
    let chart = |title: &str, y: &str, values: &dyn Fn(usize) -> f64| Chart {
        title: title.into(),
        x: Axis::linear("program"),
        y: Axis::linear(y),
        series: vec![Series::measured(
            "measured",
            chosen.iter().enumerate().map(|(place, crime)| (place as f64, vec![values(*crime)])),
        )],
        names,
    };
    let answer = medians.stopped();
    if let [repaired] = *states {
        let other = if repaired { "criminal" } else { "repaired" };
        let saw =
            format!("{}. This is one half: say what will change, and run the same with state={other}.", trace.lines.join(". "));
        let charts = vec![chart("Turns a second", "turns a second", &|crime| medians.rate(crime, repaired))];
        return Findings { charts, saw, checks: order(&medians, chosen, states), answer, trace, ..Findings::default() };
    }
    let numbers = chosen.iter().map(|&crime| {
        let says = format!("{} ({}): work done, of what the repaired program does", NAMES[crime], CRIMES[crime]);
        Number::new(says, medians.share(crime), "%")
    });
    let title = "What the criminal program does, of what the repaired one does";
    Findings {
        numbers: numbers.collect(),
        charts: vec![chart(title, "per cent", &|crime| medians.share(crime))],
        saw: chosen.iter().map(|crime| saw(&medians, *crime)).collect::<Vec<String>>().join(" "),
        checks: [costs(&medians, chosen, cores), order(&medians, chosen, states)].concat(),
        answer,
        trace,
    }
}

fn saw(medians: &Medians<'_>, crime: usize) -> String {
    let (bad, good, share) = (medians.held(crime, false), medians.held(crime, true), medians.share(crime));
    match crime {
        PRINT => format!(
            "(a) Printing kept the lock for {bad:.1} µs instead of {good:.2}: all who want it wait for the output, which went nowhere here; a terminal is slower."
        ),
        WAKE => format!(
            "(b) To wake is a call of the kernel: the lock was held for {bad:.1} µs instead of {good:.2}, while the woken one may already want it. The turns tell less: {share:.0} %."
        ),
        COUNTER if share < 95.0 => {
            format!("(c) Counting beside the lock's word took its cache line away: {share:.0} % of the turns.")
        }
        COUNTER => format!("(c) Counting beside the lock's word cost nothing this time: {share:.0} % of the turns."),
        WAIT => format!("(d) Whoever waited {bad:.0} µs with the lock made the other wait too: {share:.0} % of the turns."),
        _ if medians.hung(crime, false) > 0.0 => format!(
            "(e) In two orders both stopped after {:.0} turns, each with what the other wanted: a deadlock, which no time heals; the watchdog ended it. In one \
             order {:.0} turns went well.",
            medians.done(crime, false),
            medians.done(crime, true)
        ),
        _ => format!(
            "(e) Two orders went well for {:.0} turns, this time: a deadlock needs both to meet between their two locks.",
            medians.done(crime, false)
        ),
    }
}

/// What crimes cost that do not stop everything.
fn costs(medians: &Medians<'_>, chosen: &[usize], cores: usize) -> Vec<Check> {
    let busy = "other programs need the CPUs";
    let mut checks = vec![];
    for &crime in chosen {
        let (name, share) = (NAMES[crime], medians.share(crime));
        let (bad, good) = (medians.held(crime, false), medians.held(crime, true));
        if [PRINT, WAKE, WAIT].contains(&crime) {
            checks.push(Check::new(
                &format!("{name}, repaired: a turn holds the lock for less than half as long"),
                good < bad / 2.0,
                format!("{good:.2} of {bad:.2} µs"),
                busy,
            ));
        }
        if [PRINT, COUNTER, WAIT].contains(&crime) {
            let says = format!("{name}: it costs more than a sixth of the turns");
            let check = Check::new(&says, share < 83.0, format!("{share:.0} % are done"), busy);
            // Sleepers need no CPU.
            checks.push(check.with_cores(if crime == WAIT { 1 } else { 2 }, cores));
        }
    }
    checks
}

/// The two orders, of the states that were run.
fn order(medians: &Medians<'_>, chosen: &[usize], states: &[bool]) -> Vec<Check> {
    let mut checks = vec![];
    for &repaired in states.iter().filter(|_| chosen.contains(&ORDER)) {
        let (hung, done) = (medians.hung(ORDER, repaired), medians.done(ORDER, repaired));
        let found = format!("{hung:.0} hang after {done:.0} turns");
        checks.push(if repaired {
            let busy = "a worker got no CPU for seconds: other programs need them";
            Check::new("e, repaired: in one order nobody hangs", hung == 0.0 && done > 0.0, found, busy)
        } else {
            let rare = "they did not meet between their two locks in this time: give it more";
            Check::new("e: in two orders both hang", hung == 2.0, found, rare)
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    const BOTH: [bool; 2] = [false, true];
    const ALL: [usize; 5] = [PRINT, WAKE, COUNTER, WAIT, ORDER];

    /// Each crime, with the turns a second of both and the lock held for so long in both.
    fn outcomes(bad: (f64, f64), good: (f64, f64), hung: [usize; 2]) -> Vec<Outcome> {
        let of = |crime: usize, repaired: bool| {
            let (rate, held) = if repaired { good } else { bad };
            let hung = if crime == ORDER { hung[usize::from(repaired)] } else { 0 };
            Outcome { crime, repaired, rate, held, done: 100, hung }
        };
        ALL.iter().flat_map(|&crime| [of(crime, false), of(crime, true)]).collect()
    }

    #[test]
    fn the_expected_shape_holds_and_a_deadlock_is_told_as_one() {
        let found = findings(&ALL, &BOTH, &outcomes((1000.0, 5000.0), (4000.0, 50.0), [2, 0]), 2);
        assert!(
            found.checks.len() == 8 && found.checks.iter().all(|check| check.verdict == Verdict::Holds),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, Some(ORDER));
        assert!(
            found.trace.lines[8].contains("DEADLOCK after 100 turns") && !found.trace.lines[9].contains("DEADLOCK"),
            "{:?}",
            found.trace
        );
        assert!(
            found.saw.contains("5.0 µs instead of 0.05") && found.saw.contains("a deadlock, which no time heals"),
            "{}",
            found.saw
        );
        assert!(found.saw.split_whitespace().count() <= 130, "{}", found.saw.split_whitespace().count());
        assert_eq!(found.charts[0].series[0].at(0.0), Some(25.0));
    }

    #[test]
    fn another_shape_fails_and_names_a_cause() {
        let found = findings(&ALL, &BOTH, &outcomes((1000.0, 50.0), (1000.0, 50.0), [0, 1]), 2);
        assert!(
            found.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, None);
        assert!(found.saw.contains("went well for 100 turns, this time"), "{}", found.saw);
    }

    #[test]
    fn one_state_alone_tells_to_run_the_other() {
        let all = outcomes((1000.0, 5000.0), (4000.0, 50.0), [2, 0]);
        let found = findings(&[ORDER], &[false], &all, 2);
        assert!(found.saw.contains("DEADLOCK after 100 turns") && found.saw.contains("state=repaired"), "{}", found.saw);
        assert_eq!((found.answer, found.checks.len(), found.checks[0].verdict), (Some(ORDER), 1, Verdict::Holds));
        let found = findings(&[WAIT], &[true], &all, 2);
        assert!(found.saw.contains("state=criminal") && found.checks.is_empty(), "{}", found.saw);
        assert_eq!(found.charts[0].series[0].at(0.0), Some(4000.0));
    }
}
