//! The contenders, one file for each. All square numbers somewhere else than in the thread that asks, and the numbers and the squares go one by one
//! unless the contender is about sending many.

pub mod crossbeam;
pub mod gristmill;
pub mod iceoryx;
pub mod ipc_channel;
pub mod pipe;
pub mod procspawn;
pub mod python;
pub mod rayon;

use crate::Result;
use std::ops::Range;

/// Jobs that are put before their results are taken, where single jobs are submitted.
pub const WINDOW: u64 = 10_000;

/// Who can have numbers squared.
pub trait Contender {
    /// Has every number of `jobs` squared and returns the wrapping sum of what came back. Whether the numbers are under way together or one at a
    /// time is the contender's nature.
    fn run(&mut self, jobs: Range<u64>) -> Result<u64>;
}

/// The job of all contenders.
pub fn square(number: u64) -> u64 {
    number.wrapping_mul(number)
}

/// The wrapping sum that [`Contender::run`] must return.
pub fn sum_of_squares(jobs: &Range<u64>) -> u64 {
    jobs.clone().fold(0, |sum, job| sum.wrapping_add(square(job)))
}

/// `jobs` in parts of at most `size`.
pub fn windows(jobs: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    jobs.clone().step_by(size as usize).map(move |from| from..(from + size).min(jobs.end))
}

/// Runs jobs one at a time.
pub fn one_by_one(jobs: Range<u64>, mut roundtrip: impl FnMut(u64) -> Result<u64>) -> Result<u64> {
    let mut sum = 0u64;
    for job in jobs {
        sum = sum.wrapping_add(roundtrip(job)?);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_job_once() {
        for jobs in [1..1, 1..2, 1..11, 1..21, 1..25] {
            let again: Vec<u64> = windows(jobs.clone(), 10).flatten().collect();
            assert_eq!(again, jobs.collect::<Vec<_>>());
        }
    }
}
