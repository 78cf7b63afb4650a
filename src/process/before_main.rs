//! Workers without a `main` of one's own: test harnesses and benchmarks have theirs.

/// [`init`](crate::init) in one line, for programs whose `main` is not theirs: under `cargo test`, `cargo nextest` and criterion. It
/// stands once in a test or bench file, outside of any function, with the functions that the pools of this file run:
///
/// ```
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// gristmill::init_before_main!(square);
/// # fn main() {}
/// ```
///
/// Initializers stand after a semicolon, as in [`tasks!`](crate::tasks): `init_before_main!(score, sum; initializers: load)`.
///
/// A worker is this binary, executed again. The loader calls what the macro registers before `main`: in a worker that serves jobs and
/// never returns, so no test runs twice; in the parent it only makes the functions known. In a worker the harness has not begun, so
/// what a job prints is not captured.
///
/// Use it once in a program: a second one in the same module does not compile, one in another module is ignored, as a second call of `init`
/// is. In a program with a `main` of its own, call [`init`](crate::init) there.
///
/// ```compile_fail
/// # fn square(n: u64) -> u64 { n * n }
/// # fn cube(n: u64) -> u64 { n * n * n }
/// gristmill::init_before_main!(square);
/// gristmill::init_before_main!(cube);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! init_before_main {
    ($($tasks:tt)*) => {
        #[doc(hidden)]
        mod __gristmill_init_before_main {
            use super::*;

            extern "C" fn init() {
                $crate::process::init_of_a_loader(|| $crate::tasks![$($tasks)*]);
            }

            // SAFETY:
            // - the loader takes `.init_array` for pointers to functions of C's calling convention, which is what this is; it passes
            //   arguments, which such a function may ignore;
            // - the standard library may be used there: on Linux it sets up nothing before `main` that it needs for memory, threads,
            //   files or environment variables, and takes the arguments from an entry of the same section;
            // - no panic leaves the function: that would be undefined behaviour, so `init_of_a_loader` ends the process.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static INIT: extern "C" fn() = init;
        }
    };
}

/// What [`init_before_main!`](crate::init_before_main) calls.
#[doc(hidden)]
pub fn init_of_a_loader(tasks: impl FnOnce() -> Vec<super::Task> + std::panic::UnwindSafe) {
    if std::panic::catch_unwind(|| super::init(tasks())).is_err() {
        // The panic has been printed. Nobody can catch it here, and a program without its tasks is of no use.
        std::process::abort();
    }
}
