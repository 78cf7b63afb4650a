//! How long jobs must be for the choice of a queue to make no difference: among contenders that cross a process boundary and wait alike.

use super::contender::{Family, Info, Waits};
use super::report::figures::AGAIN;
use super::results::{Axis, Crossing, Crossover, Entry, Length};
use super::statistics::{Interval, RESAMPLES, median, resampled};
use super::value::Value;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Who has this share of the fastest one's rate makes no difference.
const ALIKE: f64 = 0.95;

/// Where jobs without work stand on a logarithmic axis, in nanoseconds.
const NO_WORK: f64 = 100.0;

/// A contender's rates in all rounds, at each length of work.
struct Rates<'a> {
    name: &'a str,
    of: Vec<Vec<f64>>,
}

/// One for each wait policy in which there is a choice.
pub fn crossovers(entries: &[Entry], contenders: &[Info]) -> Vec<Crossover> {
    let mut works: Vec<u64> = entries.iter().filter(|e| e.axis == Axis::Work).map(|e| e.shape.work).collect();
    works.push(0);
    works.sort_unstable();
    works.dedup();
    if works.len() < 2 {
        return vec![];
    }
    let rates = |info: &'_ Info, work: u64| {
        let mut all = entries.iter().filter(|e| matches!(e.axis, Axis::Base | Axis::Work) && e.shape.work == work);
        let entry = all.find(|e| e.contender == info.name && !e.contender.ends_with(AGAIN))?;
        Some(Value::Rate.of_all(&entry.rounds, 0.0)).filter(|rates| !rates.is_empty())
    };
    let of_policy = |waits: Waits| {
        let alike = contenders.iter().filter(|info| info.waits == waits && info.family != Family::Threads);
        // Who has failed at one of the lengths has no crossover.
        let rates = alike.filter_map(|info| {
            let of = works.iter().map(|&work| rates(info, work)).collect::<Option<Vec<_>>>()?;
            Some(Rates { name: &info.name, of })
        });
        crossover(waits, &works, &rates.collect::<Vec<_>>())
    };
    [Waits::Block, Waits::Adaptive, Waits::Spin].into_iter().filter_map(of_policy).collect()
}

fn crossover(waits: Waits, works: &[u64], all: &[Rates]) -> Option<Crossover> {
    if all.len() < 2 {
        return None;
    }
    let mut rng = SmallRng::seed_from_u64(all.len() as u64);
    let found = lengths(works, all, median);
    let resamples: Vec<Vec<f64>> =
        (0..RESAMPLES).map(|_| lengths(works, all, |rates| median(&resampled(rates, &mut rng)))).collect();
    // What is not reached is infinite, and so is the greatest of all then.
    let greatest = |lengths: &[f64]| lengths.iter().copied().fold(0.0, f64::max);
    let length = |found: f64, resamples: Vec<f64>| Some(Length::of(Interval::between(found, resamples)?));
    let each = all.iter().zip(&found).enumerate().map(|(n, (rates, &found))| {
        let length = length(found, resamples.iter().map(|all| all[n]).collect())?;
        Some(Crossing { contender: rates.name.to_owned(), length })
    });
    Some(Crossover {
        waits,
        longest: *works.last()?,
        contenders: each.collect::<Option<_>>()?,
        length: length(greatest(&found), resamples.iter().map(|all| greatest(all)).collect())?,
    })
}

/// From which length on each of them is like the fastest one; infinite if it is not at the longest.
fn lengths(works: &[u64], all: &[Rates], mut of: impl FnMut(&[f64]) -> Option<f64>) -> Vec<f64> {
    let medians: Vec<Vec<f64>> =
        all.iter().map(|rates| rates.of.iter().map(|rates| of(rates).unwrap_or(0.0)).collect()).collect();
    let fastest: Vec<f64> =
        (0..works.len()).map(|n| medians.iter().map(|medians| medians[n]).fold(f64::MIN_POSITIVE, f64::max)).collect();
    medians
        .iter()
        .map(|medians| {
            let points = works.iter().enumerate().map(|(n, &work)| (work as f64, medians[n] / fastest[n]));
            crossing(&points.collect::<Vec<_>>(), ALIKE).unwrap_or(f64::INFINITY)
        })
        .collect()
}

