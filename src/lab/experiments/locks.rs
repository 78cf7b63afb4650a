//! Which lock: the same work with each kind, and more and more workers, far beyond the CPUs.

mod kinds;
mod textbook;

use crate::bench::contender::Result;
use crate::bench::work::Work;
use crate::lab::crew::Crew;
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::gate::Gate;
use crate::lab::knobs::{Knob, Knobs, MOST_WORKERS};
use crate::lab::laboratory::Lab;
use crate::lab::models;
use crate::lab::tally::Ended;
use crate::lock::{PthreadLock, PthreadRobustLock, RawLock, RawSyncLock, SpinLock, TicketLock, Visitor};
use kinds::{ADAPTIVE, names, with_lock};
use std::time::Duration;
use textbook::{SleepsAtOnce, TestAndSet};

pub struct Locks;

const ABOUT: About = About {
    name: "locks",
    title: "Which lock",
    hypothesis: "With a CPU for each worker all locks are much alike. With more workers than CPUs, those that wait without giving up the CPU, and those that serve in order, fall.",
    metric: "nanoseconds for each operation of all workers together, and of CPU time for each operation, by the number of workers",
    shape: "beyond the CPUs: level for locks that sleep, a cliff for the ticket lock, wasted CPU time for test-and-set",
    source: "Anderson, \"The performance of spin lock alternatives\", 1990; Mellor-Crummey and Scott, ACM TOCS 9, 1991; Drepper, \"Futexes are tricky\", 2011",
    cores: 2,
};

const KNOBS: &[Knob] = &[
    Knob::number("inside", "nanoseconds of work with the lock held", 0, 500, 100_000),
    Knob::number("outside", "nanoseconds of work without it", 0, 500, 100_000),
    Knob::number("crowd", "workers for each CPU, at most", 2, 4, 16),
];

/// Fewer than elsewhere: there are many places, and what is to be seen needs time for the scheduler to come round.
const ROUNDS: usize = 3;

const STEPS: &[Step] = &[
    Step { says: "test-and-set: each look is a write", code: "while word.swap(HELD, Acquire) != FREE {\n    spin_loop();\n}" },
    Step {
        says: "look before, pause longer each time, and in the end let others run",
        code: "while word.load(Relaxed) != FREE || word.swap(HELD, Acquire) != FREE {\n    backoff.wait();\n}",
    },
    Step {
        says: "ticket: whoever comes first is served first",
        code: "let mine = next.fetch_add(1, Relaxed);\nwhile serving.load(Acquire) != mine {\n    backoff.wait();\n}",
    },
    Step {
        says: "futex: sleep at once, until the owner wakes",
        code: "\
while word.swap(HELD_AND_WAITED_FOR, Acquire) != FREE {
    futex_wait(&word, HELD_AND_WAITED_FOR);
}",
    },
    Step {
        says: "adaptive: look for a while, and then sleep",
        code: "\
for _ in 0..64 {
    if word.load(Relaxed) == FREE && take(&word) {
        return;
    }
    spin_loop();
}
while word.swap(HELD_AND_WAITED_FOR, Acquire) != FREE {
    futex_wait(&word, HELD_AND_WAITED_FOR);
}",
    },
];

/// A run of so many workers with whatever lock.
struct Contend<'a> {
    lab: &'a Lab<'a>,
    time: Duration,
    workers: usize,
    inside: Work,
    outside: Work,
}

/// What came of it.
#[derive(Clone, Copy)]
struct Cost {
    /// Nanoseconds for each operation.
    time: f64,
    /// Nanoseconds of CPU for each.
    cpu: f64,
    /// Operations that the counter behind the lock does not know of.
    lost: u64,
}

impl Visitor for Contend<'_> {
    type Out = Result<Cost>;

    fn visit<L: RawLock>(self) -> Result<Cost> {
        let gate = Gate::<L, u64>::new()?;
        let (inside, outside) = (self.inside, self.outside);
        let at = format!("{} workers, {}", self.workers, L::NAME);
        let round = Crew::processes(self.workers).work(self.lab, &at, self.time, &*gate, |worker, gate| {
            while worker.on() {
                outside.run(1);
                let count = gate.with(worker, |value, _| {
                    inside.run(*value);
                    *value += 1;
                    *value
                });
                worker.note(0, count);
                worker.did(1);
            }
        })?;
        if round.ended(Ended::Well) < self.workers {
            return Err(format!("{at}: a worker did not come to its end").into());
        }
        // Whoever was the last to count has seen the end.
        let counted = round.tallies.iter().map(|tally| tally.notes[0]).max().unwrap_or(0);
        let time = 1e9 * round.seconds / round.done().max(1) as f64;
        Ok(Cost { time, cpu: round.cpu_each(), lost: round.done().abs_diff(counted) })
    }
}

