//! Functions that run a pool's jobs: from a job's bytes to its outcome's. They run in workers; the parent knows them by name.

use super::panics;
use crate::process::{IntoTask, Run, RunJobs, Task, WorkerState, name_of};
use crate::queue::codec::{Codec, Postcard, is_number, with_number};
use crate::ring::bundle::Bundle;
use crate::ring::frame::Kind;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Display;
use std::marker::PhantomData;

/// The shape of a job: `fn(A) -> R`.
#[derive(Debug)]
pub struct JobShape<A, R>(PhantomData<fn(A) -> R>);

/// The shape of a job with its worker's state: `fn(&mut S, A) -> R`.
#[derive(Debug)]
pub struct StateShape<S, A, R>(PhantomData<fn(S, A) -> R>);

/// The shape of a fold: `fn(R, R) -> R`.
#[derive(Debug)]
pub struct FoldShape<R>(PhantomData<fn(R) -> R>);

/// A function that a pool can run, from `Arg` to `Out`. `Shape` is always inferred.
pub trait JobFunction<Shape>: IntoTask<Shape> {
    /// What a job is.
    type Arg: Serialize + DeserializeOwned + 'static;
    /// What it gives.
    type Out: Serialize + DeserializeOwned + 'static;

    /// The name of the type of state that it needs, if it needs one.
    #[doc(hidden)]
    fn state() -> Option<&'static str>;
}

struct Typed<F, Shape> {
    function: F,
    shape: PhantomData<fn(Shape) -> Shape>,
}

fn job<Shape, F>(function: F) -> Task
where
    Typed<F, Shape>: RunJobs + 'static,
{
    Task::new(name_of::<F>(), Run::Jobs(Box::new(Typed::<F, Shape> { function, shape: PhantomData })))
}

/// The parent compares the types when it binds a task; this is for a record that it did not write.
fn no_state<S>() -> String {
    format!("this worker has no state of type {}", std::any::type_name::<S>())
}

/// Decodes, runs, encodes; whatever goes wrong is an outcome.
#[inline]
pub(super) fn carry<A, R>(job: &[u8], out: &mut Vec<u8>, run: impl FnOnce(A) -> Result<R, String>) -> Kind
where
    Postcard: Codec<A> + Codec<R>,
{
    let text = |out: &mut Vec<u8>, kind, why: &str| {
        out.clear();
        out.extend_from_slice(why.as_bytes());
        kind
    };
    // User code decodes, runs and encodes: a panic in any of them is the job's.
    let done = panics::catch(|| {
        let argument = <Postcard as Codec<A>>::read(job).map_err(|why| (Kind::Undecodable, why))?;
        let result = run(argument).map_err(|why| (Kind::Undecodable, why))?;
        let encoded = <Postcard as Codec<R>>::encode(&result, |bytes| {
            out.clear();
            out.extend_from_slice(bytes);
        });
        encoded.map_err(|why| (Kind::Unencodable, why))
    });
    match done {
        Ok(Ok(())) => Kind::Value,
        Ok(Err((kind, why))) => text(out, kind, &why),
        Err(why) => text(out, Kind::Panicked, &why),
    }
}

/// Runs all jobs of a bundle. One catcher of panics for all of them: it starts again behind a job that panicked.
#[inline]
fn carry_all<A: 'static, R: 'static>(bundle: &mut Bundle<'_>, out: &mut Vec<u8>, mut run: impl FnMut(A) -> Result<R, String>)
where
    Postcard: Codec<A> + Codec<R>,
{
    loop {
        let done = panics::catch(|| {
            loop {
                if is_number::<A>() && is_number::<R>() {
                    run_arrays(bundle, &mut run);
                }
                let Some(job) = bundle.next_job() else { return };
                let result = match <Postcard as Codec<A>>::read(job).and_then(&mut run) {
                    Ok(result) => result,
                    Err(why) => {
                        bundle.finish(Kind::Undecodable, why.as_bytes());
                        continue;
                    }
                };
                if let Some(()) = with_number(&result, |bytes| bundle.finish(Kind::Value, bytes)) {
                    continue;
                }
                out.clear();
                match <Postcard as Codec<R>>::append(&result, out) {
                    Ok(()) => bundle.finish(Kind::Value, out),
                    Err(why) => bundle.finish(Kind::Unencodable, why.as_bytes()),
                }
            }
        });
        match done {
            Err(why) if bundle.has_in_hand() => bundle.finish(Kind::Panicked, why.as_bytes()),
            _ => return,
        }
    }
}

/// Runs numbers that stand side by side, as far as they do.
#[inline]
fn run_arrays<A: 'static, R: 'static>(bundle: &mut Bundle<'_>, run: &mut impl FnMut(A) -> Result<R, String>)
where
    Postcard: Codec<A> + Codec<R>,
{
    let mut one = |job: &[u8], write: &mut dyn FnMut(&[u8])| {
        let result = <Postcard as Codec<A>>::read(job).and_then(&mut *run)?;
        with_number(&result, write).ok_or_else(|| "no number".to_owned())
    };
    loop {
        match bundle.step(size_of::<A>(), size_of::<R>(), &mut one) {
            Ok(true) => {}
            Ok(false) => return,
            Err(why) => bundle.finish(Kind::Undecodable, why.as_bytes()),
        }
    }
}

impl<F, A, R> RunJobs for Typed<F, JobShape<A, R>>
where
    F: Fn(A) -> R + Send + Sync,
    A: 'static,
    R: 'static,
    Postcard: Codec<A> + Codec<R>,
{
    fn all(&self, _: &mut WorkerState, bundle: &mut Bundle<'_>, out: &mut Vec<u8>) {
        carry_all::<A, R>(bundle, out, |argument| Ok((self.function)(argument)));
    }

    #[inline]
    fn one(&self, _: &mut WorkerState, job: &[u8], out: &mut Vec<u8>) -> Kind {
        carry::<A, R>(job, out, |argument| Ok((self.function)(argument)))
    }
}

impl<F, A, R> IntoTask<JobShape<A, R>> for F
where
    F: Fn(A) -> R + Send + Sync + 'static,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    fn into_task(self) -> Task {
        job::<JobShape<A, R>, F>(self)
    }
}

