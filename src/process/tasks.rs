//! Tasks: plain functions of this program that a worker can run, found by name.
//!
//! The name is the function's path, as `std::any::type_name` gives it: parent and worker are the same program, so they agree. No
//! function pointer crosses a process boundary.

use serde::{Serialize, de::DeserializeOwned};

type RunProcess = Box<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;
type RunJob = Box<dyn Fn(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + Sync>;

/// A function that [`init`](crate::init) makes known to workers; [`tasks!`](crate::tasks) makes a list of them.
pub struct Task {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

pub(crate) enum Run {
    /// The whole life of a process, from its encoded arguments.
    Process(RunProcess),
    /// One job after the other, bytes to bytes.
    Jobs(RunJob),
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

impl Task {
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

/// Functions that can be tasks: `fn(&A, &B, …)` for a process whose arguments are queues or any `serde` values, up to six; and
/// `fn(&[u8], &mut Vec<u8>) -> Result<(), String>` for jobs of bytes. `Shape` tells them apart and is always inferred.
pub trait IntoTask<Shape>: Sized {
    /// The task.
    fn into_task(self) -> Task;
}

/// The shape of a function from bytes to bytes.
#[derive(Debug)]
pub struct BytesShape;

impl<F> IntoTask<BytesShape> for F
where
    F: Fn(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + Sync + 'static,
{
    fn into_task(self) -> Task {
        Task { name: name_of::<F>(), run: Run::Jobs(Box::new(self)) }
    }
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

/// A list of tasks for [`init`](crate::init), from the names of functions.
#[macro_export]
macro_rules! tasks {
    ($($function:expr),* $(,)?) => { vec![$($crate::Task::of($function)),*] };
}
