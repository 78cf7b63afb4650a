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

/// What the chosen programs have shown.
pub fn findings(chosen: &[usize], outcomes: &[Outcome], cores: usize) -> Findings {
    let of = |crime: usize, repaired: bool, value: fn(&Outcome) -> f64| {
        let values: Vec<f64> =
            outcomes.iter().filter(|one| one.crime == crime && one.repaired == repaired).map(value).collect();
        Interval::of(&values).map_or(f64::NAN, |interval| interval.median)
    };
    let rate = |crime, repaired| of(crime, repaired, |one| one.rate);
    let held = |crime, repaired| of(crime, repaired, |one| one.held) / 1000.0;
    let hung = |crime, repaired| of(crime, repaired, |one| one.hung as f64);
    let done = |crime, repaired| of(crime, repaired, |one| one.done as f64);
    let share = |crime| 100.0 * rate(crime, false) / rate(crime, true);
    let busy = "other programs need the CPUs";
    let (mut saw, mut checks, mut numbers, mut trace) = (vec![], vec![], vec![], vec![]);
    for &crime in chosen {
        let name = NAMES[crime];
        for (repaired, which) in [(false, CRIMES[crime]), (true, "repaired")] {
            let mut line = format!("{name}, {which}: {:.0} turns a second", rate(crime, repaired));
            if held(crime, repaired) > 0.0 {
                line += &format!(", each holds the lock for {:.2} µs", held(crime, repaired));
            }
            if hung(crime, repaired) > 0.0 {
                line = format!(
                    "{name}, {which}: DEADLOCK after {:.0} turns: one has A and waits for B, one has B and waits for A; the watchdog killed {:.0}",
                    done(crime, repaired),
                    hung(crime, repaired)
                );
            }
            trace.push(line);
        }
        numbers.push(Number::new(
            format!("{name} ({}): work done, of what the repaired program does", CRIMES[crime]),
            share(crime),
            "%",
        ));
        let (bad, good) = (held(crime, false), held(crime, true));
        saw.push(match crime {
            PRINT => format!("(a) Printing kept the lock for {bad:.1} µs instead of {good:.2}: all who want it wait for the output, which went nowhere here; a terminal is slower."),
            WAKE => format!("(b) To wake is a call of the kernel: the lock was held for {bad:.1} µs instead of {good:.2}, while the woken one may already want it."),
            COUNTER => format!("(c) Counting beside the lock's word took its cache line away: {:.0} % of the turns.", share(crime)),
            WAIT => format!("(d) Whoever waited {:.0} µs with the lock made the other wait too: {:.0} % of the turns.", bad, share(crime)),
            _ if hung(crime, false) > 0.0 => format!(
                "(e) In two orders both stopped after {:.0} turns, each with what the other wanted: a deadlock, which no time heals; the watchdog ended it. In one \
                 order {:.0} turns went well.",
                done(crime, false),
                done(crime, true)
            ),
            _ => format!("(e) Two orders went well for {:.0} turns, this time: a deadlock needs both to meet between their two locks.", done(crime, false)),
        });
        if [PRINT, WAKE, WAIT].contains(&crime) {
            checks.push(Check::new(
                &format!("{name}, repaired: a turn holds the lock for less than half as long"),
                good < bad / 2.0,
                format!("{good:.2} of {bad:.2} µs"),
                busy,
            ));
        }
        if [PRINT, COUNTER, WAIT].contains(&crime) {
            let check = Check::new(
                &format!("{name}: it costs more than a sixth of the turns"),
                share(crime) < 83.0,
                format!("{:.0} % are done", share(crime)),
                busy,
            );
            // Sleepers need no CPU.
            checks.push(check.with_cores(if crime == WAIT { 1 } else { 2 }, cores));
        }
        if crime == ORDER {
            let found = |repaired| format!("{:.0} hang after {:.0} turns", hung(crime, repaired), done(crime, repaired));
            let rare = "they did not meet between their two locks in this time: give it more";
            checks.push(Check::new("e: in two orders both hang", hung(crime, false) == 2.0, found(false), rare));
            let well = hung(crime, true) == 0.0 && done(crime, true) > 0.0;
            checks.push(Check::new("e, repaired: in one order nobody hangs", well, found(true), busy));
        }
    }
    let stopped: Vec<usize> = (0..NAMES.len()).filter(|crime| hung(*crime, false) > 0.0).collect();
    let answer = if let [one] = stopped[..] { Some(one) } else { None };
    let shares = chosen.iter().enumerate().map(|(place, crime)| (place as f64, vec![share(*crime)]));
    Findings {
        charts: vec![Chart {
            title: "What the criminal program does, of what the repaired one does".into(),
            x: Axis::linear("program"),
            y: Axis::linear("per cent"),
            series: vec![Series::measured("with the crime", shares)],
            names: chosen.iter().map(|crime| NAMES[*crime].to_owned()).collect(),
        }],
        numbers,
        saw: saw.join(" "),
        checks,
        answer,
        trace: Trace { title: "What became of each (medians of the rounds)".to_owned(), lines: trace },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

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
        let found = findings(&ALL, &outcomes((1000.0, 5000.0), (4000.0, 50.0), [2, 0]), 2);
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
        let found = findings(&ALL, &outcomes((1000.0, 50.0), (1000.0, 50.0), [0, 1]), 2);
        assert!(
            found.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, None);
        assert!(found.saw.contains("went well for 100 turns, this time"), "{}", found.saw);
    }
}
