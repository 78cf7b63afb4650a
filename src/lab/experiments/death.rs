//! Death of the owner: a process is killed before, inside and after the critical section. Who hangs, who goes on, and what is left of the data.

mod door;
mod timeout;

use crate::bench::contender::Result;
use crate::lab::crew::Crew;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::Lab;
use crate::lab::tally::Ended;
use crate::lock::{Kind, PthreadRobustLock, RawLock};
use door::{Door, MOMENTS, Make, Moment, TOLD, TORN, live};
use std::time::Duration;
use timeout::{ASKED, timeout_of_raw_sync};

pub struct Death;

const ABOUT: About = About {
    name: "death",
    title: "Death of the owner",
    hypothesis: "A process that is killed takes with it what it holds: those who wait for its lock wait for ever, unless somebody is told of the death.",
    metric: "per cent of the survivors that hang, by lock and by the moment of the death",
    shape: "nobody hangs after a death before or after the critical section; after one inside it all hang, but for the robust mutex",
    source: "POSIX.1-2008, pthread_mutexattr_setrobust and pthread_mutex_consistent",
    cores: 1,
};

const KNOBS: &[Knob] = &[Knob::number("survivors", "workers that live on, for each lock", 1, 2, 4)];

const STEPS: &[Step] = &[
    Step {
        says: "an ordinary mutex: after the owner's death it stays locked",
        code: "pthread_mutex_lock(&m);\nfrom -= 1; // killed here\nto += 1;\npthread_mutex_unlock(&m);",
    },
    Step {
        says: "a robust one: the next who locks is told",
        code: "if (pthread_mutex_lock(&m) == EOWNERDEAD)\n    pthread_mutex_consistent(&m);\nfrom -= 1; // killed here\nto += 1;\n\
               pthread_mutex_unlock(&m);",
    },
    Step {
        says: "and repairs the data, which the mutex knows nothing of",
        code: "if (pthread_mutex_lock(&m) == EOWNERDEAD) {\n    to = -from;\n    pthread_mutex_consistent(&m);\n}\nfrom -= 1; // killed here\n\
               to += 1;\npthread_mutex_unlock(&m);",
    },
];

/// What a death has done to those who use the same lock.
struct Outcome {
    kind: &'static str,
    moment: Moment,
    died: bool,
    survivors: usize,
    /// So many of them hang.
    hung: usize,
    /// So many were told of the death, and so many found half-changed accounts.
    told: u64,
    torn: u64,
}

impl Experiment for Death {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "A process is killed while it holds a lock in shared memory. With which locks can the others go on?",
            of: &["with all: the kernel frees what a dead process holds", "with the robust mutex alone", "with none"],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let group = 1 + knobs.number("survivors") as usize;
        // A hang is no matter of time, and each moment takes the grace of those that hang besides.
        let time = lab.each(2 * MOMENTS.len()).min(Duration::from_secs(1));
        let mut outcomes = vec![];
        lab.sweep(MOMENTS.len(), 1, |place| {
            let moment = MOMENTS[place];
            // All locks at once: those that hang are then waited for once.
            let doors = Kind::ALL.iter().map(|kind| kind.visit(Make)).collect::<Result<Vec<_>>>()?;
            let crew = Crew::processes(group * doors.len());
            let round = crew.work(lab, moment.name(), time, &doors, |worker, doors: &Vec<Box<dyn Door>>| {
                // The first of each group is the victim.
                let victim = worker.number.is_multiple_of(group).then_some(moment);
                live(victim, worker, &*doors[worker.number / group]);
            })?;
            for (kind, tallies) in Kind::ALL.iter().zip(round.tallies.chunks(group)) {
                let (victim, rest) = (&tallies[0], &tallies[1..]);
                outcomes.push(Outcome {
                    kind: kind.name(),
                    moment,
                    died: victim.ended == Ended::Died,
                    survivors: rest.len(),
                    hung: rest.iter().filter(|tally| tally.ended == Ended::Hung).count(),
                    told: rest.iter().map(|tally| tally.notes[TOLD]).sum(),
                    torn: rest.iter().map(|tally| tally.notes[TORN]).sum(),
                });
            }
            Ok(0.0)
        })?;
        Ok(findings(&outcomes, timeout_of_raw_sync()?))
    }
}

const ROBUST: &str = <PthreadRobustLock as RawLock>::NAME;

