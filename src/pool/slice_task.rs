//! Functions over ranges of shared vectors, as workers run them.

use super::task::carry;
use crate::process::{IntoTask, Run, RunJobs, Task, WorkerState, name_of};
use crate::ring::frame::Kind;
use crate::ring::shared_vec::{Items, ItemsMut, Place};
use crate::sys::clock;
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::os::unix::process::parent_id;

/// The shape of a function over chunks in place: `fn(usize, &mut [T])`.
#[derive(Debug)]
pub struct ChunkShape<T>(PhantomData<fn(T)>);

/// The shape of a function over chunks that reads whole inputs: `fn(usize, &[T], &mut [U])`.
#[derive(Debug)]
pub struct ChunkWithShape<T, U>(PhantomData<fn(T, U)>);

/// The shape of a function from items to as many others: `fn(&[T], &mut [U])`.
#[derive(Debug)]
pub struct SliceShape<T, U>(PhantomData<fn(T, U)>);

/// A job: a range of one vector to be written, with another one to be read. It gives how many nanoseconds the function took.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct RangeJob {
    pub start: u64,
    pub len: u64,
    pub output: Place,
    pub input: Option<Place>,
}

impl RangeJob {
    fn range(&self) -> Result<std::ops::Range<u64>, String> {
        let end = self.start.checked_add(self.len).ok_or("there is no such range")?;
        Ok(self.start..end)
    }

    fn output<U: NoUninit + AnyBitPattern>(&self) -> Result<ItemsMut<U>, String> {
        ItemsMut::open(parent_id(), self.output, self.range()?)
    }

    fn input(&self) -> Result<Place, String> {
        // What is written is not read under another name.
        self.input.filter(|input| *input != self.output).ok_or_else(|| "the job has no input".into())
    }
}

struct Ranged<F, Shape> {
    function: F,
    shape: PhantomData<fn(Shape) -> Shape>,
}

fn task<Shape, F>(function: F) -> Task
where
    Ranged<F, Shape>: RunJobs + 'static,
{
    Task::new(name_of::<F>(), Run::Jobs(Box::new(Ranged::<F, Shape> { function, shape: PhantomData })))
}

/// Runs `f` and measures it.
fn timed(f: impl FnOnce()) -> u64 {
    let start = clock::now();
    f();
    clock::now() - start
}

macro_rules! shape {
    ($Shape:ty, [$($T:ident),*], ($($Arg:ty),*), |$function:ident, $job:ident| $run:expr) => {
        impl<F, $($T),*> RunJobs for Ranged<F, $Shape>
        where
            F: Fn($($Arg),*) + Send + Sync,
            $($T: NoUninit + AnyBitPattern,)*
        {
            fn one(&self, _: &mut WorkerState, job: &[u8], out: &mut Vec<u8>) -> Kind {
                let $function = &self.function;
                carry::<RangeJob, u64>(job, out, |$job| $run)
            }
        }

        impl<F, $($T),*> IntoTask<$Shape> for F
        where
            F: Fn($($Arg),*) + Send + Sync + 'static,
            $($T: NoUninit + AnyBitPattern,)*
        {
            fn into_task(self) -> Task {
                task::<$Shape, F>(self)
            }
        }
    };
}

shape!(ChunkShape<T>, [T], (usize, &mut [T]), |function, job| {
    let mut output = job.output::<T>()?;
    Ok(timed(|| function(job.start as usize, &mut output)))
});

shape!(ChunkWithShape<T, U>, [T, U], (usize, &[T], &mut [U]), |function, job| {
    let input = Items::<T>::whole(parent_id(), job.input()?)?;
    let mut output = job.output::<U>()?;
    Ok(timed(|| function(job.start as usize, &input, &mut output)))
});

shape!(SliceShape<T, U>, [T, U], (&[T], &mut [U]), |function, job| {
    let input = Items::<T>::open(parent_id(), job.input()?, job.range()?)?;
    let mut output = job.output::<U>()?;
    Ok(timed(|| function(&input, &mut output)))
});
