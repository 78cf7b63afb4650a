//! Death of the owner: a process is killed before, inside and after the critical section. Who hangs, who goes on, and what is left of the data.

use crate::bench::contender::Result;
use crate::bench::shared::{Shared, SharedBytes};
use crate::lab::crew::{Crew, Worker};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::Lab;
use crate::lab::tally::Ended;
use crate::lock::{Acquired, Kind, PthreadRobustLock, RawLock, Visitor};
use crate::sys::clock;
use raw_sync::Timeout;
use raw_sync::locks::{LockInit, Mutex};
use std::hint::black_box;
use std::time::Duration;

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

/// When it dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Before,
    Inside,
    After,
}

const MOMENTS: [Moment; 3] = [Moment::Before, Moment::Inside, Moment::After];

impl Moment {
    fn name(self) -> &'static str {
        ["killed before it", "killed inside", "killed after it"][self as usize]
    }
}

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

/// Turns that a victim takes before its last one: by then all others go through the lock as well.
const TURNS: u64 = 10;

/// All locks are tried at once: a pause after each turn leaves the CPUs to those who use another lock.
const PAUSE: Duration = Duration::from_micros(200);

/// A turn takes one from the first and gives it to the second: together they are 0, except between the two writes.
type Accounts = [u64; 2];

/// What a turn has met with, as it is noted: it was told that the last owner had died; it found the accounts half-changed, and repaired them.
type Met = [bool; 2];
const TOLD: usize = 0;
const TORN: usize = 1;

/// A lock of some kind, with its accounts.
trait Door: Sync {
    /// Goes through once; dies inside if it is to.
    fn turn(&self, worker: &Worker<'_>, dies: bool) -> Met;
}

impl<L: RawLock> Door for Shared<Gate<L, Accounts>> {
    fn turn(&self, worker: &Worker<'_>, dies: bool) -> Met {
        self.with(worker, |[from, to], acquired| {
            let torn = from.wrapping_add(*to) != 0;
            if torn {
                *to = from.wrapping_neg();
            }
            *from = from.wrapping_sub(1);
            // In memory now: to the compiler, nobody could see it from a call that never returns.
            black_box(&mut *from);
            if dies {
                worker.die();
            }
            *to = to.wrapping_add(1);
            [acquired == Acquired::OwnerDied, torn]
        })
    }
}

/// Makes a door with a lock of each kind.
struct Make;
impl Visitor for Make {
    type Out = Result<Box<dyn Door>>;

    fn visit<L: RawLock>(self) -> Self::Out {
        Ok(Box::new(Gate::<L, Accounts>::new()?))
    }
}

/// The first of each group is the victim.
fn live(moment: Moment, victim: bool, worker: &Worker<'_>, door: &dyn Door) {
    let turn = |dies| {
        for (place, _) in door.turn(worker, dies).into_iter().enumerate().filter(|(_, met)| *met) {
            worker.note(place, 1);
        }
        worker.did(1);
        std::thread::sleep(PAUSE);
    };
    if !victim {
        while worker.on() {
            turn(false);
        }
        return;
    }
    (0..TURNS).for_each(|_| turn(false));
    if moment != Moment::Before {
        turn(moment == Moment::Inside);
    }
    worker.die();
}

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
                live(moment, worker.number.is_multiple_of(group), worker, &*doors[worker.number / group]);
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

/// What raw_sync is asked to wait for a mutex that is held.
const ASKED: Duration = Duration::from_millis(900);

/// The shortest of its waits, in milliseconds. It adds the nanoseconds of the timeout to those of the clock and does not carry: from a tenth of a second
/// after each full one on, it asks for a moment that does not exist.
fn timeout_of_raw_sync() -> Result<f64> {
    let memory = SharedBytes::new(4096)?;
    // SAFETY: fresh memory of a page, zeroed, aligned, nobody else's, and there for longer than the handle; nobody asks for the data pointer.
    let made = unsafe { Mutex::new(memory.base(), std::ptr::null_mut()) };
    let (mutex, _) = made.map_err(|why| why.to_string())?;
    let _held = mutex.lock().map_err(|why| why.to_string())?;
    let wait = || {
        let start = clock::now();
        // It fails either way: what matters is when.
        drop(mutex.try_lock(Timeout::Val(ASKED)));
        (clock::now() - start) as f64 / 1e6
    };
    // A wait that lasts ends nine tenths later in a second than it began, so the next one does not.
    Ok((0..3).map(|_| wait()).fold(f64::INFINITY, f64::min))
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
    use crate::lab::crew::Members;
    use crate::lab::findings::Verdict;
    use crate::lab::laboratory::tests::lab;

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

    #[test]
    fn accounts_that_were_left_half_changed_are_found_once() {
        let door = Gate::<PthreadRobustLock, Accounts>::new().unwrap();
        let crew = Crew { members: Members::Threads, size: 1 };
        let round = crew.work(&lab(1), "turns", Duration::from_secs(10), &door, |worker, door| {
            worker.note(0, u64::from(door.turn(worker, false)[TORN]));
            door.with(worker, |accounts, _| accounts[0] = accounts[0].wrapping_sub(1));
            worker.note(1, u64::from(door.turn(worker, false)[TORN]));
            worker.note(2, u64::from(door.turn(worker, false)[TORN]));
        });
        assert_eq!(round.unwrap().tallies[0].notes[..3], [0, 1, 0]);
    }
}
