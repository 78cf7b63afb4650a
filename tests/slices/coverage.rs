//! Which items a call reaches, and how often.

use crate::pool;
use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};
use gristmill::{ProcessPool, SharedVec};

/// A second visit would double what the first one left.
pub fn add_index(first: usize, chunk: &mut [u64]) {
    for (n, item) in (first as u64 + 1..).zip(chunk) {
        *item += n;
    }
}

pub fn halve(inputs: &[u32], outputs: &mut [f64]) {
    assert_eq!(inputs.len(), outputs.len());
    for (input, output) in inputs.iter().zip(outputs) {
        *output += f64::from(*input) / 2.0 + 1.0;
    }
}

/// Each output is the sum of an input, the one before and the one after; there are two inputs more than outputs.
pub fn neighbours(first: usize, inputs: &[i64], outputs: &mut [i64]) {
    for (n, output) in (first..).zip(outputs) {
        *output += inputs[n] + inputs[n + 1] + inputs[n + 2];
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Particle {
    place: [f32; 4],
    speed: [f32; 4],
    id: u64,
}

pub fn scale(first: usize, chunk: &mut [Particle]) {
    for (n, particle) in (first as u64..).zip(chunk) {
        assert_eq!(particle.id, n);
        for (place, speed) in particle.place.iter_mut().zip(particle.speed) {
            *place += speed * 0.5;
        }
    }
}

pub fn bytes(inputs: &[[u8; 3]], outputs: &mut [u128]) {
    for ([a, b, c], output) in inputs.iter().zip(outputs) {
        *output = 1 << 100 | u128::from(*a) << 16 | u128::from(*b) << 8 | u128::from(*c);
    }
}

pub fn bump(_: usize, chunk: &mut [i8]) {
    chunk.iter_mut().for_each(|item| *item += 1);
}

/// The chunk's length and its first index, for each of its items.
pub fn note_size(first: usize, chunk: &mut [[u64; 2]]) {
    let len = chunk.len() as u64;
    chunk.iter_mut().for_each(|item| *item = [len, item[1] + first as u64 + 1]);
}

const LENGTHS: [usize; 12] = [0, 1, 2, 3, 7, 8, 63, 64, 65, 1009, 1_000_003, 5_000_000];

pub fn each_item_is_visited_once_in_place() {
    let check = |vec: &SharedVec<u64>, how: &str| {
        let wrong = vec.iter().zip(1..).position(|(item, n)| *item != n);
        assert_eq!(wrong, None, "of {} items, {how}", vec.len());
    };
    for workers in [1, 2, 5] {
        let pool = pool(workers);
        for len in LENGTHS {
            // The first call learns the pace, the second one knows it.
            for call in ["first", "second"] {
                let mut vec = SharedVec::zeroed(len).unwrap();
                pool.for_each_chunk(add_index, &mut vec).unwrap();
                check(&vec, call);
            }
            for size in [1, 7, 4096, 1 << 40, usize::MAX] {
                if len / size < 100_000 {
                    let mut vec = SharedVec::zeroed(len).unwrap();
                    pool.chunks_of(size).for_each_chunk(add_index, &mut vec).unwrap();
                    check(&vec, &format!("in chunks of {size}"));
                }
            }
        }
    }
}

pub fn each_item_is_visited_once_from_inputs_to_outputs() {
    let pool = pool(2);
    for len in LENGTHS {
        let inputs = SharedVec::from_fn(len, |n| n as u32).unwrap();
        for size in [None, Some(1000)] {
            let mut outputs = SharedVec::zeroed(len).unwrap();
            match size {
                None => pool.map_slice(halve, &inputs, &mut outputs),
                Some(size) => pool.chunks_of(size).map_slice(halve, &inputs, &mut outputs),
            }
            .unwrap();
            let right = |(n, output): (usize, &f64)| *output == n as f64 / 2.0 + 1.0;
            assert!(outputs.iter().enumerate().all(right), "of {len} items in chunks of {size:?}");
        }
        assert!(inputs.iter().zip(0..).all(|(input, n)| *input == n), "inputs are as they were");
    }
}

pub fn chunks_of_a_size_have_that_size() {
    let pool = pool(2);
    for (len, size) in [(10, 3), (1000, 1000), (1000, 1001), (100_000, 64), (99_991, 250), (5000, 1)] {
        let mut vec = SharedVec::<[u64; 2]>::zeroed(len).unwrap();
        pool.chunks_of(size).for_each_chunk(note_size, &mut vec).unwrap();
        for (n, [chunk, first]) in vec.iter().enumerate() {
            let start = n / size * size;
            assert_eq!((*chunk as usize, *first as usize), (size.min(len - start), start + 1), "item {n} of {len} by {size}");
        }
    }
}

pub fn all_inputs_are_there_for_each_chunk() {
    let pool = pool(2);
    for len in [1usize, 1000, 300_000] {
        let inputs = SharedVec::from_fn(len + 2, |n| (n * n) as i64).unwrap();
        let mut outputs = SharedVec::zeroed(len).unwrap();
        pool.for_each_chunk_with(neighbours, &inputs, &mut outputs).unwrap();
        pool.chunks_of(777).for_each_chunk_with(neighbours, &inputs, &mut outputs).unwrap();
        for (n, output) in outputs.iter().enumerate() {
            assert_eq!(*output, 2 * (n * n + (n + 1) * (n + 1) + (n + 2) * (n + 2)) as i64, "item {n} of {len}");
        }
    }
}

pub fn items_of_any_plain_type_and_size() {
    fn alignment<T: NoUninit + AnyBitPattern>() {
        let vec = SharedVec::<T>::zeroed(3).unwrap();
        assert!(vec.as_ptr().is_aligned() && vec.len() == 3);
    }
    alignment::<u8>();
    alignment::<u128>();
    let pool = pool(2);
    let make = |n: usize| Particle { place: [n as f32; 4], speed: [1.0, 2.0, 3.0, 4.0], id: n as u64 };
    let mut particles = SharedVec::from_fn(50_021, make).unwrap();
    pool.for_each_chunk(scale, &mut particles).unwrap();
    for (n, particle) in particles.iter().enumerate() {
        let place = [0.5, 1.0, 1.5, 2.0].map(|d| n as f32 + d);
        assert_eq!(*particle, Particle { place, ..make(n) });
    }

    let colours = SharedVec::from_fn(70_001, |n| [n as u8, (n >> 8) as u8, 7]).unwrap();
    let mut wide = SharedVec::zeroed(70_001).unwrap();
    pool.map_slice(bytes, &colours, &mut wide).unwrap();
    for (n, item) in (0..70_001u128).zip(wide.iter()) {
        assert_eq!(*item, 1 << 100 | (n & 0xFF) << 16 | (n >> 8 & 0xFF) << 8 | 7);
    }

    let mut small = SharedVec::from_slice(&[i8::MIN; 12_345]).unwrap();
    pool.for_each_chunk(bump, &mut small).unwrap();
    assert!(small.iter().all(|item| *item == i8::MIN + 1));
}

/// More vectors than a worker keeps mapped, one of them read by all.
pub fn several_vectors_from_several_threads_at_once() {
    let pool = pool(2);
    let inputs = SharedVec::from_fn(100_000, |n| n as u32).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let mut vecs: Vec<_> = (0..3).map(|_| SharedVec::zeroed(30_000).unwrap()).collect();
                    for _ in 0..2 {
                        vecs.iter_mut().for_each(|vec| pool.for_each_chunk(add_index, vec).unwrap());
                    }
                    assert!(vecs.iter().all(|vec| vec.iter().zip(1..).all(|(item, n)| *item == 2 * n)));
                    let mut outputs = SharedVec::zeroed(100_000).unwrap();
                    pool.map_slice(halve, &inputs, &mut outputs).unwrap();
                    assert_eq!(outputs[99_999], 50_000.5);
                }
            });
        }
    });
}

pub fn increment(n: u64) -> u64 {
    n + 1
}

pub fn a_pool_of_jobs_takes_slices_too() {
    let jobs = ProcessPool::builder().workers(2).build(increment).unwrap();
    let handles = jobs.submit_many(0..100).unwrap();
    let mut vec = SharedVec::zeroed(1000).unwrap();
    jobs.for_each_chunk(add_index, &mut vec).unwrap();
    assert_eq!(vec[999], 1000);
    assert!(handles.iter().zip(1..).all(|(job, n)| job.result() == Ok(n)));
    // And the other way round.
    let task = pool(1).task(increment).unwrap();
    assert_eq!(task.submit(7).unwrap().result(), Ok(8));
}