/// One, as many as there are CPUs, twice as many, and so on.
fn crowds(cores: usize, crowd: usize) -> Vec<usize> {
    let cores = cores.max(2);
    let doubled = std::iter::successors(Some(1), |times| Some(2 * times)).take_while(|times| *times <= crowd);
    let mut crowds: Vec<usize> =
        [1].into_iter().chain(doubled.map(|times| (times * cores).min(MOST_WORKERS as usize))).collect();
    crowds.dedup();
    crowds
}

impl Experiment for Locks {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Many more workers than CPUs. Which lock needs the most time for an operation?",
            of: &[
                "test-and-set: all try all the time",
                "ticket: each in turn, also who is not running",
                "futex, at once or after a look: sleeping and waking is the dearest",
                "another one",
            ],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let (inside, outside) = (knobs.number("inside"), knobs.number("outside"));
        let (names, crowds) = (names(), crowds(lab.cores, knobs.number("crowd") as usize));
        let places = names.len() * crowds.len();
        let time = lab.each(places * ROUNDS);
        let (mut cpu, mut lost) = (vec![vec![]; places], 0);
        let times = lab.sweep(places, ROUNDS, |place| {
            let workers = crowds[place % crowds.len()];
            let contend = Contend { lab, time, workers, inside: Work::of(inside), outside: Work::of(outside) };
            let cost = with_lock(names[place / crowds.len()], contend)?;
            cpu[place].push(cost.cpu);
            lost += cost.lost;
            Ok(cost.time)
        })?;
        let measured = |rounds: Vec<Vec<f64>>| -> Vec<Series> {
            let of_kinds = names.iter().zip(rounds.chunks(crowds.len()));
            of_kinds
                .map(|(name, rounds)| Series::measured(name, crowds.iter().map(|n| *n as f64).zip(rounds.to_vec())))
                .collect()
        };
        Ok(findings(
            &Setting { inside, outside, cores: lab.cores, crowds: crowds.clone() },
            measured(times),
            measured(cpu),
            lost,
        ))
    }
}

/// What was measured.
struct Setting {
    inside: u64,
    outside: u64,
    cores: usize,
    crowds: Vec<usize>,
}

