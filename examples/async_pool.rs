//! Jobs as futures: awaited, joined, raced and given up, in tokio. A handle needs no runtime of its own, so any other will do.
//!
//! `cargo run --release --example async_pool`

use gristmill::{ProcessPool, tasks};
use std::time::Duration;

fn slow_square(n: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(20 * n));
    n * n
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the runtime: a worker never gets as far.
    gristmill::init(tasks![slow_square]);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(talk())
}

async fn talk() -> Result<(), Box<dyn std::error::Error>> {
    let pool = ProcessPool::builder().workers(2).build(slow_square)?;

    let (three, four) = tokio::try_join!(pool.submit(3)?, pool.submit(4)?)?;
    println!("joined: 3² + 4² = {}", three + four);

    tokio::select! {
        five = pool.submit(5)? => println!("raced: 5² = {} came first", five?),
        one = pool.submit(1)? => println!("raced: 1² = {} came first", one?),
    }

    let long = pool.submit(1000)?;
    if tokio::time::timeout(Duration::from_millis(50), long.clone()).await.is_err() {
        println!("given up: {}", if long.cancel() { "its worker is replaced" } else { "it was over already" });
    }
    println!("its outcome: {}", long.await.unwrap_err());
    Ok(())
}
