//! Tasks: plain functions of this program that a worker can run, found by name.
//!
//! The name is the function's path, as `std::any::type_name` gives it: parent and worker are the same program, so they agree. No
//! function pointer crosses a process boundary.

use crate::ring::bundle::Bundle;
use crate::ring::frame::Kind;
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;

type RunProcess = Box<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// What a worker's initializer has made, for the jobs.
pub(crate) type WorkerState = Box<dyn Any>;

/// A function that runs a pool's jobs.
pub(crate) trait RunJobs: Send + Sync {
    /// Runs one job: from its bytes to its outcome's, which replace what is in `out`.
    fn one(&self, state: &mut WorkerState, job: &[u8], out: &mut Vec<u8>) -> Kind;

    /// Runs all jobs of a bundle.
    fn all(&self, state: &mut WorkerState, bundle: &mut Bundle<'_>, out: &mut Vec<u8>) {
        while let Some(job) = bundle.next_job() {
            let kind = self.one(state, job, out);
            bundle.finish(kind, out);
        }
    }
}

/// From an initializer's encoded arguments to its state, or why there is none.
pub(crate) type RunInit = Box<dyn Fn(&[u8]) -> Result<WorkerState, String> + Send + Sync>;

/// Folds the second value into the first, all as bytes.
pub(crate) type RunFold = Box<dyn Fn(&mut Vec<u8>, &[u8]) -> Result<(), String> + Send + Sync>;

/// A function that [`init`](crate::init) makes known to workers; [`tasks!`](crate::tasks) makes a list of them.
pub struct Task {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

pub(crate) enum Run {
    /// The whole life of a process, from its encoded arguments.
    Process(RunProcess),
    /// A pool's jobs.
    Jobs(Box<dyn RunJobs>),
    /// The start of a pool's worker.
    Init(RunInit),
    /// The results of a pool's jobs, two to one.
    Fold(RunFold),
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

impl Task {
    pub(crate) fn new(name: &'static str, run: Run) -> Task {
        Task { name, run }
    }

    /// A task from a function: see [`IntoTask`] for which.
    pub fn of<Shape, F: IntoTask<Shape>>(function: F) -> Task {
        function.into_task()
    }
}

/// The path of a function, by which it is registered and found.
///
/// Only functions themselves have one: a function *pointer* or a closure with captured variables does not compile.
pub(crate) fn name_of<F>() -> &'static str {
    const { assert!(size_of::<F>() == 0, "a task is a plain function, given by its name") };
    std::any::type_name::<F>()
}

/// Functions that can be tasks. `Shape` tells them apart and is always inferred.
///
/// | function | is |
/// |---|---|
/// | `fn(&A, &B, …)` | the whole life of a process, with queues or any `serde` values as arguments, up to six |
/// | `fn(A) -> R` | a pool's job |
/// | `fn(&mut S, A) -> R` | a pool's job with the state that its worker's initializer has made |
/// | `fn(R, R) -> R` | a fold, for [`map_reduce`](crate::ProcessPool::map_reduce) |
/// | `fn(usize, &mut [T])` | chunks of a shared vector in place, for [`for_each_chunk`](crate::ProcessPool::for_each_chunk) |
/// | `fn(usize, &[T], &mut [U])` | the same with inputs, for [`for_each_chunk_with`](crate::ProcessPool::for_each_chunk_with) |
/// | `fn(&[T], &mut [U])` | inputs to outputs, for [`map_slice`](crate::ProcessPool::map_slice) |
///
/// Initializers are registered by [`Task::initializer`].
pub trait IntoTask<Shape>: Sized {
    /// The task.
    fn into_task(self) -> Task;
}

/// The shape of a function that is a process's whole life.
#[derive(Debug)]
pub struct ProcessShape<A>(std::marker::PhantomData<A>);

/// A function that a process can run, with owned arguments `Owned`.
pub trait Target<Owned>: Copy + Send + Sync + 'static {
    /// Runs it.
    fn call(&self, arguments: &Owned);
}

/// Arguments as they are passed: a tuple of references, to queues or to any `serde` values.
pub trait Arguments {
    /// What the worker makes of them.
    type Owned: DeserializeOwned;

    /// Their bytes.
    ///
    /// # Errors
    /// What the encoder says.
    fn encode(&self) -> Result<Vec<u8>, String>;
}

macro_rules! arities {
    ($(($($T:ident $n:tt),*);)*) => { $(
        impl<Func, $($T),*> Target<($($T,)*)> for Func
        where
            Func: Fn($(&$T),*) + Copy + Send + Sync + 'static,
        {
            fn call(&self, _arguments: &($($T,)*)) {
                self($(&_arguments.$n),*)
            }
        }

        impl<Func, $($T: Serialize + DeserializeOwned),*> IntoTask<ProcessShape<($($T,)*)>> for Func
        where
            Func: Fn($(&$T),*) + Copy + Send + Sync + 'static,
        {
            fn into_task(self) -> Task {
                let run = move |bytes: &[u8]| {
                    let arguments: ($($T,)*) = postcard::from_bytes(bytes).map_err(|e| e.to_string())?;
                    crate::queue::Attached::arguments_taken();
                    Target::call(&self, &arguments);
                    Ok(())
                };
                Task { name: name_of::<Func>(), run: Run::Process(Box::new(run)) }
            }
        }

        impl<$($T: Serialize + DeserializeOwned),*> Arguments for ($(&$T,)*) {
            type Owned = ($($T,)*);

            fn encode(&self) -> Result<Vec<u8>, String> {
                postcard::to_allocvec(self).map_err(|e| e.to_string())
            }
        }
    )* };
}

arities! {
    ();
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, G 5);
}

/// A list of tasks for [`init`](crate::init), from the names of functions; initializers of pools stand after a semicolon:
/// `tasks![score, sum; initializers: load_model]`.
#[macro_export]
macro_rules! tasks {
    ($($function:expr),* $(,)? $(; initializers: $($init:expr),+ $(,)?)?) => {
        vec![$($crate::Task::of($function),)* $($($crate::Task::initializer($init),)+)?]
    };
}