/// One outcome for each kind and moment; `waited` is in milliseconds, of [`ASKED`].
fn findings(outcomes: &[Outcome], waited: f64) -> Findings {
    let of = |moment: Moment| outcomes.iter().filter(move |outcome| outcome.moment == moment);
    let names = |those: &[&Outcome]| match those {
        [] => "none".to_owned(),
        some => some.iter().map(|outcome| outcome.kind).collect::<Vec<_>>().join(", "),
    };
    let inside: Vec<&Outcome> = of(Moment::Inside).collect();
    let (stuck, free): (Vec<&Outcome>, Vec<&Outcome>) = inside.iter().copied().partition(|outcome| outcome.hung > 0);
    let robust = inside.iter().find(|outcome| outcome.kind == ROBUST);
    let (told, torn) = robust.map_or((0, 0), |outcome| (outcome.told, outcome.torn));
    let outside: Vec<&Outcome> = outcomes.iter().filter(|one| one.moment != Moment::Inside && one.hung > 0).collect();
    let (hung, all) = inside.iter().fold((0, 0), |(hung, all), one| (hung + one.hung, all + one.survivors));
    let asked = ASKED.as_millis();
    let saw = format!(
        "Killed inside, the owners left {hung} of {all} survivors hanging (locks: {}). To them the dead and the slow look alike: the lock says held, and the \
         one who would change that is gone. Those with {} went on: the kernel marks a robust mutex when its owner dies, and the next is told ({told} was). \
         It found the accounts half-changed {torn} times and repaired them: a lock says who may write, not that the writing was finished. The futex lock \
         names its owner, so a supervisor that has waited for the dead can take it over; alone it hangs too. A timeout is no way out: raw_sync, asked to \
         wait {asked} ms, gave up after {waited:.1} ms.",
        names(&stuck),
        names(&free),
    );
    let slow = "a worker got no CPU for two seconds and was taken to hang: other programs need the CPUs";
    let early = "the victim had not come to its last turn when all were stopped: a busy machine, or too short a time";
    let mended = "this version of raw_sync no longer has the fault";
    let dead = outcomes.iter().filter(|outcome| outcome.died).count();
    let others: Vec<&&Outcome> = inside.iter().filter(|outcome| outcome.kind != ROBUST).collect();
    let all_hang = others.iter().filter(|outcome| outcome.hung == outcome.survivors).count();
    let checks = vec![
        Check::new("each victim died", dead == outcomes.len(), format!("{dead} of {}", outcomes.len()), slow),
        Check::new("a death before or after the critical section hangs nobody", outside.is_empty(), names(&outside), slow),
        Check::new(
            "a death inside hangs all who use an ordinary lock",
            !others.is_empty() && all_hang == others.len(),
            format!("{all_hang} of {} locks", others.len()),
            early,
        ),
        Check::new(
            "with a robust mutex all go on, and one is told",
            robust.is_some_and(|outcome| outcome.hung == 0 && outcome.told == 1),
            robust.map_or("none".into(), |outcome| format!("{} hang, {} told", outcome.hung, outcome.told)),
            early,
        ),
        Check::new("whoever is told finds the data half-changed", torn == 1, format!("{torn} found it so"), early),
        Check::new(
            "raw_sync's timeout ends much too early",
            waited < asked as f64 / 2.0,
            format!("{waited:.1} of {asked} ms"),
            mended,
        ),
    ];
    let share = |outcome: &Outcome| 100.0 * outcome.hung as f64 / outcome.survivors.max(1) as f64;
    let bars = |moment: Moment| {
        Series::measured(moment.name(), of(moment).enumerate().map(|(place, outcome)| (place as f64, vec![share(outcome)])))
    };
    let answer = match (stuck.len(), free.as_slice()) {
        (0, _) => Some(0),
        (_, [one]) if one.kind == ROBUST => Some(1),
        (_, []) => Some(2),
        _ => None,
    };
    Findings {
        numbers: vec![
            Number::new("survivors that hang after a death inside", hung as f64, ""),
            Number::new(format!("raw_sync's wait, asked for {asked} ms"), waited, "ms"),
        ],
        charts: vec![Chart {
            title: "Who hangs".into(),
            x: Axis::linear("lock"),
            y: Axis::linear("per cent of its survivors that hang"),
            series: Vec::from(MOMENTS.map(bars)),
            names: inside.iter().map(|outcome| outcome.kind.to_owned()).collect(),
        }],
        saw,
        checks,
        answer,
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    fn outcome(kind: &'static str, moment: Moment, hung: usize, told: u64) -> Outcome {
        Outcome { kind, moment, died: true, survivors: 2, hung, told, torn: told }
    }

    fn expected() -> Vec<Outcome> {
        let inside = |kind: &'static str| {
            if kind == ROBUST { outcome(kind, Moment::Inside, 0, 1) } else { outcome(kind, Moment::Inside, 2, 0) }
        };
        let of = |kind: &'static str| [outcome(kind, Moment::Before, 0, 0), inside(kind), outcome(kind, Moment::After, 0, 0)];
        ["futex", ROBUST].into_iter().flat_map(of).collect()
    }

    #[test]
    fn the_expected_shape_holds_and_the_words_name_who_hangs() {
        let found = findings(&expected(), 0.2);
        assert!(found.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", found.checks);
        assert!(found.saw.contains("2 of 4 survivors hanging (locks: futex)"), "{}", found.saw);
        assert!(found.saw.split_whitespace().count() <= 130);
        let bars: Vec<Option<f64>> = found.charts[0].series.iter().map(|moment| moment.at(0.0)).collect();
        assert_eq!((found.answer, bars.as_slice()), (Some(1), [Some(0.0), Some(100.0), Some(0.0)].as_slice()));
    }

    #[test]
    fn another_shape_fails_with_a_cause() {
        let turned = |kind: &'static str| {
            let other = if kind == ROBUST { 2 } else { 0 };
            [outcome(kind, Moment::Before, 1, 0), outcome(kind, Moment::Inside, other, 0), outcome(kind, Moment::After, 0, 0)]
        };
        let mut outcomes: Vec<Outcome> = ["futex", ROBUST].into_iter().flat_map(turned).collect();
        outcomes[0].died = false;
        let found = findings(&outcomes, 900.0);
        assert!(
            found.checks.iter().all(|check| check.verdict == Verdict::Fails && !check.cause.is_empty()),
            "{:?}",
            found.checks
        );
        assert_eq!(found.answer, None);
    }
}
