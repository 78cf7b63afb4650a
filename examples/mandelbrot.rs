//! A picture of the Mandelbrot set, computed in place by worker processes: each row is a chunk of one shared vector.
//!
//! `cargo run --release --example mandelbrot -- [FILE] [WORKERS]`

use gristmill::{ProcessPool, SharedVec, tasks};
use std::time::Instant;

const WIDTH: usize = 1536;
const HEIGHT: usize = 1024;
/// After so many steps a point is taken to be in the set.
const STEPS: u32 = 2000;

/// Colours the points of a row; `first` is the index of its first point in the picture.
fn row(first: usize, row: &mut [[u8; 3]]) {
    let y = (first / WIDTH) as f64 / HEIGHT as f64 * 2.3 - 1.15;
    for (column, colour) in row.iter_mut().enumerate() {
        let x = column as f64 / WIDTH as f64 * 3.45 - 2.45;
        *colour = escape(x, y).map_or([0; 3], shade);
    }
}

/// How fast the point leaves; `None`: not at all.
fn escape(x: f64, y: f64) -> Option<f64> {
    let (mut a, mut b) = (0.0f64, 0.0f64);
    for step in 0..STEPS {
        let (aa, bb) = (a * a, b * b);
        if aa + bb > 256.0 {
            // The fraction that makes the bands run into each other.
            return Some(f64::from(step) + 1.0 - ((aa + bb).ln() / 2.0 / std::f64::consts::LN_2).log2());
        }
        (a, b) = (aa - bb + x, 2.0 * a * b + y);
    }
    None
}

fn shade(steps: f64) -> [u8; 3] {
    let t = (steps.max(0.0) / 24.0).sqrt() * 3.0;
    [0.0, 0.5, 1.1].map(|phase| (127.5 * (1.0 - (t + phase).cos())) as u8)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gristmill::init(tasks![row]); // in a worker: serves jobs and never returns

    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or("mandelbrot.png".into());
    let mut builder = ProcessPool::builder();
    if let Some(workers) = arguments.next() {
        builder = builder.workers(workers.parse()?);
    }
    let pool = builder.build_for_slices()?;
    let mut picture = SharedVec::<[u8; 3]>::zeroed(WIDTH * HEIGHT)?;

    let start = Instant::now();
    pool.chunks_of(WIDTH).for_each_chunk(row, &mut picture)?;
    println!("{WIDTH} × {HEIGHT} points in {:.1?} on {} workers", start.elapsed(), pool.workers());

    let mut encoder = png::Encoder::new(std::io::BufWriter::new(std::fs::File::create(&file)?), WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(picture.as_flattened())?;
    println!("written to {file}");
    Ok(())
}