/// `times` and `cpu` have a series for each kind, by the number of workers.
fn findings(setting: &Setting, times: Vec<Series>, cpu: Vec<Series>, lost: u64) -> Findings {
    let [few, many] = [setting.crowds.get(1), setting.crowds.last()].map(|n| n.copied().unwrap_or(1));
    let cores = setting.cores;
    let value = |of: &[Series], name: &str, workers: usize| {
        of.iter().find(|series| series.name == name).and_then(|series| series.at(workers as f64)).unwrap_or(f64::NAN)
    };
    let slept = SleepsAtOnce::NAME;
    let in_crowd = |name| value(&times, name, many);
    let [set, spin, ticket, once, adaptive] =
        [TestAndSet::NAME, SpinLock::NAME, TicketLock::NAME, slept, ADAPTIVE].map(in_crowd);
    let [pthread, robust, raw_sync] = [PthreadLock::NAME, PthreadRobustLock::NAME, RawSyncLock::NAME].map(in_crowd);
    let [ticket_few, once_few, adaptive_few] = [TicketLock::NAME, slept, ADAPTIVE].map(|name| value(&times, name, few));
    let [set_cpu, adaptive_cpu] = [TestAndSet::NAME, ADAPTIVE].map(|name| value(&cpu, name, many));
    let slowest = times
        .iter()
        .filter_map(|series| Some((series.name.as_str(), series.at(many as f64)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let slowest = slowest.map_or("", |slowest| slowest.0);
    let saw = format!(
        "With {few} workers an operation took {once_few:.0} ns with a futex that sleeps at once, {adaptive_few:.0} with the adaptive lock, which looks for a \
         while before it sleeps, and {ticket_few:.0} with the ticket lock. With {many} workers on {cores} CPUs it took {once:.0}, {adaptive:.0} and \
         {ticket:.0} ns: the ticket lock serves in order, the next in line often has no CPU, and all wait until it gets one. Test-and-set ({set:.0} ns) serves \
         anybody, but spins on an owner that lost its CPU: {set_cpu:.0} ns of CPU for each operation, against {adaptive_cpu:.0} with the adaptive lock. The spin \
         lock ({spin:.0} ns) lets others run after a while. These sleep, too: pthread {pthread:.0}, robust {robust:.0}, raw_sync {raw_sync:.0} ns. The \
         slowest was {slowest}."
    );
    let alone = "the work with the lock is very short or very long, or the CPUs have other things to do";
    let checks = vec![
        Check::certain("each lock keeps all others out: no operation is lost", lost == 0, format!("{lost} lost")),
        Check::new(
            "the ticket lock falls: an operation takes at least 1.5 times as long in the crowd as with a CPU for each",
            ticket > 1.5 * ticket_few,
            format!("{:.1} times", ticket / ticket_few),
            alone,
        )
        .with_cores(2, cores),
        Check::new(
            "in the crowd the ticket lock is at least 1.5 times as slow as the adaptive lock",
            ticket > 1.5 * adaptive,
            format!("{:.1} times", ticket / adaptive),
            alone,
        ),
        Check::new(
            "in the crowd test-and-set needs more CPU time for an operation than the adaptive lock",
            set_cpu > 1.1 * adaptive_cpu,
            format!("{:.1} times", set_cpu / adaptive_cpu),
            "owners seldom lost their CPU: the lock is held for too short a part of the time, or runs were too short (more --seconds)",
        )
        .with_cores(2, cores),
    ];
    let turn = (setting.inside + setting.outside).max(1) as f64;
    let share = setting.inside as f64 / turn;
    let best = |workers: usize| turn / models::queueing(workers.min(cores), share).max(1e-9);
    let model =
        Series::model("waiting alone, locks for nothing (queueing)", setting.crowds.iter().map(|n| (*n as f64, best(*n))));
    let answer = match slowest {
        TestAndSet::NAME => 0,
        TicketLock::NAME => 1,
        SleepsAtOnce::NAME | ADAPTIVE => 2,
        _ => 3,
    };
    let numbers = vec![
        Number::new(format!("an operation with the ticket lock, {many} workers"), ticket, "ns"),
        Number::new(format!("an operation with the adaptive lock, {many} workers"), adaptive, "ns"),
        Number::new(format!("an operation with the futex that sleeps at once, {many} workers"), once, "ns"),
        Number::new(format!("CPU for an operation with test-and-set, {many} workers"), set_cpu, "ns"),
        Number::new(format!("CPU for an operation with the adaptive lock, {many} workers"), adaptive_cpu, "ns"),
    ];
    let chart = |title: &str, y: &str, series| Chart {
        title: title.to_owned(),
        x: Axis::log("workers"),
        y: Axis::log(y),
        series,
        names: vec![],
    };
    let charts = vec![
        chart("Time for an operation, by lock", "nanoseconds for each operation of all", [times, vec![model]].concat()),
        chart("CPU time for an operation, by lock", "nanoseconds of CPU for each operation", cpu),
    ];
    Findings { charts, numbers, saw, checks, answer: Some(answer), ..Findings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    /// All take 1000 ns but those named, which take so many times that beyond the CPUs.
    fn series(slower: &[(&str, f64)]) -> Vec<Series> {
        let of = |name: &&str| {
            let times = slower.iter().find(|slower| slower.0 == *name).map_or(1.0, |slower| slower.1);
            Series::measured(
                name,
                [(1.0, vec![1000.0]), (2.0, vec![1000.0]), (4.0, vec![1000.0 * times]), (8.0, vec![1000.0 * times])],
            )
        };
        names().iter().map(of).collect()
    }

    fn found(times: &[(&str, f64)], cpu: &[(&str, f64)], lost: u64) -> Findings {
        let setting = Setting { inside: 500, outside: 500, cores: 2, crowds: crowds(2, 4) };
        findings(&setting, series(times), series(cpu), lost)
    }

    #[test]
    fn the_expected_shape_holds_and_each_other_shape_fails_with_a_cause() {
        let good = found(&[("ticket", 9.0), ("test-and-set", 2.0)], &[("test-and-set", 4.0)], 0);
        assert!(good.checks.iter().all(|check| check.verdict == Verdict::Holds), "{:?}", good.checks);
        assert_eq!(good.answer, Some(1));
        assert!(good.saw.contains("9000") && good.saw.split_whitespace().count() <= 130, "{}", good.saw);
        let bad = found(&[("pthread", 3.0)], &[], 1);
        assert!(
            bad.checks.iter().all(|check| matches!(check.verdict, Verdict::Fails | Verdict::Wrong) && !check.cause.is_empty()),
            "{:?}",
            bad.checks
        );
        assert_eq!(bad.answer, Some(3), "another one was the slowest");
        assert_eq!([SleepsAtOnce::NAME, ADAPTIVE].map(|name| found(&[(name, 2.0)], &[], 0).answer), [Some(2); 2]);
    }

    #[test]
    fn crowds_double_up_to_what_is_asked_and_possible() {
        assert_eq!(crowds(2, 4), [1, 2, 4, 8]);
        assert_eq!(crowds(1, 2), [1, 2, 4]);
        assert_eq!(crowds(48, 4), [1, 48, 64]);
    }
}