/// Where a line through these points reaches a value for good, by straight lines over the logarithm; points by their first coordinate.
fn crossing(points: &[(f64, f64)], value: f64) -> Option<f64> {
    let below = points.iter().rposition(|point| point.1 < value);
    let Some(below) = below else { return points.first().map(|point| point.0) };
    let (from, to) = (points[below], points.get(below + 1)?);
    let share = (value - from.1) / (to.1 - from.1);
    let (start, end) = (from.0.max(NO_WORK).ln(), to.0.ln());
    Some((start + share * (end - start)).exp())
}

impl Length {
    fn of(interval: Interval) -> Length {
        let [median, low, high] = [interval.median, interval.low, interval.high].map(|n| n.is_finite().then_some(n));
        Length { median, low, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_lies_between_the_points_around_it() {
        let points = [(0.0, 0.1), (1_000.0, 0.5), (10_000.0, 0.9), (100_000.0, 1.0)];
        let at = crossing(&points, 0.95).unwrap();
        assert!((at - 31_622.8).abs() < 1.0, "{at}");
        assert_eq!(crossing(&[(0.0, 1.0), (1_000.0, 0.99)], 0.95), Some(0.0), "no difference at all");
        assert_eq!(crossing(&[(0.0, 0.1), (1_000.0, 0.5)], 0.95), None, "not at the longest either");
    }

    fn rates<'a>(name: &'a str, of: [f64; 3], vary: f64) -> Rates<'a> {
        let rounds = |rate: f64| (0..7).map(|n| rate * (1.0 + vary * (f64::from(n) - 3.0))).collect();
        Rates { name, of: of.map(rounds).into() }
    }

    #[test]
    fn the_last_one_decides_and_the_interval_says_how_sure_that_is() {
        let works = [0, 1_000, 100_000];
        let (fast, slow) = ([10.0, 8.0, 1.0], [5.0, 6.0, 1.0]);
        let even = crossover(Waits::Spin, &works, &[rates("fast", fast, 0.0), rates("slow", slow, 0.0)]).unwrap();
        let at = even.contenders[1].length.median.unwrap();
        assert!((1_000.0..100_000.0).contains(&at), "{at}");
        assert_eq!(even.contenders[0].length.median, Some(0.0), "the fastest one");
        assert_eq!(even.length, Length { median: Some(at), low: Some(at), high: Some(at) }, "rounds that are all the same");
        // At the longest, chance decides who is ahead.
        let wide = crossover(Waits::Spin, &works, &[rates("fast", fast, 0.05), rates("slow", slow, 0.05)]).unwrap();
        assert!(wide.length.low.unwrap() < at && wide.length.high.is_none(), "{:?}", wide.length);
    }

    #[test]
    fn one_alone_has_nothing_to_cross_and_one_that_stays_behind_has_no_end() {
        let works = [0, 1_000, 100_000];
        assert!(crossover(Waits::Spin, &works, &[rates("one", [3.0, 2.0, 1.0], 0.0)]).is_none());
        let two = [rates("fast", [3.0, 2.0, 1.0], 0.0), rates("slow", [1.0, 1.0, 0.5], 0.0)];
        let found = crossover(Waits::Block, &works, &two).unwrap();
        assert_eq!((found.longest, found.length), (100_000, Length { median: None, low: None, high: None }));
    }

    #[test]
    fn neither_threads_nor_those_that_wait_otherwise_are_among_them() {
        let results = super::super::report::sample::full();
        assert_eq!(results.crossovers.len(), 3);
        for crossover in &results.crossovers {
            for one in &crossover.contenders {
                let info = results.contenders.iter().find(|info| info.name == one.contender).unwrap();
                assert!(info.waits == crossover.waits && info.family != Family::Threads, "{info:?}");
            }
        }
        let all: usize = results.crossovers.iter().map(|crossover| crossover.contenders.len()).sum();
        assert_eq!(all, results.contenders.iter().filter(|info| info.family != Family::Threads).count());
    }
}
