//! False sharing: two counters that nobody shares, and a cache line that both need.

use crate::bench::contender::Result;
use crate::bench::shared::SharedBytes;
use crate::lab::crew::{Crew, Members};
use crate::lab::experiment::{About, Experiment, Question, Step};
use crate::lab::findings::{Axis, Chart, Check, Findings, Number, Series};
use crate::lab::knobs::{Knob, Knobs};
use crate::lab::laboratory::{Lab, ROUNDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub struct Sharing;

const ABOUT: About = About {
    name: "sharing",
    title: "False sharing",
    hypothesis: "Two counters that belong to two workers disturb each other if they lie in the same cache line, though nothing is shared.",
    metric: "nanoseconds for each count of a worker, by the distance of the two counters",
    shape: "slow below the size of a cache line (64 bytes, on some machines 128), fast from there on",
    source: "Torrellas, Lam and Hennessy, \"False sharing and spatial locality in multiprocessor caches\", IEEE Trans. Computers 43, 1994",
    cores: 2,
};

const KNOBS: &[Knob] = &[Knob::word("who", "who counts", &["processes", "threads"])];

/// Bytes from one counter to the next.
const STRIDES: [f64; 6] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const STEPS: &[Step] = &[
    Step { says: "one after the other, as an array has them", code: "struct Counters {\n    of_worker: [AtomicU64; 2],\n}" },
    Step {
        says: "each on cache lines of its own",
        code: "#[repr(align(128))]\nstruct Own(AtomicU64);\n\nstruct Counters {\n    of_worker: [Own; 2],\n}",
    },
];

impl Experiment for Sharing {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn knobs(&self) -> &'static [Knob] {
        KNOBS
    }

    fn question(&self) -> Question {
        Question::Choose {
            says: "Two workers count, each in a counter of its own. The counters lie 8 bytes apart, then 256 bytes apart. How much does the distance matter?",
            of: &["not at all: nothing is shared", "a little, 10 to 50 %", "twice as fast or more, far apart"],
        }
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn measure(&self, knobs: &Knobs, lab: &Lab<'_>) -> Result<Findings> {
        let members = if knobs.word("who") == "threads" { Members::Threads } else { Members::Processes };
        let places = STRIDES.len() + 1;
        let time = lab.each(ROUNDS * places);
        let mut rounds = lab.sweep(places, ROUNDS, |place| {
            // The last place is one worker alone.
            let (workers, stride) = STRIDES.get(place).map_or((1, 0), |stride| (2, *stride as usize));
            let memory = SharedBytes::new(4096)?;
            let at = if workers == 1 { "one alone".to_owned() } else { format!("counters {stride} bytes apart") };
            let base = memory.base() as usize;
            let round = Crew { members, size: workers }.work(lab, &at, time, &base, |worker, base| {
                let place = (base + worker.number * stride) as *mut AtomicU64;
                // SAFETY: within the 4096 bytes that all processes have mapped at the same address, aligned, and zeroed when they were made.
                let counter = unsafe { &*place };
                while worker.on() {
                    for _ in 0..ROUND {
                        counter.fetch_add(1, Relaxed);
                    }
                    worker.did(ROUND);
                }
            })?;
            let round = round.whole(&at)?;
            Ok(1e9 * round.seconds * workers as f64 / round.done().max(1) as f64)
        })?;
        let alone = rounds.split_off(STRIDES.len());
        Ok(findings(lab.cores, rounds, alone))
    }
}

/// Counts between two looks whether to go on.
const ROUND: u64 = 1000;

/// `alone` are the rounds of one worker, for whom nothing depends on a distance.
fn findings(cores: usize, rounds: Vec<Vec<f64>>, alone: Vec<Vec<f64>>) -> Findings {
    let measured = Series::measured("two workers", STRIDES.into_iter().zip(rounds));
    let alone =
        Series::measured("one alone", alone.into_iter().flat_map(|rounds| STRIDES.map(|stride| (stride, rounds.clone()))));
    let value = |stride| measured.at(stride).unwrap_or(f64::NAN);
    let one = alone.at(STRIDES[0]).unwrap_or(f64::NAN);
    let (near, far) = (value(8.0), value(256.0));
    let ratio = near / far;
    let saw = format!(
        "With the counters 8 bytes apart a count took {near:.1} ns, 256 bytes apart {far:.1} ns, and {one:.1} ns when one worker counted alone: near, {ratio:.1} \
         times as long as far, though no worker ever looks at the other's counter. A CPU owns memory by the cache line, 64 bytes nearly everywhere: to write one counter it takes the line from the other CPU, \
         which takes it back for its own. Far apart, each keeps its line. At 64 bytes {:.1} ns were measured, at 128 {:.1}: some CPUs fetch two lines at a \
         time, which is why 128 is the safe distance. What is written by different workers belongs on different lines.",
        value(64.0),
        value(128.0)
    );
    // Who counts as fast beside the other as alone had a CPU, and did not miss the other's cache line.
    let cause = if far < 1.3 * one {
        "both ran at the same time, and the line cost nothing: the two CPUs are one core's two threads, which share its cache"
    } else {
        "the two workers did not run at the same time: other programs, or other machines on the same hardware, had the CPUs"
    };
    let check = Check::new(
        "far apart a count is at least twice as fast as on the same line",
        ratio > 2.0,
        format!("{ratio:.1} times"),
        cause,
    );
    let answer = if ratio > 2.0 {
        2
    } else if ratio > 1.1 {
        1
    } else {
        0
    };
    Findings {
        numbers: vec![
            Number::new("a count, 8 bytes apart", near, "ns"),
            Number::new("a count, 256 bytes apart", far, "ns"),
            Number::new("a count, one worker alone", one, "ns"),
            Number::new("the distance makes it faster by", ratio, "×"),
        ],
        charts: vec![Chart {
            title: "A count, by the distance of two counters".into(),
            x: Axis::log("bytes from one counter to the next"),
            y: Axis::linear("nanoseconds for each count"),
            series: vec![measured, alone],
            names: vec![],
        }],
        saw,
        checks: vec![check.with_cores(2, cores)],
        answer: Some(answer),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::findings::Verdict;

    #[test]
    fn near_is_slow_or_the_check_fails_with_a_cause() {
        let with = |near: f64, alone: f64| {
            findings(2, [near, near, near, 1.0, 1.0, 1.0].map(|nanos| vec![nanos; 3]).to_vec(), vec![vec![alone; 3]])
        };
        let of = |near| with(near, 1.0);
        let good = of(8.0);
        assert_eq!((good.checks[0].verdict, good.answer), (Verdict::Holds, Some(2)));
        assert!(good.saw.contains("8.0 times as long as far") && good.saw.split_whitespace().count() <= 130, "{}", good.saw);
        let bad = of(1.2);
        assert_eq!((bad.checks[0].verdict, bad.answer), (Verdict::Fails, Some(1)));
        assert!(bad.checks[0].cause.contains("one core's two threads"), "as fast as alone");
        assert!(with(1.2, 0.5).checks[0].cause.contains("not run at the same time"), "half as fast as alone");
        assert_eq!(of(1.0).answer, Some(0));
    }
}
