//! What stays within one process: locks, ring operations, encode and decode. `cargo bench --bench pieces`.
//!
//! Nobody contends here and nobody waits, so this is what a call costs at least; the same between processes is measured by `gristmill bench`.

mod codecs;
mod locks;
mod rings;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    let criterion = Criterion::default().without_plots().sample_size(50);
    let criterion = criterion.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let mut criterion = criterion.configure_from_args();
    locks::all(&mut criterion);
    rings::all(&mut criterion);
    codecs::all(&mut criterion);
    criterion.final_summary();
}