impl<F, A, R> JobFunction<JobShape<A, R>> for F
where
    F: Fn(A) -> R + Send + Sync + 'static,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    type Arg = A;
    type Out = R;

    fn state() -> Option<&'static str> {
        None
    }
}

impl<F, S, A, R> RunJobs for Typed<F, StateShape<S, A, R>>
where
    F: Fn(&mut S, A) -> R + Send + Sync,
    S: 'static,
    A: 'static,
    R: 'static,
    Postcard: Codec<A> + Codec<R>,
{
    fn all(&self, state: &mut WorkerState, bundle: &mut Bundle<'_>, out: &mut Vec<u8>) {
        let Some(state) = state.downcast_mut::<S>() else {
            return carry_all::<A, R>(bundle, out, |_| Err(no_state::<S>()));
        };
        carry_all::<A, R>(bundle, out, |argument| Ok((self.function)(state, argument)));
    }

    #[inline]
    fn one(&self, state: &mut WorkerState, job: &[u8], out: &mut Vec<u8>) -> Kind {
        carry::<A, R>(job, out, |argument| match state.downcast_mut::<S>() {
            Some(state) => Ok((self.function)(state, argument)),
            None => Err(no_state::<S>()),
        })
    }
}

impl<F, S, A, R> IntoTask<StateShape<S, A, R>> for F
where
    F: Fn(&mut S, A) -> R + Send + Sync + 'static,
    S: 'static,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    fn into_task(self) -> Task {
        job::<StateShape<S, A, R>, F>(self)
    }
}

impl<F, S, A, R> JobFunction<StateShape<S, A, R>> for F
where
    F: Fn(&mut S, A) -> R + Send + Sync + 'static,
    S: 'static,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    type Arg = A;
    type Out = R;

    fn state() -> Option<&'static str> {
        Some(std::any::type_name::<S>())
    }
}

impl<F, R> IntoTask<FoldShape<R>> for F
where
    F: Fn(R, R) -> R + Send + Sync + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    fn into_task(self) -> Task {
        let fold = move |into: &mut Vec<u8>, value: &[u8]| {
            let folded = self(Postcard::read(into)?, Postcard::read(value)?);
            Postcard::encode(&folded, |bytes| {
                into.clear();
                into.extend_from_slice(bytes);
            })
        };
        Task::new(name_of::<F>(), Run::Fold(Box::new(fold)))
    }
}

/// The start of a pool's worker: `fn(A) -> Result<S, E>`, whose `S` is handed to each of its jobs.
pub trait Initializer<A, S, E>: Fn(A) -> Result<S, E> + Send + Sync + 'static {}
impl<F, A, S, E> Initializer<A, S, E> for F where F: Fn(A) -> Result<S, E> + Send + Sync + 'static {}

impl Task {
    /// An initializer as a task: see [`PoolBuilder::initializer`](crate::PoolBuilder::initializer).
    pub fn initializer<A, S, E, F>(function: F) -> Task
    where
        F: Initializer<A, S, E>,
        A: Serialize + DeserializeOwned + 'static,
        S: 'static,
        E: Display,
    {
        let init = move |bytes: &[u8]| -> Result<WorkerState, String> {
            let argument = Postcard::read(bytes).map_err(|why| format!("its argument cannot be decoded: {why}"))?;
            match panics::catch(|| function(argument)) {
                Ok(Ok(state)) => Ok(Box::new(state)),
                Ok(Err(why)) => Err(why.to_string()),
                Err(why) => {
                    let (message, place) = panics::parts(&why);
                    Err(format!("it panicked at {place}: {message}"))
                }
            }
        };
        Task::new(name_of::<F>(), Run::Init(Box::new(init)))
    }
}
