//! The seed's other program: futures on a pool of worker processes.
//!
//! `cargo run --release --example futures`

use gristmill::{ProcessPool, as_completed, tasks};

fn square(n: u64) -> u64 {
    n * n
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![square]); // in a worker: serves jobs and never returns

    let pool = ProcessPool::builder().workers(4).build(square)?;

    let job = pool.submit(12)?; // a future: result, result_timeout, cancel, done, .await
    assert_eq!(job.result()?, 144);

    let jobs = pool.submit_many(1..=100)?;
    let mut sum = 0;
    for job in as_completed(jobs) {
        sum += job.result()?;
    }
    println!("the squares of 1 to 100 add up to {sum}");
    assert_eq!(sum, 338_350);

    let mut last = 0;
    for value in pool.map(1..=1_000_000u64)? {
        let value = value?; // in order, lazily, bounded memory
        assert!(value > last);
        last = value;
    }
    println!("the last of a million squares is {last}");
    println!("{}", pool.stats().explain());
    Ok(())
}
