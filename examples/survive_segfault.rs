//! A job writes through a null pointer, as a C library with a bug might. Its worker dies; the pool, its other jobs, and this program do not.
//!
//! `cargo run --release --example survive_segfault`

use gristmill::{JobError, ProcessPool, tasks};

/// A library's function, with a bug for one input.
fn parse(n: u64) -> u64 {
    if n == 42 {
        // SAFETY: none. This is the fault that the example is about.
        unsafe { libc::memset(std::hint::black_box(std::ptr::null_mut()), 0, 8) };
    }
    n + 1
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![parse]);

    let pool = ProcessPool::builder().workers(2).build(parse)?;
    let before = pool.worker_pids();
    let (mut values, mut lost) = (0, 0);
    for (n, result) in (0..1000).zip(pool.map(0..1000)?) {
        match result {
            Ok(value) => {
                assert_eq!(value, n + 1);
                values += 1;
            }
            Err(error @ JobError::WorkerDied { .. }) => {
                println!("{error}");
                lost += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("{values} jobs gave their values, {lost} was lost");
    println!("workers before: {before:?}, now: {:?}", pool.worker_pids());
    assert_eq!((values, lost), (999, 1));
    assert_eq!(pool.submit(1)?.result()?, 2, "the pool goes on");
    Ok(())
}
